"""Adaptive truth: who gets how much, that nothing is biased by it, that a stopped run keeps its shares."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sveb.common.errors import SvebError
from sveb.generate.allocation import DrawSummary, allocate, room, stored_allocation
from sveb.generate.generation import Settings
from sveb.generate.pipeline import generate
from sveb.generate.plan import SeedLayout, counts_for
from sveb.generate.reporter import SilentReporter
from sveb.generate.state_cuts import root_state
from sveb.generate.unit_store import Store
from sveb.score.alarms import half_contrast, pool_contrast
from sveb.score.bootstrap import resample
from sveb.score.ordering import sibling_pairs, step_pairs
from sveb.score.returns import return_statistics
from sveb.score.score import evaluate
from sveb.score.synthetic import Simulated, simulate
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify

NONE = np.empty((0, 2), dtype=np.int64)


def summary(
    successes: list[int], draws: int = 16, tokens: list[float] | None = None, steps: np.ndarray = NONE
) -> DrawSummary:
    n = len(successes)
    lengths = np.full(n, 40.0) if tokens is None else np.array(tokens)
    return DrawSummary(np.array(successes, dtype=np.int64), np.full(n, draws), lengths, steps, NONE)


@st.composite
def summaries(draw: st.DrawFn) -> DrawSummary:
    n = draw(st.integers(1, 30))
    draws = np.array(draw(st.lists(st.integers(0, 16), min_size=n, max_size=n)))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    pairs = rng.integers(0, n, (draw(st.integers(0, 20)), 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    lengths = rng.uniform(1, 300, n)
    return DrawSummary(rng.binomial(draws, rng.random(n)), draws, lengths, pairs[::2], pairs[1::2])


@given(summaries(), st.sampled_from([2, 7, 16]))
@settings(max_examples=25)
def test_every_state_gets_its_share_within_floor_cap_and_budget(seen: DrawSummary, k: int) -> None:
    shares = allocate(seen, k)
    assert shares.min() >= max(2, round(k / 8))
    assert shares.max() <= room(k) == 4 * k
    assert shares @ seen.tokens <= k * seen.tokens.sum() * (1 + 1e-9)
    assert (allocate(seen, k) == shares).all()


def test_undecided_states_get_more_than_settled_ones_and_long_ones_less() -> None:
    shares = allocate(summary([0] * 20 + [8] * 20 + [16] * 20), 64)
    assert shares[20:40].min() > 2 * shares[:20].max()
    assert (shares[:20] == shares[0]).all()
    shares = allocate(summary([8] * 40, tokens=[20.0] * 20 + [180.0] * 20), 64)
    assert shares[:20].min() > shares[20:].max()


def test_pairs_that_can_be_resolved_get_more_than_states_that_no_order_waits_for() -> None:
    """All are worth about a half: a quarter of the states stand in pairs that 6 and 10 of 16 leave open."""
    open_pairs = np.array([[i, i + 1] for i in range(0, 20, 2)])
    shares = allocate(summary([6, 10] * 40, steps=open_pairs), 64)
    assert shares[:20].min() > shares[20:].max()


def test_no_state_is_no_problem() -> None:
    assert len(allocate(summary([]), 16)) == 0


def adaptive_truth(seed: int, k: int = 8) -> Simulated:
    """A policy with known values: 16 draws for sale decide, n_i fresh returns are the truth."""
    sim = simulate(seed, problems=40, rollouts=2)
    rng = np.random.default_rng(seed + 10_000)
    value, truth = sim.value, sim.truth
    drawn = rng.binomial(16, value)
    pairs = [np.stack([p.first, p.second], axis=1) for p in (step_pairs(truth), sibling_pairs(truth))]
    n = allocate(DrawSummary(drawn, np.full(len(value), 16), 10.0 + 80 - truth.n_tokens, *pairs), k)
    flat = (rng.random(n.sum()) < np.repeat(value, n)).astype(float)
    returns = return_statistics(flat, np.concatenate([[0], np.cumsum(n)]))
    return Simulated(replace(truth, returns=returns, pool_mean=drawn / 16, pool_n=np.full(len(n), 16)), value)


REPEATS = 80


@pytest.fixture(scope="module")
def repeats() -> list[Simulated]:
    return [adaptive_truth(seed) for seed in range(REPEATS)]


def z(samples: list[float]) -> float:
    """Mean over its standard error."""
    return float(np.mean(samples) / (np.std(samples, ddof=1) / np.sqrt(len(samples))))


@pytest.mark.parametrize("band", [(0.0, 1.0), (0.02, 0.2), (0.4, 0.6), (0.8, 0.98)])
def test_means_and_their_variances_are_unbiased_whatever_the_draws_decided(repeats, band) -> None:
    """Per band of true values, and among the states whose draws were far off."""
    means, variances, misled = [], [], []
    for sim in repeats:
        t, v = sim.truth, sim.value
        rows = (v >= band[0]) & (v <= band[1])
        means.append((t.mean - v)[rows].mean())
        variances.append((t.noise - v * (1 - v) / t.n)[rows].mean())
        misled.append((t.mean - v)[rows & (np.abs(t.pool_mean - v) > 0.1)].sum())
        assert len(np.unique(t.n)) > 3, "the shares differ"
    assert abs(z(means)) < 4
    assert abs(np.mean(means)) < 0.004
    assert abs(z(variances)) < 4
    assert abs(z(misled)) < 4


def test_pooled_with_the_draws_the_means_would_be_biased() -> None:
    """Draws that are all zeros get few continuations to correct them: low values become too low, high ones too high."""
    value = np.repeat([0.1, 0.9], 40_000)
    drawn = np.random.default_rng(0).binomial(16, value)
    n = allocate(summary(drawn.tolist()), 16)
    expected = (drawn + n * value) / (16 + n)  # of draws and truth together, given the draws
    low, high = (expected - value)[value < 0.5], (expected - value)[value > 0.5]
    assert z(low.tolist()) < -10
    assert z(high.tolist()) > 10


def test_scores_are_unbiased_and_honest_predictions_raise_no_alarm(repeats) -> None:
    """Predictions that know nothing of draws, and MC@4, which buys the very draws that decided the shares."""
    errors, worths, halves, pools, bought = [], [], [], [], []
    for seed, sim in enumerate(repeats):
        rng = np.random.default_rng(seed)
        path = sim.truth.kind == "path"
        honest = sim.value + rng.normal(0, 0.1, len(sim.value))
        given_all = np.ones(len(honest), dtype=bool)
        found = evaluate(sim.truth, honest, given_all, resample(40, replicates=20))
        errors.append(found["mse"].value - ((honest - sim.value)[path] ** 2).mean())
        mc = rng.binomial(4, sim.value) / 4
        worths.append(evaluate(sim.truth, mc, given_all, resample(40, replicates=20))["worth"].value)
        halves.append(half_contrast(sim.truth, honest))
        pools.append(pool_contrast(sim.truth, honest))
        bought.append(pool_contrast(sim.truth, sim.truth.pool_mean))
    assert abs(z(errors)) < 4
    assert np.mean(worths) == pytest.approx(4, rel=0.03)
    for contrast in (halves, pools):
        assert np.mean(contrast) == pytest.approx(0, abs=4 / np.sqrt(REPEATS))
        assert np.std(contrast) == pytest.approx(1, abs=0.3)
    assert np.mean(bought) < -3, "buying draws is no leak"


SMALL = {
    "test_problems": 3, "train_problems": 1, "group": 2, "train_group": 1, "probes": 1, "path_states": 3,
    "sibling_parents": 1, "siblings": 3, "continuations": 8, "draws": 4,
}  # fmt: skip


def test_seeds_of_all_shares_are_distinct() -> None:
    counts = counts_for("demo", SMALL)
    layout = SeedLayout(counts, 0, room=room(8))
    found = [layout.rollouts(p, 0, 3) for p in range(3)] + [layout.siblings(p, 0) for p in range(3)]
    found += [seeds for p in range(3) for s in range(7) for seeds in (layout.truth(p, s, 32), layout.draws(p, s))]
    seeds = np.concatenate(found)
    assert len(np.unique(seeds)) == len(seeds)
    with pytest.raises(ValueError, match="room for 32"):
        layout.truth(0, 0, 33)


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_the_shares_that_the_draws_decided(tmp_path: Path) -> None:
    class Stop(SilentReporter):
        def stage(self, name: str, *_: int) -> None:
            if name == "truth":
                raise KeyboardInterrupt

    out = tmp_path / "adaptive"
    asked = Settings(model="nano", out=out, counts=counts_for("demo", SMALL), engine="transformers", truth="adaptive")
    with pytest.raises(KeyboardInterrupt):
        generate(asked, Stop())
    shares = json.loads((out / "work" / "allocation.json").read_text())
    generate(asked, SilentReporter())
    suite = Suite.open(out)
    assert verify(suite) == []
    truth = suite.table("truth").to_pandas().set_index("state_id")
    assert (truth["n_continuations"] + truth["n_missing"]).to_dict() == shares
    assert truth["n_continuations"].nunique() > 1
    assert "adaptive" in suite.manifest.notes["truth"]
    with pytest.raises(SvebError, match=r"notes\.truth: 'adaptive"):
        generate(replace(asked, truth="fixed"), SilentReporter())


def test_without_draws_nothing_can_decide_and_nothing_is_sampled(tmp_path: Path) -> None:
    counts = counts_for("demo", {**SMALL, "draws": 0})
    asked = Settings(model="nano", out=tmp_path / "out", counts=counts, engine="transformers", truth="adaptive")
    with pytest.raises(SvebError, match="use --draws 16"):
        generate(asked, SilentReporter())


def test_an_allocation_of_other_states_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path, {}) as store:
        (store.folder / "allocation.json").write_text('{"ghost": 4}')
        job = SimpleNamespace(store=store)
        with pytest.raises(SvebError, match="does not name this suite's states"):
            stored_allocation(job, [root_state("p")])
