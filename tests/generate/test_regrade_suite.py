"""A suite's texts graded again: the next version, with what moved; the old one stays as it is."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pytest

from sveb.common.errors import SvebError
from sveb.generate.regrade_suite import regrade_suite
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify
from sveb.tasks.graders.grade import Verdict


def test_no_return_of_the_embedded_suite_moves(tmp_path: Path) -> None:
    old = Suite.open("ledger-nano")
    found = regrade_suite(old, tmp_path / "new")
    new = Suite.open(tmp_path / "new")
    assert found.moved == 0
    assert {name: moves.total() for name, moves in found.moves.items()} == {"rollouts": 7850, "draws": 54944}
    assert found.kept == 219776
    assert (new.manifest.version, new.manifest.task["grader"]) == ("2.1.0", {"name": "number", "version": 2})
    assert new.table("rollouts").equals(old.table("rollouts"))
    assert verify(new, None) == []
    with pytest.raises(SvebError, match="is not an empty folder"):
        regrade_suite(old, tmp_path / "new")


def test_what_another_grader_would_say_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A grader that pays nobody, in the place of the task's."""
    monkeypatch.setattr("sveb.tasks.grading.COMPARERS", {"number": lambda _reference, _found: Verdict(0.0, "never")})
    old = Suite.open("ledger-nano")
    found = regrade_suite(old, tmp_path / "new")
    paid = pc.sum(pc.equal(old.table("rollouts")["return_"], 1.0)).as_py()
    assert found.moves["rollouts"][1.0, 0.0] == paid
    assert pc.max(Suite.open(tmp_path / "new").table("rollouts")["return_"]).as_py() == 0.0
