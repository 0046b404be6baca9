"""The whole promise with the real command: sealed, with parity, in a recording, damaged, and received bit for bit."""

import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from stegano_tf import images, metrics

COMMAND = [sys.executable, "-m", "stegano_tf"]
CARRIER = ["--carrier", "song.flac", "--bits", "4", "--parity", "10%"]
IDENTITY = ["--identity", "identity.txt"]
PASSPHRASE = ["--passphrase-file", "passphrase.txt"]


def run(folder, *arguments):
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def song(frames, rate):
    """Chords of decaying partials and a beat of noise in stereo, int16[frames, 2], as loud as music is."""
    random = np.random.default_rng(5)
    sound = np.zeros((frames, 2))
    for start in range(0, frames, rate // 4):
        time = np.arange(frames - start) / rate
        for tone in random.choice([220, 277.2, 329.6, 415.3, 440, 554.4], 3, replace=False):
            note = sum(np.exp(-3 * k * time) / k * np.sin(2 * np.pi * k * tone * time) for k in range(1, 6))
            sound[start:] += np.outer(note, random.uniform(0.2, 1, 2))
        sound[start:] += (np.exp(-40 * time) * random.normal(0, 0.5, len(time)))[:, None]
    return np.rint(sound / np.abs(sound).max() * 30_000).astype(np.int16)


@pytest.fixture(scope="module")
def folder(photograph, tmp_path_factory):
    """What sender and receiver have; recipient.wav and passphrase.wav are a song, alone.wav and robust.wav are none."""
    folder = tmp_path_factory.mktemp("trusted")
    images.write(folder / "cover.png", photograph(128, 160, 0))
    images.write(folder / "secret.png", photograph(100, 90, 1))
    (folder / "passphrase.txt").write_text("correct horse battery staple\n")
    soundfile.write(folder / "song.flac", song(80_000, 44_100), 44_100, "PCM_16")
    recipient = run(folder, "keygen", "identity.txt")[0].strip()
    run(folder, "hide", "cover.png", "secret.png", "stego.png")
    said, _ = run(folder, "send", "cover.png", "secret.png", "recipient.wav", *CARRIER, "--recipient", recipient)
    assert float(re.search(r"in 4 bits a sample, noise ([\d.]+) dB below full scale", said)[1]) > 60
    run(folder, "encode", "stego.png", "passphrase.wav", *CARRIER, *PASSPHRASE)
    run(folder, "encode", "stego.png", "alone.wav", "--parity", "10%", "--recipient", recipient)
    run(folder, "encode", "stego.png", "robust.wav", "--parity", "0%", "--depth", "4", "--recipient", recipient)
    return folder


def burst(samples, random, share=0.03):
    start = random.integers(len(samples) - round(share * len(samples)))
    samples[start:][: round(share * len(samples))] = random.integers(-32768, 32768)
    return samples


def bursts(samples, random):
    for _ in range(20):
        burst(samples, random, 0.001)
    return samples


def replaced(samples, random):
    where = random.choice(samples.size, samples.size // 50, replace=False)
    samples.reshape(-1)[where] = random.integers(-32768, 32768, len(where))
    return samples


def lost_and_inserted(samples, random):
    lost, inserted = sorted(random.integers(0, len(samples), 2))
    return np.concatenate([samples[:lost], samples[lost + 300 : inserted], samples[inserted - 500 :]])


def noise_gain_and_offset(samples, random):
    noise = random.integers(-127, 128, samples.shape)
    return np.rint(-random.uniform(0.5, 2) * samples + random.uniform(-1000, 1000) + noise).astype(np.int16)


def damage(folder, name, how, tmp_path):
    samples, rate = soundfile.read(folder / name, dtype="int16")
    soundfile.write(tmp_path / "damaged.wav", how(samples, np.random.default_rng(1)), rate, "PCM_16")
    return str(tmp_path / "damaged.wav")


@pytest.mark.parametrize(
    ("name", "how", "key"),
    [
        ("recipient.wav", burst, IDENTITY),
        ("recipient.wav", bursts, IDENTITY),
        ("passphrase.wav", burst, PASSPHRASE),
        ("alone.wav", burst, IDENTITY),
        ("alone.wav", replaced, IDENTITY),
        ("alone.wav", lost_and_inserted, IDENTITY),
        ("robust.wav", noise_gain_and_offset, IDENTITY),
    ],
)
def test_the_stego_image_comes_back_bit_for_bit(folder, tmp_path, name, how, key):
    sound, picture = damage(folder, name, how, tmp_path), str(tmp_path / "stego.png")
    said, warned = run(folder, "decode", sound, picture, *key)
    assert said == f"{picture}: a picture of 160x128\n"
    assert warned.startswith(f"{sound}: was damaged: ")
    np.testing.assert_array_equal(images.read(picture), images.read(folder / "stego.png"))


def test_the_secret_is_the_one_of_an_undamaged_sound(folder, tmp_path):
    sound, secret = damage(folder, "recipient.wav", replaced, tmp_path), str(tmp_path / "secret.png")
    run(folder, "receive", sound, secret, "--stego", str(tmp_path / "stego.png"), *IDENTITY)
    np.testing.assert_array_equal(images.read(tmp_path / "stego.png"), images.read(folder / "stego.png"))
    assert metrics.psnr(images.read(secret), images.read(folder / "secret.png")) > 25
