"""Check symbols that repair damage: a product of two Reed-Solomon codes over GF(256), interleaved over the message.

Both codes are the one that zfec computes and reedsolo knows as `fcr=0, prim=0x11d`: 255 symbols, `checks` of which are
check symbols. A message fills D x k x B bytes (rows, columns, blocks; k = 255 - checks), row after row; every row gets
`checks` more columns, then every column `checks` more rows. Neighbours in the stream come from all over that cube: see
`order`. docs/FORMAT.md writes all this down for other readers.

Why a product: repair goes to and fro between rows and columns, each pass leaving the next one less, so that 12 check
symbols in 255 (10.1 % in all) correct 3.6 % of wrong symbols anywhere; one such code alone fails at 2 %.

For 10 MB, on one core, zfec makes check symbols at 88 MB/s, reedsolo, which is pure Python, at 0.5
(tools/results/audio.json). zfec repairs erasures only (symbols known to be bad), at 40 µs a codeword. reedsolo finds
errors too, at 1.6 ms a codeword. So what looks damaged goes to zfec, and what is unexplained after that to reedsolo.
"""

import dataclasses
import functools
import hashlib
import math
import numbers
from collections.abc import Iterable, Iterator

import numpy as np

from stegano_tf import scratch

CODE = 255  # symbols of a codeword
MAX_CHECKS = 64
_MAX_SWEEPS = 24
_HOPELESS = 20  # repair ends when a sweep mends fewer than one in so many of the wrong codewords


