"""Fixtures of made-up entries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import synthetic


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """A valid entry of a built-in."""
    run = synthetic.write_run(tmp_path / "runs" / "numca")
    folder: Path = synthetic.make_entry(run, tmp_path / "submissions", date=synthetic.DATE, team="A team")
    return folder


@pytest.fixture
def own_entry(tmp_path: Path) -> Path:
    """A valid entry of an estimator with code."""
    run = synthetic.write_run(tmp_path / "runs" / "mine", "mine", {"k": 3}, code=synthetic.CODE)
    folder: Path = synthetic.make_entry(run, tmp_path / "submissions", date=synthetic.DATE, team="A team")
    return folder
