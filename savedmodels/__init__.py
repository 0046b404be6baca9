"""Weights and exported models that are installed with the package."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent
"""What TF Serving takes as the folder of models: FOLDER/PRESET/VERSION."""


def weights_file(preset: str) -> Path:
    """Returns where the weights of a preset are installed, whether or not there are any."""
    return FOLDER / f"{preset}.weights.h5"


def card_file(preset: str) -> Path:
    """Returns where the measured figures of a preset's installed weights are, whether or not there are any."""
    return FOLDER / f"{preset}.json"


def versions(preset: str, folder: str | os.PathLike = FOLDER) -> list[Path]:
    """Returns the folders of a preset's exported versions, lowest number first; `folder` is that of the models."""
    folders = [path for path in Path(folder, preset).glob("*") if path.name.isdecimal() and path.is_dir()]
    return sorted(folders, key=lambda path: int(path.name))
