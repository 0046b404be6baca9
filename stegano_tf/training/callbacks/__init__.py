"""What happens around training steps: schedules, rescue after divergence, log, weights, checkpoints, the end.

A callback names in `STATE` those of its attributes that a checkpoint keeps (numbers or None). It must not set them in
`on_train_begin`: a checkpoint has restored them by then.
"""

import functools
from collections.abc import Callable

from absl import logging

from stegano_tf.errors import OutputError


def surviving(write: Callable) -> Callable:
    """Makes a failure of a callback's method to write a warning: a full disk must not end days of training."""

    @functools.wraps(write)
    def method(self, *args, **kwargs):
        try:
            write(self, *args, **kwargs)
        except (OSError, OutputError) as error:
            logging.warning("%s: %s. Training goes on.", type(self).__name__, error)

    return method
