"""What can be asked for: models, versions and signatures by name. A reader process gets it, without TensorFlow."""

import dataclasses
from collections.abc import Mapping

from stegano_tf.serving.errors import RequestError, invalid

DEFAULT_SIGNATURE = "serving_default"


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input: `dtype` is "uint8" or "string", and None in `shape` stands for any length."""

    dtype: str
    shape: tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Names:
    """The inputs and outputs of a signature."""

    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Entry:
    """The version of a model that is served, and its signatures."""

    version: int
    signatures: Mapping[str, Names]


def find(catalog: Mapping[str, Entry], name: str, version: int | None, label: str | None) -> Entry:
    """Returns the entry of a model; raises RequestError: NOT_FOUND, or INVALID_ARGUMENT for any label: there are none.

    `version` None means the latest one.
    """
    if label:
        raise invalid(f"Unrecognized servable version label: {label}")
    entry = catalog.get(name)
    if entry is None or version not in (None, entry.version):
        wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise RequestError("NOT_FOUND", f"Servable not found for request: {wanted}")
    return entry
