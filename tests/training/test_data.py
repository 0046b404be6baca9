"""Pairs: the plan by counting, the pixels by hand, and that every way to get them gives the same."""

import io
import os
import subprocess
import sys
import textwrap
import threading
import types
from pathlib import Path

import numpy as np
import PIL.Image
import psutil
import pytest
import tensorflow as tf

from stegano_tf import pairing
from stegano_tf.errors import DataError, ImageError
from stegano_tf.training.data import sources, tf_data
from stegano_tf.training.data.batches import PairBatches
from stegano_tf.training.data.plan import PairPlan
from stegano_tf.training.data.sources import validation_pairs
from stegano_tf.training.data.stored import StoredPairs

ROOT = Path(__file__).parents[2]


def pictures(count: int, height: int = 40, width: int = 50) -> list[np.ndarray]:
    """Noise, except that the first channel holds the picture's number."""
    arrays = np.random.default_rng(count).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    arrays[..., 0] = np.arange(count)[:, None, None]
    return list(arrays)


def encoded(array: np.ndarray, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(array).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Pictures as people have them: JPEG with subsampled colours, PNG, of several sizes, in folders."""
    for i, (height, width) in enumerate([(60, 60), (70, 50), (41, 90), (48, 48), (64, 65), (100, 99), (50, 51)]):
        file = tmp_path / "pictures" / str(i % 3) / f"{i}.{'png' if i % 3 == 2 else 'jpg'}"
        file.parent.mkdir(parents=True, exist_ok=True)
        smooth = PIL.Image.fromarray(pictures(7, 8, 8)[i]).resize((width, height), PIL.Image.Resampling.BICUBIC)
        smooth.save(file, **({} if i % 3 == 2 else {"subsampling": i % 3 * 2}))
    return tmp_path / "pictures"


def secrets_of(covers):
    """The covers of the next batch, around the end; of a single batch, those of the next pair."""
    return np.roll(covers, -1, axis=0 if len(covers) > 1 else 1)


def epoch_of(source, epochs=1, start_epoch=0, **options) -> list[tuple[np.ndarray, np.ndarray]]:
    batches = PairBatches(source, **options)
    steps = batches.plan.steps
    return list(tf_data.dataset(batches, start_epoch * steps, epochs * steps).as_numpy_iterator())


@pytest.mark.parametrize("count, batch_size", [(2, 1), (2, 2), (10, 5), (11, 4), (7, 7), (100, 8)])
def test_plan_uses_each_picture_once_in_each_role(count, batch_size):
    plan = PairPlan(count, batch_size, seed=1)
    for number in range(3):
        epoch = plan.epoch(number)
        secrets = secrets_of(epoch.covers)
        assert epoch.covers.shape == (count // batch_size, batch_size)
        assert epoch.draws.shape == (2, count // batch_size, batch_size, 3)
        assert len(set(epoch.covers.flat)) == epoch.covers.size
        assert set(epoch.covers.flat) <= set(range(count))
        assert not (epoch.covers == secrets).any()


def test_plan_is_the_seeds_and_the_epochs():
    def covers(seed, epoch):
        return PairPlan(50, 5, seed).epoch(epoch).covers.tolist()

    assert covers(0, 0) == covers(0, 0)
    assert len({str(covers(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    # The ones that sit out change: over some epochs all are used.
    assert len({i for epoch in range(20) for i in PairPlan(9, 5).epoch(epoch).covers.flat}) == 9


@pytest.mark.parametrize("count", [2, 3])
def test_shards_deal_out_the_pairs_of_one_plan(count):
    whole = PairPlan(40, 6).epoch(3)
    shards = [PairPlan(40, 6 // count, shard=(i, count)).epoch(3) for i in range(count)]
    for decided in (lambda epoch: epoch.covers, lambda epoch: secrets_of(epoch.covers)):
        dealt = np.stack([decided(shard) for shard in shards], axis=-1).reshape(6, 6)
        np.testing.assert_array_equal(dealt, decided(whole))
    np.testing.assert_array_equal(shards[1].draws, whole.draws[:, :, 1::count])


def test_plan_refuses():
    with pytest.raises(DataError, match="5 pictures cannot make a batch of 6 pairs on 1 workers, expected at least 6"):
        PairPlan(5, 6)
    with pytest.raises(DataError, match="expected at least 2"):
        PairPlan(1, 1)
    with pytest.raises(DataError, match="expected at least 12"):
        PairPlan(11, 4, shard=(0, 3))
    with pytest.raises(ValueError, match=r"shard=\(2, 2\)"):
        PairPlan(10, 1, shard=(2, 2))
    assert PairPlan(1800, 8).steps == 225
    assert PairPlan(1800, 8, shard=(0, 2)).steps == 112


@pytest.mark.parametrize("cache", [False, True])
def test_pixels_are_the_windows_that_the_plan_draws(cache):
    source = pictures(6)
    batches = PairBatches(source, batch_size=3, crop=16, seed=5, cache=cache)
    flips = set()
    for number in range(8):
        epoch, step = batches.plan.epoch(number // 2), number % 2
        for use, (images, indexes) in enumerate(
            zip(batches.batch(number), (epoch.covers[step], secrets_of(epoch.covers)[step]), strict=True)
        ):
            # The draws of a secret stand where the picture is a cover: one batch on.
            draws = epoch.draws[use, (step + use) % 2]
            for image, index, (top, left, flip) in zip(images, indexes, draws, strict=True):
                y, x = int(top * (40 - 16 + 1)), int(left * (50 - 16 + 1))
                window = source[index][y : y + 16, x : x + 16]
                window = [window, window[::-1], window[:, ::-1], window[::-1, ::-1]][int(flip * 4)]
                np.testing.assert_array_equal(image, window)
                flips.add(int(flip * 4))
    assert flips == {0, 1, 2, 3}


def test_without_augmentation_pictures_are_whole():
    source = pictures(4, 16, 16)
    cover, secret = PairBatches(source, batch_size=4, crop=16, flips=False).batch(0)
    np.testing.assert_array_equal(np.sort(cover[:, 0, 0, 0]), range(4))
    for image in [*cover, *secret]:
        np.testing.assert_array_equal(image, source[image[0, 0, 0]])
    assert not (cover[:, 0, 0, 0] == secret[:, 0, 0, 0]).any()


def test_small_pictures_are_enlarged():
    source = [np.full((10, 20, 3), 7, np.uint8), np.full((100, 100, 3), 9, np.uint8)]
    cover, secret = PairBatches(source, batch_size=2, crop=32).batch(0)
    assert cover.shape == secret.shape == (2, 32, 32, 3)
    assert sorted(image[5, 5, 0] for image in cover) == [7, 9]


def test_each_picture_is_decoded_once_for_both_uses(monkeypatch):
    decoded = []
    original = sources.decode
    monkeypatch.setattr(sources, "decode", lambda element, i: decoded.append(i) or original(element, i))
    list(tf_data.dataset(PairBatches(pictures(40), batch_size=4, crop=16, cache=False), count=10))
    assert sorted(set(decoded)) == list(range(40))
    assert len(decoded) == 44  # the first batch again, as the last one's secrets


OPTIONS = [
    {"batch_size": 2, "crop": 24},
    {"batch_size": 7, "crop": 40, "seed": 9},
    {"batch_size": 3, "crop": 32},
    {"batch_size": 1, "crop": 48, "flips": False},
    {"batch_size": 7, "crop": 64},
    {"batch_size": 2, "crop": 24, "shard": (1, 3)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cache", [False, True])
def test_batches_and_their_dataset_are_the_same(folder, options, cache):
    dataset = epoch_of(folder, epochs=2, **options)
    batches = PairBatches(folder, cache=cache, **options)
    assert len(dataset) == 2 * batches.plan.steps
    np.testing.assert_array_equal(dataset, [batches.batch(i) for i in range(len(dataset))])


def test_batches_are_the_same_without_tensorflow_and_keras(folder, tmp_path):
    script = """
        import sys
        sys.modules["tensorflow"] = None  # importing it raises ImportError
        sys.modules["keras"] = None
        import numpy as np
        from stegano_tf.training.data.batches import PairBatches
        batches = PairBatches(sys.argv[1], batch_size=2, crop=24)
        np.save(sys.argv[2], np.array([batches.batch(i) for i in range(6)]))
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", textwrap.dedent(script), str(folder), str(tmp_path / "seen.npy")]
    subprocess.run(command, check=True, env=environment, timeout=120)
    expected = epoch_of(folder, epochs=2, batch_size=2, crop=24)
    np.testing.assert_array_equal(np.load(tmp_path / "seen.npy"), np.array(expected))


@pytest.mark.parametrize(("size", "flips"), [(2, True), (2, False), (5, True)])
def test_the_device_cuts_the_same_batches(size, flips):
    pictures = np.random.default_rng(0).integers(0, 256, (7, 20, 20, 3), dtype=np.uint8)
    options = {"batch_size": size, "crop": 12, "seed": 3, "flips": flips}
    host, device = PairBatches(list(pictures), **options), StoredPairs(pictures, **options)
    for number in range(8):
        np.testing.assert_array_equal(device.batch(number), host.batch(number))
    with pytest.raises(DataError, match="crops of 24x24 out of pictures of 20x20"):
        StoredPairs(pictures, batch_size=2, crop=24)


def test_a_resumed_run_goes_on_with_the_same_pairs(folder):
    options = {"batch_size": 3, "crop": 24}
    whole = epoch_of(folder, epochs=4, **options)
    np.testing.assert_array_equal(whole[4:], epoch_of(folder, epochs=2, start_epoch=2, **options))
    np.testing.assert_array_equal(whole[4], PairBatches(folder, **options).batch(4))
    endless = tf_data.dataset(PairBatches(folder, **options), first=2)
    np.testing.assert_array_equal(whole[2:], list(endless.take(6).as_numpy_iterator()))


def test_dataset_is_static_and_counted(folder):
    batches = PairBatches(folder, batch_size=3, crop=24)
    dataset = tf_data.dataset(batches, count=4)
    assert dataset.element_spec == (tf.TensorSpec((3, 24, 24, 3), tf.uint8),) * 2
    assert dataset.cardinality() == 4
    assert tf_data.dataset(batches).cardinality() == tf.data.INFINITE_CARDINALITY
    policy = dataset.options().experimental_distribute.auto_shard_policy
    assert policy == tf.data.experimental.AutoShardPolicy.OFF


def test_batches_do_not_depend_on_their_order(folder):
    batches = PairBatches(folder, batch_size=2, crop=24, cache=False)
    forwards = [batches.batch(number) for number in range(6)]
    fresh = PairBatches(folder, batch_size=2, crop=24, cache=False)
    backwards = {}
    threads = [
        threading.Thread(target=lambda n=number: backwards.update({n: fresh.batch(n)})) for number in reversed(range(6))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(forwards, [backwards[number] for number in range(6)])


class DataSource:
    """What `tfds.data_source` gives: examples by index, decoded or not."""

    def __init__(self, arrays):
        self.arrays = arrays

    def __len__(self):
        return len(self.arrays)

    def __getitem__(self, index):
        return {"image": self.arrays[index], "label": 0}


def test_sources():
    arrays = pictures(6)
    strings = [encoded(array) for array in arrays]
    slices = tf.data.Dataset.from_tensor_slices
    sources = [
        DataSource(arrays),
        strings,
        slices(np.stack(arrays)),
        slices((np.stack(arrays), range(6))),
        slices({"image": np.stack(arrays), "label": range(6)}),
        slices({"image": strings, "filename": ["a"] * 6}),
        tf.data.Dataset.from_generator(lambda: arrays, output_signature=tf.TensorSpec((None, None, 3), tf.uint8)),
    ]
    options = {"batch_size": 3, "crop": 24}
    expected = epoch_of(arrays, **options)
    for source in sources:
        np.testing.assert_array_equal(epoch_of(source, **options), expected)


def spoil(folder: Path) -> Path:
    bad = sorted(folder.rglob("*.jpg"))[2]
    bad.write_bytes(bad.read_bytes()[:-200])
    return bad


def test_bad_picture_is_named(folder):
    bad = spoil(folder)
    with pytest.raises(ImageError, match=f"{bad}: is a JPEG file that cannot be decoded"):
        PairBatches(folder, batch_size=2, crop=24)
    with pytest.raises(tf.errors.UnknownError, match=f"{bad}: is a JPEG file that cannot be decoded"):
        epoch_of(folder, epochs=3, batch_size=2, crop=24, cache=False)
    with pytest.raises(ImageError, match="picture 1: starts with b'text', expected a whole picture file"):
        PairBatches([encoded(pictures(1)[0]), b"text"], batch_size=1, crop=24)
    examples = tf.data.Dataset.from_tensors({"image": b"text", "filename": "train/dog/1_32.jpg"}).repeat(2)
    with pytest.raises(ImageError, match=r"picture 0 \(train/dog/1_32.jpg\)"):
        PairBatches(examples, batch_size=1, crop=24)
    with pytest.raises(ValueError, match=r"expected \(height, width, 3\)"):
        PairBatches([np.zeros((9, 9, 1), np.uint8)] * 2, batch_size=1, crop=8).batch(0)


@pytest.mark.parametrize("cache", [False, True])
def test_skip_bad_images_leaves_them_out_and_counts(folder, cache, caplog):
    bad = spoil(folder)
    good = [file for file in pairing.list_pictures(folder) if file != bad]
    with caplog.at_level("WARNING"):
        found = epoch_of(folder, batch_size=2, crop=24, cache=cache, skip_bad_images=True)
    np.testing.assert_array_equal(found, epoch_of(good, batch_size=2, crop=24))
    assert f"Left out: {bad}" in caplog.text
    assert "Left out 1 of 7 pictures" in caplog.text


def test_skip_bad_images_of_validation(folder, caplog):
    bad = spoil(folder)
    good = [file for file in pairing.list_pictures(folder) if file != bad]
    with pytest.raises(ImageError, match=f"{bad}: is a JPEG file that cannot be decoded"):
        validation_pairs(folder, batch_size=9, size=32)
    with caplog.at_level("WARNING"):
        ((cover, secret),) = validation_pairs(folder, batch_size=9, size=32, skip_bad_images=True)
    assert f"Left out: {bad}" in caplog.text
    assert "Left out 1 of 7 pictures" in caplog.text
    ((expected_cover, expected_secret),) = validation_pairs(good, batch_size=9, size=32)
    np.testing.assert_array_equal(cover, expected_cover)
    np.testing.assert_array_equal(secret, expected_secret)
    with pytest.raises(DataError, match="1 pictures, expected at least 2"):
        validation_pairs([good[0], bad], batch_size=9, size=32, skip_bad_images=True)


@pytest.mark.parametrize("cache", [False, True])
def test_batches_that_somebody_holds_are_left_alone(folder, cache):
    options = {"batch_size": 2, "crop": 24}
    batches = PairBatches(folder, cache=cache, **options)
    expected = [[image.copy() for image in batches.batch(i)] for i in range(30)]
    np.testing.assert_array_equal([batches.batch(i) for i in range(30)], expected)
    # The last view of a batch keeps it, without the arrays that were given.
    rows = [batches.batch(i)[0][1, 5:7] for i in range(30)]
    for row, (cover, _) in zip(rows, expected, strict=True):
        np.testing.assert_array_equal(row, cover[1, 5:7])
    tensors = list(tf_data.dataset(batches, count=30))
    np.testing.assert_array_equal(tensors, expected)


def test_memory_of_batches_is_used_again():
    batches = PairBatches(pictures(8), batch_size=2, crop=24, cache=True)
    places = {image.ctypes.data for number in range(20) for image in batches.batch(number)}
    assert len(places) <= 4
    held = [batches.batch(number)[0] for number in range(5)]
    assert len({image.ctypes.data for image in held}) == 5
    assert all(image.ctypes.data % 64 == 0 for image in held)


@pytest.mark.parametrize("room", [True, False])
def test_mirror_images_are_kept_if_there_is_room(monkeypatch, room):
    source = pictures(6, 40, 50)
    expected = [PairBatches(source, batch_size=3, crop=24, cache=False).batch(i) for i in range(8)]
    available = 2 * 6 * 6000 - (0 if room else 1)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=available))
    batches = PairBatches(source, batch_size=3, crop=24, cache=True)
    assert (batches._mirrored is not None) == room
    np.testing.assert_array_equal([batches.batch(i) for i in range(8)], expected)


