"""Hiding, revealing, sending and receiving with what tools/requirements-runtime.txt lists, and nothing else."""

import configparser
import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from packaging.requirements import Requirement

from stegano_tf import images, metrics

ROOT = Path(__file__).parent.parent.parent
LIGHT = ROOT / "tools" / "requirements-runtime.txt"

# As if no other package were installed.
SCRIPT = """
import importlib.metadata, json, re, sys

class Missing:
    def __init__(self, packages):
        owners = importlib.metadata.packages_distributions().items()
        normal = lambda name: re.sub("[-_.]+", "-", name).lower()
        self.modules = {module for module, names in owners if not {normal(name) for name in names} & set(packages)}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing(json.loads(sys.argv.pop(1))))
from stegano_tf.commands import run
run()
"""


def requirements(lines):
    return [Requirement(line) for line in lines if line.strip() and not line.strip().startswith("#")]


def normal(name):
    return re.sub("[-_.]+", "-", name).lower()


def with_what_they_need(names):
    """The names of packages, and of all that they require."""
    found, waiting = set(), list(names)
    while waiting:
        name = normal(waiting.pop())
        if name not in found:
            found.add(name)
            needed = map(Requirement, importlib.metadata.requires(name) or [])
            waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture
def command(tmp_path, photograph):
    images.write(tmp_path / "cover.png", photograph(60, 81, 0))
    images.write(tmp_path / "secret.png", photograph(50, 40, 1))
    names = with_what_they_need(one.name for one in requirements(LIGHT.read_text().splitlines()))
    assert not names & {"tensorflow", "keras"}
    packages = json.dumps(["stegano-tf", *names])

    def run(*arguments):
        line = [sys.executable, "-c", SCRIPT, packages, *arguments]
        return subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path)

    return run


def test_the_command_works_with_the_light_set(command, tmp_path):
    for arguments in (
        ("hide", "cover.png", "secret.png", "stego.png"),
        ("reveal", "stego.png", "revealed.png", "--size", "40x50"),
        ("send", "cover.png", "secret.png", "message.wav"),
        ("receive", "message.wav", "received.png", "--stego", "sent.png"),
    ):
        done = command(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), arguments
    assert (tmp_path / "sent.png").read_bytes() == (tmp_path / "stego.png").read_bytes()
    assert (tmp_path / "received.png").read_bytes() == (tmp_path / "revealed.png").read_bytes()
    secret = images.read(tmp_path / "secret.png")
    assert metrics.psnr(secret, images.read(tmp_path / "received.png")) > 20
    assert metrics.psnr(images.read(tmp_path / "cover.png"), images.read(tmp_path / "sent.png")) > 25


def test_every_form_is_looked_for_in_a_sound(command, tmp_path):
    soundfile.write(tmp_path / "song.wav", np.zeros(48_000), 48_000)
    assert "song.wav: holds no message" in refused(command, "decode", "song.wav", "a.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runtime", "keras"], "the runtime 'keras' needs the packages keras and tensorflow"),
        (["--runtime", "savedmodel"], "the runtime 'savedmodel' needs the package tensorflow"),
        (["--preset", "tiny", "--weights", "no.h5"], "no.h5: does not exist, expected a weights file"),
        (["--report"], "--report needs the package scikit-image, which is not installed"),
        (
            ["--refine", "1"],
            "refinement runs on the runtime 'keras' alone: the runtime 'keras' needs the packages keras and",
        ),
    ],
)
def test_what_needs_them_says_so(command, tmp_path, arguments, message):
    for name, output in (("hide", "stego.png"), ("send", "message.wav")):
        said = refused(command, name, "cover.png", "secret.png", output, *arguments)
        assert said.startswith(f"stegano-tf: {message}")
        assert not (tmp_path / output).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo"], "demo needs the package scikit-image"),
        (["serve"], "serve needs the package "),
        (["inspect", "none.wav", "--plot", "a.png"], "--plot needs the package matplotlib"),
    ],
)
def test_before_any_work(command, tmp_path, arguments, message):
    before = sorted(tmp_path.iterdir())
    assert refused(command, *arguments).startswith(f"stegano-tf: {message}")
    assert sorted(tmp_path.iterdir()) == before


def refused(command, *arguments):
    """Runs a command that must fail, and returns what it says."""
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_the_light_set_is_a_part_of_the_whole():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    whole = {one.name: one for one in requirements(setup["options"]["install_requires"].splitlines())}
    for one in requirements(LIGHT.read_text().splitlines()):
        assert one.specifier == whole[one.name].specifier, one.name
