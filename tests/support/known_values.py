"""Truths from plain lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from sveb.score.returns import Returns, return_statistics
from sveb.score.synthetic import Simulated
from sveb.score.truth import Truth


def truth_of(
    problem: Sequence[int],
    returns: Sequence[Sequence[float]],
    *,
    kind: Sequence[str] | str = "path",
    rollout: Sequence[int] | None = None,
    parent: Sequence[int] | None = None,
    group_mean: Sequence[float] | None = None,
    group_n: int = 32,
    next_tokens: Sequence[float] | None = None,
    next_weight: Sequence[float] | None = None,
) -> Truth:
    """A truth from plain lists; by default path states of one rollout a problem, in order."""
    n = len(problem)
    lengths = [len(row) for row in returns]
    flat = np.array([x for row in returns for x in row], dtype=float)
    problems = max(problem, default=-1) + 1
    groups = np.full(problems, 0.5) if group_mean is None else np.array(group_mean, dtype=float)
    return Truth(
        state_ids=[f"s{i}" for i in range(n)],
        problem_ids=[f"p{i}" for i in range(problems)],
        problem=np.array(problem, dtype=np.int64),
        kind=np.array([kind] * n if isinstance(kind, str) else kind, dtype=np.str_),
        rollout=np.array(problem if rollout is None else rollout, dtype=np.int64),
        step_index=np.arange(n),
        parent=np.full(n, -1) if parent is None else np.array(parent, dtype=np.int64),
        position=np.full(n, np.nan),
        n_tokens=np.arange(n),
        next_tokens=np.full(n, np.nan) if next_tokens is None else np.array(next_tokens, dtype=float),
        next_weight=np.full(n, np.nan) if next_weight is None else np.array(next_weight, dtype=float),
        returns=return_statistics(flat, np.cumsum([0, *lengths])),
        pool_mean=np.full(n, np.nan),
        pool_n=np.zeros(n, dtype=np.int64),
        group_mean=groups,
        group_n=np.full(problems, group_n),
        group_noise=groups * (1 - groups) / (group_n - 1),
        tier=[None] * problems,
        binary=bool(np.isin(flat[~np.isnan(flat)], (0.0, 1.0)).all()),
        missing_returns=int(np.isnan(flat).sum()),
    )


def reordered(truth: Truth, order: np.ndarray) -> Truth:
    """The same states in another order."""
    columns = ("problem", "kind", "rollout", "step_index", "parent", "position", "n_tokens", "next_tokens",
               "next_weight", "pool_mean", "pool_n")  # fmt: skip
    arrays = {name: getattr(truth, name)[order] for name in columns}
    arrays["parent"] = np.where(arrays["parent"] < 0, -1, np.argsort(order)[arrays["parent"]])
    returns = Returns(**{f.name: getattr(truth.returns, f.name)[order] for f in fields(Returns)})
    return replace(truth, state_ids=[truth.state_ids[i] for i in order], returns=returns, **arrays)


def known_exactly(sim: Simulated) -> Truth:
    """The truth of infinitely many draws: its mean is V, its noise is 0."""
    returns, zero = sim.truth.returns, np.zeros(len(sim.value))
    exact = replace(returns, mean=sim.value, noise=zero, first=sim.value, second=sim.value, second_noise=zero)
    return replace(sim.truth, returns=exact, binary=False)
