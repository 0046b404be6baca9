"""Texts and tables made from tools/results/, for `tools/report.py` to put into the documents."""

import functools
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from publishing import faults

RESULTS = Path(__file__).parent / "results"

KINDS = {
    "test": "photographs that were JPEG files",
    "never_jpeg": "photographs that never were JPEG files",
    "bundled": "photographs of the tests",
}

METHODS = {"lsb-": "low bits, K", "jxl-": "JPEG XL modulo M", "jp2-": "JPEG 2000 modulo M"}

# As their authors state them, on other pictures, of stego images in floating point: (cover dB, secret dB, source).
PUBLISHED = {
    "the publication": (30.5, 32.1, "the log in its released code"),
    "arnoweng": (35.9, 36.0, "github.com/arnoweng/PyTorch-Deep-Image-Steganography"),
    "UDH": (39.1, 35.0, "C. Zhang et al., NeurIPS 2020"),
    "HiNet": (38.8, 46.9, "J. Jing et al., ICCV 2021: the authors' log, RGB"),
}

INSERTS: dict[str, Callable[[], str]] = {}
LOADED: set[str] = set()  # names of the results that were read


def insert(function: Callable[[], str]) -> Callable[[], str]:
    """Makes what a function returns available to the documents, by the function's name."""
    INSERTS[function.__name__] = function
    return function


@functools.cache
def load(name: str) -> dict:
    """Returns the figures in tools/results/NAME.json.

    Raises:
      ValueError: they may not be quoted; the message says why.
    """
    LOADED.add(name)
    file = RESULTS / f"{name}.json"
    result = json.loads(file.read_text())
    if found := faults(result):
        raise ValueError(f"{file}: {'; '.join(found)}")
    return result


def scoreboards(kind: str) -> dict[str, dict]:
    """Returns what was measured of each preset on pictures of a kind, by what the tables call it."""
    names = sorted(file.stem for file in RESULTS.glob(f"*-{kind}.json") if not file.stem.startswith("baselines"))
    return {name.removesuffix(f"-{kind}").replace("-", " --"): load(name) for name in names}


def table(heading: Iterable[str], rows: Iterable[Iterable], *results: dict) -> str:
    """Returns a Markdown table; below it, where `results` were measured."""
    heading = list(heading)
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (heading, ["---"] * len(heading), *rows)]
    for result in results:
        cores, architecture, python = result["machine"].values()
        lines += ["", f"Measured at commit {result['commit']} on {cores} cores ({architecture}, Python {python})."]
    return "\n".join(["", *lines, ""])


def psnrs(result: dict) -> str:
    """PSNR of cover and secret."""
    return f"{result['cover_psnr']:.1f} / {result['secret_psnr']:.1f} dB"


def took(seconds: float, megabytes: float) -> str:
    """Time and peak memory of a process."""
    return f"{seconds:.1f} s, {megabytes:.0f} MB"


@insert
def quality_in_short() -> str:
    """A row for each preset: PSNR of cover and secret, by kind of picture."""
    boards = {kind: scoreboards(kind) for kind in ("test", "never_jpeg")}
    heading = [f"{next(iter(board.values()))['pictures']} {KINDS[kind]}" for kind, board in boards.items()]
    rows = ([f"`{name}`", *(psnrs(board[name]) for board in boards.values())] for name in boards["test"])
    return table(["PSNR of cover / secret", *heading], rows)


@insert
def quality() -> str:
    """A row for each preset and kind of picture: means and worst pictures."""

    def of(result: dict, name: str) -> list[str]:
        psnr, ssim, apd, worst = (result[key.format(name)] for key in ("{}_psnr", "{}_ssim", "{}_apd", "worst_{}_psnr"))
        return [f"{psnr:.1f} dB / {ssim:.3f} / {apd:.2f}", f"{worst:.1f} dB"]

    heading = ["pictures", "network", "cover PSNR / SSIM / APD", "worst", "secret PSNR / SSIM / APD", "worst"]
    rows = (
        [f"{result['pictures']} {text}", f"`{name}`", *of(result, "cover"), *of(result, "secret")]
        for kind, text in KINDS.items()
        for name, result in scoreboards(kind).items()
    )
    return table(heading, rows)


