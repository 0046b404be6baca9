"""Hide a photograph in a photograph and send it as sound."""

from pathlib import Path

__version__ = "0.1.0"

# `datasets` and `savedmodels` are subpackages that lie at the top level of a checkout (setup.cfg, package_dir). Found there
# too, a checkout works without being installed, and whatever directory Python was started in.
_checkout = Path(__file__).parent.parent
if (_checkout / "setup.cfg").is_file():
    __path__.append(str(_checkout))
