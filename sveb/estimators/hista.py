"""Hista: a state's value is a vote of the rollouts with similar hidden states.

Chen et al., "Hista and Numca: Estimate State Value Effectively for LLM Reinforcement Learning" (arXiv 2605.29782).

The policy reads prompt + response. Its hidden states, smoothed by an exponential running mean, represent the response;
every `stride`-th is kept. A response has nodes at its start (the bare prompt), every `node_every` tokens and at its
end; a node is the whole sequence up to there. A state's nearest k nodes vote with their rollouts' returns, weighted by
1 / max(distance, min_distance)^power; k falls linearly from `max_k` to `min_k` along the response.

official: as published. The state is its last node, rounded down; the running mean starts biased; k follows the
response's final length. That is known only where the suite's protocol shows a state's own rollout; elsewhere the mean
length of the context rollouts is used. `min_distance` is the published constant, for a policy of width 1536: `scaled`
multiplies it by the mean norm of the group's hidden states over sqrt(1536), which is the norm of a normalised vector of
that width. `scaled=False` takes it as it is; where hidden states are short, nearly all distances are then below it.
Where the own rollout is shown, its nodes after the state are not candidates. Its other nodes are, also the state itself
at distance 0, and they vote with the rollout's outcome: as published, in both variants.
standard: the state is itself a node; every rollout votes once, with its nearest node; k follows the tokens so far over
the context rollouts' mean length. `node_every`, `min_k`, `min_distance` and `power` are chosen from a few values and
the given ones, by the smallest leave-one-rollout-out error on the training problems.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice, product
from typing import Literal

import numpy as np

from sveb.contract.estimator import Estimator
from sveb.contract.problem import Group, Ints, Problem, State, Values
from sveb.estimators.registry import builtin
from sveb.estimators.shared.needed_states import MOST_PROBLEMS, longest_states, unfinished_ends
from sveb.estimators.shared.prefix_distances import (
    Distances,
    Others,
    Reached,
    Sizes,
    Vectors,
    distances_after,
    first_nodes,
    kept_vectors,
    prefix_distances,
    prepared,
    running_means,
)

# Distances (n_prefixes, G - 1), the others' returns, the own one, and the prefixes' shares of the response.
_LeftOut = tuple[Distances, Values, float, Values]

_PUBLISHED_NORM = 1536**0.5  # of a root-mean-square normalised vector of the published policy's width

_POWERS = (2.0, 4.0)
_NODE_SPACINGS = (10,)
_MIN_KS = (16,)
# Shares of the median distance. Far above rounding, which depends on the batch: equal prefixes must stay equal.
_FLOORS = (0.5, 0.25, 0.1)


@builtin(
    budget=("group", "train_returns", "hidden_states"),
    cost="reads",
    unfaithful={
        "official": "The published method scores responses that vote for themselves, and its number of votes follows "
        "their final length. This suite hides the response that a state was cut from, so it has no vote, and the mean "
        "length of the problem's other responses is used."
    },
)
class Hista(Estimator):
    """Mean return of the rollouts whose hidden states ran alike so far, weighted by distance."""

    def __init__(
        self,
        variant: Literal["official", "standard"] = "standard",
        layer: int = -1,
        alpha: float = 0.7,
        stride: int = 5,
        node_every: int = 50,
        max_k: int = 66,
        min_k: int = 6,
        min_distance: float = 5.0,
        power: float = 1.0,
        scaled: bool = True,
    ) -> None:
        """`scaled` is about `official` only: `standard` chooses `min_distance`."""
        self.variant = variant
        self.layer = layer
        self.alpha = alpha
        self.stride = stride
        self.node_every = node_every
        self.max_k = max_k
        self.min_k = min_k
        self.min_distance = min_distance
        self.power = power
        self.scaled = scaled

    def fit(self, train: Sequence[Problem]) -> Hista:
        """Sets node_every_, min_k_, min_distance_, power_, and loo_mse_, the error behind them (None: no training)."""
        self.node_every_, self.min_k_ = self.node_every, self.min_k
        self.min_distance_, self.power_ = self.min_distance, self.power
        self.loo_mse_: float | None = None
        if self.variant == "standard":
            self._choose(train)
        return self

    def predict_batch(self, problems: Sequence[Problem]) -> list[Values]:
        asked = [longest_states(problem.states) for problem in problems]
        states = [state for longest, _ in asked for state in longest]
        read = iter(self.policy.token_hidden_states(states, self.layer))
        return [
            self._values(problem, members, islice(read, len(longest)))
            for problem, (longest, members) in zip(problems, asked, strict=True)
        ]

    def _values(self, problem: Problem, members: Sequence[Ints], read: Iterable[Vectors]) -> Values:
        """Values of the problem's states; `read` gives the hidden states of those that no other extends."""
        vectors, group = self._vectors(read), problem.group
        if not len(group):
            return np.full(len(problem.states), np.nan)
        official = self.variant == "official"
        lengths = [len(tokens) for tokens in group.token_ids]
        rollouts, nodes, norm = problem.remember(f"{self}.rollouts", lambda: self._rollouts(problem, lengths))
        floor = self.min_distance_ * norm / _PUBLISHED_NORM if official and self.scaled else self.min_distance_
        n_tokens = np.array([state.n_tokens for state in problem.states])
        reach = n_tokens // self.node_every * self.node_every if official else n_tokens
        sizes = kept_vectors(len(problem.prompt_token_ids) + reach, self.stride)
        of_response = np.full(len(n_tokens), np.mean(lengths))
        if official:
            of_response = np.array([_final_length(state, group) for state in problem.states])
        k = neighbours(n_tokens / np.maximum(of_response, 1.0), self.max_k, self.min_k_)
        first = first_nodes(rollouts)
        distances = np.empty((len(n_tokens), sum(map(len, nodes))))
        shorter: list[Reached] = problem.remember(f"{self}.shorter", list)
        for whole, mine in zip(vectors, members, strict=True):
            ends = sizes[mine]
            before = next((each for each in reversed(shorter) if each.begins(whole, ends.min())), None)
            end = ends.max() + ends.max() % 2
            distances[mine], reached = distances_after(before, whole[:end], ends, rollouts)
            shorter += [reached] if reached else []
        for place, own in enumerate(state.own_rollout for state in problem.states):
            if own is not None:
                later = first[own] + np.flatnonzero(nodes[own] > sizes[place])
                distances[place, later] = np.inf
        if official:
            return weighted_votes(distances, np.repeat(group.returns, [len(n) for n in nodes]), k, floor, self.power_)
        return weighted_votes(np.minimum.reduceat(distances, first, axis=1), group.returns, k, floor, self.power_)

    def _rollouts(self, problem: Problem, lengths: Sequence[int]) -> tuple[list[Others], list[Sizes], float]:
        """The vectors of the rollouts, their nodes, and the mean L2 norm of the hidden states that they are made of."""
        offsets = [node_offsets(length, self.node_every_) for length in lengths]
        nodes = [kept_vectors(len(problem.prompt_token_ids) + each, self.stride) for each in offsets]
        vectors: list[Vectors] = []
        norms: list[Vectors] = []
        for hidden in self.policy.rollout_token_hidden_states(problem, self.layer):
            norms.append(np.linalg.norm(hidden, axis=1))
            vectors += self._vectors([hidden])
        return prepared(vectors, nodes), nodes, float(np.concatenate(norms).mean())

    def _vectors(self, hidden: Iterable[Vectors]) -> list[Vectors]:
        return [running_means(each, self.alpha, self.stride, self.variant == "official") for each in hidden]

    def _choose(self, train: Sequence[Problem]) -> None:
        """Leave-one-rollout-out: each training rollout's prefixes are valued by the problem's other rollouts."""
        spacings = list(dict.fromkeys((self.node_every, *_NODE_SPACINGS)))
        rows: dict[int, list[_LeftOut]] = {spacing: [] for spacing in spacings}
        for problem in islice(train, MOST_PROBLEMS):
            if len(problem.group) > 1:
                for spacing, found in self._left_out(problem, spacings):
                    rows[spacing].append(found)
        if not rows[self.node_every]:
            return
        median = float(np.median(np.concatenate([distances.ravel() for distances, *_ in rows[self.node_every]])))
        grid = product(
            spacings,
            dict.fromkeys((self.min_k, *_MIN_KS)),
            (self.min_distance, *(floor * median for floor in _FLOORS)),
            dict.fromkeys((self.power, *_POWERS)),
        )
        errors = {chosen: float(np.mean([self._error(row, *chosen[1:]) for row in rows[chosen[0]]])) for chosen in grid}
        best = min(errors, key=errors.__getitem__)
        self.node_every_, self.min_k_, self.min_distance_, self.power_ = best
        self.loo_mse_ = errors[best]

    def _left_out(self, problem: Problem, spacings: Sequence[int]) -> Iterable[tuple[int, _LeftOut]]:
        """For each rollout and node spacing the distances of its prefixes to the other rollouts' nearest nodes."""
        group, n_prompt = problem.group, len(problem.prompt_token_ids)
        lengths = np.array([len(tokens) for tokens in group.token_ids])
        vectors = self._vectors(self.policy.rollout_token_hidden_states(problem, self.layer))
        for i, return_ in enumerate(group.returns):
            ends = unfinished_ends(group, i)
            others = [j for j in range(len(group)) if j != i]
            shares = ends / max(lengths[others].mean(), 1.0)
            for spacing in spacings:
                nodes = [kept_vectors(n_prompt + node_offsets(lengths[j], spacing), self.stride) for j in others]
                sizes = kept_vectors(n_prompt + ends, self.stride)
                distances = prefix_distances(vectors[i], sizes, prepared([vectors[j] for j in others], nodes))
                nearest = np.column_stack([each.min(axis=1) for each in distances])
                yield spacing, (nearest, group.returns[others], float(return_), shares)

    def _error(self, row: _LeftOut, min_k: int, floor: float, power: float) -> float:
        nearest, returns, own, shares = row
        k = neighbours(shares, self.max_k, min_k)
        return float(np.mean((weighted_votes(nearest, returns, k, floor, power) - own) ** 2))


