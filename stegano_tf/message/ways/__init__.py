"""The ways to put bytes into a picture. A new one is a module or package here that has `WAY`, and a line below."""

import contextlib
import importlib
from types import MappingProxyType, ModuleType

from stegano_tf.errors import BackendError
from stegano_tf.message.ways.way import Way

WAYS = MappingProxyType(
    {
        "capacity": "lattice",
        "jpeg": "jpeg",
        "stealth": "stealth",
    }
)
"""The modules by the names of the ways, in the order in which a reader asks them."""


def make(name: str, **options) -> Way:
    """Returns a way; `options` are those of its class. A reader gives none: `extract` finds out what it needs.

    Raises BackendError if this version has no such way, or a package is missing that it needs.

    Example:
      >>> make("capacity").name
      'capacity'
    """
    return _module(name).WAY(**options)


def installed() -> list[str]:
    """Returns the names of the ways that this version has, and for which all packages are there."""
    found = []
    for name in WAYS:
        with contextlib.suppress(BackendError):
            _module(name)
            found.append(name)
    return found


def _module(name: str) -> ModuleType:
    module = f"{__name__}.{WAYS.get(name, name)}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise BackendError(f"this version has no way {name!r} to hide bytes in a picture") from error
        raise BackendError(f"the way {name!r} needs the package {error.name}, which is not installed") from error


def examples(name: str) -> list[Way]:
    """Returns a way with some of the options that it has, to say what fits: what its module lists as `EXAMPLES`."""
    return [make(name, **options) for options in getattr(_module(name), "EXAMPLES", [{}])]
