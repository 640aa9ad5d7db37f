"""Statistics of a suite's truth. The manifest contains them, and `sveb suite verify` computes them again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

# What `suite_statistics` reads of each table, in the order of its arguments.
STATISTICS_COLUMNS = {
    "problems": ["problem_id", "tier"],
    "rollouts": ["problem_id", "role", "return_", "finish_reason"],
    "states": ["state_id", "problem_id", "kind", "parent_state_id"],
    "truth": ["state_id", "value_mean", "value_se", "n_continuations", "n_missing", "finish_reason"],
}


def value_statistics(returns: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float, int, int]:
    """(value_mean, value_se, n_continuations, n_missing) of one state's returns, NaN = missing.

    value_se is sqrt(unbiased sample variance / n); NaN below two returns, where no spread can be estimated.
    """
    graded = returns[~np.isnan(returns)]
    n = len(graded)
    mean = float(graded.mean()) if n else float("nan")
    se = float(np.sqrt(graded.var(ddof=1) / n)) if n > 1 else float("nan")
    return mean, se, n, len(returns) - n


def summary_statistics(mean: float, n: int) -> tuple[float, float, int, int]:
    """The same if only the mean of n returns of 0 or 1 is known: value_se is sqrt(g (1 - g) / (n - 1))."""
    return mean, float(np.sqrt(mean * (1 - mean) / (n - 1))) if n > 1 else float("nan"), n, 0


def suite_statistics(problems: pa.Table, rollouts: pa.Table, states: pa.Table, truth: pa.Table) -> dict[str, Any]:
    """Counts, success rates, truncation, missing grades, and how the path states' values spread.

    `value_variance` is Var(V) over path states, corrected for the truth's noise (`noise_floor`, mean squared
    value_se); `within_problem_share` is the part of it inside problems; `graded_share` the share of path states
    with .05 < value_mean < .95. A figure that cannot be computed is null. For problems without any truth (it is kept
    separately in a split suite) only the states and the context rollouts are counted.
    """
    responses = rollouts.select(["problem_id", "role", "return_", "finish_reason"]).to_pandas()
    context = responses[responses["role"] == "context"].merge(
        problems.select(["problem_id", "tier"]).to_pandas(), on="problem_id"
    )
    values = truth.select(["state_id", "value_mean", "value_se", "n_continuations", "n_missing"]).to_pandas()
    everything = states.select(["state_id", "problem_id", "kind", "parent_state_id"]).to_pandas()
    frame = everything.merge(values, on="state_id")
    apart = ~responses["problem_id"].isin(frame["problem_id"]) & responses["problem_id"].isin(everything["problem_id"])
    responses = responses[~(apart & (responses["role"] == "probe"))]
    # Imported responses that states are cut from may have no return and no end: nobody tried to grade them.
    never = (responses["role"] == "probe") & responses["finish_reason"].isna()
    path = frame[frame["kind"] == "path"]
    ends = truth["finish_reason"].combine_chunks().values
    return {
        "states": {kind: int((everything["kind"] == kind).sum()) for kind in ("root", "path", "sibling")},
        "sibling_groups": int(everything["parent_state_id"].nunique()),
        "continuations": int(values["n_continuations"].sum() + values["n_missing"].sum()),
        "missing_grades": int(values["n_missing"].sum() + (responses["return_"].isna() & ~never).sum()),
        "truncated_share": {
            "rollouts": _rounded((responses["finish_reason"].dropna() == "length").mean()),
            "continuations": _rounded(
                np.mean(ends.to_numpy(zero_copy_only=False) == "length") if len(ends) else np.nan
            ),
        },
        "success_rate": _rounded(context["return_"].mean()),
        "success_rate_by_tier": {
            str(tier): _rounded(rate) for tier, rate in context.groupby("tier", sort=True)["return_"].mean().items()
        },
        **_spread(path),
    }


def _spread(path: pd.DataFrame) -> dict[str, Any]:
    means, noise = path["value_mean"], path["value_se"] ** 2
    sizes = path.groupby("problem_id")["state_id"].transform("size")
    variance = means.var(ddof=0) - noise.mean()
    deviations = means - means.groupby(path["problem_id"]).transform("mean")
    within = (deviations**2).mean() - ((1 - 1 / sizes) * noise).mean()
    return {
        "noise_floor": _rounded(noise.mean()),
        "value_mean": _rounded(means.mean()),
        "value_variance": _rounded(variance),
        "within_problem_share": _rounded(within / variance) if variance > 0 else None,
        "graded_share": _rounded(((means > 0.05) & (means < 0.95)).mean()) if len(means) else None,
    }


def _rounded(value: Any) -> float | None:
    return None if pd.isna(value) else round(float(value), 6)
