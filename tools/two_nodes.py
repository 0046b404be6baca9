"""Two Ray nodes on one machine, to kill: network namespaces where root is at hand, elsewhere two loopback addresses.

    with two_nodes.cluster(folder) as nodes:
        driver = nodes.start(0, sys.executable, "-m", "stegano_tf", "batch", ..., "--address", nodes.address)
        nodes.kill(1)

A node's processes are known by a variable of their environment. Linux only.
"""

import contextlib
import dataclasses
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

_RAY = Path(sys.executable).with_name("ray")
_MARK = "STEGANO_TF_NODE"
_STORE = 100 << 20  # bytes of a node's object store


@dataclasses.dataclass
class Nodes:
    """Two nodes, 0 and 1; the head is 0. `spaces` are their network namespaces, empty on loopback."""

    folder: Path
    spaces: tuple[str, ...]
    token: str

    @property
    def addresses(self) -> tuple[str, str]:
        return ("10.77.0.1", "10.77.0.2") if self.spaces else ("127.0.0.1", "127.0.0.2")

    @property
    def address(self) -> str:
        return f"{self.addresses[0]}:{self.port}"

    @property
    def port(self) -> int:
        return 20_000 + int(self.token, 16) % 10_000  # Ray refuses a second cluster on the same port of a machine

    def start(self, node: int, *command: str | Path, **options) -> subprocess.Popen:
        """Starts a process on a node."""
        prefix = ("ip", "netns", "exec", self.spaces[node]) if self.spaces else ()
        environment = os.environ | {
            _MARK: f"{self.token}-{node}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.folder / "token"),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        return subprocess.Popen([*prefix, *map(str, command)], env=environment, **options)

    def begin(self, node: int, cpus: int = 1) -> None:
        """Starts Ray on a node; raises RuntimeError if it does not start."""
        where = ("--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={self.folder}")
        command = [_RAY, "start", *(where if node == 0 else (f"--address={self.address}",))]
        command += [
            f"--node-ip-address={self.addresses[node]}",
            f"--num-cpus={cpus}",
            f"--object-store-memory={_STORE}",
        ]
        path = self.folder / f"node{node}.log"
        with path.open("a") as log:
            status = self.start(node, *command, "--disable-usage-stats", stdout=log, stderr=log).wait()
        if status:
            raise RuntimeError(f"ray start ended with {status}: {path.read_text()}")

    def processes(self, node: int) -> list[psutil.Process]:
        """Returns the processes of a node."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(_MARK) == f"{self.token}-{node}":
                    found.append(process)
        return found

    def workers(self, node: int) -> list[psutil.Process]:
        """Returns the processes of a node that work on a block."""
        return [process for process in self.processes(node) if process.name().startswith("ray::run")]

    def kill(self, node: int) -> None:
        """Ends all of a node at once."""
        for process in self.processes(node):
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)


@contextlib.contextmanager
def cluster(folder: str | os.PathLike) -> Iterator[Nodes]:
    """Yields two nodes with one CPU each; their files are in a folder with a short name, which is made and removed."""
    folder = Path(folder)
    token = secrets.token_hex(4)
    folder.mkdir(mode=0o700)
    (folder / "token").write_text(secrets.token_hex(16))
    with _namespaces(token) as spaces:
        nodes = Nodes(folder, spaces, token)
        try:
            for node in 0, 1:
                nodes.begin(node)
            yield nodes
        finally:
            for node in 1, 0:
                nodes.kill(node)
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _namespaces(token: str) -> Iterator[tuple[str, ...]]:
    """Yields the names of two network namespaces that reach each other, or nothing where they cannot be had."""
    names = f"stegano-{token}-a", f"stegano-{token}-b"
    ends = f"sg{token}a", f"sg{token}b"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for number, (name, end) in enumerate(zip(names, ends, strict=True), 1):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", end)
            for device in "lo", end:
                ip("-n", name, "link", "set", device, "up")
    except (OSError, subprocess.CalledProcessError):
        made = False
    else:
        made = True
    try:
        yield names if made else ()
    finally:
        for name in names:
            with contextlib.suppress(OSError):
                subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
