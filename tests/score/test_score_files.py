"""From files to results: what is checked, what is counted, and that the bytes repeat."""

import math
import subprocess
import sys

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.common.files import sha256
from sveb.runs.results import Results
from sveb.score.metric_catalogue import CATALOGUE
from sveb.score.score import score
from tests.support.suites import of_rows, predict


@pytest.fixture
def suite(tmp_path):
    rng = np.random.default_rng(0)
    states = []
    for p in range(12):
        level = rng.uniform()
        states.append((f"é{p}/root", f"é{p}", None, "root", 0, None, returns(rng, level)))
        for t in range(1, 5):
            states.append((f"é{p}/{t}", f"é{p}", f"é{p}/r", "path", t, None, returns(rng, level)))
        for m in range(3):
            states.append((f"é{p}/s{m}", f"é{p}", None, "sibling", 3, f"é{p}/2", returns(rng, rng.uniform())))
    context = {f"é{p}": [1.0, 0.0, 1.0, 0.0] for p in range(12)}
    return of_rows(tmp_path / "suite", states, context, train=[1.0, 1.0, 1.0, 0.0, None])


def returns(rng, value, k=16):
    return [float(x) for x in rng.uniform(size=k) < value]


@pytest.fixture
def ids(suite):
    return suite.states["state_id"].tolist()


def test_results_hold_every_metric_the_counts_and_the_provenance(suite, ids, tmp_path):
    path = predict(tmp_path / "p.parquet", suite, ids, np.linspace(0, 1, len(ids)))
    results = score(suite, path)
    assert list(results.metrics) == list(CATALOGUE)
    assert results.predictions_sha256 == sha256(path)
    assert results.info.suite.checksum == suite.checksum
    assert results.bootstrap == {
        "replicates": 2000, "seed": 0, "level": 0.95, "cluster": "problem",
        "interval": "BCa, levels widened by Student's t",
    }  # fmt: skip
    assert results.alarms == []
    pairs_resolved = {k: results.counts.pop(f"{k}_pairs_resolved") for k in ("step", "sibling", "within")}
    assert results.counts == {
        "problems": 12, "root_states": 12, "path_states": 48, "sibling_states": 36, "sibling_groups": 12,
        "step_pairs": 36, "sibling_pairs": 36, "within_pairs": 72, "states_without_truth": 0, "missing_returns": 0,
        "missing_predictions": 0,
    }  # fmt: skip
    assert 0 < pairs_resolved["sibling"] < 36


def test_the_same_files_give_the_same_bytes_whatever_the_rows_order(suite, ids, tmp_path):
    values = np.linspace(0, 1, len(ids))
    forward = predict(tmp_path / "a.parquet", suite, ids, values)
    backward = predict(tmp_path / "b.parquet", suite, ids[::-1], values[::-1])
    for name, path in (("1", forward), ("2", forward)):
        score(suite, path).write(tmp_path / f"{name}.json")
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    assert score(suite, backward).metrics == score(suite, forward).metrics
    assert Results.read(tmp_path / "1.json").metrics == score(suite, forward).metrics


def test_all_faults_are_listed_at_once(suite, ids, tmp_path):
    values = np.full(len(ids), 0.5)
    values[3], values[4] = math.nan, math.inf
    wrong_ids = [*ids[1:], ids[5], "nobody", "nobody else"]
    path = predict(tmp_path / "p.parquet", suite, wrong_ids, [*values[1:], 0.1, 0.2, 0.3], checksum="f00d" * 16)
    with pytest.raises(SvebError) as error:
        score(suite, path)
    message = str(error.value)
    assert str(path) in message
    assert "made for another suite: tiny 1.0.0 (manifest f00df00df00d)" in message
    assert f"1 states are predicted more than once: {ids[5]}" in message
    assert "2 state ids are unknown to the suite: nobody, nobody else" in message
    assert f"2 states have no value: {ids[0]}, {ids[3]}" in message
    assert f"1 values are not finite: {ids[4]}" in message


def test_long_lists_name_the_first_few(suite, ids, tmp_path):
    path = predict(tmp_path / "p.parquet", suite, ids[:1], [0.5])
    with pytest.raises(SvebError, match=rf"95 states have no value: {', '.join(ids[1:6])} and 90 more"):
        score(suite, path)


def test_an_empty_file_is_all_missing(suite, tmp_path):
    path = predict(tmp_path / "p.parquet", suite, [], [])
    with pytest.raises(SvebError, match="96 states have no value"):
        score(suite, path)
    assert score(suite, path, allow_missing=True).metrics["coverage"].value == 0.0


def test_missing_values_become_the_training_mean_when_allowed_and_are_counted(suite, ids, tmp_path):
    values = np.linspace(0, 1, len(ids))
    filled = values.copy()
    filled[1], filled[2], filled[-1] = 0.75, 0.75, 0.75  # mean of 1 1 1 0, the ungraded rollout left out
    values[1], values[2] = math.nan, math.inf
    gappy = predict(tmp_path / "a.parquet", suite, ids[:-1], values[:-1])
    whole = predict(tmp_path / "b.parquet", suite, ids, filled)
    allowed, reference = score(suite, gappy, allow_missing=True), score(suite, whole)
    assert allowed.counts["missing_predictions"] == 3
    assert allowed.metrics.pop("coverage").value == pytest.approx(93 / 96)
    assert reference.metrics.pop("coverage").value == 1.0
    assert allowed.metrics == reference.metrics


def test_duplicates_are_refused_even_when_missing_is_allowed(suite, ids, tmp_path):
    path = predict(tmp_path / "p.parquet", suite, [*ids, ids[0]], np.full(len(ids) + 1, 0.5))
    with pytest.raises(SvebError, match="more than once"):
        score(suite, path, allow_missing=True)


def test_a_repeated_state_does_not_shift_the_names_of_the_missing(suite, ids, tmp_path):
    values = np.full(len(ids) + 1, 0.5)
    values[8] = math.nan
    path = predict(tmp_path / "p.parquet", suite, [ids[0], *ids], values)
    with pytest.raises(SvebError, match=f"1 states have no value: {ids[7]}\n"):
        score(suite, path)


def test_missing_values_without_training_rollouts_are_refused(tmp_path):
    suite = of_rows(tmp_path / "s", [("a", "p", "r", "path", 1, None, [1.0, 0.0])], {"p": [1.0]}, train=[])
    path = predict(tmp_path / "p.parquet", suite, ["a"], [math.nan])
    with pytest.raises(SvebError, match="no graded training rollout"):
        score(suite, path, allow_missing=True)


def test_predicting_the_truths_own_draws_raises_the_leak_alarm(suite, ids, tmp_path):
    table = suite.table("truth")
    means = {i: np.mean(r) for i, r in zip(table["state_id"].to_pylist(), table["return_"].to_pylist(), strict=True)}
    path = predict(tmp_path / "p.parquet", suite, ids, [means[i] for i in ids])
    results = score(suite, path)
    assert results.metrics["mse"].high < 0
    (alarm,) = results.alarms
    assert alarm["badge"] == "leak"
    assert "below 0" in alarm["evidence"]


def test_importing_the_scorer_loads_nothing_heavy():
    code = (
        "import sys, sveb.score.score, sveb.score.compare;"
        "print([m for m in ('torch', 'transformers', 'datasets', 'vllm', 'scipy.stats') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
