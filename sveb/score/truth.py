"""The truth of a suite as arrays: its states, and the returns of their continuations.

states.parquet     state_id, problem_id, rollout_id, kind, step_index, n_tokens, parent_state_id; if the suite has
                   them, next_tokens and next_weight
truth.parquet      state_id, return_ (list; null = a continuation that could not be graded)
rollouts.parquet   the context rollouts' returns: the group means that are the zero of `skill`; the probes' steps
draws.parquet      state_id, return_
audit.parquet      state_id, return_; only if the suite has an audit pool
problems.parquet   problem_id, tier
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sveb.common.errors import SvebError
from sveb.runs.results import TruthPart
from sveb.score.arrays import FloatArray, IntArray
from sveb.score.returns import Returns, moments, of_means, return_statistics
from sveb.suite.private_truth import Private
from sveb.suite.suite import Suite
from sveb.suite.tables import ragged

_OF_NEXT_STEP = ("next_tokens", "next_weight")  # null in suites of older versions


@dataclass(frozen=True, eq=False)
class Truth:
    """Everything that scoring needs to know of a suite; n states in the suite's order, P problems sorted by id.

    Per state (n,): `problem` indexes `problem_ids`; `rollout` is an arbitrary code; `parent` the index of a sibling's
    parent state, -1 = none; `position` is the share of its rollout's steps that come before a path state, NaN where
    unknown; `n_tokens` the length of its prefix; `next_tokens` and `next_weight` the number of tokens of the step that
    follows it in its rollout, and the sum over them of 1 - 2p + sum p^2 (p: the policy's probabilities), NaN where
    unknown; `returns` the returns of its continuations (no mean if none was graded); `pool_mean` and `pool_n` the mean
    and number of the draws, the continuations that estimators may buy; `audit` the returns of the audit pool, which
    nobody may buy, None if the suite has no such pool. Neither draws nor audit pool are part of the truth. Per problem
    (P,): `group_mean` of the context rollouts, NaN if there are none; `group_n` their number; `group_noise` the
    sampling variance of their mean, NaN if fewer than two; `tier`, None if it has none. `binary`: every graded return
    of the suite is 0 or 1. `missing_returns` counts the ungraded ones. `part` says which problems of a split suite
    these are; `unscored` are the states of the other problems, which must be predicted too.
    """

    state_ids: list[str]
    problem_ids: list[str]
    problem: IntArray
    kind: npt.NDArray[np.str_]
    rollout: IntArray
    step_index: IntArray
    parent: IntArray
    position: FloatArray
    n_tokens: IntArray
    next_tokens: FloatArray
    next_weight: FloatArray
    returns: Returns
    pool_mean: FloatArray
    pool_n: IntArray
    group_mean: FloatArray
    group_n: IntArray
    group_noise: FloatArray
    tier: list[str | None]
    binary: bool
    missing_returns: int
    audit: Returns | None = None
    part: TruthPart = "whole"
    unscored: list[str] = field(default_factory=list)

    @property
    def mean(self) -> FloatArray:
        """g (n,): the mean of each state's graded returns."""
        return self.returns.mean

    @property
    def n(self) -> IntArray:
        """Number of each state's graded returns; (n,)."""
        return self.returns.n

    @property
    def noise(self) -> FloatArray:
        """s2 (n,): the sampling variance of `mean`."""
        return self.returns.noise

    def rows(self, kind: str) -> IntArray:
        """Indices of the states of one kind (root, path or sibling) that have a truth, in the suite's order."""
        return np.flatnonzero((self.kind == kind) & (self.n > 0))


def read_truth(suite: Suite, private: Private | None = None, *, everything: bool = False) -> Truth:
    """Reads the columns that scoring needs.

    For a split suite these are the public problems; with `private` the private ones; with both `private` and
    `everything` all problems. If a state's list of returns is null but its value_mean and n_continuations are known
    (imported data), its noise is computed from these two. Raises `SvebError` if the tables contradict each other: a
    repeated state, a state without a row in the truth or the reverse, a sibling without its parent, a path state
    without its rollout.
    """
    columns = ["state_id", "problem_id", "rollout_id", "kind", "step_index", "n_tokens", "parent_state_id"]
    states = suite.table("states", [*columns, *_OF_NEXT_STEP]).to_pandas()
    if private is not None:  # the public table does not tell how the private problems' states go on
        told = private.table("states", ["state_id", *_OF_NEXT_STEP]).to_pandas().set_index("state_id")
        for name in _OF_NEXT_STEP:
            states[name] = states[name].fillna(states["state_id"].map(told[name]))
    part = _part(suite, private, everything)
    apart = states["problem_id"].isin(suite.manifest.private_problems)
    scored = {"public": ~apart, "hidden": apart}.get(part, apart | ~apart)
    unscored = states.loc[~scored, "state_id"].tolist()
    states = states[scored].reset_index(drop=True)
    returns, order, binary, missing = _read_returns(suite, private, pd.Index(states["state_id"]), unscored)
    for kind, column in (("sibling", "parent_state_id"), ("path", "rollout_id")):
        orphans = states.loc[(states["kind"] == kind) & states[column].isna(), "state_id"]
        if len(orphans):
            raise _broken(suite, f"{len(orphans)} {kind} states have no {column}, such as {orphans.iloc[0]!r}")
    parent = pd.Index(states["state_id"]).get_indexer(pd.Index(states["parent_state_id"]))
    lost = states.loc[(states["kind"] == "sibling") & (parent < 0), "parent_state_id"]
    if len(lost):
        raise _broken(suite, f"{len(lost)} siblings have a parent that is no state, such as {lost.iloc[0]!r}")

    problem, problem_ids = pd.factorize(states["problem_id"], sort=True)
    step_index = states["step_index"].fillna(-1).to_numpy(dtype=np.int64)
    steps = _rollout_steps(suite, private).reindex(states["rollout_id"]).to_numpy(dtype=np.float64)
    kind = states["kind"].to_numpy(dtype=np.str_)
    pool_mean, pool_n = _read_pool(suite, pd.Index(states["state_id"]))
    group_n, group_noise = _read_groups(suite, problem_ids)
    next_tokens, next_weight = (states[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in _OF_NEXT_STEP)
    return Truth(
        state_ids=states["state_id"].tolist(),
        problem_ids=problem_ids.tolist(),
        problem=np.asarray(problem, dtype=np.int64),
        kind=kind,
        rollout=_codes(states["rollout_id"]),
        step_index=step_index,
        parent=np.asarray(parent, dtype=np.int64),
        position=np.where((kind == "path") & (steps > 0), step_index / np.where(steps > 0, steps, np.nan), np.nan),
        n_tokens=states["n_tokens"].fillna(-1).to_numpy(dtype=np.int64),
        next_tokens=next_tokens,
        next_weight=next_weight,
        returns=_rows(returns, order),
        pool_mean=pool_mean,
        pool_n=pool_n,
        group_mean=np.asarray(suite.group_means.reindex(problem_ids), dtype=np.float64),
        group_n=group_n,
        group_noise=group_noise,
        tier=_tiers(suite, problem_ids),
        binary=binary,
        missing_returns=missing,
        audit=_read_audit(suite, private, pd.Index(states["state_id"])),
        part=part,
        unscored=unscored,
    )


def _part(suite: Suite, private: Private | None, everything: bool) -> TruthPart:
    if not suite.manifest.private:
        return "whole"
    if private is None:
        return "public"
    return "all" if everything else "hidden"


def _read_returns(
    suite: Suite, private: Private | None, state_ids: pd.Index, unscored: list[str]
) -> tuple[Returns, IntArray, bool, int]:
    """The truth's statistics, the row of each state in it, whether returns are 0/1, how many are ungraded."""
    columns = ["state_id", "return_", "value_mean", "n_continuations"]
    table = suite.table("truth", columns)
    if private is not None:
        table = pa.concat_tables([table, private.table("truth", columns)])
    if unscored:
        table = table.filter(pc.invert(pc.is_in(table["state_id"], pa.array(unscored))))
    order = _positions(suite, state_ids, pd.Index(table["state_id"].to_pylist()))
    graded, offsets = ragged(table["return_"])
    returns = return_statistics(graded, offsets)
    summarised = table["return_"].is_null().to_numpy() & table["value_mean"].is_valid().to_numpy()
    if summarised.any():
        n = table["n_continuations"].fill_null(0).to_numpy()
        known = of_means(table["value_mean"].to_numpy().astype(np.float64), n.astype(np.int64))
        returns = Returns(
            **{f.name: np.where(summarised, getattr(known, f.name), getattr(returns, f.name)) for f in fields(Returns)}
        )
    missing = int(np.isnan(graded).sum())
    binary = missing + int((graded == 0).sum()) + int((graded == 1).sum()) == len(graded)
    return returns, order, binary, missing


def _read_pool(suite: Suite, state_ids: pd.Index) -> tuple[FloatArray, IntArray]:
    """Mean and number of the graded draws of each state; NaN and 0 if there are none."""
    drawn = suite.table("draws", ["state_id", "return_"])
    by_state = drawn.group_by("state_id").aggregate([("return_", "mean"), ("return_", "count")]).to_pandas()
    by_state = by_state.set_index("state_id").reindex(state_ids)
    n = by_state["return__count"].fillna(0).to_numpy(dtype=np.int64)
    return by_state["return__mean"].to_numpy(dtype=np.float64), n


def _read_audit(suite: Suite, private: Private | None, state_ids: pd.Index) -> Returns | None:
    """The returns of the audit pool of each state; None if the suite has no audit pool."""
    if "audit" not in suite.tables:
        return None
    table = suite.table("audit")
    if private is not None:
        table = pa.concat_tables([table, private.table("audit")])
    place = pd.Index(table["state_id"].to_pylist()).get_indexer(state_ids)
    if (place < 0).any():
        raise _broken(suite, f"{int((place < 0).sum())} states have no row in audit.parquet")
    return _rows(return_statistics(*ragged(table["return_"])), np.asarray(place, dtype=np.int64))


def _rows(returns: Returns, rows: IntArray) -> Returns:
    return Returns(**{f.name: getattr(returns, f.name)[rows] for f in fields(Returns)})


def _read_groups(suite: Suite, problem_ids: pd.Index) -> tuple[IntArray, FloatArray]:
    """Number of the graded returns of each problem's context rollouts, and the noise of their mean; each (P,)."""
    context = suite.rollouts("context", columns=["problem_id", "return_"])
    place = problem_ids.get_indexer(pd.Index(context["problem_id"]))
    order = np.argsort(place, kind="stable")[int((place < 0).sum()) :]  # rollouts of other problems come first
    offsets = np.searchsorted(place[order], np.arange(len(problem_ids) + 1))
    _, _, n, noise = moments(context["return_"].to_numpy(dtype=np.float64)[order], offsets)
    return n, noise


def _rollout_steps(suite: Suite, private: Private | None) -> pd.Series[float]:
    """Number of steps of each rollout that states are cut from, by rollout_id."""
    columns = ["rollout_id", "step_ends"]
    table = suite.table("rollouts", columns, [("role", "=", suite.protocol.cut_from)])
    if private is not None:  # first: the public ones of its problems end early
        table = pa.concat_tables([private.table("rollouts", columns), table])
    steps = pc.list_value_length(table["step_ends"]).to_numpy(zero_copy_only=False)
    found = pd.Series(np.asarray(steps, dtype=np.float64), index=table["rollout_id"].to_pylist())
    return found[~found.index.duplicated()]


def _tiers(suite: Suite, problem_ids: pd.Index) -> list[str | None]:
    table = suite.table("problems", ["problem_id", "tier"])
    known = dict(zip(table["problem_id"].to_pylist(), table["tier"].to_pylist(), strict=True))
    return [known.get(problem_id) for problem_id in problem_ids.tolist()]


def _positions(suite: Suite, states: pd.Index, truths: pd.Index) -> IntArray:
    """Row of each state in the truth table; both tables must contain the same ids, each once."""
    if not len(states):
        raise _broken(suite, "states.parquet contains no states")
    for name, ids in (("states", states), ("truth", truths)):
        if not ids.is_unique:
            raise _broken(suite, f"{name}.parquet names state {ids[ids.duplicated()][0]!r} more than once")
    for without, found in (("truth", states.difference(truths)), ("states", truths.difference(states))):
        if len(found):
            raise _broken(suite, f"{len(found)} states have no row in {without}.parquet, such as {found[0]!r}")
    return np.asarray(truths.get_indexer(states), dtype=np.int64)


def _codes(column: pd.Series[str]) -> IntArray:
    return np.asarray(pd.factorize(column)[0], dtype=np.int64)


def _broken(suite: Suite, what: str) -> SvebError:
    return SvebError(f"suite {suite.path} cannot be scored: {what}; `sveb suite verify` lists what is wrong with it")
