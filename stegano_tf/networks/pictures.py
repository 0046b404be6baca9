"""The networks on 8-bit pictures: casts, borders and rounding, written once for whatever runs them.

`stegano_tf.runtime` calls these functions with arrays, `stegano_tf.export` traces them. Where sides are no multiples of
the reveal network's, they leave out the last rows and columns of the secret and mirror what is revealed. The runtime
scales the secret to whole blocks instead. All pictures are uint8[B, H, W, 3].
"""

import keras
from keras import ops

from stegano_tf.networks.family import Networks


def run(network: keras.Model, *pictures):
    """Returns a network's result on pictures whose sides are multiples of what it needs, rounded to 8 bits."""
    scaled = [ops.cast(picture, "float32") / 255.0 for picture in pictures]
    result = network(scaled if len(scaled) > 1 else scaled[0], training=False)
    return ops.cast(ops.round(ops.clip(result, 0.0, 1.0) * 255.0), "uint8")


def hide(networks: Networks, multiples: tuple[int, int], cover, secret):
    """Returns stego images: whole blocks of the reveal network hold the secret, the rest stays the cover.

    `multiples` are those of `networks.family.Config`; cover and secret are of one shape, sides at least `multiples[1]`.
    """
    hide_multiple, reveal_multiple = multiples
    height, width = (side - side % reveal_multiple for side in _sides(cover))
    pair = [_cropped(picture, height, width) for picture in (cover, secret)]
    # The hide network may need larger multiples than the reveal network: it sees a mirrored border.
    padded = [_mirrored(picture, height + -height % hide_multiple, width + -width % hide_multiple) for picture in pair]
    stego = _cropped(run(networks.hide, *padded), height, width)
    if _same((height, width), _sides(cover)):
        return stego
    stego = ops.concatenate([stego, cover[:, :height, width:]], axis=2)
    return ops.concatenate([stego, cover[:, height:]], axis=1)


def reveal(networks: Networks, multiples: tuple[int, int], stego):
    """Returns the secrets in whole blocks of stego images, continued to their size by a mirrored border."""
    height, width = (side - side % multiples[1] for side in _sides(stego))
    return _mirrored(run(networks.reveal, _cropped(stego, height, width)), *_sides(stego))


def _sides(pictures) -> tuple:
    """Height and width: integers, or scalar tensors while a graph for any size is traced."""
    _, height, width, _ = ops.shape(pictures)
    return height, width


def _same(sides: tuple, others: tuple) -> bool:
    """Whether both are known and equal; while a graph is traced, they may be unknown."""
    return all(isinstance(side, int) for side in (*sides, *others)) and sides == others


def _cropped(pictures, height, width):
    return pictures if _same((height, width), _sides(pictures)) else pictures[:, :height, :width]


def _mirrored(pictures, height, width):
    """Continues pictures at the bottom and on the right by mirroring, as NumPy pads in the mode "symmetric"."""
    if _same((height, width), _sides(pictures)):
        return pictures
    for axis, (side, wanted) in enumerate(zip(_sides(pictures), (height, width), strict=True), start=1):
        index = ops.arange(wanted) % (2 * side)
        pictures = ops.take(pictures, ops.minimum(index, 2 * side - 1 - index), axis=axis)
    return pictures
