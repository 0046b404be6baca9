"""List the networks: parameters, measured quality, speed."""

from stegano_tf.commands import streams


def add_arguments(parser) -> None:
    """It has none."""


def run(args) -> None:
    import json

    import rich.console
    import rich.table

    from stegano_tf import presets, savedmodels

    table = rich.table.Table()
    for heading in ("preset", "parameters", "weights", "cover", "secret"):
        table.add_column(heading, justify="right" if heading in ("parameters", "cover", "secret") else "left")
    notes = []
    for preset in presets.PRESETS.values():
        card = savedmodels.card_file(preset.name)
        figures = json.loads(card.read_text()) if card.is_file() else None
        table.add_row(
            preset.name + (" (default)" if preset.name == presets.DEFAULT else ""),
            f"{preset.parameters:,}",
            "installed" if savedmodels.weights_file(preset.name).is_file() else "to be trained",
            *((f"{figures['cover_psnr']:.1f} dB", f"{figures['secret_psnr']:.1f} dB") if figures else ("", "")),
        )
        notes.append(f"{preset.name}: {preset.description}" + (f"; {figures['speed']}" if figures else ""))
    console = rich.console.Console(color_system=None)
    with streams.showing(), console.capture() as drawn:
        console.print(table)
    streams.show("\n".join([drawn.get().rstrip(), *notes]))
