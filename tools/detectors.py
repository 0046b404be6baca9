"""Detectors of hidden data that others published: features and ensembles of sealwatch, and a convolutional network.

* SPAM: T. Pevny, P. Bas, J. Fridrich, 2010, of each channel: 3 x 686 features.
* Rich model for colours: SRMQ1 (J. Fridrich, J. Kodovsky, 2012), the mean of the channels, and CRMQ1 (M. Goljan, J.
  Fridrich, R. Cogranne, 2014): what else its name SCRMQ1 says.
* WS (A. Ker, R. Boehme, 2008) and chi-square (A. Westfeld, A. Pfitzmann, 1999): one number, for lowest bits replaced.
* The ensemble of J. Kodovsky, J. Fridrich, V. Holub, 2012.
* The network of G. Xu, H. Wu, Y. Shi, 2016, on three channels.

The functions of sealwatch that count co-occurrences go through a picture once for every bin. Those here count all bins
at once, so that a picture takes half a second and not ten. Their results are the same (tests).
"""

import types
from unittest import mock

import numpy as np


def spam(picture: np.ndarray) -> np.ndarray:
    """Returns SPAM features, float32[2058], of uint8[H, W, 3]."""
    import sealwatch  # noqa: PLC0415

    channels = [sealwatch.spam.extract(np.ascontiguousarray(picture[..., channel])) for channel in range(3)]
    return _joined(channels)


def rich(picture: np.ndarray) -> np.ndarray:
    """Returns the features of the rich model for colours, float32[N], of uint8[H, W, 3]."""
    from sealwatch.srm import cooccurrence, crm, symm  # noqa: PLC0415

    rounding = types.SimpleNamespace(round=lambda x: np.trunc(x + np.copysign(0.5, x)))
    with mock.patch.object(cooccurrence, "matlab", rounding), mock.patch.object(crm, "Cooc3", count_colours):
        channels = []
        for channel in np.moveaxis(picture.astype(np.float32), 2, 0):
            found = {}
            for name, step in (("1st", 1), ("2nd", 2), ("3rd", 3), ("3x3", 4), ("5x5", 12)):
                counts = getattr(cooccurrence, f"all{name}")(channel, step, CoocN=count)
                found = symm.post_process(counts, f"f{name}", 1, found)
            channels.append(_joined([found]))
        return np.concatenate([np.mean(channels, axis=0), _joined([crm.extract(picture, Tc=3)])])


def count(residual: np.ndarray, direction: str, largest: int) -> np.ndarray:
    """Returns how often four neighbours have which values, as sealwatch's `cooccurrence4`: float[B, B, B, B], sum 1."""
    values = residual.astype(np.int32) + largest
    values = values.T if direction == "ver" else values
    return _histogram([values[:, first : values.shape[1] - 3 + first] for first in range(4)], 2 * largest + 1)


def count_colours(residual: np.ndarray, _: str, largest: int) -> np.ndarray:
    """Returns how often the three channels have which values, as sealwatch's `cooccurrence3_col`: float[B, B, B]."""
    values = residual.astype(np.int32) + largest
    return _histogram([values[..., channel] for channel in range(3)], 2 * largest + 1)


def _histogram(values: list[np.ndarray], base: int) -> np.ndarray:
    index = np.zeros_like(values[0])
    for value in values:
        index = index * base + value
    counts = np.bincount(index.reshape(-1), minlength=base ** len(values))
    return counts.reshape((base,) * len(values)) / counts.sum()


def _joined(found: list[dict]) -> np.ndarray:
    return np.concatenate([np.ravel(part[name]) for part in found for name in sorted(part)]).astype(np.float32)


def weighted_stego(picture: np.ndarray) -> np.ndarray:
    """Returns which part of the lowest bits WS takes for replaced, the mean of the channels: float32[1]."""
    import sealwatch  # noqa: PLC0415

    return np.array([np.mean([sealwatch.ws.attack(picture[..., channel]) for channel in range(3)])], np.float32)


def chi_square(picture: np.ndarray) -> np.ndarray:
    """Returns how near pairs of levels are to equal numbers, the mean of the channels: float32[1] up to 0."""
    import sealwatch  # noqa: PLC0415

    return np.array([-np.mean([sealwatch.chi2.attack(picture[..., channel])[0] for channel in range(3)])], np.float32)


