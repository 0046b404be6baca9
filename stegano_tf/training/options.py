"""What a training run is told: options as data, and how the choices that they leave are made.

Imports neither Keras nor TensorFlow, so that `--help` and wrong options need not wait for them.
"""

import dataclasses
import functools

from stegano_tf import channels, presets
from stegano_tf.errors import DataError
from stegano_tf.settings import setting
from stegano_tf.training import strategies

_optional = functools.partial(setting, None)

# Ways to train, by name: the options that each one fixes, where a run's own options say nothing.
PROTOCOLS = {
    # A. Chennupati et al. (ICCCNT 2024): docs/REPRODUCTION.md has the source of each choice.
    "paper": {
        "split": "paper_train",
        "validation_split": "paper_validation",
        "training_pictures": 1800,
        "validation_pictures": 400,
        "validation_size": 256,
        "crop": 256,
        "flips": False,
        "epochs": 100,
        "batch_size": 2,
        "steps_per_epoch": 450,
        "learning_rate": 1e-3,
        "adam_beta_1": 0.5,
        "clip": None,
        "schedule": "plateau",
        "reveal_patience": 8,
        "beta": 0.75,
    }
}

# Where neither options nor protocol nor preset say anything.
_DEFAULTS = {"split": "train", "beta": 0.75, "flips": True, "validation_size": 256, "validation_pictures": 32}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `run.train`. One that is None is chosen by `complete`, or means what its text says.

    Example:
      run_dir = run.train(Options(data="photographs", preset="unet", epochs=100))
    """

    data: str | None = _optional("folder of training pictures, read with its subfolders")
    validation_data: str | None = _optional("folder of validation pictures; by default training pictures are held out")
    dataset: str | None = _optional("TFDS data set to train on, such as linnaeus5, linnaeus5/128x128 or div2k")
    split: str | None = _optional("split of the data set to train on, such as train[:90%]; train by default")
    validation_split: str | None = _optional("split to validate on; by default training pictures are held out")
    manual_dir: str | None = _optional("folder of the data set's archive, where it must be fetched by hand")
    data_dir: str | None = _optional("folder in which TFDS keeps what it built; by default TFDS's own")
    training_pictures: int | None = _optional("train on so many pictures at most, evenly taken; by default all", low=2)
    skip_bad_images: bool = setting(False, "log and count pictures that do not decode, instead of stopping")
    preset: str = setting(presets.DEFAULT, f"which networks to train: {', '.join(presets.PRESETS)}")
    protocol: str | None = _optional(
        "how to train where other options say nothing: paper as the publication did (docs/REPRODUCTION.md)",
        choices=tuple(PROTOCOLS),
    )
    epochs: int | None = _optional("train for so many epochs; exactly one of epochs and minutes", low=1)
    minutes: float | None = _optional("train for so long, validation included", low=0.0)
    steps_per_epoch: int | None = _optional("steps between validations; by default each picture is used once", low=1)
    beta: float | None = _optional(
        "weight of the reveal loss beside the hide loss; 0.75 by default. It has next to no effect on presets codebook "
        "and tiny: training hardly changes their hide loss",
        low=0.0,
    )
    channel: str | None = _optional(
        "reveal from what comes through it: jpeg:75-95, jpeg444:90, noise:2 (levels), resize:0.5, or several with "
        "commas; a range is drawn from anew for each picture"
    )
    power: float = setting(
        1.0, "mean over pairs of the loss to this power; below 1 easy pairs count for more", low=0.01
    )
    learning_rate: float | None = _optional("peak learning rate; the preset's by default", low=0.0)
    adam_beta_1: float | None = _optional("Adam's momentum; the preset's by default", low=0.0, high=1.0)
    schedule: str | None = _optional(
        "the learning rate falls with the steps (cosine) or when the loss does not (plateau); the preset's by default",
        choices=("cosine", "plateau"),
    )
    warmup_steps: int = setting(300, "steps in which schedule cosine rises to its peak", low=0)
    reveal_patience: int | None = _optional(
        "with schedule plateau, give the reveal network a learning rate of its own: it falls after more than so many "
        "epochs without a better reveal loss",
        low=1,
    )
    batch_size: int | None = _optional("pairs a step, of all devices together; the preset's by default", low=1)
    clip: float | None = _optional("clip gradients to this times their usual norm; the preset's by default")
    crop: int | None = _optional("side of the training crops in pixels; the preset's by default", low=16)
    flips: bool | None = _optional("whether pictures are mirrored at random; yes by default")
    validation_size: int | None = _optional("side of the validation pictures in pixels; 256 by default", low=16)
    validation_pictures: int | None = _optional("how many pictures to validate on; 32 by default", low=2)
    early_stopping: int | None = _optional("end after so many epochs without a better validation loss", low=1)
    ema: float | None = _optional(
        "validate and keep a running mean of the weights of this momentum; 0.999 suits thousands of steps",
        low=0.0,
        high=1.0,
    )
    dtype_policy: str = setting("float32", "what convolutions compute in", choices=("float32", "mixed_bfloat16"))
    sync_batch_norm: bool = setting(False, "take the moments of batch normalisation over all devices")
    fixed_norm: bool = setting(
        False, "keep the moments of batch normalisation as `weights` has them, with scale and bias"
    )
    weights: str | None = _optional("weights file to start from")
    seed: int = setting(0, "seed of weights and pairs", low=0)
    deterministic: bool = setting(False, "have TensorFlow use only ops that give the same bits each time")
    strategy: str = setting(
        "default",
        f"where to train: {', '.join(strategies.NAMES)}; mirrored uses all GPUs of this machine, multi_worker those of "
        "the workers in TF_CONFIG",
    )
    logical_devices: int | None = _optional("split the CPU into so many, to try a strategy without GPUs", low=1)
    xla: bool = setting(False, "have XLA compile the training step (JAX always does)")
    tensorboard: bool = setting(False, "write scalars and contact sheets for TensorBoard into the run folder")
    checkpoint_minutes: float = setting(10.0, "between checkpoints; there is one after each epoch, too", low=0.0)
    run_dir: str | None = _optional("folder to write to, or of the run to go on with; by default runs/PRESET-TIME")


def complete(options: Options, *, dry: bool = False) -> Options:
    """Returns options in which every choice is made: first by `options`, then by the protocol, then by the preset.

    Args:
      dry: allows options without pictures and without a length, for `run.dry_run`.

    Raises:
      ChannelError: the channel is none.
      DataError: there is no such protocol, the choices exclude each other, or a size does not suit the networks.
      PresetError: there is no such preset.
      StrategyError: there is no such strategy.
    """
    preset = presets.get(options.preset)
    strategies.check(options.strategy)
    if options.channel is not None:
        channels.parse(options.channel)
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
