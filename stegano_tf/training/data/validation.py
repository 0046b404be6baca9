"""The pairs that training is validated on: those of the scoreboard, without chance."""

import concurrent.futures
from typing import Any

import numpy as np

from stegano_tf import images, pairing
from stegano_tf.errors import DataError, ImageError
from stegano_tf.training.data import sources


def validation_pairs(
    source: Any, *, batch_size: int, size: int = 256, skip_bad_images: bool = False
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns (cover, secret) batches, each uint8[B, size, size, 3]; the last one may be smaller.

    Pictures stay in their order, are cut to `size` in the middle, and are paired by `pairing.pairs`. All are decoded
    here and stay in memory.

    Args:
      source: as in `sources`.
      skip_bad_images: leave out, log and count pictures that do not decode.

    Raises:
      DataError: fewer than two pictures, or one that is smaller than `size`.
      ImageError: a picture does not decode.
    """
    pictures = sources.opened(source)
    middles = []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for index, picture in sources.decode_all(pictures, pool, skip_bad_images=skip_bad_images):
            try:
                middles.append(images.centre_crop(picture, (size, size)))
            except ImageError as error:
                raise DataError(f"{sources.name(pictures[index], index)}: {error}") from error
    if len(middles) < 2:
        raise DataError(f"{len(middles)} pictures, expected at least 2 to make pairs")
    covers = np.stack(middles)
    secrets = covers[[secret for _, secret in pairing.pairs(len(covers))]]
    return [(covers[i : i + batch_size], secrets[i : i + batch_size]) for i in range(0, len(covers), batch_size)]
