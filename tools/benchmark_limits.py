"""Measures what crafted sounds cost the reader: peak memory and processor time of each in a process of its own.

    python tools/benchmark_limits.py --json=tools/results/limits.json

Each sound claims more than its file justifies. The budget is that of docs/SECURITY.md: 64 MB and 8 times the file,
beyond what importing the packages takes (and scrypt, with a passphrase), and 10 s of processor time. The memory is the
peak resident set. Ends with status 1 if anything is over the budget, crashes, or ends with a status above 1.
"""

import base64
import hashlib
import json
import multiprocessing
import os
import re
import resource
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from absl import app, flags
from publishing import publish

from stegano_tf import commands, figures, sealing
from stegano_tf.audio import files, framing, pcm
from stegano_tf.audio.forms.marked import writing
from stegano_tf.audio.forms.marked.label import SYNC, Label
from stegano_tf.audio.payloads import bmp
from stegano_tf.sealing import age

_ONLY = flags.DEFINE_string("only", "", "Regular expression: measure the sounds with such names only.")
_FOLDER = flags.DEFINE_string("folder", None, "Where the sounds are written; by default a temporary folder.")
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")

MEMORY = 64e6  # bytes
MEMORY_PER_BYTE = 8
SCRYPT = 1 << 28  # bytes that a search with a passphrase takes on top
SECONDS = 10.0
_MOST = 6_000_000_000  # bytes of address space that a command may take: what it costs is known by then

# Imported before anything is measured, in the process from which each measured one is forked.
_IMPORTED = (
    *("ai_edge_litert.interpreter", "cryptography.hazmat.primitives.ciphers", "librosa.core.spectrum"),
    *("matplotlib.backends.backend_agg", "matplotlib.figure", "PIL.PngImagePlugin", "PIL.WebPImagePlugin"),
    *("pyrage", "reedsolo", "skimage.metrics", "soundfile", "zfec"),
    *("stegano_tf.commands", "stegano_tf.figures", "stegano_tf.pipeline"),
)


# --- FLAC, written bit by bit: an encoder cannot be made to write so much of nothing in so few bytes ------------------