def checks_for(share: float) -> int:
    """Returns the fewest check symbols a codeword with which the message grows by at least `share` (0.1: 10 %).

    Raises ValueError if `share` is no number, or outside 0..0.78.
    """
    if not isinstance(share, numbers.Real):
        raise ValueError(f"a parity of {share!r}, expected a number from 0 to 0.78, such as 0.1 for 10 %")
    checks = math.ceil(CODE * (1 - 1 / math.sqrt(1 + share)) - 1e-9) if share >= 0 else -1
    if not 0 <= checks <= MAX_CHECKS:
        raise ValueError(f"a parity of {share:.0%}, expected 0 % to 78 %")
    return checks


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """How a message of `size` bytes lies in the cube, at `checks` check symbols a codeword."""

    size: int
    checks: int

    @property
    def width(self) -> int:
        """Message symbols of a row."""
        return CODE - self.checks

    @property
    def blocks(self) -> int:
        """Products side by side."""
        return max(1, -(-self.size // self.width**2))

    @property
    def rows(self) -> int:
        """Rows that hold the message."""
        return max(1, -(-self.size // (self.width * self.blocks)))

    @property
    def cells(self) -> int:
        """Symbols of one product, check symbols included."""
        return (self.rows + self.checks) * CODE

    @property
    def symbols(self) -> int:
        """Symbols of all products: bytes of the encoded message."""
        return self.cells * self.blocks

    @property
    def words(self) -> int:
        """Codewords, rows and columns, of all products."""
        return (self.rows + self.checks + CODE) * self.blocks


@functools.lru_cache(maxsize=4)
def order(cells: int) -> np.ndarray:
    """Returns the order in which the cells of a product are sent, int64[cells].

    It sorts the first `cells` little-endian 32-bit words of SHAKE-128("stegano_tf parity 1"), ties by position: so a
    burst looks like errors drawn at random, and every reader in every language can compute it.
    """
    words = np.frombuffer(hashlib.shake_128(b"stegano_tf parity 1").digest(4 * cells), "<u4")
    return np.argsort(words, kind="stable")


def encode(message: np.ndarray, checks: int) -> Iterator[np.ndarray]:
    """Yields the encoded message, uint8[Shape.symbols] in blocks, of uint8[N], N at least 1."""
    shape = Shape(len(message), checks)
    cube = scratch.zeros(shape.symbols).reshape(shape.rows + checks, CODE, shape.blocks)
    plane = shape.width * shape.blocks
    for rows in scratch.parts(shape.rows, CODE * shape.blocks):
        data = message[rows.start * plane : rows.stop * plane]
        data = np.append(data, np.zeros((rows.stop - rows.start) * plane - len(data), np.uint8))
        planes = cube[rows]
        planes[:, : shape.width] = data.reshape(-1, shape.width, shape.blocks)
        if checks:
            made = check_symbols(planes[:, : shape.width].transpose(1, 0, 2), checks)
            planes[:, shape.width :] = made.transpose(1, 0, 2)
        scratch.release(cube)
        scratch.release(message)
    cells = cube.reshape(-1, shape.blocks)
    for columns in scratch.parts(CODE if checks else 0, shape.rows * shape.blocks):
        places = np.arange(shape.rows)[:, None] * CODE + np.arange(columns.start, columns.stop)
        data = scratch.take(cells, places.reshape(-1)).reshape(*places.shape, -1)
        cube[shape.rows :, columns] = check_symbols(data, checks)
        scratch.release(cube)
    places = order(shape.cells)
    for part in scratch.parts(shape.cells, shape.blocks):
        yield scratch.take(cells, places[part]).reshape(-1)


def gather(symbols: np.ndarray, shape: Shape) -> np.ndarray:
    """Returns the cube, [rows + checks, 255, blocks], whose cells were sent as `symbols`."""
    cells = np.empty((shape.cells, shape.blocks), symbols.dtype)
    cells[order(shape.cells)] = symbols.reshape(-1, shape.blocks)
    return cells.reshape(-1, CODE, shape.blocks)


def message(cube: np.ndarray, shape: Shape) -> np.ndarray:
    """Returns the message in a cube, uint8[shape.size]."""
    return np.ascontiguousarray(cube[: shape.rows, : shape.width]).reshape(-1)[: shape.size]


def read_message(symbols: Iterable[np.ndarray], shape: Shape) -> np.ndarray:
    """Returns the message, uint8[shape.size], in blocks of symbols as `encode` yields them, nothing of it checked."""
    data = scratch.zeros(shape.rows * shape.width * shape.blocks)
    cells = data.reshape(-1, shape.blocks)
    rows, columns = np.divmod(order(shape.cells), CODE)
    places = np.where((rows < shape.rows) & (columns < shape.width), rows * shape.width + columns, -1)
    parts = scratch.parts(shape.cells, shape.blocks)
    count = max(1, scratch.PART // shape.blocks)
    for part, piece in zip(parts, scratch.pieces(symbols, count * shape.blocks), strict=True):
        kept = places[part] >= 0
        cells[places[part][kept]] = piece.reshape(-1, shape.blocks)[kept]
        scratch.release(data)
    return data[: shape.size]


def count_wrong(cube: np.ndarray, shape: Shape) -> int:
    """Returns how many rows and columns are no codewords."""
    if not shape.checks:
        return 0
    views = (cube.transpose(1, 0, 2), shape.width), (cube, shape.rows)
    return sum(np.count_nonzero(_no_codewords(symbols, kept, shape.checks)) for symbols, kept in views)


def repair(cube: np.ndarray, doubtful: np.ndarray, shape: Shape) -> tuple[int, int]:
    """Corrects a cube in place as far as the check symbols allow.

    Args:
      cube: uint8[rows + checks, 255, blocks].
      doubtful: bool of that shape: symbols that look damaged or are missing; it is used up.

    Returns:
      How many codewords are still wrong, and how many there are.
    """
    if not shape.checks:
        return 0, shape.words
    # Two views of one memory; the first axis counts the symbols of a codeword.
    views = [(cube.transpose(1, 0, 2), doubtful.transpose(1, 0, 2), CODE - shape.checks), (cube, doubtful, shape.rows)]
    decoder = _decoder(shape.checks)
    cornered = False
    failed: dict[tuple[int, int, int], int] = {}
    wrong = [_wrong_words(*view, shape.checks) for view in views]
    left = sum(map(np.count_nonzero, wrong))
    for sweep in range(_MAX_SWEEPS):
        # The first sweep keeps two check symbols in hand: at the limit of 12, one correction in 720 is a false one.
        spare = 2 if sweep == 0 and shape.checks > 4 else 0
        changed = 0
        for axis, (symbols, doubts, kept) in enumerate(views):
            wrong[axis] = _wrong_words(symbols, doubts, kept, shape.checks)
            before = changed
            for tried, (word, block) in enumerate(zip(*np.nonzero(wrong[axis]), strict=True)):
                # Damage is spread evenly: after so many failures the rest would fail as well, and take long.
                if sweep == 0 and tried == 2 * _HOPELESS and changed == before:
                    break
                found = symbols[:, word, block], doubts[:, word, block]
                state = hash((found[0].tobytes(), found[1].tobytes()))
                # What failed once fails again, unless the other direction has changed it.
                if failed.get((axis, word, block)) != state:
                    done = decoder.correct(*found, kept, spare=spare)
                    changed += bool(done)
                    if done is None or not (done or spare):
                        failed[axis, word, block] = state
        wrong = [_wrong_words(*view, shape.checks) for view in views]
        left, earlier = sum(map(np.count_nonzero, wrong)), left
        if not left:
            break
        # Words that are right now are counted: two directions can undo each other's false corrections for ever.
        if earlier - left < left / _HOPELESS:
            # What is left lies where a wrong row crosses a wrong column. If either are few, call all crossings lost.
            if cornered or min(view.sum(axis=0).max() for view in wrong) > shape.checks:
                break
            doubtful |= wrong[0][:, None, :] & wrong[1][None, :, :]
            cornered = True
    return left, shape.words


def correct_word(word: np.ndarray, checks: int) -> bool:
    """Corrects one codeword, uint8[N], whose last `checks` symbols are check symbols, and returns whether it could."""
    kept = len(word) - checks
    if not _no_codewords(word[:, None], kept, checks).any():
        return True
    return _decoder(checks).correct(word, np.zeros(len(word), bool), kept, spare=0)


@functools.lru_cache(maxsize=4)
def _encoder(checks: int):
    import zfec  # noqa: PLC0415 (a shared library that a sound without parity does not need)

    return zfec.Encoder(CODE - checks + 1, CODE + 1)


def check_symbols(data: np.ndarray, checks: int) -> np.ndarray:
    """Returns the check symbols, uint8[checks, ...], of codewords along the first axis of `data`, uint8[n, ...].

    zfec's code has 256 symbols, the first of which is the value at 0 of a polynomial whose other values are a
    Reed-Solomon codeword. It is kept at 0 and not sent; so are the symbols by which the codeword is shorter than 255.
    """
    zeros = bytes(data[0].size)
    shares = [zeros, *(np.ascontiguousarray(plane).reshape(-1) for plane in data)]
    shares += [zeros] * (CODE - checks + 1 - len(shares))
    made = _encoder(checks).encode(shares, list(range(CODE + 1 - checks, CODE + 1)))
    return np.stack([np.frombuffer(share, np.uint8) for share in made]).reshape(checks, *data.shape[1:])


def _no_codewords(symbols: np.ndarray, kept: int, checks: int) -> np.ndarray:
    return (check_symbols(symbols[:kept], checks) != symbols[kept:]).any(axis=0)


def _wrong_words(symbols: np.ndarray, doubts: np.ndarray, kept: int, checks: int) -> np.ndarray:
    """Returns which, bool[words, blocks], are no codewords or mostly doubtful; clears the doubts of the others."""
    wrong = _no_codewords(symbols, kept, checks)
    wrong |= 2 * np.count_nonzero(doubts, axis=0) > len(doubts)  # zeros in place of what is missing are a codeword, too
    doubts &= wrong
    return wrong


class _Decoder:
    def __init__(self, checks: int):
        import reedsolo  # noqa: PLC0415
        import zfec  # noqa: PLC0415

        self._checks = checks
        self._kept = CODE - checks
        self._erasures = zfec.Decoder(self._kept + 1, CODE + 1)
        self._errors = reedsolo.RSCodec(checks, nsize=CODE, fcr=0, prim=0x11D, generator=2)
        self._failure = reedsolo.ReedSolomonError

    def correct(self, symbols: np.ndarray, doubts: np.ndarray, kept: int, *, spare: int) -> bool | None:
        """Corrects a codeword in place, if it can with `spare` check symbols unused, and returns whether it did.

        None says that it could not with all of them either.
        """
        whole = np.zeros(CODE + 1, np.uint8)
        places = np.concatenate([np.arange(1, kept + 1), np.arange(self._kept + 1, CODE + 1)])
        whole[places] = symbols
        lost = places[doubts]
        if len(lost) > self._checks - spare:
            return False  # the other direction will leave fewer
        for solve in (self._solve_erasures, self._solve_errors):
            try:
                solved = solve(whole, lost, spare)
            except self._failure:
                return None
            # A correction outside the shortened codeword is a false one.
            if solved is not None and np.count_nonzero(solved) == np.count_nonzero(solved[places]):
                symbols[:] = solved[places]
                doubts[:] = False
                return True
        return False

    def _solve_erasures(self, whole: np.ndarray, lost: np.ndarray, spare: int) -> np.ndarray | None:
        # Two check symbols are left to confirm that nothing else is wrong; in later sweeps the other direction does.
        if not len(lost) or len(lost) > self._checks - spare:
            return None
        gone = set(lost.tolist())
        spares = (place for place in range(self._kept + 1, CODE + 1) if place not in gone)
        use = [place if place not in gone else next(spares) for place in range(self._kept + 1)]
        data = whole.tobytes()
        solved = whole.copy()
        kept = self._erasures.decode([data[place : place + 1] for place in use], use)
        solved[: self._kept + 1] = np.frombuffer(b"".join(kept), np.uint8)
        solved[self._kept + 1 :] = check_symbols(solved[1 : self._kept + 1], self._checks)
        changed = np.flatnonzero(solved != whole)
        return solved if np.isin(changed, lost).all() else None

    def _solve_errors(self, whole: np.ndarray, lost: np.ndarray, spare: int) -> np.ndarray | None:
        erased = (CODE - lost).tolist() if len(lost) else None
        _, word, places = self._errors.decode(whole[:0:-1].tobytes(), erase_pos=erased)
        if 2 * len(places) - len(lost) > self._checks - spare:
            return None
        return np.concatenate([whole[:1], np.frombuffer(word, np.uint8)[::-1]])


_decoder = functools.lru_cache(maxsize=4)(_Decoder)
