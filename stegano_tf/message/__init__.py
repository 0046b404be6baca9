"""Bytes in a picture: any secret, framed and sealed, put in by one of several ways."""
