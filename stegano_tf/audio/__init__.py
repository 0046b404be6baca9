"""Pictures to sound files and back. `codec` composes the rest: payloads, seal, frame, form, samples, file.

No TensorFlow. What is heavy (soundfile, Pillow, pyrage, zfec, reedsolo) is imported by the functions that need it.
"""
