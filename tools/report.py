r"""Writes every measured figure of README.md, docs/ and savedmodels/PRESET.json, and draws docs/quality.png.

    python tools/report.py

`tools/measure.sh` makes the results in tools/results/, and `tools/tables.py` makes texts of them. A text goes where a
document has its name:

    <!-- report: NAME -->text<!-- end -->

A result that was measured on changed files, or on other networks than the installed ones, is refused.
"""

import hashlib
import json
import re
from pathlib import Path

import tables
from absl import app
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from stegano_tf import presets, savedmodels, scoreboard

ROOT = Path(__file__).parent.parent
PLOT = ROOT / "docs/quality.png"
INSERT = re.compile(r"(<!-- report: ([a-z_]+) -->)(.*?)(<!-- end -->)", re.DOTALL)


def documents() -> dict[Path, str]:
    """Returns the text that each document and each preset's card must have, by file.

    Raises:
      KeyError: a document has a name that `tables` doesn't have.
      ValueError: as `tables.load`.
    """
    files = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    texts = {
        file: INSERT.sub(lambda found: found[1] + tables.INSERTS[found[2]]() + found[4], file.read_text())
        for file in files
    }
    for name in presets.PRESETS:
        if savedmodels.weights_file(name).is_file():
            texts[savedmodels.card_file(name)] = json.dumps(card(name), indent=1) + "\n"
    return texts


def card(preset: str) -> dict:
    """Returns what `stegano-tf presets` and the model card say about a preset's installed networks."""
    score, runtime = tables.load(f"{preset}-test"), tables.load("runtime")
    networks = runtime["presets"][preset]["networks"]
    took = ", ".join(f"{what} {networks[what]['litert_s']:.2f} s" for what in ("hide", "reveal"))
    speed = f"{took} ({runtime['side']}x{runtime['side']}, {runtime['machine']['cores']} cores)"
    return {name: score[name] for name in scoreboard.FIGURES} | {"network": score["network"], "speed": speed}


def plotted() -> dict[str, tuple[dict, dict]]:
    """Returns, by kind of picture, the figures of presets and of classical methods: (cover dB, secret dB, pictures)."""

    def points(results: dict[str, dict]) -> dict:
        return {name: (r["cover_psnr"], r["secret_psnr"], r.get("pictures")) for name, r in results.items()}

    return {
        kind: (points(tables.scoreboards(kind)), points(tables.load(f"baselines-{kind}")["methods"]))
        for kind in ("test", "never_jpeg")
    }


def digest() -> str:
    """Returns the hash of `plotted`, which the plot carries."""
    return hashlib.sha256(json.dumps(plotted(), sort_keys=True).encode()).hexdigest()


def plot() -> None:
    """Draws cover dB against secret dB, one panel a kind: presets, classical methods as curves, published figures."""
    figure = Figure(figsize=(12, 5), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, (kind, (boards, methods)) in zip(panels, plotted().items(), strict=True):
        for prefix, text in tables.METHODS.items():
            points = {name.removeprefix(prefix): at[:2] for name, at in methods.items() if name.startswith(prefix)}
            axes.plot(
                *zip(*points.values(), strict=True),
                "o-",
                markersize=4,
                linewidth=1,
                label=f"{text} = {', '.join(points)}",
            )
            for strength, at in points.items():
                axes.annotate(strength, at, (4, 3), textcoords="offset points", fontsize=7)
        for name, (*at, _) in tables.PUBLISHED.items():
            axes.plot(*at, "k^", fillstyle="none")
            axes.annotate(name, at, (6, -3), textcoords="offset points", fontsize=8)
        axes.plot([], [], "k^", fillstyle="none", label="published: other pictures, not rounded to 8 bits")
        for name in presets.PRESETS.keys() & boards.keys():
            axes.plot(*boards[name][:2], "r*", markersize=12)
            axes.annotate(name, boards[name][:2], (-10, -16), textcoords="offset points", fontsize=9, color="red")
        axes.plot([], [], "r*", markersize=12, label="stegano_tf")
        pictures = boards[presets.DEFAULT][2]
        axes.set(title=f"{pictures} {tables.KINDS[kind]}", xlabel="cover and stego image, PSNR in dB", xlim=(28, 54))
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="secret and revealed secret, PSNR in dB")
    panels[0].legend(loc="lower left", fontsize=8)
    canvas.print_png(PLOT, metadata={"Description": digest()})


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    for file, text in documents().items():
        file.write_text(text)
    plot()


if __name__ == "__main__":
    app.run(main)
