"""Processes of the command, started without code of the test process.

`subprocess`'s preexec_fn would run in a fork of it, where gRPC, once a test has loaded it, writes to stderr.
"""

import subprocess
import sys

COMMAND = [sys.executable, "-m", "stegano_tf"]

# Shells start background jobs, of which the tests may be one, with Ctrl-C ignored.
_START = (
    "import os, resource, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); size = int(sys.argv[1]); "
    "size and resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)); os.execv(sys.argv[2], sys.argv[2:])"
)


def start(*arguments, file_size: int = 0, **options) -> subprocess.Popen:
    """Starts the command with the signals of a shell in the foreground; files may have `file_size` bytes.

    Such a limit is what a full disk is to a writer, and needs no disk of its own.
    """
    return subprocess.Popen(
        [sys.executable, "-c", _START, str(file_size), *COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run(*arguments, **options) -> tuple[int, str, str]:
    """Runs the command as `start` does; returns its status and what it wrote on stdout and stderr."""
    process = start(*arguments, **options)
    printed, said = process.communicate(timeout=300)
    return process.returncode, printed, said
