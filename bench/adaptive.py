"""Tokens that adaptive truth needs, over fixed truth's, for the same standard error and the same order coverage.

The embedded suite holds 64 stored continuations a state and 16 draws. The draws decide; both designs take their
continuations, a state's first n, from the stored ones: fixed n = 4..64 for all, adaptive n_i at the budget of 16, so
that 4 K = 64 is there. What the draws cost is paid in both: a suite sells them.
"""

from __future__ import annotations

import numpy as np

from bench.report import report
from sveb.common.posterior import RESOLVED, pair_probability
from sveb.generate.allocation import DrawSummary, allocate, room
from sveb.score.ordering import sibling_pairs, step_pairs
from sveb.score.truth import read_truth
from sveb.suite.suite import Suite

K = 16
FIXED = (4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64)
SHUFFLES = 20
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def measure(n: Ints, returns: Floats, tokens: Floats, pairs: dict[str, Ints]) -> dict[str, float]:
    """Figures of a design (states,) on stored continuations (states, 64), in the order in which they stand."""
    taken = np.arange(returns.shape[1]) < n[:, None]
    wins = np.rint((returns * taken).sum(axis=1)).astype(np.int64)
    all_means = returns.mean(axis=1)
    # By what all stored continuations show: a few equal returns show no spread at all.
    variance = all_means * (1 - all_means) * returns.shape[1] / (returns.shape[1] - 1)
    mean, found = wins / n, {"tokens": float((tokens * taken).sum()), "value_se": float(np.sqrt(variance / n).mean())}
    found["noise_floor"] = float((variance / n).mean())
    for name, each in pairs.items():
        q = pair_probability(wins.astype(float), mean, n, variance / n, each[:, 0], each[:, 1], True)
        found[name] = float((np.maximum(q, 1 - q) > RESOLVED).mean())
    return found


def needed(figure: str, value: float, curve: list[dict[str, float]]) -> float:
    """Tokens at which the fixed design reaches `value`, between its sizes linear in the logarithms."""
    at = sorted((row[figure], row["tokens"]) for row in curve)
    return float(np.exp(np.interp(np.log(value), *(np.log([pair[i] for pair in at]) for i in (0, 1)))))


def main() -> None:
    """Runs the bench."""
    suite = Suite.open()
    truth = read_truth(suite)
    table = suite.table("truth").to_pandas().set_index("state_id").loc[truth.state_ids]
    returns, tokens = (np.stack(table[name].to_numpy()).astype(float) for name in ("return_", "n_tokens"))
    draws = suite.table("draws", ["state_id", "return_", "n_tokens"]).to_pandas().groupby("state_id")
    drawn = draws.agg({"return_": ["sum", "count"], "n_tokens": "mean"}).loc[truth.state_ids].to_numpy()
    steps, siblings = (np.stack([p.first, p.second], axis=1) for p in (step_pairs(truth), sibling_pairs(truth)))
    pairs = {"coverage_steps": steps, "coverage_siblings": siblings}
    successes, graded = (drawn[:, column].round().astype(np.int64) for column in (0, 1))
    adaptive = allocate(DrawSummary(successes, graded, drawn[:, 2], steps, siblings), K)
    designs = {"adaptive": adaptive} | {str(n): np.full(len(returns), n) for n in FIXED}

    rng = np.random.default_rng(0)
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in designs}
    for _ in range(SHUFFLES):
        order = rng.permuted(np.broadcast_to(np.arange(returns.shape[1]), returns.shape), axis=1)
        mixed = [np.take_along_axis(values, order, axis=1) for values in (returns, tokens)]
        for name, n in designs.items():
            rows[name].append(measure(n, mixed[0], mixed[1], pairs))
    means = {name: {k: float(np.mean([row[k] for row in found])) for k in found[0]} for name, found in rows.items()}
    curve = [means[str(n)] for n in FIXED]
    ours = means["adaptive"]
    report(
        "adaptive",
        {
            "states": len(returns),
            "continuations_a_state": {str(n): int((adaptive == n).sum()) for n in np.unique(adaptive)},
            "most": room(K),
            f"fixed_{K}": {k: round(v, 4) for k, v in means[str(K)].items()},
            "adaptive": {k: round(v, 4) for k, v in ours.items()},
            "tokens_adaptive_over_fixed_for_the_same": {
                figure: round(ours["tokens"] / needed(figure, ours[figure], curve), 3)
                for figure in ours
                if figure != "tokens"
            },
        },
    )


if __name__ == "__main__":
    main()
