"""A suite under the published protocol says on every page that its scores hold their own outcomes."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from sveb.entries.submit import make_entry
from sveb.publication import build
from sveb.suite.protocol import PAPER
from tests.support import synthetic


@pytest.mark.parametrize("protocol", ["paper", "standard"])
def test_the_entry_page_and_the_suites_data_tell_the_protocol(tmp_path: Path, protocol: str) -> None:
    run = synthetic.write_run(tmp_path / "run", protocol=protocol)
    make_entry(
        run, tmp_path / "submissions", date=synthetic.DATE, name="numca", title="numca", team="SVEB", method="Numbers.",
        links=[], hardware="2 CPU cores",
    )  # fmt: skip
    index = build(tmp_path / "submissions", tmp_path / "site")
    entry = html.unescape((index.parent / "entries" / "numca.html").read_text())
    assert (PAPER.leak in entry) == (protocol == "paper")
    assert f'["protocol","{protocol}"]' in index.read_text()
    assert 'id="suite-leak" class="alarm-line" hidden' in index.read_text(), "the script shows it where it applies"
