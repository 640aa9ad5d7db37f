"""A fresh truth on the same states: the same inputs, other draws, and who was fitted to the old ones shows."""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sveb.cli import app
from sveb.common.errors import SvebError
from sveb.entries.submit import make_entry
from sveb.evaluation import evaluate
from sveb.generate.refresh import Refresh, next_version, refresh
from sveb.generate.reporter import SilentReporter
from sveb.runs.predictions import Predictions
from sveb.score.drift import drift
from sveb.score.score import score
from sveb.score.synthetic import simulate
from sveb.score.synthetic_suite import write_predictions, write_suite
from sveb.score.truth import read_truth
from sveb.suite.manifest import Manifest
from sveb.suite.private_truth import Private
from sveb.suite.split import split
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify

K = 3
OLD = Path(__file__).parent.parent / "data" / "v0.1.0" / "suites" / "tiny-0.1.0-schema-2"


class Stops(SilentReporter):
    """Presses Ctrl-C in the middle of the sampling, once some of it is on the disk."""

    def __init__(self, work: Path) -> None:
        super().__init__()
        self.work = work

    def advance(self, continuations: int, tokens: int) -> None:
        super().advance(continuations, tokens)
        if self.continuations > 100 and any(self.work.glob("truth/*.parquet")):
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def stopped(tiny_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Refresh:
    """A refresh with a random seed that was stopped in the middle."""
    asked = Refresh(Suite.open(tiny_suite), tmp_path_factory.mktemp("stopped") / "tiny", continuations=K)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sveb.generate.grading_queue.FLUSH_SECONDS", 0.05)
        patch.setattr("sveb.generate.unit_store.FLUSH_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            refresh(asked, Stops(asked.out / "work"))
    return asked


@pytest.fixture(scope="module")
def fresh(stopped: Refresh, tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """A refresh with the same seed that nobody stopped."""
    seed = json.loads((stopped.out / "work" / "plan.json").read_text())["refresh"]["seed"]
    asked = replace(stopped, out=tmp_path_factory.mktemp("fresh") / "tiny", seed=seed)
    return Suite.open(refresh(asked, SilentReporter()))


def test_only_the_truth_is_new_and_the_version_says_so(tiny_suite: Path, fresh: Suite) -> None:
    old = Suite.open(tiny_suite)
    assert verify(fresh) == []
    assert (fresh.name, fresh.manifest.version) == (old.name, "1.1.0")
    for name in ("problems", "rollouts", "states", "draws"):
        assert (fresh.path / f"{name}.parquet").read_bytes() == (old.path / f"{name}.parquet").read_bytes()
    assert fresh.checksum != old.checksum
    assert fresh.manifest.seed == old.manifest.seed
    of = {"version": "1.0.0", "checksum": old.checksum}
    assert fresh.manifest.notes["refresh"] == {"of": of, "seed": fresh.manifest.notes["refresh"]["seed"]}
    assert fresh.manifest.notes["refresh"]["seed"] > 2**32, "random: a small one could be guessed"
    assert fresh.manifest.counts == old.manifest.counts | {"continuations": K}
    assert old.manifest.counts["audit"] == 3
    pools = [suite.table("audit").to_pandas()["return_"].map(list).tolist() for suite in (old, fresh)]
    assert {len(returns) for pool in pools for returns in pool} == {3}
    assert pools[0] != pools[1], "the old pool is known"
    assert not (fresh.path / "work").exists()


def test_every_state_gets_continuations_of_its_own_that_agree_with_the_old_ones(tiny_suite: Path, fresh: Suite) -> None:
    old = Suite.open(tiny_suite).table("truth").to_pandas().set_index("state_id")
    new = fresh.table("truth").to_pandas().set_index("state_id")
    assert new.index.tolist() == old.index.tolist() == fresh.states.index.tolist()
    assert new["n_continuations"].eq(K).all()
    first = old["n_tokens"].map(lambda lengths: tuple(lengths[:K]))
    assert (first != new["n_tokens"].map(tuple)).mean() > 0.5, "not the old continuations once more"
    # The seed is another one at every run, so that the bound must hold by chance but once in a million.
    both = (8 * old["value_mean"] + K * new["value_mean"]) / (8 + K)
    noise = (both * (1 - both) * (1 / 8 + 1 / K)).sum()
    assert abs((new["value_mean"] - old["value_mean"]).sum()) < 6 * np.sqrt(noise)
    assert np.corrcoef(old["value_mean"], new["value_mean"])[0, 1] > 0.6
    assert 0.1 < drift(Suite.open(tiny_suite), fresh, {}).spread.value < 6


def test_stopped_it_goes_on_with_its_random_seed_and_ends_with_the_same_truth(stopped: Refresh, fresh: Suite) -> None:
    assert not (stopped.out / "manifest.json").exists()
    rest = SilentReporter()
    whole = Suite.open(refresh(stopped, rest))
    asked_for = (K + whole.manifest.counts["audit"]) * len(whole.states)
    assert 0 < rest.continuations < asked_for, "what was finished is not drawn again"
    for name in ("truth", "audit"):
        assert (whole.path / f"{name}.parquet").read_bytes() == (fresh.path / f"{name}.parquet").read_bytes()
    assert whole.checksum == fresh.checksum

    rest = SilentReporter()
    refresh(stopped, rest)
    assert rest.continuations == 0, "a finished one is as it is"
    with pytest.raises(SvebError, match="a refresh with other settings"):
        refresh(replace(stopped, continuations=K + 1), SilentReporter())


def test_an_old_suite_gets_an_audit_pool_by_a_refresh_and_keeps_its_states(tmp_path: Path) -> None:
    old = Suite.open(OLD)
    made = refresh(Refresh(old, tmp_path / "new", continuations=2, audit=2, engine="transformers"), SilentReporter())
    new = Suite.open(made)
    assert verify(new) == []
    assert (old.manifest.counts["audit"], new.manifest.counts["audit"]) == (0, 2)
    assert {len(returns) for returns in new.table("audit")["return_"].to_pylist()} == {2}
    assert (new.path / "states.parquet").read_bytes() == (old.path / "states.parquet").read_bytes()
    drift(old, new, {})


def test_split_after_a_refresh_nobody_can_draw_the_private_truth_again(fresh: Suite, tmp_path: Path) -> None:
    done = split(fresh, 0.5, tmp_path / "public", tmp_path / "secret")
    assert not done.replayable
    public = Suite.open(done.public)
    assert verify(public) == []
    hidden = public.states["problem_id"].isin(public.manifest.private_problems)
    assert public.states.loc[hidden, ["next_tokens", "next_weight"]].isna().all(axis=None)
    assert public.states.loc[~hidden & public.states["kind"].eq("path"), "next_weight"].notna().all()
    assert set(public.table("audit")["state_id"].to_pylist()) == set(public.states.index[~hidden])
    private = Private.open(done.secret, public)
    assert verify(public, private) == []
    assert set(private.table("audit")["state_id"].to_pylist()) == set(public.states.index[hidden])
    pools = {row["state_id"]: row["return_"] for row in fresh.table("audit").to_pylist()}
    for known in (read_truth(public), read_truth(public, private), read_truth(public, private, everything=True)):
        assert known.audit is not None
        np.testing.assert_allclose(known.audit.mean, [np.mean(pools[state_id]) for state_id in known.state_ids])
    whole = fresh.table("states", filters=[("problem_id", "in", sorted(public.manifest.private_problems))])
    assert private.table("states").equals(whole)
    recipe = "(cat salt; sha256sum *.parquet) | sha256sum"
    said = subprocess.run(["sh", "-c", recipe], cwd=done.secret, capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == public.manifest.private["commitment"]
    assert "seed" not in public.manifest.notes["refresh"]
    kept = json.loads((done.secret / "private.json").read_text())
    assert kept["truth_seed"] == fresh.manifest.notes["refresh"]["seed"]
    with pytest.raises(SvebError, match="refresh the whole suite, then split that again"):
        refresh(Refresh(public, tmp_path / "new"), SilentReporter())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: replace(m, policy=m.policy | {"sha256": "0" * 64}), "It differs in sha256: 0000"),
        (lambda m: replace(m, task=m.task | {"fingerprint": "0" * 64}), "so grades could differ"),
        (lambda m: replace(m, version="two"), "expected three numbers, such as 1.0.0"),
    ],
)
def test_another_policy_or_task_is_refused(
    tiny_suite: Path, tmp_path: Path, change: Callable[[Manifest], Manifest], said: str
) -> None:
    folder = Path(shutil.copytree(tiny_suite, tmp_path / "old"))
    change(Manifest.read(folder)).write(folder)
    with pytest.raises(SvebError, match=said):
        refresh(Refresh(Suite.open(folder), tmp_path / "new"), SilentReporter())
    assert not (tmp_path / "new").exists()


def test_seeds_and_folders_that_are_taken_are_refused(tiny_suite: Path, tmp_path: Path) -> None:
    old = Suite.open(tiny_suite)
    with pytest.raises(SvebError, match="--seed 0 is the seed of the old truth"):
        refresh(Refresh(old, tmp_path / "new", seed=0), SilentReporter())
    with pytest.raises(SvebError, match="choose an empty folder"):
        refresh(Refresh(old, tiny_suite), SilentReporter())
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SvebError, match="holds files but no refresh"):
        refresh(Refresh(old, tmp_path), SilentReporter())
    assert next_version("2.9.4") == "2.10.0"


