"""The kinds of picture file that travel. A new one is a module here that has `PAYLOAD`, and its name below."""

import importlib
from types import MappingProxyType

PAYLOADS = MappingProxyType(
    {name: importlib.import_module(f"{__name__}.{name}").PAYLOAD for name in ("bmp", "png", "webp")}
)
"""What `payload.Payload` describes, by name."""

FILE = "file"
"""What a payload is called that is no picture file: a file with its name, as `message.frame` packs it."""
