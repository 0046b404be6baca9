"""The ways to put bytes into a picture."""
