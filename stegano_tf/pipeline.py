"""The whole way, composed of the layers below: pictures to stego image to sound, and back from the sound alone.

A picture argument is a file name or a uint8[H, W, 3] RGB array; results are arrays. All functions raise subclasses of
`SteganoError` for bad input.
"""

import dataclasses
import os

import numpy as np

from stegano_tf import images, outputs, presets, runtime
from stegano_tf.audio import codec, files, sealing
from stegano_tf.errors import PresetError

Picture = np.ndarray | str | os.PathLike


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What `send` wrote: the stego image, uint8[H, W, 3], and what `inspect` says about the sound."""

    stego: np.ndarray
    info: codec.AudioInfo


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What `receive` found: secret uint8[H', W', 3], stego image uint8[H, W, 3], and where they came from."""

    secret: np.ndarray
    stego: np.ndarray
    info: codec.AudioInfo


def hide(
    cover: Picture, secret: Picture, *, preset: str = presets.DEFAULT, weights: str | os.PathLike | None = None
) -> np.ndarray:
    """Returns the stego image, uint8[H, W, 3] in the size of the cover: the cover with the secret inside.

    Args:
      cover: at least 16 pixels high and wide.
      secret: of any size; it is resized to the cover.
      preset: which networks hide it.
      weights: a file of weights for them instead of the installed ones.
    """
    return _runtime(preset, weights).hide(_picture(cover), _picture(secret))


def reveal(
    stego: Picture,
    *,
    size: tuple[int, int] | None = None,
    preset: str = presets.DEFAULT,
    weights: str | os.PathLike | None = None,
) -> np.ndarray:
    """Returns the secret inside a stego image, uint8[H, W, 3] in its size or in `size` (height, width).

    Any picture reveals something: a picture that hides nothing, or was hidden by other networks, gives nonsense.
    """
    return _runtime(preset, weights).reveal(_picture(stego), size)


def encode(image: Picture, audio: str | os.PathLike, **options) -> codec.AudioInfo:
    """Writes a picture as a sound file, bit for bit; `options` are those of `audio.codec.encode`."""
    _check_audio(audio, force=options.get("force", False))
    return codec.encode(_picture(image), audio, **options)


def decode(audio: str | os.PathLike, *, key: sealing.Key | None = None) -> codec.Decoded:
    """Returns the picture in a sound file, bit for bit, and where it came from; `key` opens a sealed one."""
    return codec.decode(audio, key=key)


def send(
    cover: Picture,
    secret: Picture,
    audio: str | os.PathLike,
    *,
    preset: str = presets.DEFAULT,
    weights: str | os.PathLike | None = None,
    force: bool = False,
    **options,
) -> Sent:
    """Hides a secret in a cover and writes the stego image as a sound file.

    The frame around it records the secret's own size and which network reveals it.

    Args:
      cover, secret, preset, weights: as `hide`.
      audio: the file to write; its suffix chooses the container.
      force: whether an existing file is replaced.
      options: the further ones of `audio.codec.encode`: sample_rate, lock, armour, carrier and so on.
    """
    _check_audio(audio, force=force)
    secret = _picture(secret)
    networks = _runtime(preset, weights)
    stego = networks.hide(_picture(cover), secret)
    info = codec.encode(
        stego,
        audio,
        secret_size=secret.shape[:2],
        network=networks.network,
        force=force,
        **options,
    )
    return Sent(stego=stego, info=info)


def receive(
    audio: str | os.PathLike,
    *,
    preset: str | None = None,
    weights: str | os.PathLike | None = None,
    key: sealing.Key | None = None,
) -> Received:
    """Returns the secret that a sound file holds, in its own size, and the stego image.

    Args:
      audio: what `send` wrote, in any lossless form that it has taken since.
      preset, weights: which networks reveal it; by default those that the frame names, or the default preset if it
        names none.
      key: opens a sealed message.

    Raises:
      PresetError: the frame names networks that are not installed, or not those that were asked for.
    """
    decoded = codec.decode(audio, key=key)
    network = decoded.info.network
    if preset is None and weights is None:
        preset = runtime.preset_of(network) if network else presets.DEFAULT
    networks = _runtime(preset or presets.DEFAULT, weights)
    if network not in (None, networks.network):
        raise PresetError(
            f"{audio}: was hidden by network {network.hex()}, but {weights or preset!r} is {networks.network.hex()}"
        )
    secret = networks.reveal(decoded.image, decoded.secret_size)
    return Received(secret=secret, stego=decoded.image, info=decoded.info)


def _picture(picture: Picture) -> np.ndarray:
    return picture if isinstance(picture, np.ndarray) else images.read(picture)


def _runtime(preset: str, weights: str | os.PathLike | None) -> runtime.Runtime:
    return runtime.Runtime(preset, weights) if weights else runtime.load(preset)


def _check_audio(path: str | os.PathLike, *, force: bool) -> None:
    """Refuses an output before any work is done for it."""
    files.container_for(path, 0)
    outputs.check(path, force=force)
