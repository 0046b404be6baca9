"""What imports what: the layers of the design, and what a start of the command may cost."""

import ast
import configparser
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from stegano_tf import __main__, commands

PACKAGE = Path(__file__).parent.parent / "stegano_tf"
HEAVY = ("tensorflow", "keras", "librosa", "matplotlib", "skimage", "tensorflow_datasets")

LIBRARIES = (
    "aiohttp",
    "grpc",
    "PIL",
    "pyarrow",
    "pyrage",
    "ray",
    "reedsolo",
    "rich",
    "scipy",
    "simplejpeg",
    "soundfile",
    "zfec",
)

# Every module may import its own package and what stands here.
ALLOWED = {
    "errors": set(),
    "settings": set(),
    "stopping": set(),
    "outputs": {"errors"},
    "provenance": set(),
    "pairing": {"errors"},
    "presets": {"errors", "networks"},
    "scratch": {"errors"},
    "images": {"errors", "outputs", "scratch"},
    "metrics": {"errors", "images", "scratch"},
    "figures": {"errors", "images", "metrics", "scratch"},
    "demo_pictures": {"images", "pairing"},
    "channels": {"errors"},
    "coding": set(),
    "sealing": {"errors", "outputs"},
    "audio": {"errors", "outputs", "scratch", "settings", "coding", "sealing"},
    "message": {"channels", "errors", "images", "metrics", "outputs", "coding", "sealing", "scratch"},
    "networks": {"errors", "channels", "presets", "savedmodels"},
    "training": {
        *("errors", "channels", "presets", "images", "figures", "networks", "outputs", "pairing", "datasets"),
        *("provenance", "settings", "stopping"),
    },
    "runtime": {"errors", "presets", "images", "metrics", "networks", "savedmodels", "scratch"},
    "scoreboard": {"errors", "channels", "images", "metrics", "networks", "pairing", "audio", "runtime"},
    "results": {"audio", "message", "metrics"},
    "pipeline": {
        *("errors", "presets", "images", "metrics", "outputs", "scratch", "audio", "message", "runtime", "sealing"),
        "results",
    },
    "enclosures": {"errors", "outputs", "audio", "message", "sealing"},
    "exporting": {
        *("errors", "settings", "outputs", "pairing", "presets", "savedmodels"),
        *("networks", "runtime", "scoreboard"),
    },
    "serving": {"errors", "settings", "runtime", "savedmodels"},
    "web": {"errors", "outputs", "presets", "runtime", "serving"},
    "batch": {"errors", "outputs", "images", "metrics", "audio", "message", "pipeline", "runtime", "sealing"},
    "commands": {
        *("errors", "settings", "stopping", "outputs", "presets", "scratch", "images", "metrics", "figures"),
        *("demo_pictures", "audio", "batch", "enclosures", "message", "pipeline", "runtime", "sealing", "serving"),
        *("savedmodels", "web"),
    },
}


def imports_of(file):
    """The modules of this package that a file imports, at any depth, as their first name below stegano_tf."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "stegano_tf":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("stegano_tf."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("stegano_tf."))


@pytest.mark.parametrize("layer", ALLOWED)
def test_layers_import_downwards_only(layer):
    files = sorted((PACKAGE / layer).rglob("*.py")) or [PACKAGE / f"{layer}.py"]
    found = {(file.name, name) for file in files for name in imports_of(file)} - {
        (f.name, "__version__") for f in files
    }
    allowed = ALLOWED[layer] | {layer}
    assert {(file, name) for file, name in found if name not in allowed} == set()


def modules_after(code):
    """Names of all modules in a fresh interpreter that ran `code`."""
    listing = "import sys; print('\\n' + ' '.join(sys.modules), file=sys.stderr)"
    script = f"import atexit; atexit.register(lambda: exec({listing!r}))\n{code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    return set(done.stderr.splitlines()[-1].split()), done


HELP = """
import contextlib
from stegano_tf import commands
for name in ("", *commands.COMMANDS):
    with contextlib.suppress(SystemExit):
        commands.parse(["stegano-tf", *name.split(), "--help"])
"""


@pytest.mark.parametrize(
    "code",
    [
        "import stegano_tf",
        HELP,
        "import stegano_tf.audio.codec, stegano_tf.images, stegano_tf.metrics, stegano_tf.figures, stegano_tf.presets",
        "import stegano_tf.runtime, stegano_tf.pipeline; stegano_tf.runtime.load()",
    ],
)
def test_cheap_things_import_nothing_heavy(code):
    modules, done = modules_after(code)
    assert done.returncode == 0, done.stderr
    assert "stegano_tf" in modules
    assert {name for name in HEAVY if name in modules} == set()


def test_the_help_of_all_commands_imports_no_library_that_reads_or_writes():
    modules, done = modules_after(HELP)
    assert done.stdout.count("usage: stegano-tf") == 1 + len(commands.COMMANDS)
    assert {name for name in (*HEAVY, *LIBRARIES) if name in modules} == set()


def test_every_layer_has_its_rule():
    layers = {path.stem for path in PACKAGE.iterdir() if path.stem.isidentifier() and not path.stem.startswith("__")}
    assert layers - {"train", "evaluate", "export"} == set(ALLOWED)


def test_importing_the_package_alone_imports_no_numpy():
    assert "numpy" not in modules_after("import stegano_tf")[0]


def test_the_public_functions_are_there():
    import stegano_tf

    assert {name for name in stegano_tf.__all__ if not hasattr(stegano_tf, name)} == set()
    assert set(stegano_tf.__all__) <= set(dir(stegano_tf))
    with pytest.raises(AttributeError, match="no attribute 'hidden'"):
        stegano_tf.hidden  # noqa: B018


def test_setup_has_every_module_and_the_command():
    setup = configparser.ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg")
    patterns = setup["options.package_data"]["stegano_tf"].split()
    assert {file for pattern in patterns for file in PACKAGE.glob(pattern)} >= set(PACKAGE.rglob("*.py"))
    there = {"stegano_tf", *(f"stegano_tf.{name}" for name in ("datasets", "datasets.linnaeus5", "savedmodels"))}
    assert set(setup["options"]["packages"].split()) == there
    (script,) = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    name, _, entry = script.partition(" = ")
    assert (name, pkgutil.resolve_name(entry)) == ("stegano-tf", __main__.run)
