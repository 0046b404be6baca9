"""From weights to what others run: SavedModels, TFLite files, their model card. `run` does it; here are its options."""

import dataclasses

from stegano_tf import presets
from stegano_tf.settings import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The flags of `python -m stegano_tf.export`, under their names and with their defaults."""

    preset: str = setting(
        presets.DEFAULT, "Which networks to export.", choices=tuple(presets.PRESETS), parse=presets.current
    )
    weights: str | None = setting(None, "Weights file to export instead of the installed one.")
    out: str = setting("savedmodels", "Folder of models: the version goes to OUT/PRESET/VERSION.")
    version: int | None = setting(None, "Number of the version (default: one above the highest there).", low=1)
    tflite: tuple[str, ...] = setting(
        ("float16", "int8", "float16-256x256"),
        "TFLite files to write beside float32 ones: how weights are stored, and -WIDTHxHEIGHT to fix the size.",
    )
    data: str | None = setting(None, "Folder of pictures to measure float16 and int8 on.")
    limit: int | None = setting(None, "Use the first so many of them only.", low=2)
    force: bool = setting(False, "Replace a version that exists.")
    card_only: bool = setting(False, "Write just the model card anew, with figures that were measured since.")
