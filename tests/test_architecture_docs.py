"""docs/architecture.md agrees with the code: its rooms, its arrows, and every file and name on it."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sveb"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
LAYERS_PICTURE, FLOW_PICTURE = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
CODE = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))

# Folders that hold data, not code.
DATA = {"embedded", "__pycache__"}


def rooms() -> set[str]:
    """The folders of the package that hold code, and the modules next to them."""
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - DATA
    return folders | {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}


def layers(lines: list[str]) -> list[set[str]]:
    """Layers from top to bottom, each the set of its rooms."""
    return [set(re.split(r"\s*[|:]\s*", line.strip().replace("sveb.", ""))) for line in lines]


def drawn_layers() -> list[set[str]]:
    return layers([re.split(r"\s{2,}", line)[0] for line in LAYERS_PICTURE.splitlines() if re.match(r"\w", line)])


@cache
def imports(room: str) -> frozenset[str]:
    """The other rooms that this room's code imports, type hints included."""
    here = PACKAGE / room
    files = here.rglob("*.py") if here.is_dir() else [here.with_suffix(".py")]
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module] if node.module != "sveb" else [f"sveb.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            found |= {name.split(".")[1] for name in names if name.startswith("sveb.")}
    return frozenset(found & rooms() - {room})


def test_every_room_is_drawn_and_every_drawn_room_exists() -> None:
    assert set().union(*drawn_layers()) == rooms()
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == rooms()
    assert set(re.findall(r"\[(\w+)\]", FLOW_PICTURE)) <= rooms()


def test_the_drawn_layers_are_those_that_import_linter_checks() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    checked = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert drawn_layers() == layers(checked)


def test_no_room_imports_a_room_that_is_drawn_above_it() -> None:
    depth = {room: number for number, layer in enumerate(drawn_layers()) for room in layer}
    upwards = [(room, other) for room in rooms() for other in imports(room) if depth[other] < depth[room]]
    assert not upwards


def test_data_never_flows_to_a_lower_room() -> None:
    depth = {room: number for number, layer in enumerate(drawn_layers()) for room in layer}
    arrows = re.findall(r"\[(\w+)\](?= -- [\w. ]+ --> \[(\w+)\])", FLOW_PICTURE)
    assert len(arrows) >= 2
    assert [arrow for arrow in arrows if depth[arrow[1]] > depth[arrow[0]]] == []


def test_the_table_names_what_each_room_imports() -> None:
    order = [room for layer in reversed(drawn_layers()) for room in sorted(layer)]
    drawn = dict(re.findall(r"^\| `(\w+)` \|.*\| ([\w, ]*) ?\|$", PAGE, re.MULTILINE))
    expected = {room: ", ".join(other for other in order if other in imports(room)) for room in rooms()}
    assert {room: names.strip() for room, names in drawn.items()} == expected


def test_every_file_and_function_on_the_page_exists() -> None:
    named = [text for text in CODE if re.match(r"(sveb|tests|tasks|bench|docs|scripts|examples)/", text)]
    assert len(named) > 60
    missing = []
    for text in named:
        path, _, name = text.partition(":")
        if not (ROOT / path).exists() or (name and name not in defined(ROOT / path)):
            missing.append(text)
    assert not missing


def defined(file: Path) -> set[str]:
    """Names of the functions and classes at the top of a module."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
