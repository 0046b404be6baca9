"""The whole way, composed of the layers below: pictures to stego image to sound, and back from the sound alone.

A picture argument is a file name or a uint8[H, W, 3] RGB array; results are arrays. Bad input raises `SteganoError`s.
"""

import contextlib
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stegano_tf import images, metrics, presets, scratch, sealing
from stegano_tf.audio import codec, files
from stegano_tf.audio.payloads import bmp
from stegano_tf.errors import FormatError, ImageError, PresetError
from stegano_tf.message import contents, pictures
from stegano_tf.message.pictures import Picture
from stegano_tf.message.ways.way import Way
from stegano_tf.results import Received, Report, Sent
from stegano_tf.runtime import Runtime, check_side, load, preset_of
from stegano_tf.runtime.tiles import Progress

_POOR = 30  # dB below which a picture's errors are plain to see
_SAMPLE = 512  # pixels each way that are looked at before a result is called good


class CoverWarning(UserWarning):
    """A secret was hidden in a cover that has little room for it."""


class NetworkWarning(UserWarning):
    """A sound does not say by which networks its secret is revealed, and nobody else did."""


class SecretSizeWarning(UserWarning):
    """A secret is smaller than it is said to have been."""


def hide(
    cover: Picture,
    secret: Picture,
    *,
    preset: str = presets.DEFAULT,
    weights: str | os.PathLike | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    refine: int = 0,
    balance: float = 0.0,
    memory_limit: int | None = None,
    max_pixels: int | None = None,
    progress: Progress | None = None,
    way: str | Way | None = None,
    lock: sealing.Lock | None = None,
    also: Sequence[tuple[Any, sealing.Lock]] = (),
) -> np.ndarray:
    """Returns the stego image, uint8[H, W, 3] in the size of the cover: the cover with the secret inside.

    Networks hide a picture. With a `way`, a `lock` or bytes, the secret is hidden as bytes, without networks:
    `message.pictures.hide` says how.

    Warns (`CoverWarning`) if stego image or secret will be poor, as under a cover that is black or white all over.

    Args:
      cover: at least 16 pixels high and wide.
      secret: of any size; it is resized to the cover. Or any file, to be hidden as bytes.
      preset, weights, runtime, threads: which networks hide it, and what runs them, as for `runtime.Runtime`.
      refine: how many gradients or trials improve the stego image (`Runtime.refine`).
      balance: their weight, in dB, on the secret (above 0) or on the cover (below).
      memory_limit, progress: as `Runtime.hide`.
      max_pixels: refuse a file with a larger picture (default: `images.MAX_PIXELS`).
      way, lock, also: as `message.pictures.hide`.
    """
    if way is not None or lock is not None or also or isinstance(secret, bytes):
        way = way or "capacity"
        return pictures.hide(cover, secret, way=way, lock=lock, also=also, max_pixels=max_pixels).stego
    cover, secret = _large(cover, "the cover", max_pixels), pictures.read(secret, max_pixels)
    networks = load(preset, runtime, weights=weights, threads=threads)
    return _hide(networks, cover, secret, (refine, balance), memory_limit=memory_limit, progress=progress)


