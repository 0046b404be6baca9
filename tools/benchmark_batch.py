"""Measures `stegano-tf batch` on Ray: speed, what is left after something was killed, memory, a million rows, S3.

    python tools/benchmark_batch.py --data=../shared/data/linnaeus5_layout/train --json=tools/results/batch.json

It needs the extra `distributed` and moto (`pip install '.[distributed]' 'moto[server]'`), Linux, and two quiet cores;
root for network namespaces, else the two nodes are two loopback addresses. The whole takes about 45 minutes; --only
names parts of it, and --kills and --pairs make it shorter.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import s3_server
import two_nodes
from absl import app, flags
from benchmark_scale import mosaic
from publishing import publish

from stegano_tf import images, metrics, pipeline, presets
from stegano_tf.batch import job, ray, rows, store
from stegano_tf.pairing import list_pictures

PARTS = ("speed", "kills", "window", "bad", "million", "memory", "s3")
_ONLY = flags.DEFINE_list("only", list(PARTS), "Parts to measure.")
_PAIRS = flags.DEFINE_integer("pairs", 600, "Pairs of a job.")
_SIDE = flags.DEFINE_integer("side", 256, "Pixels each way of the pictures whose speed is measured.")
_KILLS = flags.DEFINE_integer("kills", 10, "How often worker, node and driver are killed.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides when they are.")
_MEGAPIXELS = flags.DEFINE_float("megapixels", 12.0, "Size of the pictures whose memory is measured.")

_NETWORKS = {"threads": 1}
_KILLED_SIDE = 64  # pixels each way in jobs that are killed: what counts there is how many blocks there are
_MB = 1e6


def collection(folder: Path, files: list[Path], side: int, count: int, covers: list[str] | None = None) -> Path:
    """Writes 40 crops and a manifest of `count` pairs of them, with `covers` in place of the first; returns it."""
    folder.mkdir()
    names = [f"{number}.png" for number in range(40)]
    for name, file in zip(names, files, strict=False):
        picture = images.read(file)
        crop = min(side, *picture.shape[:2])
        images.write(folder / name, images.resize(images.centre_crop(picture, (crop, crop)), (side, side)))
    table = {
        "id": [f"{number:07}" for number in range(count)],
        "cover": [names[number % 40] for number in range(count)],
        "secret": [names[(number // 40 + number + 1) % 40] for number in range(count)],
        "output": [f"{number // 100}/{number}.png" for number in range(count)],
    }
    table["cover"][: len(covers or [])] = covers or []
    pq.write_table(pa.table(table), folder / "pairs.parquet")
    return folder / "pairs.parquet"


def request(manifest: Path, folder: Path) -> job.Request:
    """Returns the job whose results and outputs lie in `folder`."""
    places = {"results": str(folder / "results"), "output_root": str(folder / "out")}
    return job.Request(operation="hide", manifest=str(manifest), networks=_NETWORKS, **places)


def command(manifest: Path, folder: Path | str, *options: str) -> list[str]:
    """Returns the same job as a command line."""
    places = ["--results", f"{folder}/results", "--output-root", f"{folder}/out"]
    return [sys.executable, "-m", "stegano_tf", "batch", "hide", str(manifest), *places, "--engine", "ray", *options]


def count(folder: Path) -> dict[str, int]:
    """Returns what a job left: rows and outputs, and how many of them are missing, there twice, partial or wrong."""
    table = pq.read_table(folder / "results").to_pydict()
    outputs = {str(path) for path in (folder / "out").rglob("*") if path.is_file()}
    partial = [path for part in ("out", "results") for path in (folder / part).rglob(".*")]
    digests = dict(zip(table["output"], table["sha256"], strict=True))
    wrong = [path for path in outputs if hashlib.sha256(Path(path).read_bytes()).hexdigest() != digests.get(path)]
    return {
        "rows": len(table["id"]),
        "twice": len(table["id"]) - len(set(table["id"])),
        "errors": table["status"].count("error"),
        "reasons": sorted({re.sub(r"\S*/", "", reason) for reason in table["error"] if reason}),
        "outputs": len(outputs),
        "partial": len(partial),
        "wrong": len(wrong),
    }


def written(folder: Path) -> int:
    """Returns how many outputs there are, those that are being written included: their folders come and go."""
    return sum(name.endswith(".png") for _, _, names in os.walk(folder) for name in names)


def cpu_seconds() -> float:
    """Returns the CPU time of this process and all that it started, those that have ended included."""
    me = psutil.Process()
    total = 0.0
    for process in (me, *me.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def loop(manifest: Path, folder: Path, pairs: int) -> float:
    """Returns the CPU seconds a pair of what somebody would write who has one process."""
    (folder / "out").mkdir(parents=True)
    start = 0.0
    for number, pair in enumerate(pq.read_table(manifest).slice(0, pairs).to_pylist()):
        if number == 1:  # the first one loads the networks
            start = time.process_time()
        cover, secret = (images.read(manifest.parent / pair[name]) for name in ("cover", "secret"))
        stego = pipeline.hide(cover, secret, **_NETWORKS)
        path = folder / "out" / pair["output"].replace("/", "-")
        images.write(path, stego)
        assert (images.read(path) == stego).all()
        metrics.psnr(cover, stego)
        metrics.psnr(secret, pipeline.reveal(stego, size=secret.shape[:2], **_NETWORKS))
        hashlib.sha256(path.read_bytes()).hexdigest()
    return (time.process_time() - start) / (pairs - 1)


def speed(folder: Path, files: list[Path]) -> dict:
    """Compares a job on two workers with the loop, and what a pair costs that needs no work."""
    manifest = collection(folder / "in", files, _SIDE.value, _PAIRS.value)
    missing = [f"missing{number}.png" for number in range(6400)]
    empty = collection(folder / "empty", files, 16, len(missing), missing)
    warm = collection(folder / "warm", files, _SIDE.value, 32)
    alone = loop(manifest, folder / "loop", min(_PAIRS.value, 200))
    found = {"side": _SIDE.value, "pairs": _PAIRS.value, "loop_cpu_ms": 1000 * alone}
    with ray.cluster(None, 2):

        def measure(manifest: Path, name: str, size: int = 64) -> tuple[float, float]:
            start, begin = cpu_seconds(), time.perf_counter()
            ready = job.prepare(request(manifest, folder / name))
            for _ in ready.run(ray.run, size):
                pass
            return (cpu_seconds() - start) / ready.pairs, ready.pairs / (time.perf_counter() - begin)

        measure(warm, "job-warm", 2)  # so many blocks that both workers load their networks
        cpu, rate = measure(manifest, "job")
        overhead, _ = measure(empty, "job-empty")
    found |= {"cpu_ms": 1000 * cpu, "share_of_loop": alone / cpu, "pairs_per_s": rate, "overhead_ms": 1000 * overhead}
    for name, part in ("input_bytes", "in"), ("output_bytes", "job/out"), ("result_bytes", "job/results"):
        sizes = [path.stat().st_size for path in (folder / part).rglob("*.p*") if path.is_file()]
        found[name] = 2 * sum(sizes) / len(sizes) if part == "in" else sum(sizes) / _PAIRS.value
    return found | count(folder / "job")


def killed(folder: Path, manifest: Path, what: str, moment: random.Random) -> dict:
    """Kills a worker, a node or the driver at a random moment of a job on two nodes; lets it end, or go on."""
    with two_nodes.cluster(Path(tempfile.gettempdir()) / f"sg{os.getpid()}") as nodes:
        words = command(manifest, folder, "--address", nodes.address, "--rows-per-block", "16")

        def start(*more: str) -> subprocess.Popen:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            return nodes.start(0, *words, *more, **quiet)

        driver = start()
        after = moment.uniform(0, 0.9) * _PAIRS.value
        while (done := written(folder / "out")) < after and driver.poll() is None:
            time.sleep(0.2)
        if what == "driver":
            driver.kill()
            driver.wait()
            driver = start("--resume")
        elif what == "node":
            nodes.kill(1)
        else:
            moment.choice(nodes.workers(0) + nodes.workers(1)).kill()
        status = driver.wait(timeout=1800)
    return {"killed_after": done, "status": status, **count(folder)}


def kills(folder: Path, files: list[Path]) -> dict:
    """Kills each kind so many times; returns the worst of each count."""
    manifest = collection(folder / "in", files, _KILLED_SIDE, _PAIRS.value)
    moment = random.Random(_SEED.value)
    found = {}
    for what in "worker", "node", "driver":
        runs = []
        for number in range(_KILLS.value):
            runs.append(killed(folder / f"{what}{number}", manifest, what, moment))
            print(what, runs[-1], file=sys.stderr, flush=True)
        found[what] = {"times": len(runs), "killed_after": [run.pop("killed_after") for run in runs]}
        found[what] |= {name: [run[name] for run in runs] for name in runs[0]}
    return found


@dataclasses.dataclass(frozen=True)
class Deadly(store.Folder):
    """Results whose writer is killed once at each block: just before its rows are there, or just after."""

    def write(self, name: str, content: bytes) -> None:
        """Writes, and perhaps dies."""
        number = re.search(r"block-(\d+)", name)
        first = number and self.read(f"_killed/{number[1]}") is None
        if first:
            super().write(f"_killed/{number[1]}", b"")
        if first and int(number[1]) % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        super().write(name, content)
        if first:
            os.kill(os.getpid(), signal.SIGKILL)


def window(folder: Path, files: list[Path]) -> dict:
    """Kills the worker of each block between its outputs and its rows, or between its rows and its answer."""
    manifest = collection(folder / "in", files, _KILLED_SIDE, _PAIRS.value)
    with ray.cluster(None, 2):
        ready = job.prepare(request(manifest, folder / "job"))
        results = Deadly(ready.work.results.uri, ready.work.results.token)
        ready = dataclasses.replace(ready, work=dataclasses.replace(ready.work, results=results))
        for _ in ready.run(ray.run):
            pass
    deaths = len(list((folder / "job/results/_killed").iterdir()))
    shutil.rmtree(folder / "job/results/_killed")
    return {"killed": deaths, **count(folder / "job")}


def bad(folder: Path, files: list[Path]) -> dict:
    """Runs a job with one bad input in a hundred pairs: missing, cut short and too small ones."""
    number = _PAIRS.value // 100
    covers = (["missing.png", "cut.png", "small.png"] * number)[:number]
    manifest = collection(folder / "in", files, _KILLED_SIDE, _PAIRS.value, covers)
    (folder / "in/cut.png").write_bytes((folder / "in/0.png").read_bytes()[:300])
    images.write(folder / "in/small.png", np.zeros((8, 8, 3), np.uint8))
    done = subprocess.run(command(manifest, folder / "job"), capture_output=True, text=True, check=False)
    return {"status": done.returncode, "bad": number, **count(folder / "job")}


_PREPARE = """
import json, resource, sys, time
from stegano_tf.batch import job
start = time.perf_counter()
places = {"manifest": sys.argv[1], "results": sys.argv[2], "output_root": sys.argv[3]}
ready = job.prepare(job.Request(operation="hide", networks={"threads": 1}, **places), resume=True)
def engine(work, numbers):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"s": time.perf_counter() - start, "peak_mb": peak, "left": ready.left.num_rows}))
    yield from ()
