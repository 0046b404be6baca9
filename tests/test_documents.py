"""The documents against the tree and the command: links lead somewhere, command lines are taken, options are named."""

import argparse
import dataclasses
import importlib
import re
import shlex
from pathlib import Path

import pytest

from stegano_tf import commands, exporting
from stegano_tf.training import options as training

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("savedmodels/*.md"))]
DOCUMENTS.append(ROOT / "datasets" / "linnaeus5" / "README.md")
TEXT = {file: file.read_text() for file in DOCUMENTS}
SCRIPTS = {"train": training.Options, "export": exporting.Options}


def prose(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(file):
    """The names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)$", prose(file.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shell_lines():
    """Yields the command lines of fenced blocks as words, without comments."""
    for file, text in TEXT.items():
        for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            for line in block.replace("\\\n", " ").splitlines():
                yield file, shlex.split(line, comments=True)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(TEXT[file])):
        if not link.startswith(("https://", "http://")):
            name, _, heading = link.partition("#")
            to = file.parent / name if name else file
            assert to.exists(), link
            assert not heading or heading in anchors(to), link


def test_anchors_are_those_of_headings():
    assert {"a-collection", "on-a-cluster"} <= anchors(ROOT / "docs" / "RUNNING.md")
    assert "sealing-who-can-open-it" in anchors(ROOT / "docs" / "SENDING.md")
    assert "once-copy-rayauth_token-to-each-node" not in anchors(ROOT / "docs" / "RUNNING.md")  # a comment of a shell


def test_the_command_takes_the_lines_of_the_documents():
    names = set()
    for _, words in shell_lines():
        starts = [index for index, word in enumerate(words) if Path(word).name == "stegano-tf"]
        if starts:
            args = commands.parse(words[starts[0] :])
            names.add(args.run.__module__.rpartition(".")[2])
    assert {"send", "receive", "hide", "reveal", "encode", "decode", "inspect", "keygen", "batch", "serve"} <= names


def test_the_scripts_have_the_flags_of_the_documents():
    known = {name: {field.name for field in dataclasses.fields(cls)} for name, cls in SCRIPTS.items()}
    lines = [words for _, words in shell_lines() for name in SCRIPTS if f"stegano_tf.{name}" in words]
    assert len(lines) > 3
    for words in lines:
        name = next(name for name in SCRIPTS if f"stegano_tf.{name}" in words)
        flags = {word[2:].partition("=")[0] for word in words if word.startswith("--")}
        assert flags <= known[name] | {"dry_run"}, words


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_each_option_of_the_command_is_named_in_the_documents(name):
    parser = argparse.ArgumentParser(add_help=False)
    importlib.import_module(f"stegano_tf.commands.{name}").add_arguments(parser)
    named = set(re.findall(r"--[a-z][a-z-]*", "\n".join(TEXT.values())))
    options = {option for action in parser._actions for option in action.option_strings}
    assert [action.dest for action in parser._actions if "(default: )" in (action.help or "")] == []
    assert options - named == set()
    assert f"stegano-tf {name}" in TEXT[ROOT / "docs" / "SENDING.md"]
