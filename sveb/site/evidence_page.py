"""The page that asks whether a better score means better training: what is known, in words, drawings and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from jinja2 import Template
from markupsafe import Markup

from sveb.runs.results import Estimate
from sveb.site.evidence_charts import TAUS, curves, dose_picture, excludes, tau_strip
from sveb.site.evidence_data import FOLDER, PLANNED, REGISTERED, Gradients, Training, read_gradients, read_training
from sveb.site.pages import assets
from sveb.site.site_data import interval, number
from sveb.site.svg import Strip, reach

SCORES = ("skill", "grad_ev", "adv_corr")
Side = Literal["below", "above"]
Status = Literal["yes", "no", "partly", "open"]
HYPOTHESES: dict[str, tuple[str, Side, tuple[str, ...]]] = {
    "estimators with a higher grad_ev give a less noisy gradient at lambda 1": ("grad_ev", "below", ("q 1",)),
    "estimators with a higher adv_corr keep more of the true gradient at lambda 0.5 and 0":
        ("adv_corr", "above", ("s 0.5", "s 0")),
}  # fmt: skip
TRAINED = "an estimator that knows which step helped trains a better policy than the same values without that knowledge"
_PAIR = "stacked-half - permuted-half"  # what decides about the last of these
_VERDICTS: dict[Status, str] = {
    "yes": "The figures support that",
    "no": "The figures do not support that",
    "partly": "The figures of some policies support, those of others do not, that",
    "open": "It is not decided yet whether",
}
ROLES = {
    "truth": "check: s is 1 at every lambda",
    "zero": "check: no knowledge at all",
    "stacked, permuted": "check: the values of stacked, permuted within each problem; they know no step",
}


@dataclass(frozen=True)
class Conclusion:
    """A claim, what the figures say about it, and these figures."""

    claim: str
    status: Status
    basis: str

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        return f"{_VERDICTS[self.status]} {self.claim}."


@dataclass(frozen=True)
class TauCell:
    """A tau with its drawing. `clear`: its interval excludes 0. `registered`: a hypothesis is about it."""

    tau: Estimate
    strip: Markup
    clear: bool
    registered: bool


@dataclass(frozen=True)
class PolicyPart:
    """What is shown of one policy with figures. `planned`: problems of the whole experiment, None if not planned."""

    name: str
    planned: int | None
    figures: Gradients
    taus: dict[str, list[TauCell]]
    kinds: list[str]
    doses: list[Markup]

    @property
    def efficiency_taus(self) -> list[TauCell]:
        """All taus with an efficiency."""
        return [cell for kind, row in self.taus.items() if kind.startswith("efficiency") for cell in row]


@dataclass(frozen=True)
class TrainingPart:
    """Training at one learning rate; `differences` are rows of (pair, difference and drawing by updates, by tokens)."""

    figures: Training
    by_updates: Markup
    by_tokens: Markup
    axis: Markup
    differences: list[tuple[str, list[tuple[Estimate, Markup]]]]


def evidence_page(template: Template, folder: Path = FOLDER) -> str:
    """The page of the reports in the folder, whichever of them are there."""
    gradients, training = read_gradients(folder), read_training(folder)
    return template.render(
        conclusions=[*(_of_gradients(claim, gradients) for claim in HYPOTHESES), _of_training(training)],
        scores=SCORES,
        policies=[_policy(name, found) for name, found in gradients.items()],
        missing={name: problems for name, problems in PLANNED.items() if name not in gradients},
        roles=ROLES,
        tau_axis=TAUS.axis(),
        training=[_training(part) for part in training],
        **assets("report.css", "evidence.css"),
    )


def _of_gradients(claim: str, gradients: Mapping[str, Gradients]) -> Conclusion:
    """Decided where every registered policy has all its problems and estimators."""
    score, side, kinds = HYPOTHESES[claim]
    basis, supported, whole = [], [], True
    for policy, problems in REGISTERED.items():
        if policy not in gradients:
            basis.append(f"{policy}: not run yet.")
            whole = False
            continue
        found = gradients[policy]
        taus = [(kind, found.tau[score][kind]) for kind in kinds]
        shown = ", ".join(
            f"{number(tau.value, 2)} {interval(tau, 2)} with {kind[0]} at lambda {kind[2:]}" for kind, tau in taus
        )
        places = [_place(tau) for _, tau in taus]
        supported.append(all(place == side for place in places))
        part = found.problems < problems or bool(found.not_run)
        whole = whole and not part
        without = f", without {_listed(found.not_run)}" if found.not_run else ""
        basis.append(
            f"{policy}: tau {shown}; {_sides(places, side)}; "
            + (f"so far {found.problems} of {problems} problems{without}." if part else f"{problems} problems.")
        )
    status: Status = "open"
    if whole:
        status = "yes" if all(supported) else "partly" if any(supported) else "no"
    return Conclusion(claim, status, " ".join(basis))


def _place(tau: Estimate) -> str:
    """Where its interval lies."""
    if tau.low <= 0 <= tau.high:
        return "contains"
    return "below" if tau.high < 0 else "above" if tau.low > 0 else "undefined"


def _sides(places: Sequence[str], side: Side) -> str:
    """Where the intervals of some taus lie, in words."""
    if len(set(places)) > 1:
        return f"predicted {side} 0, but not every interval lies there"
    each = "the interval" if len(places) == 1 else "each interval"
    found = {side: f"{each} lies {side} 0, as predicted", "contains": f"{each} contains 0", "undefined": "no interval"}
    return found.get(places[0], f"{each} lies {places[0]} 0, against the prediction")


def _of_training(training: Sequence[Training]) -> Conclusion:
    """Decided where both arms have the seeds that a difference of .02 needs."""
    found = next((part for part in training if _PAIR in part.differences), None)
    if found is None:
        return Conclusion(TRAINED, "open", "The two arms that decide it were not trained yet.")
    gain = found.differences[_PAIR]["area_by_updates"]
    seeds = min(arm.seeds for arm in found.arms if arm.name in _PAIR.split(" - "))
    enough = found.seeds_needed is not None and seeds >= found.seeds_needed
    needed = "not known yet" if found.seeds_needed is None else str(found.seeds_needed)
    basis = (
        f"{_PAIR.replace(' - ', ' − ')}: {number(gain.value, 3)} {interval(gain, 3)} of area by updates; "
        f"seeds: {seeds}, needed: {needed}."
    )
    return Conclusion(TRAINED, "open" if not enough else "yes" if gain.low > 0 else "no", basis)


def _policy(name: str, found: Gradients) -> PolicyPart:
    claims = {(score, kind) for score, _, kinds in HYPOTHESES.values() for kind in kinds}
    taus = {
        kind: [
            TauCell(tau := found.tau[score][kind], tau_strip(tau), excludes(tau, 0.0), (score, kind) in claims)
            for score in SCORES
        ]
        for kind in found.tau[SCORES[0]]
    }
    kinds = [
        *SCORES,
        "q 1",
        *(f"{kind} {lam}" for kind, lam in product(("s", "efficiency"), found.lambdas)),
    ]
    doses = [dose_picture(each) for each in found.doses if each.sizes]
    return PolicyPart(name, PLANNED.get(name), found, taus, kinds, doses)


def _training(found: Training) -> TrainingPart:
    estimates = [each for row in found.differences.values() for each in row.values()]
    low, high = reach(estimates, (0.0,))
    strip = Strip(low, high, ((0.0, "no difference"),))
    rows = [
        (
            pair,
            [
                (each, strip.row(each, shape="dot" if excludes(each, 0.0) else "dot hollow"))
                for each in (row["area_by_updates"], row["area_by_tokens"])
            ],
        )
        for pair, row in found.differences.items()
    ]
    return TrainingPart(found, curves(found.arms, "updates"), curves(found.arms, "tokens"), strip.axis(), rows)


def _listed(names: Sequence[str]) -> str:
    """Names joined by commas, and what follows a comma in a name in brackets."""
    return ", ".join(name.replace(", ", " (") + ")" * (", " in name) for name in names)
