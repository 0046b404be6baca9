"""The networks of a preset as a SavedModel with named signatures, for TF Serving and `tf.saved_model.load`.

`stegano_tf.exporting.card` has the table of signatures. TF Serving's REST interface takes and returns a tensor as
`{"b64": ...}` where its name ends in `_bytes`. TensorFlow decodes the files: it drops alpha and ignores EXIF
orientation, where `stegano_tf.images` blends and turns.
"""

import functools
import os

import tensorflow as tf

from stegano_tf.networks import pictures
from stegano_tf.networks.family import Networks
from stegano_tf.runtime import MIN_SIDE

PICTURES = (None, None, None, 3)


class Serving(tf.Module):
    """What `save` saves: the weights of both networks, and the functions behind the signatures."""

    def __init__(self, networks: Networks, multiples: tuple[int, int]):
        super().__init__(name="stegano_tf")
        # TensorFlow tracks the bare variables, and must not find the networks. It would save functions of each Keras
        # layer, and each variable a second time.
        self._weights = [variable.value for variable in networks.pair.variables]
        self._hide = functools.partial(pictures.hide, networks, multiples)
        self._reveal = functools.partial(pictures.reveal, networks, multiples)

    @tf.function(input_signature=[tf.TensorSpec(PICTURES, tf.uint8, name) for name in ("cover", "secret")])
    def hide(self, cover, secret):
        """The signature `hide`."""
        return {"stego": self._hide(*_checked(cover, secret))}

    @tf.function(input_signature=[tf.TensorSpec(PICTURES, tf.uint8, "stego")])
    def reveal(self, stego):
        """The signature `reveal`."""
        return {"secret": self._reveal(*_checked(stego))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name) for name in ("cover_bytes", "secret_bytes")])
    def hide_bytes(self, cover_bytes, secret_bytes):
        """The signature `hide_bytes`."""
        return {"stego_bytes": _encode(self.hide(_decode(cover_bytes), _decode(secret_bytes))["stego"])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "stego_bytes")])
    def reveal_bytes(self, stego_bytes):
        """The signature `reveal_bytes`."""
        return {"secret_bytes": _encode(self.reveal(_decode(stego_bytes))["secret"])}


def save(networks: Networks, multiples: tuple[int, int], folder: str | os.PathLike) -> Serving:
    """Writes the SavedModel to `folder`, and returns what it holds."""
    serving = Serving(networks, multiples)
    signatures = {name: getattr(serving, name) for name in ("hide", "reveal", "hide_bytes", "reveal_bytes")}
    tf.saved_model.save(serving, os.fspath(folder), signatures | {"serving_default": serving.reveal})
    return serving


def _checked(*batches):
    """Returns the batches if they are of one shape and large enough; otherwise the graph ends in InvalidArgument."""
    shape = tf.shape(batches[0])
    checks = [
        tf.debugging.assert_greater_equal(
            shape[1:3], MIN_SIDE, f"height or width is below {MIN_SIDE} pixels, expected at least {MIN_SIDE}"
        ),
        *(
            tf.debugging.assert_equal(tf.shape(batch), shape, "cover and secret differ in shape, expected the same")
            for batch in batches[1:]
        ),
    ]
    with tf.control_dependencies(checks):
        return [tf.identity(batch) for batch in batches]


def _decode(files):
    """string[B], PNG, JPEG, BMP or GIF -> uint8[B, H, W, 3]; InvalidArgument if the pictures differ in size."""
    picture = tf.TensorSpec(PICTURES[1:], tf.uint8)
    return tf.map_fn(
        lambda data: tf.io.decode_image(data, channels=3, expand_animations=False), files, fn_output_signature=picture
    )


def _encode(batch):
    return tf.map_fn(tf.io.encode_png, batch, fn_output_signature=tf.string)
