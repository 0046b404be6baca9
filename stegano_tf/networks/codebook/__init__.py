"""Trained coding and a lattice, without a neural network: the default on a perfect channel.

A trained codebook codes each 8x8 block of the secret in a fixed number of bits. A lattice puts these bits into the same
block of the cover, and they are read back without error. So the secret has the error of its coding and no other.
"""
