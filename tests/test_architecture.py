"""The import graph of the package has no circle, and every file name has one home."""

from __future__ import annotations

from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import sveb

PACKAGE = Path(sveb.__file__).parent


def imports_of(package: str) -> dict[str, set[str]]:
    """The modules that each module imports: at its top, in a function, or only for type checking."""
    graph = grimp.build_graph(package, cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def circle(imports: dict[str, set[str]]) -> list[str]:
    """One circle of imports, its first module again at the end; empty if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_no_module_imports_itself_through_others() -> None:
    imports = imports_of("sveb")
    assert len(imports) > 100
    assert " -> ".join(circle(imports)) == ""


def test_a_circle_is_found_also_if_one_import_is_in_a_function_or_for_type_checking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "circling"
    made.mkdir()
    (made / "__init__.py").touch()
    (made / "a.py").write_text("from circling import b\n")
    (made / "b.py").write_text("def late():\n    from circling import c\n    return c\n")
    (made / "c.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from circling import a\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = circle(imports_of("circling"))
    assert set(found) == {"circling.a", "circling.b", "circling.c"}
    assert found[0] == found[-1]


def test_every_file_name_has_one_home() -> None:
    homes = defaultdict(list)
    for file in PACKAGE.rglob("*.py"):
        if file.name != "__init__.py":
            homes[file.name].append(str(file.relative_to(PACKAGE)))
    assert homes
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
