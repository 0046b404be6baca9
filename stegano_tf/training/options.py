"""What a training run is told: options as data, and how the choices that they leave are made.

Imports neither Keras nor TensorFlow, so that `--help` and wrong options need not wait for them.
"""

import dataclasses

from stegano_tf import presets
from stegano_tf.errors import DataError
from stegano_tf.settings import setting
from stegano_tf.training import strategies
from stegano_tf.training.protocols import PROTOCOLS

# Where neither options nor protocol nor preset say anything.
_DEFAULTS = {"split": "train", "beta": 0.75, "flips": True, "validation_size": 256, "validation_pictures": 32}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `run.train`. One that is None is chosen by `complete`, or means what its text says.

    Example:
      run_dir = run.train(Options(data="photographs", preset="unet", epochs=100))
    """

    data: str | None = setting(None, "folder of training pictures, read with its subfolders")
    validation_data: str | None = setting(
        None, "folder of validation pictures; by default some of the training pictures are held out"
    )
    dataset: str | None = setting(None, "TFDS data set to train on, such as linnaeus5, linnaeus5/128x128 or div2k")
    split: str | None = setting(None, "split of the data set to train on, such as train[:90%]; train by default")
    validation_split: str | None = setting(
        None, "split to validate on; by default some of the training pictures are held out"
    )
    manual_dir: str | None = setting(None, "folder of the data set's archive, where it must be fetched by hand")
    data_dir: str | None = setting(None, "folder in which TFDS keeps what it built; by default TFDS's own")
    training_pictures: int | None = setting(
        None, "train on at most this many pictures, taken evenly; by default on all", low=2
    )
    skip_bad_images: bool = setting(False, "log and count pictures that do not decode, instead of stopping")
    preset: str = setting(presets.DEFAULT, f"which networks to train: {', '.join(presets.PRESETS)}")
    protocol: str | None = setting(
        None,
        "how to train where other options say nothing: paper is the publication's (docs/REPRODUCTION.md)",
        choices=tuple(PROTOCOLS),
    )
    epochs: int | None = setting(None, "train for this many epochs; exactly one of epochs and minutes", low=1)
    minutes: float | None = setting(None, "train for this long, validation included", low=0.0)
    steps_per_epoch: int | None = setting(
        None, "steps between validations; by default each picture is used once", low=1
    )
    beta: float | None = setting(
        None,
        "weight of the reveal loss beside the hide loss; 0.75 by default. It has next to no effect on presets codebook "
        "and tiny: training hardly changes their hide loss",
        low=0.0,
    )
    learning_rate: float | None = setting(None, "peak learning rate; the preset's by default", low=0.0)
    adam_beta_1: float | None = setting(
        None, "momentum of Adam's mean of gradients; the preset's by default", low=0.0, high=1.0
    )
    schedule: str | None = setting(
        None,
        "how the learning rate falls: cosine with the steps, after a warm-up; plateau when the loss does not fall; the "
        "preset's by default",
        choices=("cosine", "plateau"),
    )
    warmup_steps: int = setting(300, "steps in which schedule cosine rises to its peak", low=0)
    reveal_patience: int | None = setting(
        None,
        "with schedule plateau: give the reveal network a learning rate of its own, which falls after more than this "
        "many epochs without a better reveal loss",
        low=1,
    )
    batch_size: int | None = setting(None, "pairs a step, of all devices together; the preset's by default", low=1)
    clip: float | None = setting(
        None, "clip gradients to this times the running geometric mean of their norm; the preset's by default"
    )
    crop: int | None = setting(None, "side of the training crops in pixels; the preset's by default", low=16)
    flips: bool | None = setting(None, "whether pictures are mirrored at random; yes by default")
    validation_size: int | None = setting(None, "side of the validation pictures in pixels; 256 by default", low=16)
    validation_pictures: int | None = setting(None, "how many pictures to validate on; 32 by default", low=2)
    early_stopping: int | None = setting(None, "end after so many epochs without a better validation loss", low=1)
    ema: float | None = setting(
        None,
        "momentum of a running mean of the weights, which is validated and kept instead of them; 0.999 suits thousands "
        "of steps",
        low=0.0,
        high=1.0,
    )
    dtype_policy: str = setting("float32", "what convolutions compute in", choices=("float32", "mixed_bfloat16"))
    sync_batch_norm: bool = setting(False, "take the moments of batch normalisation over all devices")
    weights: str | None = setting(None, "weights file to start from")
    seed: int = setting(0, "seed of weights and pairs", low=0)
    deterministic: bool = setting(False, "have TensorFlow use only ops that give the same bits each time")
    strategy: str = setting(
        "default",
        f"where to train: {', '.join(strategies.NAMES)}; mirrored uses all GPUs of this machine, multi_worker those of "
        "the workers in TF_CONFIG",
    )
    logical_devices: int | None = setting(
        None, "split the CPU into so many devices, to try a strategy without GPUs", low=1
    )
    xla: bool = setting(False, "have XLA compile the training step (JAX always does)")
    tensorboard: bool = setting(False, "write scalars and contact sheets for TensorBoard into the run folder")
    checkpoint_minutes: float = setting(
        10.0, "minutes between checkpoints; there is one after each epoch, too", low=0.0
    )
    run_dir: str | None = setting(None, "folder to write to, or of the run to go on with; by default runs/PRESET-TIME")


def complete(options: Options, *, dry: bool = False) -> Options:
    """Returns options in which every choice is made: first by `options`, then by the protocol, then by the preset.

    Args:
      dry: allows options without pictures and without a length, for `run.dry_run`.

    Raises:
      DataError: there is no such protocol, the choices exclude each other, or a size does not suit the networks.
      PresetError: there is no such preset.
      StrategyError: there is no such strategy.
    """
    preset = presets.get(options.preset)
    strategies.check(options.strategy)
    if options.protocol not in (None, *PROTOCOLS):
        raise DataError(f"there is no protocol {options.protocol!r}, expected one of {', '.join(PROTOCOLS)}")
    unsuited = {"epochs"} if options.minutes is not None else set()
    unsuited |= {"split", "validation_split"} if options.dataset is None else set()
    protocol = {name: v for name, v in PROTOCOLS.get(options.protocol, {}).items() if name not in unsuited}
    choices = dataclasses.asdict(preset.training) | _DEFAULTS | protocol
    chosen = {name: value for name, value in choices.items() if getattr(options, name) is None}
    options = dataclasses.replace(options, preset=preset.name, **chosen)
    for first, second in (("data", "dataset"), ("epochs", "minutes")):
        found = [getattr(options, name) for name in (first, second)]
        if found.count(None) != 1 and not (dry and found.count(None) == 2):
            raise DataError(f"expected exactly one of --{first} and --{second}, found {found[0]} and {found[1]}")
    multiple = max(preset.networks.multiples)
    for name in ("crop", "validation_size"):
        if getattr(options, name) % multiple:
            found = getattr(options, name)
            raise DataError(f"{name} is {found}, expected a multiple of {multiple} for preset {preset.name}")
    return options