list(ready.run(engine))
"""


def million(folder: Path, _) -> dict:
    """Goes on with a job of a million pairs, all of which but one block have rows."""
    size, blocks = 64, 15_625
    ids = [f"{number:08}" for number in range(size * (blocks + 1))]
    columns = {name: [f"pictures/{name}/{identity}.png" for identity in ids] for name in ("cover", "secret", "output")}
    pq.write_table(pa.table({"id": ids} | columns), folder / "pairs.parquet")
    work = job.prepare(request(folder / "pairs.parquet", folder)).work
    shared = {
        "status": "ok",
        "sha256": "0" * 64,
        "bytes": 10**5,
        "cover_psnr": 44.0,
        "secret_psnr": 47.0,
        "seconds": 0.2,
    }
    for number in range(blocks):
        names = ids[number * size : (number + 1) * size]
        rows.commit(
            work,
            number,
            [{"id": name, "output": f"/out/{name}.png", "network": work.network} | shared for name in names],
        )
    words = [folder / name for name in ("pairs.parquet", "results", "out")]
    done = subprocess.run([sys.executable, "-c", _PREPARE, *words], check=True, capture_output=True, text=True)
    return {"rows": size * blocks, **json.loads(done.stdout.splitlines()[0])}


def memory(folder: Path, files: list[Path]) -> dict:
    """Hides two pairs of large pictures, one after the other, and reads the worker's highest memory."""
    for number in range(2):
        images.write(folder / f"{number}.png", mosaic(files, _MEGAPIXELS.value, number))
    table = {"id": ["a", "b"], "cover": ["0.png", "1.png"], "secret": ["1.png", "0.png"], "output": ["a.png", "b.png"]}
    pq.write_table(pa.table(table), folder / "pairs.parquet")
    with ray.cluster(None, 1):
        for _ in job.prepare(request(folder / "pairs.parquet", folder / "job")).run(ray.run):
            pass
        peaks = [
            int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) * 1024 / _MB
            for process in psutil.Process().children(recursive=True)
            if process.name().startswith("ray::")
        ]
    return {"megapixels": _MEGAPIXELS.value, "peak_mb": max(peaks), **count(folder / "job")}


