"""Other programs that hide a file in a picture, beside the way `capacity`: a part of `benchmark_message.py`.

stegano and stegpy are taken from the virtual environment `--peers`, steghide from the system, if they are there.
"""

import contextlib
import functools
import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from stegano_tf import images, metrics
from stegano_tf.message import pictures

_PEERS = flags.DEFINE_string("peers", None, "Virtual environment with stegano and stegpy.")


def measure(covers: Iterable[np.ndarray]) -> dict:
    """Returns what others reach with a file of 1/32 of the cover's samples in bytes, a quarter of a bit a sample."""
    covers, found = list(covers), {}
    for name, (hide, reveal, suffix) in _peers().items():
        with tempfile.TemporaryDirectory() as folder:
            runs = [_peer(Path(folder), cover, hide, reveal, suffix) for cover in covers]
        found[name] = {
            "cover_psnr": float(np.mean([run["psnr"] for run in runs])),
            "right": sum(run["right"] for run in runs),
            "right_after_jpeg_75": sum(run["jpeg"] for run in runs),
            "pictures": len(runs),
        }
    return found


def _peer(folder: Path, cover: np.ndarray, hide: Callable, reveal: Callable, suffix: str) -> dict:
    secret = np.random.default_rng(0).bytes(cover.size // 32)
    covered, stego, lossy = folder / f"cover{suffix}", folder / f"stego{suffix}", folder / f"lossy{suffix}"
    Image.fromarray(cover).save(covered)
    (folder / "secret.bin").write_bytes(secret)
    hide(covered, folder / "secret.bin", stego)
    picture = np.asarray(Image.open(stego).convert("RGB"))
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=75)
    Image.open(file).save(lossy)
    found = {"psnr": metrics.psnr(cover, picture)}
    for name, path in (("right", stego), ("jpeg", lossy)):
        try:
            found[name] = reveal(path, folder) == secret
        except (subprocess.CalledProcessError, OSError, ValueError, AssertionError):
            found[name] = False
    return found


def _peers() -> dict[str, tuple[Callable, Callable, str]]:
    """Those that are there: how to hide a file, how to reveal one, and the suffix of their pictures."""
    found = {"capacity": (_own_hide, _own_reveal, ".png")}
    binaries = Path(_PEERS.value or "") / "bin"
    if (binaries / "stegano-lsb").is_file():
        found["stegano"] = (
            lambda cover, secret, stego: _run(binaries / "stegano-lsb", "hide", "-i", cover, "-f", secret, "-o", stego),
            lambda stego, folder: _written(folder, binaries / "stegano-lsb", "reveal", "-i", stego, "-o"),
            ".png",
        )
    if (binaries / "stegpy").is_file():
        found["stegpy"] = (
            functools.partial(_stegpy_hide, binaries),
            functools.partial(_stegpy_reveal, binaries),
            ".png",
        )
    if shutil.which("steghide"):
        found["steghide"] = (
            lambda cover, secret, stego: _run(
                "steghide", "embed", "-cf", cover, "-ef", secret, "-sf", stego, "-p", "a"
            ),
            lambda stego, folder: _written(folder, "steghide", "extract", "-sf", stego, "-p", "a", "-f", "-xf"),
            ".bmp",
        )
    return found


def _own_hide(cover: Path, secret: Path, stego: Path) -> None:
    images.write(stego, pictures.hide(cover, secret).stego, force=True)


def _own_reveal(stego: Path, _: Path) -> bytes | None:
    found = pictures.find(stego)
    return found and found.secret.data


def _stegpy_hide(binaries: Path, cover: Path, secret: Path, stego: Path) -> None:
    _run(binaries / "stegpy", secret.name, cover.name, cwd=cover.parent)  # it writes beside names only
    (cover.parent / f"_{cover.name}").replace(stego)


def _stegpy_reveal(binaries: Path, stego: Path, folder: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):
        (folder / "_secret.bin").unlink()
    _run(binaries / "stegpy", stego.name, cwd=folder)
    return (folder / "_secret.bin").read_bytes()


def _written(folder: Path, *command) -> bytes:
    out = folder / "out.bin"
    out.unlink(missing_ok=True)
    _run(*command, out)
    return out.read_bytes()


def _run(*command, cwd: Path | None = None) -> None:
    subprocess.run(
        [*map(str, command)], check=True, capture_output=True, cwd=cwd, timeout=300, stdin=subprocess.DEVNULL
    )
