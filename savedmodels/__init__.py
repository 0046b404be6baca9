"""Weights and exported models that are installed with the package."""

from pathlib import Path


def weights_file(preset: str) -> Path:
    """Returns where the weights of a preset are installed, whether or not there are any."""
    return Path(__file__).parent / f"{preset}.weights.h5"


def card_file(preset: str) -> Path:
    """Returns where the measured figures of a preset's installed weights are, whether or not there are any."""
    return Path(__file__).parent / f"{preset}.json"
