"""Makes tests/vectors/: small sounds of every form, valid ones and one for each way to be refused, and a list.

    python tools/make_vectors.py [--folder=tests/vectors]

The list, vectors.json, says what a reader must find in each file: a picture (its size, the SHA-256 of its RGB bytes,
what the frame records) or the class of failure that tools/verify_sound.py names, with the exception and the words of
the package's own. Sealed vectors differ each time they are made, so the committed ones stay as they are: run this for a
new folder, and only to add to it. `picture_vectors` makes those that are pictures.
"""

import base64
import hashlib
import json
import struct
import textwrap
import wave
import zlib
from pathlib import Path

import numpy as np
import picture_vectors
import pyrage
from absl import app, flags

from stegano_tf import sealing
from stegano_tf.audio import codec, files, framing, pcm
from stegano_tf.audio.forms import marked
from stegano_tf.audio.payloads import PAYLOADS
from stegano_tf.message.frame import Secret

_FOLDER = flags.DEFINE_string("folder", "tests/vectors", "Where to write.")
PASSPHRASE = "vectors are no secret"
PICTURE = np.random.default_rng(7).integers(0, 256, (5, 7, 3), dtype=np.uint8)
FACTS = {"secret_size": (30, 20), "network": bytes.fromhex("0123456789abcdef")}
FILE = Secret(bytes(range(256)), "Prüfbericht 1.pdf")
MODEM = {
    "modem_wide.wav": {"survive": "wide"},
    "modem_robust.wav": {"survive": "robust"},
    "modem_hifi.mp3": {"survive": "hifi", "codec_rate": 128},
    "modem_music.ogg": {"survive": "music", "codec_rate": 96},
    "modem_wide.opus": {"survive": "wide", "codec_rate": 64},
    "modem_narrow.mp3": {"survive": "narrow", "codec_rate": 32},
    "modem_narrow.m4a": {"survive": "narrow", "codec_rate": 32},
}
"""What golden sounds of the modem are made with."""


class Maker:
    """Writes vectors and notes what they must give."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.identity = pyrage.x25519.Identity.generate()
        self.recipient = str(self.identity.to_public())
        self.vectors = []

    def armored(self) -> bytes:
        """Returns a picture file as `age --armor` seals it for the list's identity."""
        return _armored(pyrage.encrypt(_file("png"), [self.identity.to_public()]))

    def wav(self, name: str, samples: np.ndarray) -> None:
        """Writes int16[N] or int16[N, C] with Python's own wave module, independent of libsndfile."""
        samples = np.asarray(samples, "<i2")
        with wave.open(str(self.folder / name), "wb") as file:
            file.setparams((1 if samples.ndim == 1 else samples.shape[1], 2, 44100, 0, "NONE", ""))
            file.writeframes(samples.tobytes())

    def picture(self, name: str, image: np.ndarray = PICTURE, *, facts: dict = FACTS, **more) -> None:
        """Notes that a file holds a picture."""
        secret, network = facts.get("secret_size"), facts.get("network")
        self.vectors.append(
            {
                "file": name,
                "outcome": "picture",
                "size": list(image.shape[:2]),
                "rgb_sha256": hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest(),
                "secret_size": list(secret) if secret else None,
                "network": network.hex() if network else None,
                **more,
            }
        )

    def encoded(self, name: str, *, facts: dict = FACTS, more: dict | None = None, **options) -> None:
        """Lets the package write a file."""
        codec.encode(PICTURE, self.folder / name, force=True, **facts, **options)
        self.picture(name, facts=facts, **(more or {}))

    def refused(self, name: str, outcome: str, error: str, words: str, samples=None, **more) -> None:
        """Notes that a file is to be refused, and writes it if `samples` are given."""
        if samples is not None:
            self.wav(name, samples)
        self.vectors.append({"file": name, "outcome": outcome, "error": error, "words": words, **more})


def _file(payload: str) -> bytes:
    return b"".join(map(bytes, PAYLOADS[payload].encode(PICTURE)[1]))


def _armored(age: bytes) -> bytes:
    text = textwrap.wrap(base64.b64encode(age).decode(), 64)
    return "\n".join(["-----BEGIN AGE ENCRYPTED FILE-----", *text, "-----END AGE ENCRYPTED FILE-----", ""]).encode()


def _frame(payload: bytes, flags_: int = 0, **facts) -> bytes:
    header = framing.Header(len(payload), flags=framing.Flags(flags_), **facts)
    return b"".join(framing.frame(header, [payload], framing.Digest()))


def _with_field(frame: bytes, offset: int, value: bytes) -> bytes:
    fields = frame[:offset] + value + frame[offset + len(value) : 36]
    return fields + struct.pack("<I", zlib.crc32(fields)) + frame[40:]