def node_offsets(n_tokens: int, every: int) -> Sizes:
    """Response tokens before each node: 0, every `every` and the end, each once."""
    return np.unique([*range(0, int(n_tokens), every), int(n_tokens)]).astype(np.int64)


def neighbours(shares: Values, max_k: int, min_k: int) -> Sizes:
    """k at shares of the response: from max_k at 0 linearly to min_k at 1 and after, rounded."""
    return np.rint(max_k + (min_k - max_k) * np.clip(shares, 0.0, 1.0)).astype(np.int64)


def weighted_votes(distances: Distances, returns: Values, k: Sizes, min_distance: float, power: float) -> Values:
    """For each row (n_candidates,) of distances the mean return of its k nearest; ties go to the first.

    Weights are 1 / max(distance, min_distance)^power.
    """
    order = np.argsort(distances, axis=1, kind="stable")
    clamped = np.maximum(np.take_along_axis(distances, order, axis=1), max(min_distance, 1e-12))
    # Relative to the nearest: a high power of a distance must neither overflow nor vanish.
    weights = (clamped[:, :1] / clamped) ** power
    weights[np.arange(distances.shape[1]) >= np.maximum(k, 1)[:, None]] = 0.0
    values: Values = (weights * returns[order]).sum(axis=1) / weights.sum(axis=1)
    return values


def _final_length(state: State, group: Group) -> float:
    """Length of the state's own rollout or of the first that it is a prefix of, else the mean length."""
    if state.own_rollout is not None:
        return float(len(group.token_ids[state.own_rollout]))
    tokens = state.token_ids
    for other in group.token_ids:
        if len(tokens) <= len(other) and np.array_equal(tokens, other[: len(tokens)]):
            return float(len(other))
    return float(np.mean([len(other) for other in group.token_ids]))
