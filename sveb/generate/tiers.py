"""Difficulty tiers: test problems chosen by the policy's own pass rate in a pilot.

The pilot's rollouts decide and are then thrown away. A problem that got in because 2 of 20 rollouts were right does
better on average afterwards (regression to the mean): were the pilot reused as context group or as truth, every group
mean would carry that selection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sveb.common.errors import SvebError
from sveb.suite.records import ProblemRecord

# Candidates in one go: enough to fill an engine's batch, few enough that little is sampled past the last tier.
_AT_ONCE = 64


@dataclass(frozen=True)
class Tier:
    """`problems` problems with a pilot pass rate in (low, high]."""

    low: float
    high: float
    problems: int

    @property
    def label(self) -> str:
        return f"({self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class Selection:
    """The chosen problems, in the order in which they were looked at, and for each tier how many it looked at.

    `looked_at[label]` counts the candidates up to the one that filled the tier; `ungraded` those among all whose
    pilot could not be graded in full, which no tier takes.
    """

    problems: list[ProblemRecord]
    looked_at: dict[str, int]
    ungraded: int


def parse_tiers(text: str) -> tuple[Tier, ...]:
    """`LOW:HIGH:PROBLEMS`, comma-separated, pass rates in [0, 1]; SvebError on overlap or anything else."""
    tiers = []
    for part in text.split(","):
        try:
            low, high, problems = part.split(":")
            tier = Tier(float(low), float(high), int(problems))
        except ValueError:
            raise SvebError(
                f"--tiers {text!r}: expected LOW:HIGH:PROBLEMS, comma-separated, as in 0.07:0.37:100,0.37:0.77:100; "
                f"found {part.strip()!r}"
            ) from None
        if not (0 <= tier.low < tier.high <= 1 and tier.problems > 0):
            raise SvebError(f"--tiers {part.strip()}: expected 0 <= LOW < HIGH <= 1 and at least one problem")
        tiers.append(tier)
    for before, after in zip(ordered := sorted(tiers, key=lambda t: t.low), ordered[1:], strict=False):
        if after.low < before.high:
            raise SvebError(f"--tiers: {before.label} and {after.label} overlap")
    return tuple(tiers)


def select(
    candidates: Sequence[ProblemRecord],
    tiers: Sequence[Tier],
    pass_rates: Callable[[Sequence[ProblemRecord]], Mapping[str, float | None]],
) -> Selection:
    """Fills every tier with the first candidates that belong to it.

    `pass_rates` runs the pilot on some problems: problem_id to pass rate, None where a grade is missing. Which problems
    are chosen depends on the candidates' order and their pilots alone, not on how many are piloted at once. Raises
    SvebError, with what each tier got, if the candidates do not suffice.
    """
    chosen: list[ProblemRecord] = []
    missing = {tier.label: tier.problems for tier in tiers}
    looked_at: dict[str, int] = {}
    ungraded = seen = 0
    for start in range(0, len(candidates), _AT_ONCE):
        batch = candidates[start : start + _AT_ONCE]
        rates = pass_rates(batch)
        for problem in batch:
            seen += 1
            rate = rates[problem.problem_id]
            ungraded += rate is None
            tier = next((t for t in tiers if rate is not None and t.low < rate <= t.high), None)
            if tier is None or missing[tier.label] == 0:
                continue
            chosen.append(replace(problem, tier=tier.label))
            missing[tier.label] -= 1
            if missing[tier.label] == 0:
                looked_at[tier.label] = seen
            if not any(missing.values()):
                return Selection(chosen, {t.label: looked_at[t.label] for t in tiers}, ungraded)
    found = ", ".join(f"{t.label}: {t.problems - missing[t.label]} of {t.problems}" for t in tiers)
    raise SvebError(
        f"after all {len(candidates)} candidates the tiers hold {found}: ask for fewer problems, wider tiers, "
        "or pass more data"
    )
