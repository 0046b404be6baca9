"""Linnaeus 5 for TensorFlow Datasets: importing this registers the builder under the name "linnaeus5"."""

from .linnaeus5_dataset_builder import Builder, paper_subset

__all__ = ["Builder", "paper_subset"]
