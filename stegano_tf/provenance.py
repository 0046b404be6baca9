"""Where a result comes from: the commit, the packages, the machine, and the hash of the files that were read."""

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

_PACKAGES = (
    *("stegano_tf", "tensorflow", "keras", "jax", "numpy", "pillow", "librosa", "soundfile", "ai-edge-litert"),
    *("simplejpeg", "imagecodecs", "zfec", "pyrage", "aiohttp", "grpcio", "onnxruntime", "openvino"),
)


def commit() -> str | None:
    """Returns the first 12 digits of the checkout's git commit, and "-dirty" behind them if tracked files were changed.

    Documents and JSON files may change: measuring writes them. None: there is no checkout, or no git.
    """
    root = Path(__file__).parent.parent

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True).stdout

    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        if (root / ".git").exists():
            changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!*.json", ":!*.md", ":!docs")
            return git("rev-parse", "HEAD")[:12] + ("-dirty" if changed else "")
    return None


def versions() -> dict[str, str]:
    """Returns the versions of the packages that results depend on, those that are installed."""
    found = {}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def machine() -> dict[str, int | str]:
    """Returns the number of cores that this process may use, the architecture and the version of Python."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cores": cores, "architecture": platform.machine(), "python": platform.python_version()}


def sha256(files: Iterable[str | os.PathLike]) -> str:
    """Returns the SHA-256 of the files' SHA-256, in their order, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for file in files:
        with Path(file).open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
