"""Options: who chooses what, and the flags that are made of them."""

import subprocess
import sys

import pytest

from stegano_tf.errors import DataError, PresetError, StrategyError
from stegano_tf.training import strategies
from stegano_tf.training.options import PROTOCOLS, Options, complete


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "stegano_tf.train", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset=tiny", "--epochs=1"], "expected exactly one of --data and --dataset"),
        (["--data=.", "--dataset=linnaeus5", "--epochs=1"], "expected exactly one of --data and --dataset"),
        (["--data=.", "--epochs=1", "--minutes=1"], "exactly one of --epochs and --minutes"),
        (["--data=.", "--strategy=horovod", "--epochs=1"], "expected one of default, one_device, mirrored, multi_w"),
        (["--data=.", "--strategy=parameter_server", "--epochs=1"], "strategy parameter_server is not offered: pairs"),
        (["--data=.", "--preset=huge", "--epochs=1"], "expected one of codebook, unet, paper, tiny"),
        (["--data=.", "--preset=tiny"], "exactly one of --epochs and --minutes"),
        (["--data=.", "--no-flips", "--epochs=0"], "flag --epochs=0"),
        (["--data=.", "--validation-pictures=1"], "flag --validation_pictures=1"),
        (["--data=.", "--schedule=steps"], "<cosine|plateau>"),
    ],
)
def test_wrong_flags_are_refused_before_anything_is_imported(arguments, message):
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_flags_in_a_file_are_read_as_those_on_the_command_line(tmp_path):
    (tmp_path / "flags").write_text("--no-flips\n--validation-pictures=1\n")
    done = command(f"--flagfile={tmp_path / 'flags'}")
    assert done.returncode == 2
    assert "flag --validation_pictures=1" in done.stderr


def test_help_has_a_line_for_each_option_and_names_strategies_and_protocols():
    text = " ".join(command("--help").stdout.split())
    for name in Options.__dataclass_fields__:
        assert f"--{name}:" in text or f"--[no]{name}:" in text
    assert f"where to train: {', '.join(strategies.NAMES)};" in text
    assert "parameter_server" not in text
    assert f"<{'|'.join(PROTOCOLS)}>" in text
    assert "It has next to no effect on presets codebook and tiny" in text


def test_options_need_no_keras():
    code = "import sys, stegano_tf.train; print(*{'keras', 'tensorflow', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_options_come_before_protocol_and_preset():
    options = Options(data=".", preset="unet", epochs=1)
    chosen = complete(options)
    assert (chosen.learning_rate, chosen.clip, chosen.schedule, chosen.beta) == (5e-4, 1.5, "cosine", 0.75)
    chosen = complete(Options(data=".", preset="unet", protocol="paper", minutes=1.0, learning_rate=0.5))
    assert (chosen.learning_rate, chosen.clip, chosen.schedule, chosen.epochs) == (0.5, None, "plateau", None)
    assert complete(chosen) == chosen


def test_the_protocol_of_the_paper():
    options = complete(Options(data=".", preset="paper", protocol="paper"))
    assert (options.training_pictures, options.validation_pictures, options.epochs) == (1800, 400, 100)
    assert (options.validation_size, options.crop, options.batch_size, options.steps_per_epoch) == (256, 256, 2, 450)
    assert (options.learning_rate, options.adam_beta_1, options.clip, options.beta) == (1e-3, 0.5, None, 0.75)
    assert (options.schedule, options.reveal_patience) == ("plateau", 8)
    assert not options.flips
    assert (options.split, options.validation_split) == ("train", None)  # a folder has no splits
    from_data_set = complete(Options(dataset="linnaeus5", preset="paper", protocol="paper", epochs=3))
    assert (from_data_set.split, from_data_set.validation_split) == ("paper_train", "paper_validation")
    assert from_data_set.epochs == 3  # other options come first


def test_each_protocol_is_made_of_options():
    for name in PROTOCOLS:
        chosen = complete(Options(dataset="linnaeus5", preset="paper", protocol=name))
        assert PROTOCOLS[name].items() <= vars(chosen).items()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"protocol": "mine"}, DataError, "there is no protocol 'mine', expected one of paper"),
        ({"preset": "huge"}, PresetError, "there is no preset 'huge'"),
        ({"strategy": "horovod"}, StrategyError, "there is no strategy 'horovod'"),
        ({"crop": 33}, DataError, "crop is 33, expected a multiple of 8 for preset tiny"),
        ({"validation_size": 255}, DataError, "validation_size is 255, expected a multiple of 8"),
    ],
)
def test_impossible_options(options, error, message):
    with pytest.raises(error, match=message):
        complete(Options(**{"data": ".", "preset": "tiny", "epochs": 1} | options))


def test_a_dry_run_needs_neither_pictures_nor_length():
    assert complete(Options(preset="tiny"), dry=True).crop == 64
    with pytest.raises(DataError, match="exactly one of --epochs and --minutes, found 1 and 2"):
        complete(Options(preset="tiny", epochs=1, minutes=2), dry=True)
