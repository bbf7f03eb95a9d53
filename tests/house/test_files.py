"""Size, naming and where a provider may be named."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from config import HERE
from tests.house.source import product, sources

LONGEST, LONGEST_OF_PRODUCT = 500, 350
ALLOWED_LONGER: dict[str, str] = {}
"""File of the product -> why it may be longer than the others: at most six, and fewer with time."""
CHANNELS = HERE / "smsapp" / "channels"
NOT_A_PROVIDER = {"contract", "errors", "http", "types", "simulator", "gateway"}
PROTOCOLS = {"smpp"}
"""Spoken by many providers: other kinds, tests and benchmarks may name them; the rest of the product may not."""
VAGUE = {"manager", "helper", "helpers", "utils", "util", "data", "info", "process", "misc", "common"}
PRINTING = {"click.echo", "click.secho", "click.ClickException", "print"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def pages_and_code() -> list[Path]:
    """Return every hand-written file of the product and its tests; vendored libraries and translations are excluded."""
    paths = [source.path for source in sources()]
    paths += sorted((HERE / "smsapp" / "templates").rglob("*.html"))
    static = HERE / "smsapp" / "static"
    own_files = [path for path in [*static.rglob("*.js"), *static.rglob("*.css")] if ".min." not in path.name]
    paths += sorted(path for path in own_files if "vendor" not in path.parts)
    return paths


def test_no_file_is_too_long() -> None:
    long = {
        path.relative_to(HERE).as_posix(): lines
        for path in pages_and_code()
        if (lines := path.read_text().count("\n")) > LONGEST
    }
    assert not long, f"split by noun, not by technique: {long}"


def test_no_file_of_the_product_is_longer_than_350_lines() -> None:
    long = {source.name: lines for source in product() if (lines := source.text.count("\n")) > LONGEST_OF_PRODUCT}
    assert long.keys() <= ALLOWED_LONGER.keys(), f"split by noun, not by technique: {long}"
    assert ALLOWED_LONGER.keys() <= long.keys(), "no longer needed"
    assert len(ALLOWED_LONGER) <= 6


def test_nothing_is_left_to_do() -> None:
    me = Path(__file__)
    open_ends = [
        f"{path.relative_to(HERE)}:{number}"
        for path in pages_and_code()
        if path != me
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not open_ends, open_ends


def test_names_say_what_things_are() -> None:
    vague = []
    for source in product():
        if set(source.path.stem.split("_")) & VAGUE:
            vague.append(source.name)
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef):
                words = {word.lower() for word in re.findall(r"[A-Z][a-z]+", node.name)}
                if words & {"manager", "helper", "utils"}:
                    vague.append(f"{source.name}:{node.lineno} {node.name}")
    assert not vague, vague


def providers() -> list[str]:
    """Return the names of the kinds: modules and folders of smsapp/channels that are not shared by all kinds."""
    names = {path.stem for path in CHANNELS.iterdir() if path.suffix == ".py" or path.is_dir()} - NOT_A_PROVIDER
    return sorted(name for name in names if not name.startswith("_"))


def of_provider(provider: str) -> set[Path]:
    """Return the files that may name a provider."""
    if provider in PROTOCOLS:
        return {
            path for path in pages_and_code() if path.is_relative_to(CHANNELS) or HERE / "smsapp" not in path.parents
        }
    own = {CHANNELS / f"{provider}.py", *(HERE / "tests" / "channels").glob(f"test_{provider}*.py")}
    return own | set((CHANNELS / provider).rglob("*.py"))


@pytest.mark.parametrize("provider", providers())
def test_a_provider_is_named_in_its_own_files_only(provider: str) -> None:
    own = of_provider(provider)
    name = re.compile(rf"(?<![a-z]){re.escape(provider)}", re.IGNORECASE)
    wrong = [
        f"{path.relative_to(HERE)}:{number}"
        for path in pages_and_code()
        if path not in own
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if name.search(line)
    ]
    assert not wrong, wrong


def test_every_module_says_what_it_is() -> None:
    silent = [source.name for source in sources() if source.text and ast.get_docstring(source.tree) is None]
    assert not silent, silent


def test_commands_print_in_one_way() -> None:
    """Names, codes and texts come from outside: `echo` of cli/output.py keeps them from steering a terminal."""
    places = [
        f"{source.name}:{node.lineno}"
        for source in product()
        if source.module.startswith("smsapp.cli.") and source.module != "smsapp.cli.output"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in PRINTING
    ]
    assert not places, f"use echo or failure of smsapp.cli.output: {places}"
