"""Lossless WebP: somewhat smaller than PNG."""

from stegano_tf.audio.payloads import pillow

PAYLOAD = pillow.payload(
    "webp",
    lambda start: start[:4] == b"RIFF" and start[8:12] == b"WEBP",
    pixel_bytes=16,
    lossless=True,
    exact=True,
    quality=20,  # more effort than this and the next takes long for the last per cent
    method=2,
)