def report(
    cover: Picture,
    secret: Picture,
    stego: np.ndarray,
    *,
    preset: str = presets.DEFAULT,
    weights: str | os.PathLike | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    memory_limit: int | None = None,
    max_pixels: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Returns what sender and receiver will see, so that it is known before anything is sent; arguments as `hide`'s."""
    of_cover = metrics.quality(pictures.read(cover, max_pixels), stego)
    secret = pictures.read(secret, max_pixels)
    networks = load(preset, runtime, weights=weights, threads=threads)
    revealed = networks.reveal(stego, secret.shape[:2], memory_limit=memory_limit, progress=progress)
    return Report(cover=of_cover, secret=metrics.quality(secret, revealed))


def reveal(
    stego: Picture,
    *,
    key: sealing.Key | None = None,
    size: tuple[int, int] | None = None,
    preset: str | None = None,
    weights: str | os.PathLike | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    memory_limit: int | None = None,
    max_pixels: int | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Returns the secret inside a stego image, uint8[H, W, 3].

    A picture that was hidden as bytes is found if neither `preset`, `weights` nor `size` is given. Otherwise networks
    reveal one in the stego image's size or in `size` (height, width). They reveal something in any picture: one that
    hides nothing, or was hidden by other networks, gives nonsense. Further arguments as `hide`'s.

    Args:
      key: finds what was hidden as bytes with a passphrase or for a recipient, and nothing else.

    Raises:
      ImageError: `size` has more than `max_pixels`, or the secret is no picture: `message.pictures.find` returns it.
      SealingError: the key finds nothing.
    """
    if size is not None and math.prod(size) > (most := max_pixels or images.MAX_PIXELS):
        found = f"a secret of {size[1]}x{size[0]} = {math.prod(size)} pixels"
        raise ImageError(f"{found}, expected at most {most}", option="max_pixels", effect="raises the limit")
    name = "the stego image" if isinstance(stego, np.ndarray) else f"{stego}: the stego image"
    stego = pictures.read(stego, max_pixels)
    if preset is None and weights is None and size is None:
        secret = pictures.reveal(stego, key=key, name=name, max_pixels=max_pixels)
        if secret is not None:
            return secret
    check_side(stego, name)
    networks = load(preset or presets.DEFAULT, runtime, weights=weights, threads=threads)
    return networks.reveal(stego, size, memory_limit=memory_limit, progress=progress)


def encode(image: Picture, audio: str | os.PathLike, *, max_pixels: int | None = None, **options) -> codec.AudioInfo:
    """Writes a picture as a sound file, bit for bit; `options` are those of `audio.codec.encode`.

    A BMP file is read while it is sent, and never whole in memory; other files are, if they have at most `max_pixels`.
    """
    given = {name: value for name, value in options.items() if name not in ("secret_size", "network")}
    options["form"] = codec.check(audio, **given)
    # A pipe can be read once only.
    if not isinstance(image, np.ndarray) and options.get("payload", "bmp") == "bmp" and Path(image).is_file():
        with contextlib.suppress(FormatError, OSError):  # no BMP file, or one of the kinds for which there is Pillow
            image = bmp.File(image)
    with scratch.off_disk(options.get("lock") is not None):
        image = image if isinstance(image, bmp.File) else pictures.read(image, max_pixels)
    return codec.encode(image, audio, **options)


def decode(audio: files.Paths, *, key: sealing.Key | None = None) -> codec.Decoded:
    """Returns the picture in a sound file, bit for bit, and where it came from; `key` opens a sealed one."""
    return codec.decode(audio, key=key)


def send(
    cover: Picture,
    secret: Picture,
    audio: str | os.PathLike,
    *,
    preset: str = presets.DEFAULT,
    weights: str | os.PathLike | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    refine: int = 0,
    balance: float = 0.0,
    memory_limit: int | None = None,
    max_pixels: int | None = None,
    progress: Progress | None = None,
    way: str | Way | None = None,
    force: bool = False,
    **options,
) -> Sent:
    """Hides a secret in a cover and writes the stego image as a sound file; further arguments as `hide`'s.

    The frame around it records the secret's own size and which network reveals it, if one hid it.

    Args:
      audio: the file to write; its suffix chooses the container.
      way: hides the secret as bytes, for whoever gets the stego image: `lock` seals the sound.
      force: whether an existing file is replaced.
      options: the further ones of `audio.codec.encode`: sample_rate, payload, lock, and those of the sound's form. A
        form without a frame records nothing.

    Example:
      sent = stegano_tf.send("cover.png", "secret.jpg", "message.flac", parity=0.1)
      secret = stegano_tf.receive("message.flac").secret
    """
    options["form"] = codec.check(audio, force=force, **options)
    with scratch.off_disk(options.get("lock") is not None):
        cover = _large(cover, "the cover", max_pixels)
        codec.check(audio, size=cover.shape[:2], force=force, **options)
        if way is not None:
            hidden = pictures.hide(cover, secret, way=way, max_pixels=max_pixels)
            info = codec.encode(hidden.stego, audio, force=force, **options)
            return Sent(stego=hidden.stego, info=info, hidden=hidden)
        secret = pictures.read(secret, max_pixels)
        secret_size = secret.shape[:2]
        networks = load(preset, runtime, weights=weights, threads=threads)
        stego = _hide(networks, cover, secret, (refine, balance), memory_limit=memory_limit, progress=progress)
    del cover, secret  # pictures may be large, and encoding takes memory too
    recorded = {"secret_size": secret_size, "network": networks.network} if options["form"].records else {}
    return Sent(stego=stego, info=codec.encode(stego, audio, force=force, **recorded, **options))


def receive(
    audio: files.Paths,
    *,
    preset: str | None = None,
    weights: str | os.PathLike | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    key: sealing.Key | None = None,
    memory_limit: int | None = None,
    max_pixels: int | None = None,
    progress: Progress | None = None,
) -> Received:
    """Returns the secret that a sound file holds, in its own size, and the stego image; further arguments as `hide`'s.

    Warns (`SecretSizeWarning`) if the secret is said to have had more than `max_pixels`. It then has at most so many.

    Args:
      audio: what `send` wrote, in any form that it bears; several files if it was split.
      preset, weights: by default those that the frame names, or the default preset if it names none.
      key: opens a sealed message.
      max_pixels: of the secret (default: 16 for each pixel of the stego image, and at most `images.MAX_PIXELS`).

    Raises:
      PresetError: the frame names networks that are not installed, or not those that were asked for.
      ImageError: the stego image is too small.
    """
    decoded = codec.decode(audio, key=key)
    audio = files.label(audio)
    network = decoded.info.network
    if network is None and preset is None and weights is None:
        name = f"{audio}: the stego image"
        found = pictures.find_unasked(decoded.image, key=key, name=name)
        if found is not None:
            secret = pictures.revealed(found, decoded.image, name=name, max_pixels=max_pixels)
            return Received(secret=secret, stego=decoded.image, info=decoded.info, found=found)
    check_side(decoded.image, f"{audio}: the stego image")
    if preset is None and weights is None:
        preset = preset_of(network) if network else presets.DEFAULT
        if network is None:
            text = f"{audio}: does not say which networks hid its secret, so it is revealed by the default, {preset!r}"
            warnings.warn(text, NetworkWarning, stacklevel=2)
    networks = load(preset or presets.DEFAULT, runtime, weights=weights, threads=threads)
    if network not in (None, networks.network):
        raise PresetError(
            f"{audio}: was hidden by network {network.hex()}, but {weights or preset!r} is {networks.network.hex()}"
        )
    size = _secret_size(audio, decoded, max_pixels)
    with scratch.off_disk(decoded.info.sealed):
        secret = networks.reveal(decoded.image, size, memory_limit=memory_limit, progress=progress)
    return Received(secret=secret, stego=decoded.image, info=decoded.info)


def _secret_size(audio: str | os.PathLike, decoded: codec.Decoded, max_pixels: int | None) -> tuple[int, int]:
    """Returns (height, width) to which a secret is scaled back: anybody can write any numbers into a sound."""
    carried = math.prod(decoded.image.shape[:2])
    stated = height, width = decoded.secret_size or decoded.image.shape[:2]
    most = max_pixels or min(contents.PICTURE_SHARE * carried, images.MAX_PIXELS)
    if height * width > most:
        scale = math.sqrt(most / (height * width))
        height = min(most, max(1, int(height * scale)))
        width = min(most // height, max(1, int(width * scale)))
        found = f"the secret is said to have {stated[1]}x{stated[0]} pixels, the stego image has {carried}"
        text = f"{audio}: {found}; it is scaled to {width}x{height}, as the limit of pixels allows"
        warnings.warn(text, SecretSizeWarning, stacklevel=3)
    return height, width


def _hide(networks: Runtime, cover: np.ndarray, secret: np.ndarray, refinement: tuple[int, float], **options):
    steps, balance = refinement
    if steps < 0:
        raise ValueError(f"{steps} steps of refinement, expected 0 or more")
    if steps:
        networks.check_refinable()
    secret = images.resize(secret, networks.region(cover))  # once for all that follow
    stego = networks.hide(cover, secret, **options)
    if steps:
        stego = networks.refine(cover, secret, stego, steps=steps, balance=balance, **options)
    _warn_of_poor_result(networks, cover, secret, stego)
    return stego


def _warn_of_poor_result(networks: Runtime, cover: np.ndarray, secret: np.ndarray, stego: np.ndarray) -> None:
    """Looks at what will be revealed in the middle of the picture: covers that look alike differ by 10 dB in this."""
    region, multiple = networks.region(cover), networks.preset.networks.multiples[1]
    starts = (max(0, side - _SAMPLE) // 2 // multiple * multiple for side in region)
    rows, columns = (slice(start, start + min(side, _SAMPLE)) for start, side in zip(starts, region, strict=True))
    found = {
        "cover": metrics.psnr(cover[rows, columns], stego[rows, columns]),
        "secret": metrics.psnr(secret[rows, columns], networks.reveal(stego[rows, columns])),
    }
    poor = [f"{value:.0f} dB for the {name}" for name, value in found.items() if value < _POOR]
    if poor:
        warnings.warn(
            f"this cover has little room for this secret: expect {' and '.join(poor)} (PSNR); try another cover",
            CoverWarning,
            stacklevel=4,
        )


def _large(picture: Picture, name: str, max_pixels: int | None = None) -> np.ndarray:
    """Returns a picture that is large enough for the networks, for whose errors it is called `name`."""
    image = pictures.read(picture, max_pixels)
    check_side(image, name if image is picture else f"{picture}: {name}")
    return image