def test_a_cheat_that_predicts_the_old_means_shows_on_the_new_truth(tmp_path: Path) -> None:
    simulated = simulate(3, problems=60, k=16)
    old, known = write_suite(tmp_path / "old", simulated, k=16, group=8, seed=1)
    new, _ = write_suite(tmp_path / "new", simulated, k=16, group=8, seed=2)
    rng = np.random.default_rng(0)
    values = {
        "cheat": known.truth.mean,
        "half a cheat": (known.truth.mean + simulated.value) / 2,
        "perfect": simulated.value,
        "honest": np.clip(simulated.value + rng.normal(0, 0.02, len(simulated.value)), 0, 1),
        "constant": np.full(len(simulated.value), 0.5),
    }
    files = {
        name: write_predictions(tmp_path / f"{name}.parquet", old, simulated.truth.state_ids, value)
        for name, value in values.items()
    }
    one = Predictions.read(files["honest"])
    files["trained"] = tmp_path / "trained.parquet"
    Predictions(one.info, one.state_ids, one.values, [one.values + 0.1, one.values - 0.08]).write(files["trained"])
    found = drift(old, new, files)
    entries = {entry.name: entry for entry in found.entries}
    floor = score(old, files["perfect"]).metrics["noise_floor"].value
    assert {name for name, entry in entries.items() if entry.overfits} == {"cheat", "half a cheat"}
    assert entries["cheat"].old.value == pytest.approx(-floor, rel=0.05)
    assert entries["cheat"].new.value == pytest.approx(floor, rel=0.3)
    assert entries["cheat"].old_rank == (1, 1)
    assert entries["cheat"].new_rank[0] > 1
    assert next(iter(entries)) == "perfect"
    for name in ("perfect", "honest", "constant"):
        assert entries[name].change.low < 0 < entries[name].change.high
    mse = score(old, files["trained"]).metrics["mse"]
    assert (entries["trained"].old.value, entries["trained"].old.high) == pytest.approx((mse.value, mse.high))
    assert mse.high - mse.value > 2 * (entries["honest"].old.high - entries["honest"].old.value)
    assert found.spread.low < 1 < found.spread.high
    assert found.value.low < 0 < found.value.high


def test_suites_that_differ_in_more_than_their_truth_cannot_be_compared(fresh: Suite) -> None:
    with pytest.raises(SvebError, match=r"differ in draws\.parquet, problems\.parquet"):
        drift(Suite.open("ledger-nano"), fresh, {})


def test_the_command_shows_what_the_new_truth_does_to_every_entry(
    tiny_suite: Path, fresh: Suite, tmp_path: Path
) -> None:
    run = evaluate(Suite.open(tiny_suite), "group_mean", {}, tmp_path / "runs")
    make_entry(run.folder, tmp_path / "submissions", date=datetime.date(2026, 1, 2))
    arguments = ["suite", "refresh", str(tiny_suite), "--out", str(fresh.path), "--continuations", str(K)]
    said = CliRunner(env={"COLUMNS": "250"}).invoke(app, [*arguments, "--submissions", str(tmp_path / "submissions")])
    assert said.exit_code == 0, said.output
    row = next(line for line in said.output.splitlines() if line.startswith("group_mean"))
    assert row.count("[") == 3
    assert "true values changed by" in said.output
