"""The site in the repository is what its own command makes of the entries in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from sveb.publication import build

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_site_is_rebuilt_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a suite of the same name under ./suites would stand for the embedded one
    build(ROOT / "submissions", tmp_path / "site")
    files = {path.relative_to(tmp_path / "site") for path in (tmp_path / "site").rglob("*") if path.is_file()}
    committed = {p.relative_to(ROOT / "leaderboard") for p in (ROOT / "leaderboard").rglob("*") if p.is_file()}
    assert files == committed, "run: sveb leaderboard build"
    for file in files:
        assert (tmp_path / "site" / file).read_bytes() == (ROOT / "leaderboard" / file).read_bytes(), file