def s3(folder: Path, files: list[Path]) -> dict:
    """Runs a job on files and one in a bucket, compares the hashes of their outputs, and counts requests."""
    from pyarrow import fs  # noqa: PLC0415

    manifest = collection(folder / "in", files, _KILLED_SIDE, _PAIRS.value)
    subprocess.run(command(manifest, folder / "local"), check=True, capture_output=True)
    with s3_server.run(folder / "log") as environment:
        there = {"endpoint_override": environment["AWS_ENDPOINT_URL"], "access_key": "key", "secret_key": "secret"}
        bucket = fs.S3FileSystem(**there, allow_bucket_creation=True)
        bucket.create_dir("bucket")
        fs.copy_files(str(folder / "in"), "bucket/in", destination_filesystem=bucket)
        before = (folder / "log").read_text()
        words = command("s3://bucket/in/pairs.parquet", "s3://bucket")
        subprocess.run(words, check=True, capture_output=True, env=os.environ | environment)
        log = (folder / "log").read_text()[len(before) :]
        remote = pq.read_table("bucket/results", filesystem=bucket, columns=["id", "sha256"]).to_pydict()
        outputs = bucket.get_file_info(fs.FileSelector("bucket/out", recursive=True))
    local = pq.read_table(folder / "local/results", columns=["id", "sha256"]).to_pydict()
    hashes = [dict(zip(table["id"], table["sha256"], strict=True)) for table in (local, remote)]
    return {
        "rows": len(remote["id"]),
        "outputs": sum(info.is_file for info in outputs),
        "same_hashes": hashes[0] == hashes[1],
        "requests_a_pair": {
            kind: len(re.findall(f"{kind} /bucket", log)) / _PAIRS.value
            for kind in ("GET", "HEAD", "PUT", "POST", "DELETE")
        },
    }


def main(_) -> None:
    files = list_pictures(flags.FLAGS.data)[:40]
    found = {}
    for part in _ONLY.value:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder, part)
            work.mkdir()
            found[part] = globals()[part](work, files)
            print(part, found[part], file=sys.stderr, flush=True)
    publish(found, flags.FLAGS.json, presets=[presets.DEFAULT])


if __name__ == "__main__":
    app.run(main)