def _crc(polynomial: int, bits: int) -> Callable[[bytes], bytes]:
    """Returns the CRC with initial value 0 and the highest bit first, big-endian."""
    top, mask = 1 << (bits - 1), (1 << bits) - 1
    table = []
    for value in range(256):
        crc = value << (bits - 8)
        for _ in range(8):
            crc = ((crc << 1) ^ polynomial if crc & top else crc << 1) & mask
        table.append(crc)

    def crc(data: bytes) -> bytes:
        found = 0
        for byte in data:
            found = (found << 8 & mask) ^ table[found >> (bits - 8) ^ byte]
        return found.to_bytes(bits // 8, "big")

    return crc


_crc8, _crc16 = _crc(0x07, 8), _crc(0x8005, 16)
_FLAC_BLOCK = 65_535


def flac_of_constants(path: Path, start: bytes, samples: int, *, constant: int = -32640, channels: int = 1) -> None:
    """Writes so many samples of each channel, of which the first are bytes of a message and all others one constant."""
    first = pcm.encode(start).astype(">i2")
    fields = channels - 1 << 41 | 15 << 36 | samples | 44_100 << 44
    info = struct.pack(">HH6x", _FLAC_BLOCK, _FLAC_BLOCK) + fields.to_bytes(8, "big") + bytes(16)
    with path.open("wb") as file:
        file.write(b"fLaC\x80" + (34).to_bytes(3, "big") + info)
        for number, place in enumerate(range(0, samples, _FLAC_BLOCK)):
            count = min(_FLAC_BLOCK, samples - place)
            header = struct.pack(">HBB", 0xFFF8, 0x70, (channels - 1) << 4 | 8)
            header += chr(number).encode("utf-8", "surrogatepass") + struct.pack(">H", count - 1)
            data = header + _crc8(header)
            part = first[place : place + count]
            if len(part):
                full = np.full(count, constant, ">i2")
                full[: len(part)] = part
                data += b"\x02" + full.tobytes()
            else:
                data += b"\0" + struct.pack(">h", constant)
            data += (b"\0" + struct.pack(">h", constant)) * (channels - 1)
            file.write(data + _crc16(data))


# --- Messages -------------------------------------------------------------------------------------------------------


def frame(payload: bytes, *, size: int | None = None, sealed: bool = False, secret: tuple[int, int] | None = None):
    """Returns a frame that claims a payload of `size` bytes."""
    flags_ = framing.Flags.SEALED if sealed else framing.Flags.NONE
    header = framing.Header(len(payload) if size is None else size, secret, flags=flags_)
    return header.pack() + payload + hashlib.sha256(payload).digest()


def png(width: int, height: int, colour: int, depth: int, *more: bytes) -> bytes:
    """Returns a PNG of zeros; `more` are chunks before the pixels."""
    row = (width * {0: 1, 2: 3, 6: 4}[colour] * depth + 7) // 8 + 1
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(row)) for _ in range(height)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    """Returns a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def webp(side: int) -> bytes:
    """Returns a lossless WebP of one colour."""
    bits = 0x2F | (side - 1) << 8 | (side - 1) << 22  # signature, width, height, no alpha, version 0
    data = bits.to_bytes(5, "little") + bytes.fromhex("0788888808")  # no transform, five codes of one symbol, no pixels
    part = b"VP8L" + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(part)) + b"WEBP" + part


def age_header(stanza: Callable[[], bytes], count: int) -> bytes:
    """Returns an age file with so many stanzas that nobody can open."""
    return age.MAGIC + b"".join(stanza() for _ in range(count)) + b"--- " + _random64(32) + b"\n" + os.urandom(66_000)


def _random64(size: int) -> bytes:
    return base64.b64encode(os.urandom(size)).rstrip(b"=")


def x25519() -> bytes:
    return b"-> X25519 " + _random64(32) + b"\n" + _random64(32) + b"\n"


def armored(data: bytes) -> bytes:
    """Returns an age file in its armor."""
    text = base64.b64encode(data)
    lines = b"\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return age.ARMOR_MAGIC + b"\n" + lines + b"\n-----END AGE ENCRYPTED FILE-----\n"


# --- Sounds ----------------------------------------------------------------------------------------------------------

_N = 1_000_000_000
_RECEIVE, _DECODE, _INSPECT = ("receive", "o.png"), ("decode", "o.png"), ("inspect",)
_PASSPHRASE, _IDENTITY = "--passphrase-file=passphrase", "--identity=identity"


class Writer:
    """Writes sounds into a folder and returns their paths."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.random = np.random.default_rng(0)

    def wav(self, name: str, samples: np.ndarray) -> Path:
        """Of int16-like values, [N] or [N, channels]."""
        blocks, channels = [samples.astype(np.int16)], 1
        if samples.ndim == 2:
            blocks, channels = [samples.astype(np.int32) << 16], samples.shape[1]
        files.write(self._folder / name, blocks, len(samples), channels=channels, force=True)
        return self._folder / name

    def plain(self, name: str, message: bytes) -> Path:
        """Of a sample a byte."""
        return self.wav(name, pcm.encode(message))

    def flac(self, name: str, start: bytes, samples: int = _N, **options) -> Path:
        """As `flac_of_constants`."""
        flac_of_constants(self._folder / name, start, samples, **options)
        return self._folder / name


Sounds = Iterator[tuple[str, Path, list[tuple[str, ...]]]]
"""Names, sounds and the commands that read them: the subcommand and what stands behind the sound."""


