"""Files of figures: what is written is read again, and anything else is refused with what to do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.runs.figures import BoardFigures, RunFigures, Source, read_figures, write_figures
from sveb.score.board_figures import board_figures
from sveb.score.run_figures import run_figures
from sveb.score.truth import Truth, read_truth
from sveb.suite.suite import Suite
from tests.support import suites

SOURCE = Source("c0de", "5417e", {"mine": "abc"})


@pytest.fixture
def scored(tmp_path: Path) -> tuple[Suite, Truth]:
    """A suite without siblings, where some figures do not exist."""
    suite, _ = suites.walks(tmp_path / "suite", problems=3, k=1)
    return suite, read_truth(suite)


def test_both_kinds_come_back_as_they_were(scored: tuple[Suite, Truth], tmp_path: Path) -> None:
    suite, truth = scored
    values = np.clip(truth.mean + 0.1, 0, 1)
    given = np.ones(len(values), dtype=np.bool_)
    for figures in (
        run_figures(suite, truth, values, "mine"),
        board_figures(truth, {"mine": values, "other": values / 2}, {"mine": given, "other": ~given}, None),
    ):
        path = tmp_path / "figures.json"
        write_figures(figures, SOURCE, path)
        read = read_figures(type(figures), path, SOURCE)
        assert repr(read) == repr(figures)  # NaN is not equal to itself
        assert "nan" in repr(read)
        assert "NaN" not in path.read_text(encoding="utf-8")


def test_files_of_another_version_source_or_kind_are_refused(scored: tuple[Suite, Truth], tmp_path: Path) -> None:
    suite, truth = scored
    path = tmp_path / "mine.json"
    write_figures(run_figures(suite, truth, truth.mean, "mine"), SOURCE, path)
    with pytest.raises(SvebError, match="computed from other files or by other code"):
        read_figures(RunFigures, path, Source("c0de", "5417e", {"mine": "abd"}))
    with pytest.raises(SvebError, match=r"does not contain the expected figures .*: remove it"):
        read_figures(BoardFigures, path)
    raw = json.loads(path.read_text(encoding="utf-8"))
    for change in ({"schema_version": 2}, {"figures": []}, {"figures": raw["figures"] | {"binary": 1}}):
        path.write_text(json.dumps(raw | change), encoding="utf-8")
        with pytest.raises(SvebError, match="does not contain the expected figures"):
            read_figures(RunFigures, path)
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(SvebError, match="does not contain the expected figures"):
        read_figures(RunFigures, path)
