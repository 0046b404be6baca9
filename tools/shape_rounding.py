r"""Sets the kernel by which `unet` rounds to the best one for its reveal network, in closed form.

    python tools/shape_rounding.py --weights=OLD.weights.h5 --out=NEW.weights.h5 --data=DIR

What rounding errors e do to the secret is, on average, e' M e, where M holds the correlations of J' n: the gradients of
random projections of what is revealed (Hutchinson's estimator). M is the same in all blocks of 2 x 2 pixels, so in the
frequency domain it is a matrix of 12 x 12 for each frequency. Its factors U' D U, with units on the diagonal of U, say
how much of each error the later samples take (Babai, 1986; `ShapedRound8Bit`).

Needs TensorFlow. Training goes on from there: the kernel is trained like every other weight.
"""

import numpy as np
from absl import app, flags

from stegano_tf import images, outputs, pairing
from stegano_tf.networks import build

_SIDE = 128
_NEAR = 5  # blocks each way beyond which errors do not count together
_FREQUENCIES = 16


def main(argv):
    del argv
    given = flags.FLAGS
    outputs.check(given.out)
    networks = build.load("unet", given.weights)
    files = pairing.list_pictures(given.data)
    files = files[:: max(1, len(files) // given.pictures)]
    pictures = [images.centre_crop(images.read(file), (_SIDE, _SIDE)) / np.float32(255) for file in files]
    found = kernel(correlations(networks, pictures), given.weight)
    networks.hide.layers[-1].kernel.assign(found)
    build.save_weights(networks, given.out)
    print(f"Written: {given.out}")


def correlations(networks, pictures: list[np.ndarray], samples: int = 4) -> np.ndarray:
    """Returns the mean power spectrum of J' n over stego images of pairs of pictures: complex[h, w, 12, 12].

    Pictures are float32[2 h, 2 w, 3] in [0, 1]. Axes: frequencies down and across, then two samples of a block.
    """
    import tensorflow as tf  # noqa: PLC0415

    random, found = np.random.default_rng(0), []
    for cover, secret in zip(pictures[::2], pictures[1::2], strict=False):
        stego = tf.repeat(networks.hide([cover[None], secret[None]], training=False), samples, axis=0)
        noise = random.standard_normal(stego.shape, np.float32)
        with tf.GradientTape() as tape:
            tape.watch(stego)
            projection = tf.reduce_sum(noise * networks.reveal(stego, training=False))
        gradient = tf.nn.space_to_depth(tape.gradient(projection, stego), 2).numpy()
        spectrum = np.fft.fft2(gradient, axes=(1, 2), norm="ortho")
        found.append(np.einsum("nyxi,nyxj->yxij", spectrum.conj(), spectrum) / samples)
    return np.mean(found, axis=0)


def kernel(spectrum: np.ndarray, weight: float) -> np.ndarray:
    """Returns the kernel of `ShapedRound8Bit` for a spectrum of `correlations`: float32[3, 3, 12, 12]."""
    near = np.fft.ifft2(spectrum, axes=(0, 1)).real
    places = np.arange(-_NEAR, _NEAR + 1)
    few = np.zeros((_FREQUENCIES, _FREQUENCIES, *spectrum.shape[2:]))
    few[np.ix_(places, places)] = near[np.ix_(places, places)]
    values, vectors = np.linalg.eigh(np.fft.fft2(few, axes=(0, 1)))
    # What was cut off makes some of them negative.
    values = 1.0 + weight * np.maximum(values, 0.0)
    left = np.einsum("...ik,...k,...jk->...ij", vectors, values, vectors.conj())
    shares = np.zeros_like(left)  # [..., k, j]: of the error of sample j, what sample k takes
    for k in reversed(range(left.shape[-1])):
        pivot = left[..., k, k].real[..., None]
        shares[..., k, :k] = row = left[..., k, :k] / pivot
        left[..., :k, :k] -= pivot[..., None] * row.conj()[..., :, None] * row[..., None, :]
    shares = np.fft.ifft2(shares, axes=(0, 1)).real
    return shares[np.ix_((-1, 0, 1), (-1, 0, 1))].swapaxes(2, 3).astype(np.float32)


def define_flags() -> None:
    """Defines the flags; not at import, because tests import this beside commands that have such flags."""
    flags.DEFINE_string("weights", None, "The weights file to read; by default the installed one.")
    flags.DEFINE_string("out", None, "The weights file to write, called *.weights.h5.", required=True)
    flags.DEFINE_string("data", None, "Folder of training pictures of 128 x 128 pixels or more.", required=True)
    flags.DEFINE_float("weight", 1.5, "Weight of the secret's squared error; the cover's is 1.", lower_bound=0)
    flags.DEFINE_integer("pictures", 24, "How many of the pictures to take.", lower_bound=2)


if __name__ == "__main__":
    define_flags()
    app.run(main)
