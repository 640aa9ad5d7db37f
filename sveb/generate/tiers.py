"""Difficulty tiers: test problems chosen by the policy's pass rate in a pilot.

The rollouts of the pilot choose the problems and are then thrown away. Measured again, the pass rate of a chosen
problem moves towards the mean (regression to the mean). If the pilot were reused as context group or as truth, every
group mean would have this selection bias.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sveb.common.errors import SvebError
from sveb.suite.records import ProblemRecord

# Candidates per batch: enough to fill the engine, few enough that little is sampled after the last tier is full.
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
    """The chosen problems, in the order of the candidates.

    `looked_at[label]` counts the candidates up to the one that filled the tier. `ungraded` counts the candidates whose
    pilot could not be graded completely; no tier takes them.
    """

    problems: list[ProblemRecord]
    looked_at: dict[str, int]
    ungraded: int


def parse_tiers(text: str) -> tuple[Tier, ...]:
    """Reads `LOW:HIGH:PROBLEMS`, comma-separated, with pass rates in [0, 1]. Raises SvebError if tiers overlap."""
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

    `pass_rates` runs the pilot on some problems and returns their pass rates by problem_id, None where a grade is
    missing. The choice depends only on the order of the candidates and on their pilots, not on the size of a batch.
    Raises SvebError, with the problems found for each tier, if there are too few candidates.
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
        f"after all {len(candidates)} candidates the tiers hold {found}: use fewer problems or wider tiers in --tiers, "
        "or more problems with --data"
    )
