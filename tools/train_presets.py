r"""Trains a preset on pictures that lie in the device's memory, scores its test pictures, and needs no TensorFlow.

    python tools/train_presets.py --pack=pictures.zip --quality=75 --pictures=DIR --pictures=DIR2
    KERAS_BACKEND=jax python tools/train_presets.py --preset=unet --pictures=pictures.zip --minutes=8 --resume=DIR
    KERAS_BACKEND=jax python tools/train_presets.py --preset=paper --pictures=pictures.zip --resume=DIR --pause_after=9

It is the trainer of the package, and all flags of `python -m stegano_tf.train` that describe networks and optimizer
hold here, too. What differs: the device itself cuts and mirrors the pictures; on JAX one compiled call takes
--steps_per_call steps; all test pictures are scored in the end, as 8-bit pictures and in float32. `packed.py` says what
--pictures may be. `paper` follows the publication's protocol, `unet` the choices below.

The folder --resume holds what --run_dir of `stegano_tf.train` does, and score.json. The same command goes on with the
run in it. --copy takes the results of at most 16 MB each; best.weights.h5 can be installed as it is.

Needs keras, jax, rich, absl-py and pillow. Limit: one device; back ends are those of the trainer, JAX and TensorFlow.
"""

import dataclasses
import hashlib
import json
import shutil
import statistics
import sys
from pathlib import Path

import numpy as np
import packed
from absl import app, flags
from keras import ops

from stegano_tf import metrics, outputs, pairing, provenance, settings, stopping
from stegano_tf.errors import SteganoError
from stegano_tf.training import checkpoints, loop, run_folder, session, strategies
from stegano_tf.training.callbacks.log import to_uint8
from stegano_tf.training.data import sources
from stegano_tf.training.data.stored import StoredPairs
from stegano_tf.training.options import Options, complete

settings.define_flags(Options)
_PICTURES = flags.DEFINE_multi_string("pictures", [], "A packed file or a folder; may be given several times.")
_RESUME = flags.DEFINE_string("resume", None, "The run folder: a new one, or that of the run to go on with.")
_PACK = flags.DEFINE_string("pack", None, "Write the folders --pictures to this file, and train nothing.")
_QUALITY = flags.DEFINE_integer(
    "quality", None, "AVIF quality of packed training pictures; by default they stay.", lower_bound=1, upper_bound=100
)
_SIDE = flags.DEFINE_integer("side", 256, "Side of the squares that pictures are cut into.", lower_bound=16)
_CALL = flags.DEFINE_integer(
    "steps_per_call", None, "Steps of one compiled call at most, on JAX; by default 50, on a CPU 1.", lower_bound=1
)
_PAUSE = flags.DEFINE_float("pause_after", None, "Write a checkpoint and end after so many minutes of this process.")
_COPY = flags.DEFINE_string("copy", None, "Folder that also gets the results.")

_COPIED = 16_000_000  # bytes of a file that is copied, at most
_BATCH = 16  # pairs that are validated or scored at once

# How a preset is trained where flags say nothing.
_CHOICES = {
    "unet": {
        "batch_size": 16,
        "crop": 128,
        "steps_per_epoch": 1000,
        "ema": 0.999,
        "dtype_policy": "mixed_bfloat16",
    },
    "paper": {"protocol": "paper"},
}


def main(argv):
    if len(argv) > 1 or not _PICTURES.value or not (_PACK.value or _RESUME.value):
        found = " ".join(argv[1:]) or "nothing"
        raise app.UsageError(f"found {found}, expected --pictures, one of --pack and --resume, and no arguments")
    with stopping.noticed("train_presets", "; the same command goes on"):
        try:
            if _PACK.value:
                size = packed.pack(_PICTURES.value, _PACK.value, quality=_QUALITY.value)
                print(f"Written: {_PACK.value}, {size:,} bytes")
            else:
                run(given_options())
        except (SteganoError, FloatingPointError) as error:
            sys.exit(f"train_presets: {error}")


def given_options() -> Options:
    """Returns the options that the flags state, and the preset's choices where they state nothing."""
    options = settings.from_flags(Options)
    choices = {name: v for name, v in _CHOICES.get(options.preset, {}).items() if not flags.FLAGS[name].present}
    return dataclasses.replace(options, data=" ".join(_PICTURES.value), run_dir=_RESUME.value, **choices)


def run(given: Options) -> None:
    """Trains or goes on, scores, and writes score.json; raises as `training.run.train` and `packed.read`."""
    options = complete(given)
    run_dir = run_folder.choose(given)
    collections = {}
    for source in _PICTURES.value:
        collections |= packed.read(source, _SIDE.value)
    with outputs.alone(run_dir):
        try:
            train(given, options, run_dir, collections)
            result = score(options, run_dir, collections)
            outputs.write_json(run_dir / "score.json", result, force=True)
            print(json.dumps(result))
        except checkpoints.Paused:
            print(f"Paused: the same command goes on with {run_dir}")
        if _COPY.value:
            Path(_COPY.value).mkdir(parents=True, exist_ok=True)
            for file in run_dir.iterdir():
                if file.is_file() and not file.name.startswith(".") and file.stat().st_size <= _COPIED:
                    shutil.copy(file, _COPY.value)


