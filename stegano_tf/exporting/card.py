"""The model card of exported networks: what they are, how good they are, their data, and the hash of every file.

NAME.json beside NAME.weights.h5 says what was measured (`tools/report.py` writes it), NAME.md how they were trained.
"""

import json
from pathlib import Path

from stegano_tf import presets
from stegano_tf.runtime import MIN_SIDE
from stegano_tf.runtime.backends import tflite_file
from stegano_tf.runtime.exported import MANIFEST, Exported

_SAVED_MODEL = """\
## Use

TF Serving takes the folder as it is (`--model_base_path=…/{preset} --model_name={preset}`), `tf.saved_model.load`
the version in it. Pictures are RGB, `uint8`, of one size in a batch and at least {min_side}x{min_side}; batch, height
and width are free, and results are rounded.

| signature | inputs | output |
|---|---|---|
| `hide` | `cover`, `secret`: uint8[B, H, W, 3] | `stego`: uint8[B, H, W, 3] |
| `reveal`, `serving_default` | `stego`: uint8[B, H, W, 3] | `secret`: uint8[B, H, W, 3] |
| `hide_bytes` | `cover_bytes`, `secret_bytes`: string[B], files | `stego_bytes`: string[B], PNG files |
| `reveal_bytes` | `stego_bytes`: string[B], PNG or BMP files | `secret_bytes`: string[B], PNG files |

The two that take files read PNG, JPEG, BMP and GIF as TensorFlow does: alpha and EXIF orientation are ignored."""

_BLOCKS = """\
The networks see whole blocks of {multiple}x{multiple} pixels. Where a side is no multiple of {multiple}, the last rows
or columns of the secret are not hidden, the stego image has the cover's there, and `reveal` continues the secret by
mirroring it. The `stegano-tf` command scales the secret to the blocks instead."""

_TFLITE = """\
The TFLite files hold one network each, as the signature `hide` or `reveal`, of built-in operators only. Batch, height
and width are resizable, except in files whose name ends in a size.
{sides}
`float16` and `int8` say how weights are stored, pictures are `uint8` everywhere.

```python
from ai_edge_litert.interpreter import Interpreter

reveal = Interpreter("{tflite}", num_threads=2).get_signature_runner("reveal")
secret = reveal(stego=stego)["secret"]  # uint8[B, H, W, 3]
```"""

_LIMITS = """\
## Limits

* The stego image has to arrive bit for bit: JPEG, scaling and any other lossy step destroy the secret.
* Hiding is not encrypting: whoever has these files can reveal the secret, and a detector can be trained to find it.
* Hiding adds noise to the cover, and a flat one shows it.
* Any picture reveals something: one that hides nothing gives nonsense, without an error.

## Licence

Apache-2.0, weights included.
"""


def text(made: Exported, weights: Path, losses: dict[str, dict[str, float]], pictures: int) -> str:
    """Returns the card, in Markdown, of what was made from `weights`.

    `losses` are dB by which TFLite precisions score below float32, {precision: {"cover": ..., "secret": ...}}, on so
    many `pictures`.
    """
    preset = presets.get(made.preset)
    hide_multiple, multiple = preset.networks.multiples
    sides = f"Sides must be multiples of {hide_multiple} for `hide` and of {multiple} for `reveal`."
    stem = weights.name.removesuffix(".weights.h5")
    notes = weights.with_name(f"{stem}.md")
    training = notes.read_text().strip() if notes.is_file() else "Not recorded."
    parts = [
        f"# {made.preset}, version {made.version}",
        f"Hides a photograph in a photograph and reveals it again: {preset.description}.\n"
        f"{preset.parameters:,} parameters. Network `{made.network.hex()}`: messages name it, runtimes report it.",
        _SAVED_MODEL.format(preset=made.preset, min_side=MIN_SIDE),
        *([_BLOCKS.format(multiple=multiple)] if multiple > 1 else []),
        _TFLITE.format(sides=sides, tflite=f"{made.version}/{tflite_file(made.preset, 'reveal')}"),
        f"## Data and training\n\n{training}",
        f"## Quality\n\n{_quality(weights.with_name(f'{stem}.json'), made.network)}",
        _precision(losses, pictures),
        _LIMITS.strip(),
        f"## Files\n\n{_files(made)}",
    ]
    return "\n\n".join(parts) + "\n"


def _quality(file: Path, network: bytes) -> str:
    figures = json.loads(file.read_text()) if file.is_file() else {}
    if figures.get("network") != network.hex():
        return "These weights have not been scored."
    rows = [
        f"| {name} | {figures[f'{name}_psnr']:.2f} dB | {figures[f'{name}_ssim']:.4f} | {figures[f'{name}_apd']:.2f} |"
        for name in ("cover", "secret")
    ]
    protocol = (
        "By the scoreboard's protocol: 256x256 crops of held-out photographs, the 8-bit stego image through a WAV\n"
        "file, RGB figures, averaged over pictures."
    )
    return "\n".join([protocol, "", "| | PSNR | SSIM | APD |", "|---|---|---|---|", *rows])


def _precision(losses: dict[str, dict[str, float]], pictures: int) -> str:
    if not losses:
        return "What float16 and int8 weights lose was not measured; without that, no int8 file is written."
    rows = [f"| {name} | {loss['cover']:.2f} dB | {loss['secret']:.2f} dB |" for name, loss in losses.items()]
    heading = f"What TFLite files lose against float32 on {pictures} photographs (int8 is written below 0.5 dB):"
    return "\n".join([heading, "", "| weights | cover | secret |", "|---|---|---|", *rows])


def _files(made: Exported) -> str:
    rows = [
        f"| `{made.version}/{name}` | {(made.folder / name).stat().st_size:,} | `{digest}` |"
        for name, digest in made.files.items()
    ]
    heading = f"`{MANIFEST}` holds the same hashes; stegano_tf refuses a file that is missing or differs."
    return "\n".join([heading, "", "| file | bytes | SHA-256 |", "|---|---|---|", *rows])
