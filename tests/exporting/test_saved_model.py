"""The SavedModel as those who serve it meet it: without this package, and through TensorFlow's own tools."""

import json
import subprocess
import sys

import blocks
import numpy as np
import pytest

from stegano_tf import presets
from stegano_tf.networks import build, pictures
from stegano_tf.runtime.exported import Exported

SIGNATURES = {
    "hide": ({"cover", "secret"}, {"stego"}),
    "reveal": ({"stego"}, {"secret"}),
    "serving_default": ({"stego"}, {"secret"}),
    "hide_bytes": ({"cover_bytes", "secret_bytes"}, {"stego_bytes"}),
    "reveal_bytes": ({"stego_bytes"}, {"secret_bytes"}),
}

# Runs in a process in which importing this package, or Keras, fails; then TensorFlow's command, for several command
# lines. To import TensorFlow takes most of the time of one.
STRANGER = """
import json, sys
for name in ("stegano_tf", "keras", "tf_keras"):
    sys.modules[name] = None
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
given, found = np.load(sys.argv[2]), {}
for key in {key.split("/")[0] for key in given.files}:
    cover, secret = given[key + "/cover"], given[key + "/secret"]
    stego = model.signatures["hide"](cover=tf.constant(cover), secret=tf.constant(secret))["stego"].numpy()
    revealed = {name: model.signatures[name](stego=tf.constant(stego))["secret"].numpy()
                for name in ("reveal", "serving_default")}
    assert (revealed["reveal"] == revealed["serving_default"]).all()
    found[key + "/stego"], found[key + "/secret"] = stego, revealed["reveal"]
np.savez(sys.argv[3], **found)

from tensorflow.python.tools import saved_model_cli
for line in json.loads(sys.argv.pop()):
    sys.argv[1:] = line
    try:
        saved_model_cli.main()
    except SystemExit as exit_:
        if exit_.code:
            raise
"""

SHAPES = [(1, 16, 16), (8, 17, 23), (3, 64, 48), (1, 384, 512)]


