"""Hide a photograph in a photograph and send it as sound."""

__version__ = "0.1.0"