def train(given: Options, options: Options, run_dir: Path, collections: dict[str, packed.Squares]) -> None:
    """Trains to the end of the options' length, from the checkpoint in `run_dir` if there is one."""
    checkpoint = checkpoints.latest(run_dir / "checkpoints")
    if checkpoint and checkpoint.state["complete"]:
        return
    pictures, unseen = split(options, collections)
    pairs = StoredPairs(
        pictures, batch_size=options.batch_size, crop=options.crop, flips=options.flips, seed=options.seed
    )
    options = dataclasses.replace(options, steps_per_epoch=options.steps_per_epoch or pairs.plan.steps)
    strategy = strategies.make("default")
    model, steps = session.model_and_steps(options, strategy)
    if strategy is None:
        most = _CALL.value or default_stride()
        stride = max(n for n in range(1, most + 1) if options.steps_per_epoch % n == 0)
        steps = loop.StoredJaxSteps(model, stride)
    session.go_on(
        given, options, run_dir, checkpoint, model,
        steps=steps,
        training=pairs,
        validated=sources.validation_pairs(unseen, batch_size=_BATCH, size=options.validation_size),
        some=lambda count: sources.some(list(pictures), count),
        strategy=strategy,
        pause_after=_PAUSE.value,
    )  # fmt: skip


def default_stride() -> int:
    """Returns how many steps one compiled call takes where no flag says it.

    On a CPU, starting a step takes next to no time beside the step, and the compiler takes more than half an hour for a
    loop of `paper`'s.
    """
    import jax  # noqa: PLC0415  (TensorFlow does without it)

    return 1 if jax.default_backend() == "cpu" else 50


def split(options: Options, collections: dict[str, packed.Squares]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns training pictures, and those to validate on: some of them, or the test pictures in protocol `paper`."""
    pictures = np.concatenate([squares.train for squares in collections.values()])
    if options.protocol == "paper":
        tests = [picture for squares in collections.values() for picture in squares.test]
        unseen = [tests[i] for i in sources.evenly(len(tests), options.validation_pictures)]
    else:
        places = sources.evenly(len(pictures), min(options.validation_pictures, max(2, len(pictures) // 5)))
        unseen = list(pictures[places])
        pictures = np.delete(pictures, places, axis=0)
    if options.training_pictures is not None:
        pictures = pictures[sources.evenly(len(pictures), options.training_pictures)]
    return pictures, unseen


def score(options: Options, run_dir: Path, collections: dict[str, packed.Squares]) -> dict:
    """Returns the scoreboard's figures of best.weights.h5 on each collection's test pictures, and their origin."""
    weights = run_dir / "best.weights.h5"
    options = dataclasses.replace(options, dtype_policy="float32", weights=str(weights))
    _, steps = session.model_and_steps(options, strategies.make("default"))
    return {
        "preset": options.preset,
        "network": hashlib.sha256(weights.read_bytes()).hexdigest()[:16],
        "scores": {name: figures(steps.predict, squares.test) for name, squares in collections.items()},
        "commit": provenance.commit(),
        "packages": provenance.versions(),
    }


def figures(predict, pictures: np.ndarray) -> dict[str, float]:
    """Returns what `scoreboard.summary` does of the pairs of `pictures`, uint8[N, S, S, 3], in their order."""
    pairs = pairing.pairs(len(pictures))
    found = {f"{name}_{figure}": [] for name in ("cover", "secret") for figure in ("psnr", "ssim", "apd")}
    for start in range(0, len(pairs), _BATCH):
        part = pairs[start : start + _BATCH]
        filled = np.array(part + part[:1] * (_BATCH - len(part)))  # one shape: one compilation
        given = pictures[filled[:, 0]], pictures[filled[:, 1]]
        for name, *both in zip(("cover", "secret"), given, map(to_uint8, predict(given)), strict=True):
            before, after = (batch[: len(part)] for batch in both)
            found[f"{name}_psnr"] += map(metrics.psnr, before, after)
            found[f"{name}_apd"] += map(metrics.apd, before, after)
            found[f"{name}_ssim"] += ops.convert_to_numpy(ssim(before, after)).tolist()
    worst = {f"worst_{name}": min(found[name]) for name in ("cover_psnr", "secret_psnr")}
    return {name: statistics.fmean(values) for name, values in found.items()} | worst | {"pictures": len(pictures)}


def ssim(a, b):
    """Returns the structural similarity of uint8[B, H, W, 3], float32[B]: `metrics.ssim` without scikit-image."""
    window, c1, c2 = 7, 0.01**2, 0.03**2

    def mean(x):
        return ops.average_pool(x, window, 1, "valid", "channels_last")

    # Around mid-grey: means of squares less squares of means keep more digits there.
    a, b = (ops.cast(picture, "float32") / 255.0 - 0.5 for picture in (a, b))
    mean_a, mean_b = mean(a), mean(b)
    sample = window**2 / (window**2 - 1)
    variances = sample * (mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2)
    covariance = sample * (mean(a * b) - mean_a * mean_b)
    mean_a, mean_b = mean_a + 0.5, mean_b + 0.5
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return ops.mean(luminance * (2 * covariance + c2) / (variances + c2), axis=(1, 2, 3))


if __name__ == "__main__":
    app.run(main)