def make(folder: Path) -> None:
    """Writes all vectors and their list into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    maker = Maker(folder)
    valid(maker)
    damaged(maker)
    refused(maker)
    text = {"identity": str(maker.identity), "passphrase": PASSPHRASE, "vectors": maker.vectors}
    (folder / "vectors.json").write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    picture_vectors.make(folder)


def valid(maker: Maker) -> None:
    folder = maker.folder
    lock = sealing.Lock(recipients=[maker.recipient])
    secret = sealing.Lock(passphrase=PASSPHRASE)
    random = np.random.default_rng(0)
    song = np.rint(9000 * np.sin(np.arange(20_000) / 37) + random.normal(0, 200, 20_000)).astype(np.int16)
    maker.wav("recording.wav", song)
    maker.refused("recording.wav", "no message", "FormatError", "holds no message")
    maker.encoded("plain.wav")
    maker.encoded("plain_nothing_recorded.wav", facts={})
    maker.encoded("raw_bmp.wav", facts={}, raw_bmp=True)
    maker.encoded("png.wav", payload="png")
    maker.encoded("webp.wav", payload="webp")
    maker.encoded("sealed_recipient.wav", lock=lock, payload="png")
    maker.encoded("sealed_passphrase.wav", lock=secret, payload="png")
    maker.encoded("bare.wav", lock=secret, bare=True, more={"bare": True})
    maker.encoded("parity.wav", parity=0.1)
    maker.encoded("parity_depth_4.wav", parity=0.1, depth=4)
    maker.encoded("parity_0.wav", parity=0)
    maker.encoded("carried.wav", carrier=folder / "recording.wav")
    maker.encoded("carried_parity.wav", carrier=folder / "recording.wav", parity=0.1)
    maker.encoded("carried_8_bits.wav", carrier=folder / "recording.wav", bits=8)
    deep = files.Recording((song.astype(np.int32) << 8)[:, None], 24, 48_000, {})
    files.write_recording(folder / "recording_24.wav", deep, force=True)
    maker.refused("recording_24.wav", "no message", "FormatError", "holds no message")
    maker.encoded("carried_24.wav", carrier=folder / "recording_24.wav", bits=3)
    # An age file of the age command's kind: the picture file itself, no frame. Small enough for a small recording.
    age = pyrage.passphrase.encrypt(_file("png"), PASSPHRASE)
    # carried_passphrase.wav, of version 1 of the order, was written so by release 0.1.0.
    path = folder / "carried_passphrase_2.wav"
    codec.encode_payload(age, path, passphrase=PASSPHRASE, force=True, carrier=folder / "recording.wav", parity=0.1)
    maker.picture(path.name, facts={})
    silent = song.copy()
    silent[:2001] = silent[9000:9050] = silent[-7:] = 0
    maker.wav("recording_silence.wav", silent)
    maker.refused("recording_silence.wav", "no message", "FormatError", "holds no message")
    maker.encoded("carried_silence.wav", carrier=folder / "recording_silence.wav", bits=2)
    path = folder / "carried_passphrase_silence.wav"
    codec.encode_payload(age, path, passphrase=PASSPHRASE, force=True, carrier=folder / "recording_silence.wav")
    maker.picture(path.name, facts={})
    path = folder / "stealth.wav"
    codec.encode_payload(
        age, path, passphrase=PASSPHRASE, force=True, carrier=folder / "recording.wav", stealth=True, rate=0.3
    )
    maker.picture(path.name, facts={})
    codec.encode_payload(maker.armored(), folder / "sealed_armored.wav", force=True)
    maker.picture("sealed_armored.wav", facts={})
    for name, options in MODEM.items():
        maker.encoded(name, **options)
    with files.Reader(folder / "plain.wav") as reader:
        plain = reader.channel(0, reader.frames)
    maker.wav("stereo_second_channel.wav", np.stack([song[: len(plain)], plain], axis=1))
    maker.picture("stereo_second_channel.wav")
    noise = random.integers(-127, 128, len(plain))
    maker.wav("plain_noise_127.wav", plain + noise)
    maker.picture("plain_noise_127.wav")


def damaged(maker: Maker) -> None:
    """Sounds that parity and marks save."""
    random = np.random.default_rng(1)
    message = _frame(_file("bmp"), **FACTS) + bytes(4000)
    samples = np.concatenate(list(marked.writing.encode(message, 12, 8)[1]))
    length = len(samples)

    def save(name, values):
        maker.wav(name, values)
        maker.picture(name)

    burst = samples.copy()
    burst[: length * 3 // 100] = random.integers(-32768, 32768, length * 3 // 100)
    save("parity_burst_at_the_start.wav", burst)
    replaced = samples.copy()
    where = random.choice(length, length // 50, replace=False)
    replaced[where] = random.integers(-32768, 32768, len(where))
    save("parity_2_per_cent_replaced.wav", replaced)
    save("parity_half_gain_inverted.wav", np.rint(-0.5 * samples + 1000))
    save("parity_samples_lost.wav", np.delete(samples, np.arange(4091, 4096)))
    save("parity_samples_inserted.wav", np.insert(samples, 4096, [9] * 6))
    save("parity_silence_around.wav", np.concatenate([np.zeros(3000), samples, np.zeros(2000)]))
    deep = np.concatenate(list(marked.writing.encode(message, 12, 4)[1]))
    save("parity_depth_4_noise_gain_offset.wav", np.rint(2 * deep - 1000 + random.integers(-127, 128, len(deep))))
    ruined = samples.copy()
    ruined[1000:5000] = random.integers(-32768, 32768, 4000)
    maker.refused("parity_beyond_repair.wav", "beyond repair", "FormatError", "is damaged beyond repair", ruined)


def refused(maker: Maker) -> None:
    bmp = _file("bmp")
    frame = _frame(bmp, **FACTS)
    flipped = bytearray(frame)
    flipped[100] ^= 4
    header = bytearray(frame)
    header[12] ^= 4
    for name, outcome, words, data in (
        ("cut_short", "cut short", "is cut short: 100 samples are missing", frame[:-100]),
        ("cut_in_header", "cut short", "frame header is cut short", frame[:30]),
        ("payload_bit", "payload checksum", "payload's SHA-256", bytes(flipped)),
        ("header_bit", "header checksum", "header is damaged: CRC-32", bytes(header)),
        ("version_2", "version", "of version 2, expected 1", _with_field(frame, 8, b"\2")),
        ("unknown_flag", "flags", "unknown flags 0x02", _with_field(frame, 9, b"\2")),
        ("header_length", "header length", "a length of 41 bytes", _with_field(frame, 10, b"\x29")),
        ("secret_0", "secret size", "a secret of 20 x 0", _with_field(frame, 20, bytes(4))),
        ("huge_length", "cut short", "samples are missing", _with_field(frame, 12, b"\xff" * 7 + b"\x7f")),
        ("other_payload", "payload", "payload starts with b'GI'", _frame(b"GIF89a" * 20)),
        ("file", f"file {FILE.name}", "holds a file, expected a picture", _frame(FILE.pack())),
        ("short_bmp", "payload", "its header says 174, and 173 are there", _frame(bmp[:-1])),
        ("no_magic", "no message", "held a message, but its samples", b"\x88" + frame[1:]),
    ):
        maker.refused(f"{name}.wav", outcome, "FormatError", words, pcm.encode(data))
    (maker.folder / "no_sound.wav").write_bytes(b"RIFF, or so it says")
    maker.refused("no_sound.wav", "no sound", "AudioError", "is not a sound file")
    png = _file("png")
    age = pyrage.encrypt(png, [maker.identity.to_public()])
    sealed = framing.Flags.SEALED
    bit = bytearray(age)
    bit[-20] ^= 1
    other = pyrage.encrypt(png, [pyrage.x25519.Identity.generate().to_public()])
    twice = pyrage.encrypt(_frame(age, sealed), [maker.identity.to_public()])
    absurd = b"age-encryption.org/v1\n-> scrypt " + b"A" * 22 + b" 23\n" + b"A" * 43 + b"\n--- " + b"A" * 43 + b"\n"
    for name, outcome, error, words, data in (
        ("seal_bit", "seal", "SealingError", "cannot be opened: decryption error", bytes(bit)),
        ("seal_cut", "seal", "SealingError", "cannot be opened", age[:-1]),
        ("seal_other_key", "seal", "SealingError", "no matching keys found", other),
        ("seal_twice", "sealed twice", "FormatError", "is sealed twice", twice),
        ("seal_armored_work_factor", "work factor", "SealingError", r"factor is 2\^23", _armored(absurd + bytes(100))),
        ("seal_work_factor", "work factor", "SealingError", r"factor is 2\^23, expected at most", absurd + bytes(100)),
    ):
        maker.refused(f"{name}.wav", outcome, error, words, pcm.encode(_frame(data, sealed)))
    maker.refused(
        "bare_short.wav", "cut short", "SealingError", "cannot be opened: 112 bytes", pcm.encode(bytes(112)), bare=True
    )


def main(_):
    make(Path(_FOLDER.value))


if __name__ == "__main__":
    app.run(main)
