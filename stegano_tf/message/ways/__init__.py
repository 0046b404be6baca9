"""The ways to put bytes into a picture. A new one is a module or package here that has `WAY`, and a line below."""

import importlib
import importlib.util
from types import MappingProxyType

from stegano_tf.errors import SteganoError
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

    Raises SteganoError if this version has no such way.

    Example:
      >>> make("capacity").name
      'capacity'
    """
    if name not in installed():
        raise SteganoError(f"this version has no way {name!r} to hide bytes in a picture")
    return importlib.import_module(f"{__name__}.{WAYS[name]}").WAY(**options)


def installed() -> list[str]:
    """Returns the names of the ways that this version has."""
    return [name for name, module in WAYS.items() if importlib.util.find_spec(f"{__name__}.{module}")]


def examples(name: str) -> list[Way]:
    """Returns a way with some of the options that it has, to say what fits: what its module lists as `EXAMPLES`."""
    module = importlib.import_module(f"{__name__}.{WAYS[name]}")
    return [make(name, **options) for options in getattr(module, "EXAMPLES", [{}])]
