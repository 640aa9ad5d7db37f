"""The registry of built-in estimators: one file each, found by listing the folder."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sveb.estimators
from sveb.common.errors import SvebError
from sveb.contract.problem import Problem
from sveb.estimators.registry import describe, find, names
from sveb.harness.load_estimator import load_builtin
from sveb.harness.run_estimator import resolve
from sveb.runs.predictions import BUDGET_ITEMS

PACKAGE = Path(sveb.estimators.__file__).parents[1]


def python(code: str) -> list[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("builtin", describe(), ids=lambda builtin: builtin.name)
def test_every_file_registers_its_estimator_under_its_own_name(builtin) -> None:
    assert builtin.cls.__module__ == f"sveb.estimators.{builtin.name}"
    assert builtin.description.endswith(".")
    assert builtin.budget
    assert set(builtin.budget) <= set(BUDGET_ITEMS)


def test_cheap_estimators_are_listed_first() -> None:
    costs = [builtin.cost for builtin in describe()]
    assert costs == sorted(costs, key=["free", "reads", "external", "samples"].index)
    assert len({builtin.name for builtin in describe()}) == len(names())


NEW = """
from sveb.contract.estimator import Estimator
from sveb.estimators.registry import builtin

@builtin(budget=("group",), cost="free")
class Coin(Estimator):
    "Half, whatever the state."

    def __init__(self, value: float = 0.5) -> None:
        self.value = value

    def predict(self, problem):
        return [self.value] * len(problem.states)
"""


def test_a_new_estimator_is_one_new_file(tmp_path, monkeypatch) -> None:
    (tmp_path / "coin.py").write_text(NEW)
    monkeypatch.setattr(sveb.estimators, "__path__", [*sveb.estimators.__path__, str(tmp_path)])
    assert resolve("coin").builtin == "coin"
    assert [(each.description, each.budget) for each in describe() if each.name == "coin"] == [
        ("Half, whatever the state.", ("group",))
    ]
    problem = Problem("test-00000", "?", None, [None, None], 0, lambda: None, lambda: "")
    assert load_builtin("coin", {"value": "0.25"}).predict(problem) == [0.25, 0.25]


def test_a_file_without_an_estimator_says_what_is_missing(tmp_path, monkeypatch) -> None:
    (tmp_path / "empty.py").write_text("")
    monkeypatch.setattr(sveb.estimators, "__path__", [*sveb.estimators.__path__, str(tmp_path)])
    with pytest.raises(SvebError, match=r"empty\.py registers no estimator: put @builtin"):
        find("empty")


def test_no_code_outside_the_folder_knows_a_builtin_by_name() -> None:
    """But for the baselines that `sveb eval` runs, and `group_mean` and `constant`, which metrics are relative to."""
    # The others are also words for other things: a finish reason, a role, a slice, a grader, a command, two formats.
    builtins = set(names()) - {
        "group_mean",
        "constant",
        "length",
        "probe",
        "position",
        "judge",
        "critic",
        "prm",
        "hista",
    }
    found = {
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*.py")
        if not path.is_relative_to(PACKAGE / "estimators")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in builtins
    }
    assert {str(path) for path in found} <= {"evaluation.py"}


def test_an_unknown_name_gets_the_closest_ones_without_importing_any() -> None:
    code = (
        "import sys\nfrom sveb.estimators.registry import find\n"
        "try:\n    find('numka')\nexcept Exception as error:\n    print(error)\n"
        "print(*[name for name in sys.modules if name.startswith('sveb.estimators.')])"
    )
    assert python(code) == [
        *["unknown", "estimator", "'numka':", "did", "you", "mean", "numca?"],
        "sveb.estimators.registry",
    ]


def test_one_estimator_imports_its_own_file_only() -> None:
    code = (
        "import sys\nfrom sveb.estimators.registry import find\nfind('constant')\n"
        "print(*[name for name in sys.modules if name.startswith('sveb.estimators.')])"
    )
    assert set(python(code)) == {"sveb.estimators.registry", "sveb.estimators.constant"}


def test_the_list_of_estimators_needs_no_heavy_library() -> None:
    code = "import sys\nfrom sveb.estimators.registry import describe\ndescribe()\nprint(*sys.modules)"
    loaded = set(python(code))
    assert "sveb.estimators.critic" in loaded
    assert not {"torch", "transformers", "scipy", "pandas", "pyarrow", "openai", "safetensors"} & loaded
