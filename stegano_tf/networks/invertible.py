"""The invertible hide-and-reveal network: run forwards it hides, run backwards it reveals.

After the idea of HiNet (Jing et al., ICCV 2021) and ISN (Lu et al., CVPR 2021): cover and secret are taken apart into
Haar subbands, couplings mix the two stacks, the first stack becomes the stego image and the second is thrown away.
Revealing puts zeros in its place and runs the same couplings backwards. What is new here: a stronger Haar packet
instead of one level, so that wide convolutions run on few positions; an orthonormal colour transform; and 8-bit
rounding within the network.

Limits: sides must be multiples of 2**haar_levels.
"""

import keras
from keras import layers, ops

from stegano_tf import presets
from stegano_tf.networks.layers import AffineCoupling, Haar, Round8Bit


def build(config: presets.Invertible) -> tuple[keras.Model, keras.Model]:
    """Returns (hide, reveal), two functional models that share all their weights.

    hide: [cover, secret] -> stego; reveal: stego -> secret; each float32[B, H, W, 3] in [0, 1], stego in multiples of
    1/255. The revealed secret may lie slightly outside of [0, 1].
    """
    couplings = [AffineCoupling(config.width, name=f"coupling_{i}") for i in range(config.couplings)]
    analysis, synthesis = Haar(config.haar_levels), Haar(config.haar_levels, inverse=True)
    centre, uncentre = (
        layers.Rescaling(1.0, offset=-0.5, dtype="float32"),
        layers.Rescaling(1.0, offset=0.5, dtype="float32"),
    )

    cover = keras.Input((None, None, 3), name="cover")
    secret = keras.Input((None, None, 3), name="secret")
    pair = analysis(centre(cover)), analysis(centre(secret))
    for coupling in couplings:
        pair = coupling(pair)
    stego = Round8Bit(name="stego")(uncentre(synthesis(pair[0])))
    hide = keras.Model([cover, secret], stego, name="hide")

    stego = keras.Input((None, None, 3), name="stego")
    kept = analysis(centre(stego))
    pair = kept, ops.zeros_like(kept)
    for coupling in reversed(couplings):
        pair = coupling(pair, inverse=True)
    reveal = keras.Model(stego, uncentre(synthesis(pair[1])), name="reveal")
    return hide, reveal