@insert
def baselines() -> str:
    """A row for each strength of each classical method, by kind of picture."""
    kinds = {kind: load(f"baselines-{kind}")["methods"] for kind in ("test", "never_jpeg")}
    heading = [f"{kind}: {name}" for kind in kinds for name in ("cover / secret", "worst secret", "identical secrets")]
    rows = {name: [f"`{name}`"] for name in kinds["test"]}
    for methods in kinds.values():
        for name, found in methods.items():
            rows[name] += [psnrs(found), f"{found['worst_secret_psnr']:.1f} dB", found["secret_identical"]]
    return table(["method", *heading], rows.values())


@insert
def published() -> str:
    """Figures of others, with their source."""
    rows = ([name, f"{cover} dB", f"{secret} dB", source] for name, (cover, secret, source) in PUBLISHED.items())
    return table(["method", "cover", "secret", "source"], rows)


@insert
def as_others_state() -> str:
    """RGB and luma, rounded and not, for each preset that has both: what publications state one or the other of."""
    rows = []
    for kind, text in KINDS.items():
        for name, result in scoreboards(kind).items():
            for unit, found in (("8 bits", result), ("floating point", result.get("unrounded"))):
                if "unrounded" in result:
                    lumas = (found[f"{picture}_luma_psnr"] for picture in ("cover", "secret"))
                    rows.append(
                        [
                            f"{result['pictures']} {text}",
                            f"`{name}`",
                            unit,
                            psnrs(found),
                            "{:.1f} / {:.1f} dB".format(*lumas),
                        ]
                    )
    return table(["pictures", "network", "stego image", "RGB, cover / secret", "luma"], rows)


@insert
def odd() -> str:
    """A row for each odd picture: cover and secret PSNR where it was the cover, and where the secret."""
    results = [load(f"codebook-odd-{side}") for side in (256, 1024)]
    rows = {}
    for result in results:
        for pair in result["pairs"]:
            role = "cover" if pair["cover"].startswith("odd-") else "secret"
            name = pair[role].removeprefix("odd-").removesuffix(".png").replace("_", " ")
            rows.setdefault(name, {}).setdefault(role, []).append(psnrs(pair))
    heading = ["picture", *(f"as {role}, {r['side']}²" for role in ("cover", "secret") for r in results)]
    return table(heading, ([name, *row["cover"], *row["secret"]] for name, row in sorted(rows.items())))


@insert
def speed_in_short() -> str:
    """What the command and its networks take, by preset."""
    result, scale = load("runtime"), load("scale")
    found, sent = result["presets"], scale["sent"][0]
    rows = [
        [
            f"{name} a picture of {result['side']}²",
            *(f"{1e3 * p['networks'][name]['litert_s']:.0f} ms" for p in found.values()),
        ]
        for name in ("hide", "reveal")
    ]
    hide = (p["processes"]["litert"] for p in found.values())
    rows.append([f"`stegano-tf hide`, {result['process_side']}²", *(took(p["hide_s"], p["peak_mb"]) for p in hide)])
    for command in ("send", "receive"):
        cells = (took(*sent[command].values()) if name == scale["preset"] else "" for name in found)
        rows.append([f"`stegano-tf {command}`, {sent['megapixels']:g} megapixels", *cells])
    return table([f"on {result['machine']['cores']} cores", *(f"`{name}`" for name in found)], rows)


@insert
def runtimes() -> str:
    """What hiding and revealing take on each runtime, by preset."""
    result = load("runtime")
    names = {"litert": "LiteRT", "savedmodel": "SavedModel", "keras": "Keras", "onnxruntime": "ONNX Runtime"}
    if not any("onnxruntime_s" in found["networks"]["hide"] for found in result["presets"].values()):
        del names["onnxruntime"]
    rows = []
    for preset, found in result["presets"].items():
        for what, network in found["networks"].items():
            cells = (f"{1e3 * network[f'{name}_s']:.0f} ms" if f"{name}_s" in network else "" for name in names)
            rows.append([f"`{preset}`: {what} a picture of {result['side']}²", *cells])
        processes = (found["processes"].get(name) for name in names)
        cells = (took(p["hide_s"], p["peak_mb"]) if p else "" for p in processes)
        rows.append([f"`stegano-tf hide --preset {preset}`, {result['process_side']}²", *cells])
    return table(["median", *names.values()], rows, result)


