"""An S3 server on loopback (moto), for tests and measurements.

with s3_server.run(log) as environment:
    subprocess.run(command, env=os.environ | environment)  # s3:// leads to it
"""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def run(log: Path) -> Iterator[dict[str, str]]:
    """Yields the variables that lead s3:// to the server, which writes a line for each request into `log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    with log.open("w") as file, subprocess.Popen(words, stdout=file, stderr=file) as server:
        try:
            while server.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.5)
            yield keys | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        finally:
            server.kill()
