"""Inference: a preset's networks, loaded once, applied to uint8 pictures of any size."""
