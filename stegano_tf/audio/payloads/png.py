"""PNG: about half the size of a BMP."""

from stegano_tf.audio.payloads import pillow

# More effort takes long for the last per cent.
PAYLOAD = pillow.payload("png", lambda start: start.startswith(b"\x89PNG\r\n\x1a\n"), pixel_bytes=7, compress_level=6)