@pytest.fixture(scope="module")
def stranger(tiny_exported, tmp_path_factory):
    """What others get: the pictures that went in, those that came out, the tool's output and folder."""
    folder = tmp_path_factory.mktemp("stranger")
    given = {}
    for shape in SHAPES:
        key = "x".join(map(str, shape))
        given |= {f"{key}/cover": batch(*shape, seed=0), f"{key}/secret": batch(*shape, seed=1)}
    np.savez(folder / "given.npz", **given)
    np.save(folder / "stego.npy", batch(2, 18, 25, seed=0))
    model = ["--dir", str(tiny_exported), "--tag_set", "serve"]
    lines = [
        ["show", *model],
        ["run", *model, "--signature_def", "reveal", "--inputs", "stego=stego.npy", "--outdir", str(folder)],
    ]
    files = [folder / "given.npz", folder / "found.npz"]
    command = [sys.executable, "-c", STRANGER, tiny_exported, *files, json.dumps(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return given, np.load(folder / "found.npz"), done.stdout, folder


@pytest.fixture(scope="module")
def model(tiny_exported):
    import tensorflow as tf

    return tf.saved_model.load(tiny_exported)


@pytest.fixture(scope="module")
def networks(tiny_weights):
    return build.load("tiny", tiny_weights)


def batch(count, height, width, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_a_stranger_gets_what_the_library_gives(stranger, networks):
    given, found, _, _ = stranger
    assert len(found.files) == 2 * len(SHAPES)
    multiples = presets.get("tiny").networks.multiples
    for name in sorted(found.files):
        key, what = name.split("/")
        if what == "stego":
            expected = np.asarray(pictures.hide(networks, multiples, given[f"{key}/cover"], given[f"{key}/secret"]))
            assert np.abs(expected.astype(int) - given[f"{key}/cover"]).max() > 2
            blocks.assert_same_but_for_rare_ones(found[name], expected, name)
        else:
            expected = np.asarray(pictures.reveal(networks, multiples, found[f"{key}/stego"]))
            np.testing.assert_allclose(found[name].astype(int), expected, atol=1, err_msg=name)
        assert (found[name].dtype, found[name].shape) == (np.uint8, expected.shape)


def test_signatures_have_their_names_dtypes_and_free_sizes(model):
    assert set(model.signatures) == set(SIGNATURES)
    for name, (inputs, outputs) in SIGNATURES.items():
        _, specs = model.signatures[name].structured_input_signature
        assert (set(specs), set(model.signatures[name].structured_outputs)) == (inputs, outputs)
        for spec in [*specs.values(), *model.signatures[name].structured_outputs.values()]:
            if name.endswith("bytes"):
                assert (spec.dtype.name, spec.shape.as_list()) == ("string", [None])
            else:
                assert (spec.dtype.name, spec.shape.as_list()) == ("uint8", [None, None, None, 3])


def test_files_in_files_out(model, networks):
    import tensorflow as tf

    cover, secret = batch(3, 21, 33, seed=0), batch(3, 21, 33, seed=1)

    def encoded(pictures_, encode=tf.io.encode_png):
        return tf.stack([encode(picture) for picture in pictures_])

    bytes_ = model.signatures["hide_bytes"](cover_bytes=encoded(cover), secret_bytes=encoded(secret))["stego_bytes"]
    arrays = model.signatures["hide"](cover=tf.constant(cover), secret=tf.constant(secret))["stego"].numpy()
    np.testing.assert_array_equal([tf.io.decode_png(data).numpy() for data in bytes_], arrays)
    assert {data[:8] for data in bytes_.numpy()} == {b"\x89PNG\r\n\x1a\n"}

    found = model.signatures["reveal_bytes"](stego_bytes=bytes_)["secret_bytes"]
    arrays = model.signatures["reveal"](stego=tf.constant(arrays))["secret"].numpy()
    np.testing.assert_array_equal([tf.io.decode_png(data).numpy() for data in found], arrays)

    # JPEG, grey and alpha come in as RGB.
    jpeg = encoded(cover, tf.io.encode_jpeg)
    grey = encoded(secret[..., :1])
    alpha = encoded(np.concatenate([cover, cover[..., :1]], axis=-1))
    for odd in (jpeg, grey, alpha):
        out = model.signatures["hide_bytes"](cover_bytes=odd, secret_bytes=odd)["stego_bytes"]
        assert tf.io.decode_png(out[0]).shape == (21, 33, 3)


@pytest.mark.parametrize(
    ("signature", "inputs", "message"),
    [
        ("hide", {"cover": (2, 16, 16, 3), "secret": (2, 16, 20, 3)}, "cover and secret differ in shape"),
        ("hide", {"cover": (2, 16, 16, 3), "secret": (1, 16, 16, 3)}, "cover and secret differ in shape"),
        ("hide", {"cover": (1, 15, 16, 3), "secret": (1, 15, 16, 3)}, "height or width is below 16 pixels"),
        ("reveal", {"stego": (1, 99, 3, 3)}, "height or width is below 16 pixels"),
    ],
)
def test_wrong_pictures_are_invalid_arguments(model, signature, inputs, message):
    import tensorflow as tf

    arguments = {name: tf.zeros(shape, tf.uint8) for name, shape in inputs.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        model.signatures[signature](**arguments)


def test_wrong_files_are_invalid_arguments(model):
    import tensorflow as tf

    def png(*shape):
        return tf.io.encode_png(tf.zeros((*shape, 3), tf.uint8)).numpy()

    for files in ([b"no picture"], [b""], [png(16, 16)[:40]], [png(16, 16), png(16, 20)], [png(16, 8)]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            model.signatures["reveal_bytes"](stego_bytes=tf.constant(files))


def test_tensorflows_own_tool_shows_and_runs_it(stranger, model):
    import tensorflow as tf

    _, _, output, folder = stranger
    assert all(f'"{name}"' in output for name in SIGNATURES)
    stego = np.load(folder / "stego.npy")
    expected = model.signatures["reveal"](stego=tf.constant(stego))["secret"].numpy()
    np.testing.assert_array_equal(np.load(folder / "secret.npy"), expected)


def test_warm_up_requests_are_prediction_logs_that_the_model_answers(tiny_exported, model):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    records = list(tf.data.TFRecordDataset(str(tiny_exported / "assets.extra" / "tf_serving_warmup_requests")))
    seen = []
    for record in records:
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == "tiny"
        signature = model.signatures[request.model_spec.signature_name]
        outputs = signature(**{name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()})
        assert set(outputs) == SIGNATURES[request.model_spec.signature_name][1]
        seen.append(request.model_spec.signature_name)
    assert sorted(seen) == ["hide", "hide_bytes", "reveal", "reveal_bytes"]


def test_weights_are_saved_once(tiny_exported):
    data = tiny_exported / "variables" / "variables.data-00000-of-00001"
    assert data.stat().st_size < 1.5 * 4 * presets.get("tiny").parameters
    assert Exported.read(tiny_exported).preset == "tiny"
