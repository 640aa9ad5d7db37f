"""The built-in estimators by name: what each is, what it asks for and what it costs. Imports none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cost = Literal["free", "reads", "samples", "external"]


@dataclass(frozen=True)
class Builtin:
    """`target` is module:Class; `budget` the inputs it asks for; `cost` what it needs of a model at prediction.

    free: nothing; reads: the policy reads; samples: the policy samples; external: another model is asked.
    """

    name: str
    target: str
    description: str
    budget: tuple[str, ...]
    cost: Cost


_HOME = "sveb.estimators"


def _builtin(name: str, cls: str, description: str, budget: tuple[str, ...], cost: Cost) -> Builtin:
    return Builtin(name, f"{_HOME}.{name}:{cls}", description, budget, cost)


_ALL = (
    _builtin("constant", "Constant", "Mean return of the training problems.", ("train_returns",), "free"),
    _builtin("group_mean", "GroupMean", "Mean return of the context rollouts: GRPO's baseline.", ("group",), "free"),
    _builtin(
        "shrunk_mean",
        "ShrunkMean",
        "Group mean shrunk by a Beta prior that is fitted to the training groups.",
        ("group", "train_returns"),
        "free",
    ),
    _builtin(
        "length",
        "Length",
        "Logistic regression on tokens so far, and on nothing else.",
        ("train_returns",),
        "free",
    ),
    _builtin(
        "position",
        "Position",
        "Logistic regression on step, length and count of numbers so far.",
        ("group", "train_returns"),
        "free",
    ),
    _builtin(
        "prefix_trie",
        "PrefixTrie",
        "Mean return of the rollouts that share the longest token prefix with the state.",
        ("group",),
        "free",
    ),
    _builtin(
        "text_similarity",
        "TextSimilarity",
        "Mean return weighted by the likeness of words so far: the cheap control for hista.",
        ("group",),
        "free",
    ),
    _builtin(
        "numca",
        "Numca",
        "Numbers as milestones: mean return of those who passed them (dense numbers: --set min_gap=0).",
        ("group",),
        "free",
    ),
    _builtin(
        "hista",
        "Hista",
        "Mean return of the rollouts whose hidden states ran alike so far, weighted by distance.",
        ("group", "train_returns", "hidden_states"),
        "reads",
    ),
    _builtin(
        "probe",
        "Probe",
        "Linear regression, ridge or logistic, on the policy's hidden states.",
        ("train_returns", "hidden_states"),
        "reads",
    ),
    _builtin(
        "kernel",
        "Kernel",
        "Mean return of the rollouts weighted by a Gaussian kernel on hidden states.",
        ("group", "train_returns", "hidden_states"),
        "reads",
    ),
    _builtin(
        "probe_group",
        "ProbeGroup",
        "Linear probe on hidden states, corrected by the returns of rollouts that passed nearby.",
        ("group", "train_returns", "hidden_states"),
        "reads",
    ),
    _builtin(
        "stacked",
        "Stacked",
        "Logistic regression on the group's returns, who wrote the same numbers, entropy and a probe.",
        ("group", "train_returns", "hidden_states", "logprobs"),
        "reads",
    ),
    _builtin(
        "critic",
        "Critic",
        "A copy of the policy with a value head, trained on the training rollouts as PPO trains its critic.",
        ("train_returns", "hidden_states"),
        "reads",
    ),
    _builtin(
        "confidence",
        "Confidence",
        "The policy's confidence in its last tokens, calibrated on training rollouts.",
        ("train_returns", "logprobs"),
        "reads",
    ),
    _builtin(
        "answer_likelihood",
        "AnswerLikelihood",
        "Log-probability of the reference answer if given now, calibrated on training rollouts.",
        ("train_returns", "logprobs", "gold_answer"),
        "reads",
    ),
    _builtin(
        "judge",
        "Judge",
        "A language model behind an OpenAI-compatible endpoint is asked how likely success is.",
        ("external_model",),
        "external",
    ),
    _builtin(
        "prm",
        "PRM",
        "A process reward model's score of the steps so far, calibrated on training rollouts.",
        ("train_returns", "external_model"),
        "external",
    ),
    _builtin("mc", "MC", "Mean return of k fresh continuations: VinePPO's estimator.", ("extra_rollouts",), "samples"),
    _builtin(
        "mc_shrunk",
        "MCShrunk",
        "Mean return of k fresh continuations, shrunk towards a free estimate by how much that is worth.",
        ("group", "extra_rollouts"),
        "samples",
    ),
    _builtin(
        "lookahead",
        "Lookahead",
        "Mean of a free estimate over m sampled next steps, corrected by k fresh continuations.",
        ("group", "extra_rollouts"),
        "samples",
    ),
)
BUILTINS: dict[str, Builtin] = {builtin.name: builtin for builtin in _ALL}


def describe() -> list[Builtin]:
    """All built-in estimators, the cheapest first."""
    return list(BUILTINS.values())
