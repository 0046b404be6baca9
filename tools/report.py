r"""Writes the quality tables and the plot into README.md and docs/QUALITY.md, from tools/results/ alone.

    python tools/report.py

No figure stands in those places that is not in a JSON file of tools/results/, which `stegano_tf.evaluate` and
`tools/baselines.py` write.
"""

import json
from pathlib import Path

from absl import app
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "tools/results"
PLOT = ROOT / "docs/quality.png"
BEGIN, END = "<!-- begin: tools/report.py -->\n", "<!-- end: tools/report.py -->\n"

# As their authors state them, on other pictures, of stego images in floating point: (name, cover dB, secret dB).
PUBLISHED = (
    ("the publication's log", 30.5, 32.1),
    ("arnoweng", 35.9, 36.0),
    ("UDH", 39.1, 35.0),
    ("HiNet", 38.8, 46.9),
)


def load(name: str) -> dict:
    """Returns the figures in tools/results/NAME.json."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def scoreboards() -> dict[str, dict]:
    """Returns what was measured of each preset on the test pictures, by what the tables call it."""
    return {
        file.stem.removesuffix("-test").replace("-", " --"): load(file.stem)
        for file in sorted(RESULTS.glob("*-test.json"))
    }


def table(heading: list[str], rows: list[list]) -> str:
    """Returns a Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def quality_table() -> str:
    """Returns a row for each preset: means and worst pictures."""

    def of(result: dict, name: str) -> list[str]:
        psnr, ssim, apd, worst = (result[key.format(name)] for key in ("{}_psnr", "{}_ssim", "{}_apd", "worst_{}_psnr"))
        return [f"{psnr:.1f} dB / {ssim:.3f} / {apd:.2f}", f"{worst:.1f} dB"]

    heading = ["preset", "cover PSNR / SSIM / APD", "worst", "secret PSNR / SSIM / APD", "worst"]
    return table(heading, [[f"`{name}`", *of(r, "cover"), *of(r, "secret")] for name, r in scoreboards().items()])


def baselines_table() -> str:
    """Returns a row for each strength of each classical method."""
    keys = ("cover_psnr", "cover_ssim", "secret_psnr", "secret_ssim", "worst_secret_psnr", "secret_identical")
    formats = ("{:.1f} dB", "{:.3f}", "{:.1f} dB", "{:.3f}", "{:.1f} dB", "{}")
    rows = [
        [f"`{name}`", *(text.format(figures[key]) for key, text in zip(keys, formats, strict=True))]
        for name, figures in load("baselines")["methods"].items()
    ]
    return table(["method", "cover PSNR", "SSIM", "secret PSNR", "SSIM", "worst secret", "identical secrets"], rows)


def odd_table(preset: str) -> str:
    """Returns a row for each odd picture: cover and secret PSNR where it was the cover, and where the secret."""
    files = sorted(RESULTS.glob(f"{preset}-odd-*.json"), key=lambda file: int(file.stem.rsplit("-", 1)[1]))
    results = [json.loads(file.read_text()) for file in files]
    rows = {}
    for result in results:
        for pair in result["pairs"]:
            role = "cover" if pair["cover"].startswith("odd-") else "secret"
            name = pair[role].removeprefix("odd-").removesuffix(".png").replace("_", " ")
            figures = f"{pair['cover_psnr']:.1f} / {pair['secret_psnr']:.1f}"
            rows.setdefault(name, {}).setdefault(role, []).append(figures)
    sides = [f"{result['side']}²" for result in results]
    heading = ["picture", *(f"as {role}, {side}" for role in ("cover", "secret") for side in sides)]
    return table(heading, [[name, *row["cover"], *row["secret"]] for name, row in sorted(rows.items())])


def plot() -> None:
    """Draws cover dB against secret dB: presets, classical methods as curves, published figures."""
    figure = Figure(figsize=(8, 5), dpi=110, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    methods = load("baselines")["methods"]
    for prefix, label in (("lsb-", "low bits, K = "), ("jxl-", "JPEG XL modulo M = ")):
        points = {name.removeprefix(prefix): figures for name, figures in methods.items() if name.startswith(prefix)}
        x, y = ([figures[key] for figures in points.values()] for key in ("cover_psnr", "secret_psnr"))
        axes.plot(x, y, "o-", markersize=4, linewidth=1, label=f"{label}{', '.join(points)}")
        for strength, *at in zip(points, x, y, strict=True):
            axes.annotate(strength, at, (4, 3), textcoords="offset points", fontsize=7)
    for name, *at in PUBLISHED:
        axes.plot(*at, "k^", fillstyle="none")
        axes.annotate(name, at, (6, -3), textcoords="offset points", fontsize=8)
    axes.plot([], [], "k^", fillstyle="none", label="published, other pictures, not rounded to 8 bits")
    for name, result in scoreboards().items():
        if "--" in name:  # next to the preset itself
            continue
        at = result["cover_psnr"], result["secret_psnr"]
        axes.plot(*at, "r*", markersize=12)
        axes.annotate(name, at, (-10, -16), textcoords="offset points", fontsize=9, color="red")
    axes.plot([], [], "r*", markersize=12, label="stegano_tf")
    axes.set(xlabel="cover and stego image, PSNR in dB", ylabel="secret and revealed secret, PSNR in dB", xlim=(28, 54))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", fontsize=8)
    canvas.print_png(PLOT)


def fill(file: Path, *texts: str) -> None:
    """Replaces what stands between the marks of a Markdown file, one text for each pair of marks.

    Raises:
      ValueError: the file has not as many pairs of marks.
    """
    parts = file.read_text().split(BEGIN)
    if len(parts) != len(texts) + 1 or any(part.count(END) != 1 for part in parts[1:]):
        raise ValueError(f"{file}: expected {len(texts)} pairs of {BEGIN.strip()} and {END.strip()}")
    filled = [BEGIN + text + END + part.split(END)[1] for text, part in zip(texts, parts[1:], strict=True)]
    file.write_text(parts[0] + "".join(filled))


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    plot()
    fill(ROOT / "README.md", quality_table())
    fill(ROOT / "docs/QUALITY.md", quality_table(), baselines_table(), odd_table("codebook"))


if __name__ == "__main__":
    app.run(main)
