"""Inference: a preset's networks, loaded once, applied to uint8 pictures of any size."""

import functools
import math
import os

import numpy as np

from stegano_tf import images, metrics, presets, scratch
from stegano_tf.errors import BackendError, ImageError
from stegano_tf.runtime import backends, memory, tiles
from stegano_tf.runtime.identity import installed_presets, network_id, preset_of

__all__ = ["MIN_SIDE", "Runtime", "check_side", "installed_presets", "load", "network_id", "preset_of"]

MIN_SIDE = 16
"""Pictures with a shorter side than this are refused: nothing worth seeing fits in them."""

# Pixels that are kept of a tile, each way, where memory is short: with fewer, time would go into overlap.
_SMALLEST_CORE = 256

# Bytes above which what an engine keeps is given back: the other network keeps its own, and pictures follow.
_KEPT = 10**8


class Runtime:
    """The two networks of a preset, run on whole pictures.

    Attributes:
      preset: what was loaded.
      network: 8 bytes that name the weights, as a frame records them.
    """

    def __init__(
        self,
        preset: str = presets.DEFAULT,
        weights: str | os.PathLike | None = None,
        runtime: str | backends.Backend | None = None,
    ):
        """Loads a preset with `weights`, by default the installed ones.

        Args:
          preset: its name.
          weights: a file of weights instead of the installed ones; `runtime` is "keras" then.
          runtime: what runs the networks: "litert", "savedmodel", "keras" or a backend that is at hand. By default
            litert if exported networks of the preset are installed, and keras if not.

        Raises:
          PresetError: there is no such preset, or no such weights, or they do not fit each other, or the exported
            networks are incomplete or altered.
          BackendError: there is no such runtime, or it cannot run these networks.
        """
        self.preset = presets.get(preset)
        by_name = runtime is None or isinstance(runtime, str)
        self._backend = backends.make(self.preset, weights, runtime) if by_name else runtime
        self.network = self._backend.network
        self._asked_for, self._weights = runtime, weights
        self._refiner = None
        self._held = 0

    def hide(
        self,
        cover: np.ndarray,
        secret: np.ndarray,
        *,
        memory_limit: int | None = None,
        progress: tiles.Progress | None = None,
    ) -> np.ndarray:
        """Returns the stego image: the cover, with the secret inside.

        A picture that is too large for one run is hidden in tiles. That changes no pixel, or where an engine's
        arithmetic depends on the shape of its input, a few by 1 of 255.

        Args:
          cover: uint8[H, W, 3], H and W at least `MIN_SIDE`.
          secret: uint8[H', W', 3]; resized to `region` if of another size.
          memory_limit: bytes that the process may take in all, its memory so far included. By default it takes a
            gigabyte if that is enough for small tiles, and else what they need.
          progress: is told about each tile.

        Returns:
          uint8[H, W, 3].

        Raises:
          TypeError, ValueError: not such arrays.
          ImageError: a side of the cover is shorter than `MIN_SIDE`.
          MemoryLimitError: not even one small tile fits into what is allowed, or into what the machine has free.
        """
        check_side(cover, "the cover")
        height, width = self.region(cover)
        secret = images.resize(secret, (height, width))
        stego = scratch.copy(cover)
        pictures = cover[:height, :width], secret
        self._run("hide", pictures, stego[:height, :width], memory_limit, progress)
        return stego

    def reveal(
        self,
        stego: np.ndarray,
        size: tuple[int, int] | None = None,
        *,
        memory_limit: int | None = None,
        progress: tiles.Progress | None = None,
    ) -> np.ndarray:
        """Returns the secret inside a stego image.

        Args:
          stego: uint8[H, W, 3], H and W at least `MIN_SIDE`.
          size: (height, width) that the secret had; by default that of the stego image.
          memory_limit, progress: as `hide`.

        Returns:
          uint8[H, W, 3], or of `size`.

        Raises:
          TypeError, ValueError, ImageError, MemoryLimitError: as `hide`.
        """
        check_side(stego, "the stego image")
        height, width = self.region(stego)
        secret = scratch.picture(height, width)
        secret.fill(0)  # is written, because the memory is to count before the size of the tiles is chosen
        scratch.release(secret)
        self._run("reveal", (stego[:height, :width],), secret, memory_limit, progress)
        return images.resize(secret, size or stego.shape[:2])

    def refine(
        self,
        cover: np.ndarray,
        secret: np.ndarray,
        stego: np.ndarray,
        *,
        steps: int = 50,
        balance: float = 0.0,
        memory_limit: int | None = None,
        progress: tiles.Progress | None = None,
    ) -> np.ndarray:
        """Returns a better stego image than `hide` made, by `runtime.refine_blocks` or `runtime.refine`.

        The networks run on Keras, whatever `hide` ran on.

        Args:
          cover, secret: as for `hide`.
          stego: what `hide` made of them.
          steps: trials or gradients to take.
          balance: dB by which the secret's squared error weighs more (above 0) or less than the cover's.
          memory_limit, progress: as `hide`.

        Returns:
          uint8[H, W, 3]. The sum of the squared errors, so weighed, is never above that of `stego`.

        Raises:
          BackendError: as `check_refinable`.
          MemoryLimitError: as `hide`.
        """
        self.check_refinable()
        if self._refiner is None:
            self._refiner = self._make_refiner()
        height, width = self.region(cover)
        secret = images.resize(secret, (height, width))
        weight = 10 ** (balance / 10)
        refined = scratch.copy(stego)
        part = refined[:height, :width]
        part[...] = self._refiner.refine(
            cover[:height, :width],
            secret,
            part,
            steps=steps,
            weight=weight,
            memory_limit=memory_limit,
            progress=progress,
        )

        def objective(candidate: np.ndarray) -> float:
            of_cover = metrics.squared_error(cover, candidate)
            return of_cover + weight * metrics.squared_error(secret, self.reveal(candidate[:height, :width]))

        # Tiles see a little less of their surroundings than the reveal network will.
        return refined if objective(refined) < objective(stego) else stego

    def _make_refiner(self):
        from stegano_tf.networks import build  # noqa: PLC0415  (Keras takes seconds to import)
        from stegano_tf.runtime import refine, refine_blocks  # noqa: PLC0415

        networks = build.load(self.preset.name, self._weights)
        if isinstance(self.preset.networks, presets.Codebook):
            return refine_blocks.BlockRefiner(networks)
        return refine.Refiner(networks.reveal)

    def check_refinable(self) -> None:
        """Raises BackendError if another runtime than Keras was asked for: the others hold but hiding and revealing."""
        if self._asked_for not in (None, "keras"):
            raise BackendError(f"refinement runs on the runtime 'keras' alone, {self._asked_for!r} was asked for")

    def region(self, image: np.ndarray) -> tuple[int, int]:
        """Returns the height and width of what holds the secret: whole blocks of the reveal network only.

        A block that is cut by the picture's edge loses what was hidden beyond it: padding gave up to three rows and
        columns of noise (17 dB) at the secret's edges. Scaling the secret by those few pixels costs nothing that can be
        seen (44 dB).
        """
        _, multiple = self.preset.networks.multiples
        return tuple(side - side % multiple for side in image.shape[:2])

    def _run(self, name: str, pictures, result: np.ndarray, memory_limit: int | None, progress) -> None:
        networks, direction = self.preset.networks, ("hide", "reveal").index(name)
        halo, multiple = networks.halos[direction], networks.multiples[direction]
        pixel = memory.bytes_per_pixel(networks.activations[direction], self._backend)
        whole = (tiles.round_up(side, multiple) for side in result.shape[:2])
        smallest = math.prod(min(side, 2 * halo + _SMALLEST_CORE) for side in whole)
        free = memory.free(memory_limit, smallest * pixel, held=self._held)
        plan = tiles.plan(result.shape[:2], halo, multiple, max(smallest, free // pixel))
        report = functools.partial(progress, ("hiding", "revealing")[direction]) if progress else None
        tiles.run(getattr(self._backend, name), pictures, result, plan, report)
        # What an engine keeps for its next run: taken, but at that run's disposal.
        rows, columns = plan[0].seen
        self._held = (rows.stop - rows.start) * (columns.stop - columns.start) * pixel
        if self._held > _KEPT and hasattr(self._backend, "release"):
            self._backend.release()
            self._held = 0


@functools.lru_cache(maxsize=4)
def load(preset: str = presets.DEFAULT, runtime: str | None = None) -> Runtime:
    """Returns the runtime of a preset with its installed weights, loaded once a process; arguments as `Runtime`'s."""
    return Runtime(preset, runtime=runtime)


def check_side(image: np.ndarray, name: str) -> None:
    """Raises ImageError if `image` is too small for the networks, and TypeError or ValueError if it is no picture."""
    images.check_rgb(image)
    height, width, _ = image.shape
    if min(height, width) < MIN_SIDE:
        raise ImageError(f"{name} has {width}x{height} pixels, expected at least {MIN_SIDE}x{MIN_SIDE}")