@insert
def large_pictures() -> str:
    """Time and memory of the whole command, by size."""
    result = load("scale")
    rows = (
        [f"{row['megapixels']:g}", *(took(*row[command].values()) for command in ("send", "receive"))]
        for row in result["sent"]
    )
    return table(["megapixels", "`stegano-tf send`", "`stegano-tf receive`"], rows, result)


@insert
def large_sounds() -> str:
    """Time and memory of the sound half, by form."""
    result = load("scale")
    rows = (
        [form, *(took(*found[command].values()) for command in ("encode", "decode"))]
        for form, found in result["encoded"]["forms"].items()
    )
    heading = [f"{result['encoded']['megapixels']:g} megapixels", "`stegano-tf encode`", "`stegano-tf decode`"]
    return table(heading, rows, result)


@insert
def codec() -> str:
    """How the codec compares with soundfile alone."""
    result = load("codec")
    found, memory = result["codec"], result["memory"]
    read = f"{found['decode_ratio']:.2f} times `soundfile.read`, {found['decode_ratio_int16']:.1f} times with int16"
    rows = [
        ["encode", f"{found['encode_ratio']:.2f} times `soundfile.write`", f"{memory['encode_peak_ratio']:.2f}"],
        ["decode", read, f"{memory['decode_peak_ratio']:.2f}"],
    ]
    return table([f"{found['megapixels']:g} megapixels", "time", "peak memory, the BMP file = 1"], rows, result)


@insert
def repairs() -> str:
    """How many damaged sounds were read."""
    result = load("audio")
    kinds = {
        "2_per_cent_replaced": "parity 10 %: 2 % of all samples replaced",
        "burst_3_per_cent": "parity 10 %: one piece of 3 % replaced",
        "20_bursts": "parity 10 %: 20 pieces of 0.1 % replaced",
        "2_per_cent_replaced_by_levels": "parity 10 %: 2 % replaced by other bytes' levels",
        "depth_4_16_bit": "parity 0 %, depth 4: gain of 0.5 to 2, offset, then noise of ±127",
        "depth_8_float_parity": "parity 10 %, depth 8: noise of ±127, then gain and offset",
    }
    found = result["repaired"] | result["noise"]
    rows = ([text, f"{found[kind]} of {result['trials']}"] for kind, text in kinds.items())
    return table(["damage", "sounds that gave the picture back"], rows, result)


@insert
def modem_in_short() -> str:
    """What each profile of the modem survives, and at what rate."""
    result = load("modem")
    rows = []
    for profile, ways in result["modem"].items():
        whole = [way for way, found in ways.items() if found["right"] == found["of"] and way in result["codecs"]]
        rows.append([f"`{profile}`", ", ".join(whole), f"{next(iter(ways.values()))['kbps']:.1f} kb/s"])
    return table(["`--survive`", "every message arrived through", "payload"], rows)


@insert
def modem() -> str:
    """How many messages came back through each channel, by profile."""
    result = load("modem")
    rows = []
    for profile, ways in result["modem"].items():
        for way, found in ways.items():
            right, of = found["right"] + found["right_of_a_minute"], found["of"] + found["of_a_minute"]
            worst = f"{found['most_lost_blocks']:.0%}"
            rows.append([f"`{profile}`", way, f"{right} of {of}", worst, f"{found['kbps']:.2f} kb/s"])
    heads = ["profile", "what happens to the sound", "messages that came back", "blocks lost, at worst"]
    return table([*heads, "payload"], rows, result)


@insert
def peers() -> str:
    """What other modems get through the same codecs: of each channel the fastest setting without a loss."""
    result, rows = load("peers"), []
    for name, settings in result["peers"].items():
        for way in next(iter(settings.values())):
            whole = [found[way]["kbps"] for found in settings.values() if found[way]["right"] == found[way]["of"]]
            rows.append([name, way, f"{max(whole):.2f} kb/s" if whole else "none"])
    return table(["modem", "what happens to the sound", "payload, every message arrived"], rows, result)


