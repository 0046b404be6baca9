"""The networks of the publication, to the letter: a UNet hides, convolutions with batch normalisation and ReLU reveal.

A. Chennupati et al., "AI-Driven Image-to-Audio Encryption with Data Hiding" (ICCCNT 2024). The UNet is that of pix2pix
(Isola et al., 2017, https://arxiv.org/abs/1611.07004) with 7 downsamplings.
"""