def claims(write: Writer) -> Sounds:
    """Yields sounds that claim more than they hold."""
    image = write.random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    picture = b"".join(map(bytes, bmp.encode(image)[1]))
    for sizes in (10_000, 10_000), (1, 1 << 31), (4_000_000_000, 4_000_000_000):
        made = write.plain("claim.wav", frame(picture, secret=sizes))
        yield f"a secret of {sizes[1]} x {sizes[0]}", made, [_RECEIVE, _INSPECT]
    yield (
        "a small PNG of constants",
        write.flac("a.flac", frame(b"\x89PNG\r\n\x1a\n", size=_N - 72)[:48]),
        [_INSPECT, _DECODE, ("decode", "--payload-out=o")],
    )
    side = 18_000
    header = bmp._header(bmp.Layout(0, bmp.HEADER_BYTES, side, side))
    yield (
        "a BMP of constants",
        write.flac("b.flac", frame(header, size=54 + 3 * side * side)[:94]),
        [_INSPECT, _DECODE, ("decode", "o.bmp"), _RECEIVE],
    )
    yield "a raw BMP of constants", write.flac("c.flac", header), [_INSPECT, _DECODE, ("decode", "o.bmp")]
    side = 4_000
    header = bmp._header(bmp.Layout(0, bmp.HEADER_BYTES, side, side))
    yield (
        "a raw BMP of constants that is justified",
        write.flac("d.flac", header),
        [_INSPECT, _DECODE, ("decode", "o.bmp")],
    )
    scrypt = b"-> scrypt " + _random64(16) + b" 10\n" + _random64(32) + b"\n"
    for name, stanza in ("a passphrase", scrypt), ("a recipient", x25519()):
        start = frame(age.MAGIC + stanza + b"--- " + _random64(32) + b"\n", size=_N - 72, sealed=True)[:-32]
        yield (
            f"constants sealed for {name}",
            write.flac("e.flac", start),
            [_INSPECT, ("decode", "o.png", _PASSPHRASE), ("decode", "o.png", _IDENTITY), ("inspect", _PASSPHRASE)],
        )
    yield (
        "constants, bare",
        write.flac("f.flac", bytes(16) + bytes([18]) + os.urandom(60_000)),
        [("decode", "o.png", "--bare", _PASSPHRASE)],
    )
    yield "a picture before constants", write.flac("g.flac", frame(picture)), [("inspect", "--plot=p.png"), _RECEIVE]
    yield "a picture alone", write.plain("h2.wav", frame(picture)), [("inspect", "--plot=p.png")]
    yield "constants alone", write.flac("h.flac", bytes([1])), [_INSPECT, ("decode", "o.png", _PASSPHRASE)]
    yield "constants in eight channels", write.flac("i.flac", bytes([1]), _N // 8, channels=8), [_INSPECT]
    yield (
        "silence with a passphrase",
        write.flac("j.flac", bytes([16]) * 10, 16 << 20, constant=0),
        [_INSPECT, ("decode", "o.png", _PASSPHRASE)],
    )
    yield (
        "silence in stereo with a passphrase",
        write.flac("j2.flac", bytes([16]) * 10, 8 << 20, constant=0, channels=2),
        [("decode", "o.png", _PASSPHRASE)],
    )
    for size in (900_000_000, 60_000_000):
        made = _marks(Label(0, size, 1, 12, 8))
        yield f"a mark that claims {size:,} bytes", write.flac("k.flac", pcm.decode(made[0]).tobytes(), _N), [_INSPECT]


def pictures(write: Writer) -> Sounds:
    """Yields sounds whose pictures claim more pixels than they hold."""
    yield (
        "a PNG of 1 bit a pixel",
        write.plain("l.wav", frame(png(4729, 4729, 0, 1))),
        [_INSPECT, _DECODE, ("decode", "o.bmp"), _RECEIVE],
    )
    yield "a PNG of RGBA", write.plain("m.wav", frame(png(4096, 4096, 6, 8))), [_INSPECT, _DECODE]
    data = png(13_300, 13_300, 6, 8)
    yield (
        "a PNG in a FLAC, its digest wrong",
        write.flac("n.flac", frame(data, size=66_000_000)[:-32], 66_000_072),
        [_INSPECT, _DECODE],
    )
    yield "a PNG of 16 bits", write.plain("o.wav", frame(png(3500, 3500, 2, 16))), [_DECODE]
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(60_000_000), 9))
    yield "a PNG with compressed texts", write.plain("p.wav", frame(png(8, 8, 2, 8, *[text] * 20))), [_INSPECT, _DECODE]
    profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(200_000_000), 9))
    yield "a PNG with a compressed profile", write.plain("q.wav", frame(png(8, 8, 2, 8, profile))), [_DECODE]
    for side in (16_383, 4_700, 2_000):
        yield f"a WebP of {side} x {side}", write.plain("r.wav", frame(webp(side))), [_INSPECT, _DECODE]


