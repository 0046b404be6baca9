import json
import os

import numpy as np
import pytest

from stegano_tf.errors import CheckpointError
from stegano_tf.training import checkpoints

ARRAYS = {"a/0/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(7, np.int64)}


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_what_was_saved_comes_back(tmp_path):
    assert checkpoints.latest(tmp_path / "none") is None
    assert checkpoints.write(tmp_path, 12, ARRAYS, {"best": float("inf"), "nothing": None})
    found = checkpoints.latest(tmp_path)
    assert found.state == {"best": float("inf"), "nothing": None}
    assert found.path == tmp_path / "step-000000012.npz"
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_two_are_kept(tmp_path):
    for step in (9, 10, 1000):
        checkpoints.write(tmp_path, step, ARRAYS, {})
    assert names(tmp_path) == ["step-000000010.npz", "step-000001000.npz"]


def test_damaged_ones_push_out_no_good_one(tmp_path):
    def numbers():
        return [int(name[5:14]) for name in names(tmp_path)]

    checkpoints.write(tmp_path, 12, ARRAYS, {})
    for step in (500, 600):
        (tmp_path / f"step-{step:09}.npz").write_bytes(b"torn")
    checkpoints.write(tmp_path, 20, ARRAYS, {})
    assert numbers() == [12, 20, 500, 600]
    (tmp_path / "step-000000020.npz").write_bytes(b"torn")
    checkpoints.write(tmp_path, 30, ARRAYS, {"step": 30})
    assert numbers() == [12, 20, 30, 500, 600]
    assert checkpoints.latest(tmp_path).state == {"step": 30}
    # Training has come to where the damaged ones were.
    checkpoints.write(tmp_path, 600, ARRAYS, {})
    assert numbers() == [30, 500, 600]
    checkpoints.write(tmp_path, 700, ARRAYS, {})
    assert numbers() == [600, 700]


def test_any_flipped_bit_changes_nothing_or_leads_to_the_one_before(tmp_path):
    for step in (1, 2):
        checkpoints.write(tmp_path, step, ARRAYS, {"step": step})
    path = tmp_path / "step-000000002.npz"
    content = bytearray(path.read_bytes())
    steps = []
    for bit in range(0, 8 * len(content), 9):  # 9 shares no factor with 8: each bit of a byte has its turn
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        content[bit // 8] ^= 1 << bit % 8
        found = checkpoints.latest(tmp_path)
        steps.append(found.state["step"])
        assert found.arrays.keys() == ARRAYS.keys()
        assert all(found.arrays[name].tobytes() == array.tobytes() for name, array in ARRAYS.items())
        assert all(found.arrays[name].shape == array.shape for name, array in ARRAYS.items())
    assert steps.count(1) > 0.5 * len(steps)  # zip files hold much that no reader uses


@pytest.mark.parametrize("damage", ["cut", "empty", "bit", "state"])
def test_a_damaged_one_falls_back_to_the_one_before(tmp_path, damage, caplog):
    for step in (1, 2):
        checkpoints.write(tmp_path, step, ARRAYS, {"step": step})
    path = tmp_path / "step-000000002.npz"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "bit":
        content[content.index(ARRAYS["a/0/kernel"].tobytes()) + 5] ^= 1
        path.write_bytes(content)
    else:
        np.savez(path, **ARRAYS)
    with caplog.at_level("WARNING"):
        found = checkpoints.latest(tmp_path)
    assert found.state == {"step": 1}
    assert "step-000000002.npz" in caplog.text
    (tmp_path / "step-000000001.npz").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match="none of the 2 checkpoints can be read"):
        checkpoints.latest(tmp_path)


def test_another_version_is_refused(tmp_path):
    np.savez(tmp_path / "step-000000001.npz", state=np.array(json.dumps({"version": 2})))
    with pytest.raises(CheckpointError, match="checkpoint of version 2, expected 1"):
        checkpoints.latest(tmp_path)


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    np.savez(tmp_path / "step-000000001.npz", state=np.array([Evil()], dtype=object))
    with pytest.raises(CheckpointError, match="none of the 1 checkpoints"):
        checkpoints.latest(tmp_path)
    assert not (tmp_path / "executed").exists()


def test_a_full_disk_leaves_the_last_checkpoints(tmp_path, monkeypatch, caplog):
    checkpoints.write(tmp_path, 1, ARRAYS, {})

    def full(file, **arrays):
        file.write(b"PK half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with caplog.at_level("WARNING"):
        assert not checkpoints.write(tmp_path, 2, ARRAYS, {})
    assert "No space left on device" in caplog.text
    assert names(tmp_path) == ["step-000000001.npz"]
