"""A compact UNet that hides and a residual convolutional stack that reveals, both between Haar subbands.

It keeps the idea of the publication (the family `paper`) and drops what is costly: it works between Haar subbands, adds
its output to the cover's subbands, and the UNet needs no batch normalisation.
"""
