"""How the scripts of this folder give their figures."""

import json
import os

from stegano_tf import outputs


def publish(figures: dict, file: str | os.PathLike | None) -> None:
    """Prints figures as JSON, and writes them to `file`, if there is one to write, in place of what it held."""
    print(json.dumps(figures, indent=1))
    if file:
        outputs.write_json(file, figures, force=True)
