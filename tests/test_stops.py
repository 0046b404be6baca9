"""Runs that are stopped at any moment, and runs in surroundings in which little works. Most of it by hand: -m soak."""

import collections
import itertools
import os
import shutil
import signal
import subprocess
import threading
import time

import numpy as np
import processes
import pytest

from stegano_tf import images, stopping

KILLS = 13  # of each command by each signal: 208 in all


@pytest.fixture(scope="module")
def inputs(photograph, tmp_path_factory):
    """A folder with cover.png, secret.png, large.bmp and message.wav, and how the commands are called there."""
    folder = tmp_path_factory.mktemp("inputs")
    images.write(folder / "cover.png", photograph(320, 480, 0))
    images.write(folder / "secret.png", photograph(200, 300, 1))
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    images.write(folder / "large.bmp", noise)
    assert processes.run("send", "cover.png", "secret.png", "message.wav", cwd=folder)[0] == 0
    return folder


LINES = {
    "send": ["cover.png", "secret.png", "out.flac"],
    "receive": ["message.wav", "out.png", "--stego", "out.bmp"],
    "hide": ["cover.png", "secret.png", "out.png"],
    "encode": ["large.bmp", "out.flac", "--parity", "5%"],
}


def surroundings(folder, inputs):
    """Makes a folder to work in, with links to the inputs, and one for temporary files; returns both."""
    work, temporary = folder / "work", folder / "temporary"
    work.mkdir(parents=True)
    temporary.mkdir()
    for file in inputs.iterdir():
        (work / file.name).symlink_to(file)
    return work, temporary


def made(work):
    return {path.name: path.read_bytes() for path in work.iterdir() if not path.is_symlink()}


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_kill_points(inputs, tmp_path):
    random = np.random.default_rng(0)
    reference, seconds = {}, {}
    for name, line in LINES.items():
        work, temporary = surroundings(tmp_path / name, inputs)
        start = time.monotonic()
        status, _, said = processes.run(name, *line, cwd=work, env=os.environ | {"TMPDIR": str(temporary)})
        assert (status, said) == (0, "")
        seconds[name], reference[name] = time.monotonic() - start, made(work)
        assert set(reference[name]) == {word for word in line if word.startswith("out.")}
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL
    found, place = collections.Counter(), 0
    points = [*itertools.product(LINES, numbers, range(KILLS))]
    while points:
        name, number, _ = points[-1]
        place += 1
        work, temporary = surroundings(tmp_path / str(place), inputs)
        options = {"cwd": work, "env": os.environ | {"TMPDIR": str(temporary)}}
        process = processes.start(name, *LINES[name], **options)
        delay = random.uniform(0.05, seconds[name])
        if number == signal.SIGKILL and place % 2:  # while something is written, which takes a small part of the time
            while not list(work.glob(".*.partial.*")) and process.poll() is None:
                time.sleep(0.005)
            delay /= 20
        time.sleep(delay)
        process.send_signal(number)
        _, said = process.communicate(timeout=300)
        where = f"{name}, {number.name} after {delay:.3f} of {seconds[name]:.3f} s: {process.returncode}, {said!r}"
        left = made(work)
        if "init_import_site" in said or (said.endswith("KeyboardInterrupt\n") and "stegano_tf" not in said):
            found["before the first line of this package"] += 1
        else:
            assert process.returncode in (0, -number, 128 + number), where
            assert said == "", where
            late = process.returncode == 0
            found["too late" if late else number.name] += 1
            seconds[name] *= 0.9 if late else 1.03  # how long a run takes depends on what else the machine does
            if not late:
                points.pop()
        partial = [path for path in left if ".partial." in path]
        assert all(left[path] == reference[name].get(path) for path in left if path not in partial), where
        assert not list(temporary.iterdir()), where
        if partial:
            assert number == signal.SIGKILL, where
            assert processes.run(name, *LINES[name], "--force", **options)[0] == 0
            assert made(work) == reference[name], where
            found["left and cleaned"] += 1
        shutil.rmtree(work.parent)
    print(found)