@insert
def false_alarms() -> str:
    """What the search takes for a message where there is none, and what a long recording takes."""
    result = load("false_alarms")
    rows = [[name, f"{one['hours']:.1f} h", str(one["alarms"])] for name, one in result["false_alarms"].items()]
    long = result["two_hours"]
    found = f"{long['times_real_time']:.0f} times real time, {long['peak_bytes'] / 1e6:.0f} MB"
    return table(["sound", "length", "messages claimed"], [*rows, ["with one message", "2.0 h", found]], result)


@insert
def modem_speed() -> str:
    """The modem's speed beside real time, behind the codec of each profile that takes longest."""
    result = load("modem")
    rows = [
        [f"`{profile}`", found["way"], *(f"{found[what]:.0f} times real time" for what in ("encode", "decode"))]
        for profile, found in result["speed"]["profiles"].items()
    ]
    return table(["profile", "codec", "encode", "decode"], rows, result)


@insert
def sound_speed() -> str:
    """Speed of sealing and of parity, and the noise in carriers."""
    result = load("audio")
    seal, parity = result["sealing"], result["parity"]
    rows = [
        ["seal / open", f"{seal['seal_mb_s']:.0f} / {seal['open_mb_s']:.0f} MB/s"],
        ["encode / decode with parity 10 %", f"{parity['encode_mb_s']:.0f} / {parity['decode_clean_mb_s']:.0f} MB/s"],
    ]
    for name, snr in result["carrier"].items():
        rows.append([f"noise in a carrier, bits a sample: {name.split('_')[2]}", f"{snr:.0f} dB below full scale"])
    return table(["what", "measured"], rows, result)


@insert
def serving() -> str:
    """The server beside a bare loop, and its memory."""
    result = load("benchmark_serving")
    ways = {"grpc": "gRPC, pixels", "rest_b64": "REST, picture files", "rest_json": "REST, pixels as lists"}
    rows = []
    for way, text in ways.items():
        found = result["figures"][way]
        ratios = (f"{found[key]:.2f}" for key in ("server_to_bare", "server_to_bare_processor_time", "p99_to_p50"))
        rows.append([text, *ratios, f"{found['errors']} of {found['requests']}"])
    memory = ", ".join(f"{mb:.0f}" for mb in result["figures"]["soak"]["resident_mb_each_minute"])
    heading = ["way in", "rate, bare loop = 1", "processor time, bare loop = 1", "p99 latency, p50 = 1", "errors"]
    return table(heading, rows, result) + f"\nResident memory under load, minute by minute: {memory} MB.\n"


@insert
def attacked() -> str:
    """Honest clients of the server, alone and beside all attacks."""
    result = load("attack")
    quiet, busy = result["quiet"], result["attacked"]
    ratios = result["p99_attacked_to_quiet"].values()
    rows = [
        ["p99 latency of honest clients, quiet = 1", f"{max(ratios):.1f} for the slowest of {len(ratios)} ways in"],
        ["errors of honest clients", f"{sum(busy['errors'].values())} of {busy['requests']}"],
        ["memory, quiet peak and attacked", f"{quiet['peak_mb']:.0f} MB and {busy['peak_mb']:.0f} MB"],
        ["descriptors, at most", busy["descriptors"]],
        ["seconds from SIGTERM to the end, attacked", f"{result['end']['seconds']:.0f}"],
    ]
    return table([f"{result['minutes']:.0f} minutes, {len(result['attacks'])} attacks at a time", ""], rows, result)


@insert
def fuzzed() -> str:
    """Random requests to the server."""
    result = load("fuzz_serving")
    found = {name: result[way] for way, name in (("rest", "REST"), ("grpc", "gRPC"))}
    rows = ([name, f"{way['requests']:,}", way["faults"], len(way["log"])] for name, way in found.items())
    return table(["random requests", "number", "faults", "lines in the log"], rows, result)


@insert
def training() -> str:
    """Pairs per second of training, and what the trainer adds to forward and backward pass."""
    result = load("benchmark_training")
    rows = []
    for name, found in result["steps"].items():
        preset, side, policy = name.split("_", 2)
        rates = f"{found['trainer_pairs_per_second']:.2f}", f"{found['ratio']:.2f}"
        rows.append([f"`{preset}`", f"{side}²", policy, *rates])
    return table(["preset", "pictures", "policy", "pairs a second", "rate, bare loop = 1"], rows, result)


