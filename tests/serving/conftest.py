"""A small model, exported, and servers that answer for it on free ports."""

import contextlib
import multiprocessing.forkserver
import re
import subprocess
import sys
import time

import numpy as np
import pytest


@pytest.fixture(scope="package", autouse=True)
def small_fork_server():
    """The tests of training, in the same process, fork from one that has TensorFlow: too large for a reader's limit."""
    from stegano_tf.serving import workers

    multiprocessing.forkserver._forkserver._stop()
    workers._PROCESSES.set_forkserver_preload(["stegano_tf.serving.reading"])


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """A folder of models with version 3 of `tiny`, whose weights are its own: what it returns depends on all pixels."""
    from stegano_tf import presets
    from stegano_tf.exporting import signatures
    from stegano_tf.networks import build
    from stegano_tf.runtime.exported import Exported, sha256_of_files

    tree = tmp_path_factory.mktemp("models")
    folder = tree / "tiny" / "3"
    networks = build.build("tiny")
    random = np.random.default_rng(0)
    for variable in networks.pair.trainable_variables:
        variable.assign(variable + random.normal(0, 0.1, variable.shape))
    signatures.save(networks, presets.get("tiny").networks.multiples, folder)
    signatures.write_warmup(folder, "tiny")
    Exported(folder=folder, preset="tiny", version=3, network=bytes(8), files=sha256_of_files(folder)).write()
    return tree


@pytest.fixture(scope="session")
def functions(tree):
    """The signatures of that model as TensorFlow runs them in this process: {name: f(inputs) -> output}."""
    import tensorflow as tf

    loaded = tf.saved_model.load(tree / "tiny" / "3")

    def function(name):
        def run(*inputs):
            names = sorted(loaded.signatures[name].structured_input_signature[1])
            (output,) = loaded.signatures[name](**dict(zip(names, map(tf.constant, inputs), strict=True))).values()
            return output.numpy()

        return run

    yield {name: function(name) for name in loaded.signatures}


class Server:
    """A running `stegano-tf serve`: its process, and where it listens."""

    def __init__(self, tree, *flags):
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "stegano_tf",
                "serve",
                f"--savedmodels={tree}",
                "--port=0",
                "--grpc_port=0",
                *flags,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self):
        """Waits until it can be reached."""
        said = ""
        for line in self.process.stdout:
            said += line
            if found := re.match(r"REST on http://127\.0\.0\.1:(\d+)/v1/models/, gRPC on 127\.0\.0\.1:(\d+)$", line):
                self.port, self.grpc_port = int(found[1]), int(found[2])
                self.url, self.grpc = f"http://127.0.0.1:{self.port}", f"127.0.0.1:{self.grpc_port}"
                return
        raise AssertionError(said + self.process.stderr.read())

    def metric(self, name):
        """The value of one line of the metrics page, 0 if it is not there."""
        import requests

        time.sleep(0.11)  # the page is up to 0.1 s old
        page = requests.get(f"{self.url}/metrics", timeout=10).text
        found = re.search(rf"^stegano_tf_{re.escape(name)} (\S+)$", page, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def wait_for(self, name, value):
        """Waits until a metric has reached a value."""
        deadline = time.monotonic() + 60
        while self.metric(name) < value:
            assert time.monotonic() < deadline, f"{name} is {self.metric(name)}, expected {value}"
            time.sleep(0.01)


@contextlib.contextmanager
def running(server):
    """Ends a server whatever happens."""
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


@pytest.fixture(scope="session")
def servers(tree):
    """Two servers, started at the same time: one with narrow limits, one that waits for batches of 4 to fill."""
    narrow = "--max_body_mb=1", "--max_pixels=40000", "--max_connections=24", "--client_timeout_in_ms=2000"
    slow = "--batch_timeout_micros=1500000", "--max_batch_size=4", "--num_batch_threads=3", "--max_requests=24"
    with running(Server(tree, *narrow)) as first, running(Server(tree, *slow)) as second:
        first.wait()
        second.wait()
        yield first, second


@pytest.fixture(scope="session")
def server(servers):
    """The one with narrow limits."""
    return servers[0]


@pytest.fixture(scope="session")
def pictures(photograph):
    """uint8[4, 20, 26, 3]"""
    return np.stack([photograph(20, 26, seed) for seed in range(4)])