def marks(write: Writer) -> Sounds:
    """Yields sounds that look like sounds with marks, or take long to search."""
    random = write.random
    near = SYNC.astype(int).copy()
    near[28] = -1
    for count in (500_000, 5_000_000):
        yield (
            f"{count:,} samples of what is nearly a mark",
            write.wav("s.wav", np.tile(near * 30000, count // 32)),
            [_INSPECT],
        )
    noise = random.integers(-3000, 3000, 10_000_000)
    yield "noise", write.wav("t.wav", noise), [_INSPECT, ("inspect", _PASSPHRASE)]
    yield "noise in 1,024 channels", write.wav("u.wav", noise[: 9765 * 1024].reshape(-1, 1024)), [_INSPECT]
    for name, label in (
        ("one label", Label(0, 1_000_000, 1, 12, 8)),
        ("a label for each mark", Label(0, 100_000_000, 1, 12, 8)),
    ):
        made = _marks(label)
        made = np.tile(made[:1], (60_000, 1)) if name == "one label" else made[:60_000]
        yield f"marks without bodies, {name}", write.wav("v.wav", np.append(np.zeros(9), made.reshape(-1))), [_INSPECT]
    damaged = _marks(Label(0, 100_000_000, 1, 12, 8))[:60_000]
    damaged[:, 40:60] = 0
    yield "marks with damaged labels", write.wav("w.wav", np.append(np.zeros(9), damaged.reshape(-1))), [_INSPECT]
    tiled = np.tile(_marks(Label(0, 9_000_000, 1, 12, 8)).reshape(-1)[:9765, None], (1, 1024))
    yield "marks in 1,024 channels", write.wav("x.wav", tiled), [_INSPECT]
    for size in 10_000, 200_000:
        yield f"{size:,} bytes to repair, a wrong checksum", write.wav("y.wav", _to_repair(size, random)), [_INSPECT]


def seals(write: Writer) -> Sounds:
    """Yields sealed sounds that nobody can open."""
    for name, data in (
        ("8,000 recipients", age_header(x25519, 8_000)),
        ("8,000 recipients in armor", armored(age_header(x25519, 8_000))),
        ("40,000 empty stanzas", age_header(lambda: b"-> g\n\n", 40_000)),
        ("900 recipients", age_header(x25519, 600)),
    ):
        yield name, write.plain("z.wav", frame(data, sealed=True)), [("decode", "o.png", _IDENTITY)]
    for factor in (23, 99):
        data = age_header(
            lambda factor=factor: b"-> scrypt " + _random64(16) + b" %d\n" % factor + _random64(32) + b"\n", 1
        )
        for name, wrapped in ("", data), (" in armor", armored(data)):
            yield (
                f"a work factor of {factor}{name}",
                write.plain("0.wav", frame(wrapped, sealed=True)),
                [("decode", "o.png", _PASSPHRASE)],
            )


def _marks(label: Label) -> np.ndarray:
    return writing.marks_of(label)


def _to_repair(size: int, random: np.random.Generator) -> np.ndarray:
    """Returns a sound with parity, damaged as far as it can be repaired, of a message with another checksum."""
    count, blocks = writing.encode(random.integers(0, 256, size, dtype=np.uint8), 12, 8)
    samples = np.concatenate(list(blocks))
    label = Label(0, size, 12_345, 12, 8)
    made = writing.marks_of(label)
    for segment, mark in enumerate(made):
        start = min(segment * 4096, count - len(mark))
        samples[start : start + len(mark)] = mark
    hit = random.random(count) < 0.02
    hit[np.arange(count) % 4096 < 80] = False
    samples[hit] ^= random.integers(0, 128, np.count_nonzero(hit)).astype(np.int16) << 8
    return samples


# --- Measuring -------------------------------------------------------------------------------------------------------


def measure(folder: Path, sound: Path, command: tuple[str, ...]) -> dict:
    """Returns status, memory and processor time of a command, and its last line."""
    arguments = [
        command[0],
        sound.name,
        *command[1:],
        *(["--force"] if command[0] != "inspect" or "--plot" in " ".join(command) else []),
    ]
    context = multiprocessing.get_context("forkserver")
    said, measured = folder / "said", folder / "figures"
    measured.unlink(missing_ok=True)
    process = context.Process(target=_run, args=(folder, arguments))
    process.start()
    process.join()
    found = json.loads(measured.read_text()) if measured.exists() else {"status": "crash", "memory": 0, "cpu_s": 0.0}
    size = sound.stat().st_size
    budget = MEMORY + MEMORY_PER_BYTE * size + SCRYPT * (_PASSPHRASE in command)
    found["memory_share"] = found["memory"] / budget
    last = " ".join(said.read_text(errors="replace").splitlines()[-1:])
    return {"command": " ".join(command), "file_bytes": size} | found | {"said": last[-200:]}


def _run(folder: Path, arguments: list[str]) -> None:
    """Runs a command in this process and writes what it said and what it took into two files."""
    os.chdir(folder)
    with Path("said").open("wb") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    sys.stdout = sys.stderr = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    mapped = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + _MOST, resource.RLIM_INFINITY))
    if any(text.startswith("--plot") for text in arguments):
        figures.sound_figure(np.zeros(9, np.int16), 44_100)  # fonts and functions are loaded when they are first used
    before, status = resource.getrusage(resource.RUSAGE_SELF), 0
    try:
        commands.main(commands.parse(["stegano-tf", *arguments]))
    except SystemExit as error:
        status = error.code
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = {"status": status, "memory": 1024 * (after.ru_maxrss - before.ru_maxrss), "cpu_s": seconds}
    Path("figures").write_text(json.dumps(found), encoding="ascii")


def within(taken: dict) -> bool:
    """Returns whether a command kept to the budget."""
    return taken["status"] in (0, 1) and taken["memory_share"] <= 1 and taken["cpu_s"] <= SECONDS


def main(_):
    multiprocessing.set_forkserver_preload(list(_IMPORTED))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(_FOLDER.value or temporary)
        (folder / "passphrase").write_text("correct horse\n")
        sealing.keygen(folder / "identity", force=True)
        write = Writer(folder)
        kinds = {make.__name__: _measured(folder, make(write)) for make in (claims, pictures, marks, seals)}
    publish({"kinds": kinds}, _JSON.value)
    sys.exit(any(not within(taken) for kind in kinds.values() for taken in kind.values()))


def _measured(folder: Path, sounds: Sounds) -> dict[str, dict]:
    """Returns what each command took, by its sound and itself."""
    found = {}
    for name, sound, reading in sounds:
        for command in reading if re.search(_ONLY.value, name) else ():
            taken = measure(folder, sound, command)
            found[f"{name}: {taken.pop('command')}"] = taken
            print("" if within(taken) else "OVER ", name, command, taken, file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    app.run(main)
