"""Bytes to sound and back: BMP, framing, PCM samples, sound files. Numpy and bytes only, never TensorFlow."""
