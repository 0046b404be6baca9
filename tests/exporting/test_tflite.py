"""The TFLite files as apps meet them: LiteRT alone."""

import subprocess
import sys

import blocks
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from stegano_tf import presets, savedmodels
from stegano_tf.errors import PresetError
from stegano_tf.exporting.tflite import Variant
from stegano_tf.networks import build, pictures
from stegano_tf.runtime.backends import tflite_file

MULTIPLES = presets.get("tiny").networks.multiples


@pytest.fixture(scope="module")
def networks(tiny_weights):
    return build.load("tiny", tiny_weights)


def batch(count, height, width, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 24, 40), (1, 128, 96)])
@pytest.mark.parametrize("variant", ["float32", "float16"])
def test_any_batch_and_size_as_the_library(tiny_exported, networks, variant, shape):
    def check(found, expected, same):
        assert (found.dtype, found.shape) == (np.uint8, (*shape, 3))
        if variant == "float32":
            same(found, np.asarray(expected))
        else:  # scales that are rounded to float16 move the borders between levels
            assert np.abs(found.astype(int) - np.asarray(expected)).mean() < 0.5

    def one_level(found, expected):
        np.testing.assert_allclose(found.astype(int), expected, atol=1)

    def signature(name):
        return Interpreter(str(tiny_exported / tflite_file("tiny", name, variant))).get_signature_runner(name)

    cover, secret = batch(*shape, seed=0), batch(*shape, seed=1)
    hide = signature("hide")
    hide(cover=cover[:1, :16, :16], secret=cover[:1, :16, :16])  # and back to another size
    stego = hide(cover=cover, secret=secret)["stego"]
    check(stego, pictures.hide(networks, MULTIPLES, cover, secret), blocks.assert_same_but_for_rare_ones)
    check(signature("reveal")(stego=stego)["secret"], pictures.reveal(networks, MULTIPLES, stego), one_level)


@pytest.mark.parametrize("variant", ["float32", "float16", "float32-48x32"])
@pytest.mark.parametrize(
    ("name", "inputs", "outputs"), [("hide", ["cover", "secret"], ["stego"]), ("reveal", ["stego"], ["secret"])]
)
def test_files_have_one_signature_and_built_in_operators_only(tiny_exported, variant, name, inputs, outputs):
    interpreter = Interpreter(str(tiny_exported / tflite_file("tiny", name, variant)))
    assert interpreter.get_signature_list() == {name: {"inputs": inputs, "outputs": outputs}}
    details = interpreter.get_input_details() + interpreter.get_output_details()
    assert {tensor["dtype"] for tensor in details} == {np.uint8}
    shape = [1, 32, 48, 3] if variant.endswith("48x32") else [-1, -1, -1, 3]
    assert all(tensor["shape_signature"].tolist() == shape for tensor in interpreter.get_input_details())
    operators = {operator["op_name"] for operator in interpreter._get_ops_details()}
    assert {"CONV_2D", "CAST"} < operators
    assert not {name for name in operators if name.startswith("Flex") or name in ("CUSTOM", "TRANSPOSE_CONV")}


def test_a_fixed_size_needs_no_shape_arithmetic(tiny_exported, networks):
    file = tiny_exported / tflite_file("tiny", "hide", "float32-48x32")
    interpreter = Interpreter(str(file))
    operators = {operator["op_name"] for operator in interpreter._get_ops_details()}
    assert not operators & {"SHAPE", "RANGE", "PACK", "BROADCAST_ARGS", "REDUCE_PROD"}
    cover, secret = batch(1, 32, 48, seed=0), batch(1, 32, 48, seed=1)
    stego = interpreter.get_signature_runner("hide")(cover=cover, secret=secret)["stego"]
    expected = np.asarray(pictures.hide(networks, MULTIPLES, cover, secret))
    blocks.assert_same_but_for_rare_ones(stego, expected)


def test_litert_needs_no_tensorflow(tiny_exported):
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "import numpy as np; from ai_edge_litert.interpreter import Interpreter\n"
        "reveal = Interpreter(sys.argv[1]).get_signature_runner('reveal')\n"
        "print(reveal(stego=np.zeros((1, 16, 24, 3), np.uint8))['secret'].shape)"
    )
    command = [sys.executable, "-c", code, tiny_exported / tflite_file("tiny", "reveal")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "(1, 16, 24, 3)\n"), done.stderr


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        ("float32", Variant("float32")),
        ("int8", Variant("int8")),
        ("float16-640x480", Variant("float16", (480, 640))),
    ],
)
def test_variants_by_name(text, variant):
    assert Variant.parse(text) == variant
    assert str(variant) == text


@pytest.mark.parametrize("text", ["", "float8", "float32-", "float32-0x8", "float32-8", "int8 -8x8", "8x8"])
def test_other_variants_are_refused(text):
    with pytest.raises(PresetError, match="there is no variant"):
        Variant.parse(text)


@pytest.mark.parametrize("name", ["hide", "reveal"])
def test_only_the_result_of_a_codebook_has_a_shape_that_follows_from_values(name):
    # LiteRT's fast kernels do not take what comes behind such a shape.
    file = savedmodels.versions("codebook")[-1] / tflite_file("codebook", name)
    operators = [operator["op_name"] for operator in Interpreter(str(file))._get_ops_details()]
    assert not {"BROADCAST_TO", "BROADCAST_ARGS", "RANGE", "REDUCE_PROD"} & set(operators)
    assert operators.count("PACK") == 1