@pytest.mark.parametrize("available, cached", [(2 * 6 * 6000 + 1, True), (2 * 6 * 6000 - 1, False)])
def test_auto_cache_takes_half_of_the_memory_at_most(monkeypatch, available, cached):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=available))
    strings = [encoded(array) for array in pictures(6, 40, 50)]  # 6000 bytes each, once decoded
    batches = PairBatches(strings, batch_size=2, crop=24)
    assert isinstance(batches._pictures[0], np.ndarray if cached else bytes)


def test_a_dataset_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=50_000))
    endless = tf.data.Dataset.from_tensors(pictures(1)[0]).repeat()
    with pytest.raises(DataError, match="more than half of the free memory after 5 pictures"):
        PairBatches(endless, batch_size=2, crop=24)


def test_validation_pairs():
    source = pictures(5, 20, 31)
    batches = validation_pairs(source, batch_size=2, size=16)
    assert [cover.shape for cover, _ in batches] == [(2, 16, 16, 3), (2, 16, 16, 3), (1, 16, 16, 3)]
    covers, secrets = (np.concatenate(images) for images in zip(*batches, strict=True))
    for i, j in [(0, 2), (1, 3), (2, 4), (3, 0), (4, 1)]:
        np.testing.assert_array_equal(covers[i], source[i][2:18, 7:23])
        np.testing.assert_array_equal(secrets[i], source[j][2:18, 7:23])
    limited = next(iter(validation_pairs(source[:3], batch_size=9, size=16)))
    np.testing.assert_array_equal(limited[1][:, 0, 0, 0], [1, 2, 0])


def test_validation_pairs_refuses(folder):
    with pytest.raises(DataError, match=r"2.jpg: the picture is 90x41, expected at least 48x48|.png: the picture is"):
        validation_pairs(folder, batch_size=2, size=48)
    with pytest.raises(DataError, match="1 pictures, expected at least 2"):
        validation_pairs(pairing.list_pictures(folder)[:1], batch_size=2, size=16)


def test_the_interpreter_exits_while_batches_are_made():
    # Without care one exit in ten hung, see `_Calls`. The forks save importing TensorFlow each time.
    script = """
        import os, signal, sys, time
        import numpy as np
        import tensorflow
        from stegano_tf.training.data.batches import PairBatches
        from stegano_tf.training.data.tf_data import dataset

        for _ in range(8):
            child = os.fork()
            if not child:
                break
            assert os.waitpid(child, 0)[1] == 0
        else:
            os._exit(0)
        signal.alarm(30)  # ends a process that hangs, with another status than 0
        iterator = iter(dataset(PairBatches(np.zeros((64, 128, 128, 3), np.uint8), batch_size=8, crop=64)))
        next(iterator)
        time.sleep(np.random.default_rng().uniform(0, 0.02))
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, env=environment, timeout=240)
