"""docs/metrics.md tells of every metric what the catalogue tells."""

from pathlib import Path

from sveb.score.metric_catalogue import CATALOGUE

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_reference_has_a_row_for_every_metric_and_for_no_other():
    rows = [line.split(" | ") for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    told = {row[0].strip("| `"): (row[1].replace("&#124;", "|"), row[4].removesuffix(" |")) for row in rows}
    assert told == {name: (metric.definition, metric.undefined) for name, metric in CATALOGUE.items()}
