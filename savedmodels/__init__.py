"""Weights and exported models that are installed with the package."""
