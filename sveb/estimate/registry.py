"""The built-in estimators by name: what each is, what it asks for and what it costs. Imports none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Builtin:
    """`target` is module:Class; `budget` the inputs it asks for; `cost` what of the policy it needs at prediction."""

    name: str
    target: str
    description: str
    budget: tuple[str, ...]
    cost: Literal["free", "reads", "samples"]


_HOME = "sveb.estimate.builtins"
_ALL = (
    Builtin(
        "constant", f"{_HOME}.constant:Constant", "Mean return of the training problems.", ("train_returns",), "free"
    ),
    Builtin(
        "group_mean",
        f"{_HOME}.group_mean:GroupMean",
        "Mean return of the context rollouts: GRPO's baseline.",
        ("group",),
        "free",
    ),
    Builtin(
        "numca",
        f"{_HOME}.numca:Numca",
        "Numbers as milestones: mean return of those who passed them.",
        ("group",),
        "free",
    ),
    Builtin(
        "probe",
        f"{_HOME}.probe:Probe",
        "Ridge regression on the policy's hidden states.",
        ("train_returns", "hidden_states"),
        "reads",
    ),
    Builtin(
        "mc",
        f"{_HOME}.mc:MC",
        "Mean return of k fresh continuations: VinePPO's estimator.",
        ("extra_rollouts",),
        "samples",
    ),
)
BUILTINS: dict[str, Builtin] = {builtin.name: builtin for builtin in _ALL}


def describe() -> list[Builtin]:
    """All built-in estimators, the cheapest first."""
    return list(BUILTINS.values())
