"""The manifest: a Parquet or CSV file that names the pairs of a job, all of it checked before anything runs."""

import hashlib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from stegano_tf.batch import store
from stegano_tf.errors import DataError, one_line

# A segment that is empty, "." or "..", or is where a job keeps its unfinished files; or a backslash, which separates
# names on some systems.
_UNSAFE = r"(^|/)(\.{0,2}|\.stegano_tf-[^/]*)(/|$)|\\"


def read(uri: str, columns: Sequence[str]) -> tuple[pa.Table, str]:
    """Returns the columns of a manifest as text, and the SHA-256 of the file in hexadecimal.

    Raises:
      DataError: it cannot be read, lacks a column, has one that is neither text nor whole numbers, or an empty value;
        an id or an output is there twice, or an output does not lie below the output root.
    """
    try:
        content = store.read(uri)
    except FileNotFoundError as error:
        raise DataError(f"{uri}: does not exist, expected a .parquet or .csv file") from error
    except OSError as error:
        raise DataError(f"{uri}: the manifest cannot be read: {one_line(error)}") from error
    try:
        table = _parse(uri, content)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise DataError(f"{uri}: is no manifest, expected a .parquet or .csv file ({one_line(error)})") from error
    for name in columns:
        if (found := table.column_names.count(name)) != 1:
            there = ", ".join(table.column_names)
            raise DataError(f"{uri}: has {found or 'no'} columns {name!r}, expected one, beside {there}")
    table = pa.table({name: _text(uri, name, table[name]) for name in columns})
    for name in ("id", "output"):
        if name in columns:
            _refuse_twice(uri, name, table[name])
    if "output" in columns:
        _refuse(
            uri,
            "output",
            table["output"],
            pc.match_substring_regex(table["output"], _UNSAFE),
            "a path below the output root",
        )
    return table, hashlib.sha256(content).hexdigest()


def _parse(uri: str, content: bytes) -> pa.Table:
    source = pa.BufferReader(content)
    if content.startswith(b"PAR1"):
        return pq.read_table(source)
    names = pyarrow.csv.open_csv(source).schema.names
    # As text: 007 is no number here.
    convert = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    return pyarrow.csv.read_csv(pa.BufferReader(content), convert_options=convert)


def _text(uri: str, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns a column as text, after it was checked that every row has some."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if kind not in (pa.string(), pa.large_string(), pa.string_view()) and not pa.types.is_integer(kind):
        raise DataError(f"{uri}: the column {name!r} holds {kind}, expected text")
    text = column.cast(pa.string())
    _refuse(uri, name, text, pc.fill_null(pc.equal(text, ""), True), "a value in each row")
    return text


def _refuse_twice(uri: str, name: str, column: pa.ChunkedArray) -> None:
    counts = pc.value_counts(column)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        value, count = twice[0]["values"], twice[0]["counts"]
        more = f", and {len(twice) - 1:,} more such values" if len(twice) > 1 else ""
        raise DataError(f"{uri}: the {name} {value.as_py()!r} is there {count} times{more}, expected each once")


def _refuse(uri: str, name: str, column: pa.ChunkedArray, wrong: pa.ChunkedArray, expected: str) -> None:
    """Raises DataError with the first row that is wrong."""
    row = pc.index(wrong, True).as_py()
    if row >= 0:
        more = f", and {count - 1:,} more rows" if (count := pc.sum(wrong).as_py()) > 1 else ""
        raise DataError(f"{uri}: row {row + 1} has {name} {column[row].as_py()!r}{more}, expected {expected}")
