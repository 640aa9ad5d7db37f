"""`sveb score`, `compare` and `selfcheck` as a user meets them."""

import numpy as np
import pytest
from typer.testing import CliRunner

from sveb.cli import app
from sveb.common.errors import SvebError
from sveb.score import selfcheck
from sveb.score.synthetic import simulate
from sveb.score.synthetic_suite import write_predictions, write_suite


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A suite, and run folders with predictions of rising error."""
    folder = tmp_path_factory.mktemp("runs")
    suite, simulated = write_suite(folder / "suite", simulate(0, problems=60, k=16), k=16, group=8, seed=0)
    rng = np.random.default_rng(0)
    for name, scale in (("good", 0.05), ("near", 0.052), ("bad", 0.4)):
        (folder / name).mkdir()
        values = simulated.value + rng.normal(0, scale, len(simulated.value))
        write_predictions(folder / name / "predictions.parquet", suite, simulated.truth.state_ids, values)
    return folder


def sveb(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_scoring_a_run_again_writes_the_same_bytes_beside_it(runs):
    first = sveb("score", runs / "good", "--suite", runs / "suite")
    assert first.exit_code == 0
    assert "(new)" in first.output
    written = (runs / "good" / "results.json").read_bytes()
    assert "(the same bytes as before)" in sveb("score", runs / "good", "--suite", runs / "suite").output
    assert (runs / "good" / "results.json").read_bytes() == written


def test_score_takes_a_file_and_says_when_other_results_stood_there(runs, tmp_path):
    target = tmp_path / "scores.json"
    target.write_text("{}\n")
    done = sveb("score", runs / "bad" / "predictions.parquet", "--suite", runs / "suite", "--out", target)
    assert "(changed)" in done.output
    assert "order_siblings" in done.output
    assert "group mean 0.0 to 0.2" in done.output
    assert not (runs / "bad" / "results.json").exists()


def test_compare_ranks_plots_and_says_who_is_better(runs):
    done = sveb("compare", runs / "good", runs / "near", runs / "bad", "--suite", runs / "suite")
    assert done.exit_code == 0
    assert "good is not separated from near" in done.output
    assert "good is better than bad: skill +" in done.output
    assert "1 to 2" in done.output
    rows = [line for line in done.output.splitlines() if "●" in line]
    assert len(rows) == 2, "one bar for each other entry"
    assert rows[1].index("│") < rows[1].index("●"), "better is to the right of no difference"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "good"), "at least two"),
        (("compare", "good", "good"), "is given 2 times"),
        (("compare", "good", "absent"), "does not exist: expected a predictions file"),
        (("score", "good"), "which is not here: give its folder with --suite"),
    ],
)
def test_an_error_message_names_the_fix(runs, arguments, message):
    command, *names = arguments
    with pytest.raises(SvebError, match=message):
        sveb(command, *(runs / name for name in names))


@pytest.mark.parametrize(("holds", "code"), [(True, 0), (False, 1)])
def test_selfcheck_exits_1_when_a_claim_fails(monkeypatch, holds, code):
    claims = [selfcheck.Claim("water is wet", "100 %", True), selfcheck.Claim("mse is unbiased", "bias +1", holds)]
    monkeypatch.setattr(selfcheck, "selfcheck", lambda _, *, full: iter(claims if not full else []))
    done = sveb("selfcheck")
    assert done.exit_code == code
    assert f"{1 + holds} of 2 claims hold" in done.output