@insert
def paper_epoch() -> str:
    """How long an epoch of the publication's training takes."""
    result = load("benchmark_training")
    rate = result["steps"]["paper_256_float32"]["trainer_pairs_per_second"]
    minutes = f"{900 / rate / 60:.0f} minutes"
    return f"{result['machine']['cores']} cores train {rate:.2f} pairs a second: {minutes} for an epoch of 900 pairs"


@insert
def limits() -> str:
    """A row for each kind of crafted sound: what reading it costs at most."""
    kinds = {
        "claims": "claims of size: secrets, constant samples in FLAC, tails, marks",
        "pictures": "PNG and WebP pictures that hold little and claim much",
        "marks": "near-marks, marks without a message, 1,024 channels, damage",
        "seals": "age headers and work factors",
    }
    result = load("limits")
    heading = ["crafted sounds", "read", "most memory, budget = 1", "most processor time"]

    def most(kind: str, figure: str) -> float:
        return max(one[figure] for one in result["kinds"][kind].values())

    rows = (
        [text, len(result["kinds"][kind]), f"{most(kind, 'memory_share'):.2f}", f"{most(kind, 'cpu_s'):.1f} s"]
        for kind, text in kinds.items()
    )
    return table(heading, rows, result)


@insert
def batch() -> str:
    """What a collection on Ray costs beside a loop, and what is left after something was killed."""
    result = load("batch")
    speed, window, bad, million = (result[part] for part in ("speed", "window", "bad", "million"))
    loop = f"{speed['pairs']} pairs of {speed['side']}², pairs a CPU second, a loop in one process = 1"
    rows = [
        [loop, f"{speed['share_of_loop']:.2f}"],
        ["what the engine adds to a pair, in blocks of 64", f"{speed['overhead_ms']:.2f} ms of CPU time"],
    ]
    for what, found in result["kills"].items():
        rows.append([f"the {what} killed, {found['times']} times", _left(found)])
    rows += [
        [f"a worker killed {window['killed']} times between its outputs and its answer", _left(window)],
        [f"{bad['bad']} bad inputs", f"{bad['errors']} error rows, exit status {bad['status']}"],
        [
            f"going on with {million['rows']:,} rows done",
            f"{took(million['s'], million['peak_mb'])} before work starts",
        ],
        [
            f"a worker with pairs of {result['memory']['megapixels']:.0f} megapixels",
            f"{result['memory']['peak_mb']:.0f} MB",
        ],
        [
            "S3: hashes of the outputs",
            "those of files" if result["s3"]["same_hashes"] else "OTHERS than those of files",
        ],
    ]
    return table(["what", "measured"], rows, result)


def _left(found: dict) -> str:
    """What a job left; of several jobs each number that there was."""
    words = {
        "rows": "rows",
        "outputs": "outputs",
        "twice": "there twice",
        "partial": "partial",
        "wrong": "other than their row says",
    }
    numbers = {name: sorted(set(found[name])) if isinstance(found[name], list) else [found[name]] for name in words}
    return ", ".join(f"{' or '.join(map(str, numbers[name]))} {text}" for name, text in words.items())


@insert
def batch_scale() -> str:
    """What a million and a thousand million pairs take, from what one pair takes."""
    result = load("batch")
    speed, requests = result["speed"], result["s3"]["requests_a_pair"]
    rows = []
    for pairs in 10**6, 10**9:
        hours = pairs * speed["cpu_ms"] / 3.6e6
        rows.append(
            [
                f"{pairs:,}",
                f"{hours:,.0f}",
                f"{hours / 64:,.1f}",
                f"{hours / 64 / 100:,.1f}",
                f"{pairs * speed['input_bytes'] / 1e9:,.0f}",
                f"{pairs * speed['output_bytes'] / 1e9:,.0f}",
                f"{pairs * speed['result_bytes'] / 1e9:,.2f}",
                f"{pairs * (requests['GET'] + requests['HEAD']) / 1e6:,.1f}",
                f"{pairs * requests['PUT'] / 1e6:,.1f}",
            ]
        )
    heading = [
        "pairs",
        "core hours",
        "hours on 64 cores",
        "hours on 100 x 64 cores",
        "GB read",
        "GB written",
        "GB of results",
    ]
    return table([*heading, "million GET and HEAD", "million PUT"], rows, result)
