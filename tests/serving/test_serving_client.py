"""tools/serving_client.py, which must work where neither this package nor TensorFlow is."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CLIENT = Path(__file__).parents[2] / "tools" / "serving_client.py"
ALONE = "import runpy, sys; sys.modules.update(tensorflow=None, stegano_tf=None, numpy=None); "


def client(*arguments, cwd=None):
    script = f"{ALONE} sys.argv[0] = 'serving_client'; runpy.run_path({str(CLIENT)!r}, run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd
    )


@pytest.fixture(scope="module", params=["rest", "grpc"])
def way(request, server):
    """Flags that lead to the server."""
    url = {"rest": server.url, "grpc": server.grpc}[request.param]
    return f"--{request.param}={url}", "--model=tiny"


@pytest.fixture
def folder(tmp_path, pictures):
    for name, picture in zip(("cover", "secret"), pictures, strict=False):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    return tmp_path


def test_hide_and_reveal(way, folder, functions, pictures):
    done = client(*way, "hide", "cover.png", "secret.png", "stego.png", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    stego = functions["hide"](pictures[:1], pictures[1:2])
    assert np.array_equal(Image.open(folder / "stego.png"), stego[0])
    done = client(*way, "--version=3", "reveal", "stego.png", "revealed.png", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert np.array_equal(Image.open(folder / "revealed.png"), functions["reveal"](stego)[0])
    assert len(list(folder.iterdir())) == 4


def test_status(way):
    assert client(*way, "status").stdout == "tiny version 3: AVAILABLE\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hide", "cover.png", "small.png", "out.png"], "1 picture of 16x16, but 1 picture of 26x20"),
        (["reveal", "text.txt", "out.png"], "expected a picture file"),
        (["reveal", "missing.png", "out.png"], "missing.png: No such file"),
        (["reveal", "cover.png", "secret.png"], "secret.png: exists already"),
        (["--version=8", "reveal", "cover.png", "out.png"], "Servable not found for request: Specific(tiny, 8)"),
    ],
)
def test_errors_are_one_line(way, folder, arguments, said):
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(folder / "small.png")
    (folder / "text.txt").write_text("no picture")
    done = client(*way, *arguments, cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("serving_client: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "out.png").exists()


@pytest.mark.parametrize(
    ("flag", "said"),
    [("--grpc=127.0.0.1:9", "127.0.0.1:9: UNAVAILABLE"), ("--rest=http://127.0.0.1:9", "cannot be reached")],
)
def test_no_server(flag, said):
    done = client(flag, "status")
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_force(way, folder):
    done = client(*way, "--force", "reveal", "cover.png", "secret.png", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert Image.open(io.BytesIO((folder / "secret.png").read_bytes())).size == (26, 20)
