"""Hide a photograph in a photograph and send it as sound.

    import stegano_tf

    stego = stegano_tf.hide("cover.jpg", "secret.jpg")  # uint8[H, W, 3]
    stegano_tf.send("cover.jpg", "secret.jpg", "message.wav")
    secret = stegano_tf.receive("message.wav").secret

The functions are those of `stegano_tf.pipeline`. Importing this module is cheap: what a function needs is imported when
it is first asked for.
"""

from pathlib import Path

__version__ = "0.1.0"
__all__ = ["SteganoError", "decode", "encode", "hide", "inspect", "load", "receive", "reveal", "send"]

_HOMES = {"SteganoError": "errors", "inspect": "audio.codec", "load": "runtime"}

# `datasets` and `savedmodels` are subpackages that lie at the top level of a checkout (setup.cfg, package_dir). Found
# there too, a checkout works without being installed, and whatever directory Python was started in.
_checkout = Path(__file__).parent.parent
if (_checkout / "setup.cfg").is_file():
    __path__.append(str(_checkout))


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415

    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'pipeline')}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
