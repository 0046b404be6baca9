"""Where a result comes from: the commit of the code, the versions of what it stands on, the hash of what it read."""

import hashlib
import importlib.metadata
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

_PACKAGES = ("stegano_tf", "tensorflow", "keras", "jax", "numpy", "pillow", "librosa", "soundfile")


def commit() -> str | None:
    """Returns the git commit of the checkout that this package runs from, "-dirty" behind it if files were changed.

    None: it does not run from a checkout, or there is no git.
    """
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    git = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def versions() -> dict[str, str]:
    """Returns the versions of the packages that results depend on, those that are installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def sha256(files: Iterable[str | os.PathLike]) -> str:
    """Returns the SHA-256 of the files' SHA-256, in their order, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for file in files:
        with Path(file).open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
