"""The networks of a preset as TFLite files, for LiteRT on phones, small machines and the command line.

Each file holds one network under the signature `hide` or `reveal`, with the names and dtypes of the SavedModel's, of
built-in operators only. Batch, height and width are resizable unless the variant fixes them.
"""

import dataclasses
import re
import tempfile
from pathlib import Path

import tensorflow as tf

from stegano_tf.errors import PresetError
from stegano_tf.networks import pictures
from stegano_tf.networks.family import Networks

INPUTS = {"hide": ("cover", "secret"), "reveal": ("stego",)}
OUTPUTS = {"hide": "stego", "reveal": "secret"}


@dataclasses.dataclass(frozen=True)
class Variant:
    """How a file is made."""

    precision: str  # of the stored weights: float32, float16, or int8 (dynamic range: activations stay floats)
    size: tuple[int, int] | None = None  # (height, width), for delegates that need a fixed size

    @classmethod
    def parse(cls, text: str) -> "Variant":
        """Returns the variant of a text such as float32 or float16-WIDTHxHEIGHT; PresetError if it is no such text."""
        match = re.fullmatch(r"(float32|float16|int8)(?:-([1-9]\d*)x([1-9]\d*))?", text)
        if not match:
            raise PresetError(
                f"there is no variant {text!r}, expected float32, float16, int8 or such as float16-256x256"
            )
        precision, width, height = match.groups()
        return cls(precision, (int(height), int(width)) if width else None)

    def __str__(self) -> str:
        return self.precision + ("-{1}x{0}".format(*self.size) if self.size else "")


def convert(networks: Networks, name: str, variant: Variant, *, scratch: Path) -> bytes:
    """Returns the TFLite file of one network, `name` "hide" or "reveal"; it takes multiples of what that needs.

    Cutting and continuing pictures in the graph would make shapes of values, and LiteRT plans ahead only without such.
    Temporary files lie in the folder `scratch`.
    """
    shape = (1, *variant.size, 3) if variant.size else (None, None, None, 3)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8, argument) for argument in INPUTS[name]])
    def signature(*inputs):
        return {OUTPUTS[name]: pictures.run(getattr(networks, name), *inputs)}

    module = tf.Module()
    module.weights = [variable.value for variable in getattr(networks, name).variables]
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        tf.saved_model.save(module, folder, {name: signature})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[name])
        if variant.precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if variant.precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()
