"""A message in several files, `m.001.mp3`, `m.002.mp3` and so on: how they are called, and which is missing.

The form is the same as in one file. Each of these sounds has other blocks of the message.
"""

import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path

_MOST = 20  # names that are listed: a block may claim any number of them
_NUMBERED = re.compile(r"(.*\.)(\d{3,})(\.[^.]*)", re.DOTALL)


def name(path: Path, number: int) -> Path:
    """Returns what a part is called, counted from 1.

    Example:
      >>> name(Path("m.mp3"), 2).name
      'm.002.mp3'
    """
    return path.with_name(f"{path.stem}.{number:03}{path.suffix}")


def missing(paths: Sequence[Path], last: int, blocks: int) -> list[str]:
    """Returns the names of the first parts that are not there, told by those of the others; [] if they are no parts.

    Args:
      paths: of the files that were read.
      last: number of the last block in them.
      blocks: of the message, in all. All parts but the last have as many.

    Example:
      >>> missing([Path("m.003.mp3"), Path("m.001.mp3")], 29, 35)
      ['m.002.mp3', 'm.004.mp3']
    """
    matches = [_NUMBERED.fullmatch(path.name) for path in paths]
    if not all(matches) or len({(match[1], match[3]) for match in matches}) > 1:
        return []
    numbers = {int(match[2]) for match in matches}
    share = math.ceil((last + 1) / max(1, *numbers))  # blocks of a part; the last one may be shorter
    count = max(*numbers, math.ceil(blocks / share))
    start, _, end = matches[0].groups()
    absent = (number for number in range(1, count + 1) if number not in numbers)
    return [f"{start}{number:03}{end}" for number in itertools.islice(absent, _MOST)]