LOCALES = {"C": None, "en_US.UTF-8": "UTF-8", "de_DE.ISO-8859-1": "ISO-8859-1"}


def places(folder):
    """Yields surroundings in which little works, as names, variables of the environment, and a line for the shell."""
    for locale, charmap in LOCALES.items():
        if charmap:
            made = ["localedef", "-i", locale[:5], "-f", charmap, folder / locale]
            assert subprocess.run(made, capture_output=True, check=False).returncode in (0, 1), locale  # 1: warnings
        yield locale, {"LC_ALL": locale, "LOCPATH": str(folder)}, ""
    yield "no HOME", {"HOME": None}, ""
    yield "no stdin", {}, "<&-"
    yield "no stdout", {}, ">&-"
    yield "no stderr", {}, "2>&-"
    yield "none of the three", {}, "<&- >&- 2>&-"
    yield "a full stdout", {}, ">/dev/full"
    yield "a full stderr", {}, "2>/dev/full"
    yield "20 columns", {"COLUMNS": "20"}, ""


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_surroundings(inputs, tmp_path):
    name = "gr\u00fc\u00dfe \u65e5\U0001f600\x1b[31m"  # in no 8-bit encoding, and red
    lines = {
        **LINES,
        "reveal": ["cover.png", "out.png"],
        "decode": ["message.wav", "out.bmp"],
        "inspect": ["message.wav", "--plot", "out.png"],
        "keygen": ["out.txt"],
        "presets": [],
        "demo": ["--out", "out"],
        "serve": ["--port", "0", "--grpc-port", "0", "--preset", "none"],
    }
    bad = []
    for (place, variables, shell), (command, line) in itertools.product(places(tmp_path), lines.items()):
        env = {key: value for key, value in (os.environ | variables).items() if value is not None}
        odd = [word.replace("out", name) if word.startswith("out") else word for word in line]
        for kind, words in ("done", odd), ("failed", [*odd, "--none"]), ("help", ["--help"]):
            work, _ = surroundings(tmp_path / f"{place} {command} {kind}".replace("/", " "), inputs)
            started = ["sh", "-c", f'"$@" {shell}', "sh", *processes.COMMAND, command, *words]
            done = subprocess.run(started, cwd=work, env=env, capture_output=True, check=False)
            status = {"done": 1 if command == "serve" else 0, "failed": 2, "help": 0}[kind]
            if shell == ">/dev/full" and status == 0 and (kind == "help" or command in ("inspect", "presets")):
                status = 2 if kind == "help" else 1
            said = done.stdout + done.stderr
            wrong = [text for text in (b"Traceback", b"Exception", b"\x1b", b"Error:") if text in said]
            if done.returncode != status or wrong:
                bad.append((place, command, kind, done.returncode, said[-300:]))
    assert not bad, "\n".join(map(str, bad))


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_signal_is_a_status(number):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, stopping.noticed():
        signal.raise_signal(number)
    assert ended.value.code == 128 + number
    assert signal.getsignal(number) is before


def test_what_a_library_makes_of_a_signal_is_no_error_of_the_user():
    with pytest.raises(SystemExit) as ended, stopping.noticed():
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit:
            raise OSError("a callback failed") from None
    assert ended.value.code == 143


def test_further_signals_do_not_disturb_the_removing():
    removed = []
    with pytest.raises(SystemExit), stopping.noticed():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            removed.append(True)
    assert removed


def test_a_signal_that_a_destructor_meets_is_not_lost(capfd):
    class Interrupted:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(SystemExit) as ended, stopping.noticed():
        Interrupted()  # Python drops what is raised there
        threading.Event().wait(20)
    assert ended.value.code == 130
    assert capfd.readouterr().err == ""


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stopping.noticed():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
