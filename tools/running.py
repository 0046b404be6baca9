"""A server that a script of this folder runs, watches and ends."""

import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil


class Server:
    """A running server."""

    def __init__(self, preset: str):
        command = [sys.executable, "-m", "stegano_tf", "serve", f"--preset={preset}", "--port=0", "--grpc-port=0"]
        with tempfile.NamedTemporaryFile("w", delete=False) as log:
            self._log = Path(log.name)
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        for line in self._process.stdout:
            if found := re.match(r"REST on http://([^/]+)/.*, gRPC on (\S+)", line):
                self.rest, self.grpc = found[1], found[2]
                break
        else:
            raise SystemExit("attack: the server did not start")
        self._start = self._log.stat().st_size
        self.url = f"http://{self.rest}/v1/models/{preset}:predict"

    def memory(self) -> float:
        """MB that its processes have, shared pages divided among those that share them."""
        total = 0
        for process in [(top := psutil.Process(self._process.pid)), *top.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total / 2**20

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return psutil.Process(self._process.pid).num_fds()

    def log(self) -> list[str]:
        """What it has said since it can be reached."""
        return self._log.read_bytes()[self._start :].decode(errors="replace").splitlines()

    def kill(self) -> None:
        """Ends it at once, if it has not ended."""
        self._process.kill()
        self._process.wait()
        self._log.unlink()

    def end(self) -> tuple[float, int]:
        """Returns how many seconds it takes to end, and its status."""
        start = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(timeout=120)
        return time.monotonic() - start, status


@contextlib.contextmanager
def serving(preset: str) -> Iterator[Server]:
    """Runs a server, and ends it whatever happens."""
    server = Server(preset)
    try:
        yield server
    finally:
        server.kill()
