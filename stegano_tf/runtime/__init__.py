"""Inference: a preset's networks, loaded once, applied to uint8 pictures of any size."""

import functools
import math
import os

import numpy as np

from stegano_tf import images, metrics, presets, scratch
from stegano_tf.errors import BackendError, ImageError
from stegano_tf.networks.family import Refiner
from stegano_tf.runtime import backends, tiles
from stegano_tf.runtime.exported import installed_presets, network_id, preset_of

__all__ = ["MIN_SIDE", "Runtime", "check_side", "installed_presets", "load", "network_id", "preset_of"]

MIN_SIDE = 16
"""Pictures with a shorter side than this are refused: nothing worth seeing fits in them."""

# Pixels that are kept of a tile, each way, where memory is short. With fewer, overlap would take most of the time.
_SMALLEST_CORE = 256

# Above this many bytes, free the engine's buffers before the next network runs: that one needs buffers of its own.
_KEPT = 10**8

# Bytes a pixel that it takes to write a picture: itself, and a whole copy as Pillow stores it.
_WRITTEN = 7


class Runtime:
    """The two networks of a preset, run on whole pictures; `network` is 8 bytes that name the weights.

    Example:
      networks = Runtime("codebook")
      secret = networks.reveal(networks.hide(cover, secret))  # uint8[H, W, 3] each
    """

    def __init__(
        self,
        preset: str = presets.DEFAULT,
        weights: str | os.PathLike | None = None,
        runtime: str | backends.Backend | None = None,
        threads: int | None = None,
    ):
        """Loads a preset with `weights`, by default the installed ones.

        `runtime` says what runs the networks: one of `presets.RUNTIMES`, or a backend that is at hand. Its default,
        `threads`, and what is raised, are those of `backends.make`; or PresetError because there is no such preset.
        """
        self.preset = presets.get(preset)
        by_name = runtime is None or isinstance(runtime, str)
        self._backend = backends.make(self.preset, weights, runtime, threads) if by_name else runtime
        self.network = self._backend.network
        self._asked_for = runtime
        self._held = 0

    def hide(
        self,
        cover: np.ndarray,
        secret: np.ndarray,
        *,
        memory_limit: int | None = None,
        progress: tiles.Progress | None = None,
    ) -> np.ndarray:
        """Returns the stego image, uint8[H, W, 3]: the cover, with the secret inside.

        A picture that is too large for one run is hidden in tiles. That changes no pixel, unless the arithmetic of the
        engine depends on the shape of its input, as TensorFlow's does. Then a few pixels change by 1 of 255, or with a
        codebook by up to 15 in a few blocks, those in which two codings are equally good.

        Args:
          cover: uint8[H, W, 3], H and W at least `MIN_SIDE`.
          secret: uint8[H', W', 3]; resized to `region` if of another size.
          memory_limit: bytes that the process may take in all (default: a gigabyte, or more if small tiles need more).
          progress: is called after each tile (`tiles.Progress`).

        Raises:
          TypeError, ValueError, ImageError: as `check_side`.
          MemoryLimitError: not even one small tile fits into what is allowed, or into what the machine has free.
        """
        check_side(cover, "the cover")
        height, width = self.region(cover)
        secret = images.resize(secret, (height, width))
        stego = scratch.copy(cover)
        self._run("hide", (cover[:height, :width], secret), stego[:height, :width], memory_limit, progress)
        return stego

    def reveal(
        self,
        stego: np.ndarray,
        size: tuple[int, int] | None = None,
        *,
        memory_limit: int | None = None,
        progress: tiles.Progress | None = None,
    ) -> np.ndarray:
        """Returns the secret inside a stego image, uint8[H, W, 3], in its size or in `size` (height, width).

        Other arguments, and errors, are those of `hide`. To scale and write the secret, too, `memory_limit` is enough.
        """
        check_side(stego, "the stego image")
        written = _WRITTEN * math.prod(size or stego.shape[:2])
        tiles.check_limit(memory_limit, written, "the secret", held=self._held)  # before the work
        height, width = self.region(stego)
        secret = scratch.picture(height, width)
        secret.fill(0)  # the memory counts once it is written, and it must count before the size of the tiles is chosen
        scratch.release(secret)
        self._run("reveal", (stego[:height, :width],), secret, memory_limit, progress)
        if memory_limit is not None and self._backend.release():
            self._held = 0
        tiles.check_limit(memory_limit, written, "the secret", held=self._held)
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
        """Returns a better stego image than `hide` made, uint8[H, W, 3], by what the preset's family has for it.

        The sum of the squared errors, weighed by `balance`, is never above that of `stego`. The networks run on Keras,
        whatever `hide` ran on. Other arguments are those of `hide`, errors also those of `check_refinable`.

        Args:
          stego: what `hide` made of cover and secret.
          steps: trials or gradients to take.
          balance: dB by which the secret's squared error weighs more (above 0) or less than the cover's.
        """
        self.check_refinable()
        backends.check_process()
        height, width = self.region(cover)
        secret = images.resize(secret, (height, width))
        weight = 10 ** (balance / 10)
        refined = scratch.copy(stego)
        pictures = cover[:height, :width], secret, refined[:height, :width]
        tiles.refine(self._refiner, *pictures, steps=steps, weight=weight, memory_limit=memory_limit, progress=progress)

        def objective(candidate: np.ndarray) -> float:
            of_cover = metrics.squared_error(cover, candidate)
            return of_cover + weight * metrics.squared_error(secret, self.reveal(candidate[:height, :width]))

        # Tiles see a little less of their surroundings than the reveal network will.
        return refined if objective(refined) < objective(stego) else stego

    def check_refinable(self) -> None:
        """Finds out what `refine` lacks, before any work is done.

        Keras takes memory that `hide` can use. So this loads it only if something seems to be missing.

        Raises:
          BackendError: another runtime than Keras was asked for, or Keras or TensorFlow is not installed, or Keras runs
            on something that the refiner does not.
          PresetError: there are no weights for Keras.
        """
        if self._asked_for not in (None, "keras"):
            raise BackendError(f"refinement runs on the runtime 'keras' alone, {self._asked_for!r} was asked for")
        if isinstance(self._backend, backends.KerasBackend) or not backends.keras_is_there(self.preset):
            _ = self._refiner

    @functools.cached_property
    def _refiner(self) -> Refiner:
        """Raises as `check_refinable`."""
        at_hand = isinstance(self._backend, backends.KerasBackend)
        try:
            backend = self._backend if at_hand else backends.KerasBackend(self.preset)
        except BackendError as error:
            raise BackendError(f"refinement runs on the runtime 'keras' alone: {error}") from error
        return self.preset.networks.refiner(backend.networks)

    def region(self, image: np.ndarray) -> tuple[int, int]:
        """Returns the height and width of what holds the secret: whole blocks of the reveal network only.

        A block that is cut by the picture's edge loses what was hidden beyond it: 17 dB there. Scaling the secret by
        those few pixels can't be seen (44 dB).
        """
        _, multiple = self.preset.networks.multiples
        return tuple(side - side % multiple for side in image.shape[:2])

    def _run(self, name: str, pictures, result: np.ndarray, memory_limit: int | None, progress) -> None:
        networks, direction = self.preset.networks, ("hide", "reveal").index(name)
        halo, multiple = networks.halos[direction], networks.multiples[direction]
        backend = self._backend
        pixel = backend.workers * (4 * networks.activations[direction] * backend.overhead + tiles.PICTURES)
        whole = (tiles.round_up(side, multiple) for side in result.shape[:2])
        smallest = min(math.prod(min(side, 2 * halo + _SMALLEST_CORE) for side in whole), backend.tile_pixels)
        free = tiles.free(memory_limit, smallest * pixel, held=self._held)
        most = min(max(smallest, free // pixel), backend.tile_pixels)
        plan = tiles.plan(result.shape[:2], halo, multiple, most)
        report = functools.partial(progress, ("hiding", "revealing")[direction]) if progress else None
        tiles.run(getattr(backend, name), pictures, result, plan, report, workers=backend.workers)
        # The engine may keep its buffers. They count as taken, but the next run can use them again.
        rows, columns = plan[0].seen
        self._held = (rows.stop - rows.start) * (columns.stop - columns.start) * pixel
        if self._held > _KEPT and backend.release():
            self._held = 0


def load(
    preset: str = presets.DEFAULT,
    runtime: str | None = None,
    *,
    weights: str | os.PathLike | None = None,
    threads: int | None = None,
) -> Runtime:
    """Returns the runtime of a preset, loaded once a process and again if the weights file changes; as `Runtime`."""
    changed = os.stat(weights).st_mtime_ns if weights and os.path.exists(weights) else None  # noqa: PTH110, PTH116
    return _load(preset, runtime, weights, threads, changed)


@functools.lru_cache(maxsize=4)
def _load(preset: str, runtime: str | None, weights, threads: int | None, _) -> Runtime:
    return Runtime(preset, weights, runtime, threads)


def check_side(image: np.ndarray, name: str) -> None:
    """Raises ImageError if `image` is too small for the networks, and TypeError or ValueError if it is no picture."""
    images.check_rgb(image)
    height, width, _ = image.shape
    if min(height, width) < MIN_SIDE:
        raise ImageError(f"{name} has {width}x{height} pixels, expected at least {MIN_SIDE}x{MIN_SIDE}")
