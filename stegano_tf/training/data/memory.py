"""Memory for batches that is used again: new memory costs as much as copying into it, since the system clears it."""

import collections
import math
import weakref

import numpy as np


class Memory:
    """Gives arrays in memory of earlier arrays that nobody holds any more.

    Every view of an array keeps it alive, and so does a tensor that TensorFlow made of it without a copy. Its memory
    comes back when the last of them goes.

    Args:
      shape: of the arrays, which are uninitialised uint8.
    """

    def __init__(self, shape: tuple[int, ...]):
        self._shape = shape
        self._size = math.prod(shape)
        self._free = collections.deque()

    def array(self) -> np.ndarray:
        """Returns an array that starts at a multiple of 64: TensorFlow takes it without a copy."""
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(self._size + 64, np.uint8)
        start = -memory.ctypes.data % 64
        # Views of `memory` would refer to it directly, not to each other: hence the memoryview between.
        array = np.frombuffer(memory.data[start : start + self._size], np.uint8)
        weakref.finalize(array, self._free.append, memory).atexit = False
        return array.reshape(self._shape)
