"""The files of the page by name: those that `web/` builds, and the installed networks, packed for the way.

The two networks of a preset lie one behind the other in an xz file, because they share most of their tables: together
they take two thirds of what they take apart. A file's name has the network's identity, so it never changes.
"""

import functools
import hashlib
import json
import lzma
import math
import threading
from collections.abc import Iterator
from pathlib import Path

from stegano_tf import outputs, presets
from stegano_tf.errors import OutputError, PresetError
from stegano_tf.runtime import backends, exported

FOLDER = Path(__file__).parent / "site"
MODELS = "models.json"
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What the page wants to be served with; it also works without."""

_WORKER = "sw.js"
_DAY = 24 * 60 * 60  # seconds: browsers keep a service worker no longer, whatever they are told
_PACKING = threading.Lock()
_CORE = 256  # pixels that are kept of a tile, each way, where tiles overlap
# Floats of 4 bytes: two bits of the place matter. The decoder takes as much memory as the dictionary.
_FILTER = {"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 24, "lc": 2, "lp": 2, "pb": 2}


def names() -> Iterator[str]:
    """Yields the names of all files, relative to the page's address; raises PresetError if no networks are there."""
    yield from (file.name for file in sorted(FOLDER.iterdir()))
    yield MODELS
    yield from (f"models/{_pack_name(found)}" for found in _installed().values())


def content(name: str) -> bytes:
    """Returns what is in one of `names`; raises KeyError for another name, PresetError for an altered network."""
    if name == MODELS:
        return _catalog()
    for found in _installed().values():
        if name == f"models/{_pack_name(found)}":
            return _pack(found.preset)
    if name not in {file.name for file in FOLDER.iterdir()}:
        raise KeyError(name)
    data = (FOLDER / name).read_bytes()
    if name == _WORKER:  # it changes with the networks: browsers look whether its bytes did
        data = data.replace(b"MODELS_VERSION", hashlib.sha256(_catalog()).hexdigest()[:16].encode())
    return data


def caching(name: str) -> str:
    """Returns what an answer with one of `names` says of caching.

    A page that comes again looks for a newer service worker once a day, and asks for nothing else. Whoever asks for
    another file, past the service worker, wants to know whether there is a newer one.

    Example:
      >>> caching("sw.js"), caching("page.js")
      ('max-age=86400', 'no-cache')
    """
    return f"max-age={_DAY}" if name == _WORKER else "no-cache"


def pack_default() -> None:
    """Packs the networks that the first visitor asks for, which takes seconds; they are kept."""
    _pack(_default())


def export(folder: str, *, force: bool = False) -> list[str]:
    """Writes all files into a new folder, for any web server, and returns their names; the folder is whole or absent.

    `_headers` is for hosts that take the answers' headers from such a file. With `force`, a folder with an earlier page
    is replaced, and no other one. Raises OutputError or PresetError.

    Example:
      site.export("public")
    """
    if Path(folder).exists():
        if not (Path(folder) / _WORKER).is_file():
            raise OutputError(f"{folder}: exists already, expected the name of a new folder, or of one with a page")
        if not force:
            raise OutputError(f"{folder}: exists already", option="force", effect="replaces it")
    headers = "".join(["/*\n", *(f"  {name}: {value}\n" for name, value in HEADERS.items())])
    headers += f"/{_WORKER}\n  Cache-Control: {caching(_WORKER)}\n"
    files = {name: content(name) for name in names()} | {"_headers": headers.encode()}
    with outputs.replacing_folder(folder, force=force) as partial:
        for name, data in files.items():
            file = partial / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(data)
    return list(files)


@functools.cache
def _installed() -> dict[str, exported.Exported]:
    found = {name: exported.installed(name) for name in exported.installed_presets()}
    found = {name: networks for name, networks in found.items() if networks}
    if not found:
        raise PresetError("there are no exported networks, which the page needs: python -m stegano_tf.export")
    return found


@functools.cache
def _catalog() -> bytes:
    """Returns models.json: what the page must know of each preset to run it as the package does."""
    described = {}
    for found in _installed().values():
        networks = presets.get(found.preset).networks
        whole = networks.halos == (0, 0)
        described[found.preset] = {
            "network": found.network.hex(),
            "halos": networks.halos,
            "multiples": networks.multiples,
            "core": math.isqrt(backends.CACHED_PIXELS) if whole else _CORE,
            "file": f"models/{_pack_name(found)}",
            "sizes": [len(data) for data in _networks(found)],
        }
    return json.dumps({"default": _default(), "presets": described}, indent=1).encode()


def _default() -> str:
    return presets.DEFAULT if presets.DEFAULT in _installed() else next(iter(_installed()))


def _networks(found: exported.Exported) -> list[bytes]:
    return [found.content(backends.tflite_file(found.preset, name)) for name in ("hide", "reveal")]


def _pack_name(found: exported.Exported) -> str:
    return f"{found.preset}-{found.network.hex()}.xz"


def _pack(preset: str) -> bytes:
    with _PACKING:  # whoever comes meanwhile waits for the same one
        return _packed(preset)


@functools.cache
def _packed(preset: str) -> bytes:
    networks = _networks(_installed()[preset])
    return lzma.compress(b"".join(networks), check=lzma.CHECK_CRC32, filters=[_FILTER])