FEATURES = {"spam": spam, "rich": rich, "ws": weighted_stego, "chi2": chi_square}


def ensemble(cover: np.ndarray, stego: np.ndarray, tests: list[np.ndarray], seed: int = 1) -> list[np.ndarray]:
    """Returns how sure an ensemble is that pictures are stego images, a float array for each of `tests`.

    It is trained on pairs, float32[N, D] each. Features that are constant are left out. One number is its own judge.
    """
    if cover.shape[1] == 1:
        sign = 1 if stego.mean() >= cover.mean() else -1
        return [sign * features[:, 0] for features in tests]
    from sealwatch.ensemble_classifier import FldEnsembleTrainer  # noqa: PLC0415

    used = np.concatenate([cover, stego]).std(axis=0) > 0
    train = [np.ascontiguousarray(features[:, used], dtype=np.float64) for features in (cover, stego)]
    size = min(400, used.sum() // 2, len(cover))
    trained = FldEnsembleTrainer(*train, seed=seed, L=100, d_sub=int(size), verbose=0).train()
    learned = trained[0] if isinstance(trained, tuple) else trained
    return [learned.predict_confidence(np.ascontiguousarray(features[:, used])) for features in tests]


def errors(cover: np.ndarray, stego: np.ndarray) -> dict[str, float]:
    """Returns the detection error and the area under the ROC curve of scores, higher for stego images.

    The error is the least mean of false alarms and misses over all thresholds, 0.5 for a guess.

    Example:
      >>> errors(np.array([0, 1, 2, 3]), np.array([2.5, 4, 5, 6]))
      {'error': 0.125, 'auc': 0.9375}
    """
    cover, thresholds = np.sort(cover), np.unique(np.concatenate([[-np.inf], cover, stego]))
    alarms = 1 - np.searchsorted(cover, thresholds, side="right") / len(cover)
    misses = np.searchsorted(np.sort(stego), thresholds, side="right") / len(stego)
    below = np.searchsorted(cover, stego, side="left") + np.searchsorted(cover, stego, side="right")
    return {"error": float((alarms + misses).min() / 2), "auc": float(below.mean() / 2 / len(cover))}


def network(side: int):
    """Returns XuNet as a Keras model of uint8[B, side, side, 3] that returns how sure it is, before the sigmoid."""
    import keras  # noqa: PLC0415

    rows = [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2]]
    edges = np.array([*rows, *rows[1::-1]])
    kernel = np.zeros((5, 5, 3, 3), np.float32)
    kernel[:, :, range(3), range(3)] = edges[:, :, None] / 12
    inputs = keras.Input((side, side, 3), dtype="uint8")
    x = keras.ops.cast(inputs, "float32")
    high_pass = keras.layers.Conv2D(3, 5, padding="same", use_bias=False, trainable=False, name="high_pass")
    x = high_pass(x)
    high_pass.set_weights([kernel])
    for group, (filters, size) in enumerate(((8, 5), (16, 5), (32, 1), (64, 1), (128, 1))):
        x = keras.layers.Conv2D(filters, size, padding="same", use_bias=False)(x)
        x = keras.ops.abs(x) if group == 0 else x
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Activation("tanh" if group < 2 else "relu")(x)
        if group < 4:
            x = keras.layers.AveragePooling2D(5, 2, padding="same")(x)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(x)))


def train_network(cover: np.ndarray, stego: np.ndarray, epochs: int, seed: int = 1):
    """Returns a network trained on pairs, uint8[N, side, side, 3] each; a batch has both of a pair."""
    import keras  # noqa: PLC0415

    keras.utils.set_random_seed(seed)
    random, model = np.random.default_rng(seed), network(cover.shape[1])
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(from_logits=True))
    for epoch in range(epochs):
        if epoch == epochs * 2 // 3:
            model.optimizer.learning_rate = 1e-4
        for chosen in np.array_split(random.permutation(len(cover)), max(1, len(cover) // 16)):
            batch = np.concatenate([cover[chosen], stego[chosen]])
            batch = np.rot90(batch, random.integers(4), (1, 2))[:, :: random.choice([-1, 1])]
            labels = np.repeat([0.0, 1.0], len(chosen))[:, None]
            model.train_on_batch(np.ascontiguousarray(batch), labels)
    return model
