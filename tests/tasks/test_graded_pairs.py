"""Pairs of a reference and an answer with the grade that a careful reader gives, one a line in tests/data/grading."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from sveb.tasks.pairs import GradedPair, grade_pairs, read_pairs
from tests.support.needs import require_bubblewrap

FOLDER = Path(__file__).parents[1] / "data/grading"
ROWS = [
    (path.stem, row) for path in sorted(FOLDER.glob("*.jsonl")) for row in range(len(path.read_text().splitlines()))
]


@cache
def graded(name: str) -> list[GradedPair]:
    if name == "program":
        require_bubblewrap()
    return list(grade_pairs(read_pairs(FOLDER / f"{name}.jsonl"), None))


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_a_pair_is_graded_as_a_careful_reader_grades_it(name: str, row: int) -> None:
    found = graded(name)[row]
    assert found.return_ == found.pair.expected, json.dumps(found.to_dict())
