import gzip
import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stegano_tf.batch import manifest
from stegano_tf.errors import DataError

COLUMNS = ("id", "cover", "output")


def written(tmp_path, text):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    return str(path)


def test_a_csv_file_is_text_whatever_it_looks_like(tmp_path):
    path = written(tmp_path, "output,id,cover,note\na.png,007,1.png,x\nb/b.png,NA,true,\n")
    table, digest = manifest.read(path, COLUMNS)
    assert table.to_pylist() == [
        {"id": "007", "cover": "1.png", "output": "a.png"},
        {"id": "NA", "cover": "true", "output": "b/b.png"},
    ]
    assert digest == hashlib.sha256((tmp_path / "pairs.csv").read_bytes()).hexdigest()


def test_a_parquet_file_may_have_whole_numbers(tmp_path):
    pq.write_table(pa.table({"id": [7, 8], "cover": ["a", "b"], "output": ["x", "y"]}), tmp_path / "pairs.parquet")
    table, _ = manifest.read(str(tmp_path / "pairs.parquet"), COLUMNS)
    assert table["id"].to_pylist() == ["7", "8"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,cover\n1,a\n", "has no columns 'output', expected one, beside id, cover$"),
        ("id,id,cover,output\n1,1,a,b\n", "has 2 columns 'id', expected one"),
        ("id,cover,output\n1,a,x\n2,,y\n3,,z\n", "row 2 has cover '', and 1 more rows, expected a value in each row"),
        ("id,cover,output\n1,a,x\n1,b,y\n", "the id '1' is there 2 times, expected each once"),
        ("id,cover,output\n1,a,x\n2,b,x\n3,b,y\n4,b,y\n", "the output 'x' is there 2 times, and 1 more such values"),
        ("id,cover,output\n1,a\n", "is no manifest, expected a .parquet or .csv file"),
        ("", "is no manifest"),
        ("PAR1 is not enough", "is no manifest"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=f"pairs.csv: {message}"):
        manifest.read(written(tmp_path, text), COLUMNS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "id,größe\n1,2\n".encode("latin-1"),
        lambda _: gzip.compress(b"id,cover,output\n1,a,b\n"),
        lambda whole: whole[:4] + bytes(len(whole) - 12) + whole[-8:],
    ],
)
def test_bytes_of_another_kind(tmp_path, damage):
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"id": ["1"]}), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"pairs.parquet: is no manifest, expected a .parquet or .csv file \("):
        manifest.read(str(path), COLUMNS)


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_text_as_other_libraries_write_it(tmp_path, kind):
    ids = pa.array(["007", "b"]).cast(kind)
    pq.write_table(pa.table({"id": ids, "cover": ["a", "b"], "output": ["x", "y"]}), tmp_path / "pairs.parquet")
    assert manifest.read(str(tmp_path / "pairs.parquet"), COLUMNS)[0]["id"].to_pylist() == ["007", "b"]


@pytest.mark.parametrize(
    "output",
    [
        "../x.png",
        "a/../../x.png",
        "/x.png",
        "a//x.png",
        "./x.png",
        "a/.",
        "..",
        "a/",
        "s3://b/x.png",
        r"a\x.png",
        ".stegano_tf-0/x.png",
    ],
)
def test_outputs_that_leave_the_root_are_refused(tmp_path, output):
    path = written(tmp_path, f"id,cover,output\n1,a,x.png\n2,a,{output}\n")
    with pytest.raises(DataError, match=r"pairs\.csv: row 2 has output .*, expected a path below the output root"):
        manifest.read(path, COLUMNS)


@pytest.mark.parametrize("output", ["a..b.png", "..a.png", ".a.png", "a/b/c.png", "a b.png", "ä.png", "..."])
def test_odd_names_of_outputs(tmp_path, output):
    assert (
        manifest.read(written(tmp_path, f"id,cover,output\n1,a,{output}\n"), COLUMNS)[0]["output"][0].as_py() == output
    )


@pytest.mark.parametrize("values", [[1.5, 2.0], [[1], [2]], [b"1", b"2"]])
def test_other_types_are_refused(tmp_path, values):
    pq.write_table(pa.table({"id": values, "cover": ["a", "b"], "output": ["x", "y"]}), tmp_path / "pairs.parquet")
    with pytest.raises(DataError, match=r"the column 'id' holds .*, expected text"):
        manifest.read(str(tmp_path / "pairs.parquet"), COLUMNS)


def test_a_null_is_no_value(tmp_path):
    pq.write_table(pa.table({"id": ["1", None], "cover": ["a", "b"], "output": ["x", "y"]}), tmp_path / "pairs.parquet")
    with pytest.raises(DataError, match="row 2 has id None, expected a value in each row"):
        manifest.read(str(tmp_path / "pairs.parquet"), COLUMNS)


@pytest.mark.parametrize("uri", ["missing.csv", "nothing://b/x.csv"])
def test_a_manifest_that_is_not_there(tmp_path, uri):
    with pytest.raises(DataError, match=r"missing\.csv: does not exist|nothing://b: is no place for files"):
        manifest.read(uri if "://" in uri else str(tmp_path / uri), COLUMNS)
