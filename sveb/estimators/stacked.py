"""One logistic regression on features of the group, of the numbers written so far and of the policy's hidden state.

Stacked generalization (Wolpert, Neural Networks 5, 1992). The group's feature is Bayesian: the other rollouts' returns,
with the probe's value of the bare prompt as a prior worth kappa rollouts. The state's features come from the numbers
that it has written besides the question's, as in `numca`, but each number is a milestone of its own: how much more
often do successful rollouts write it than failed ones, and does no other rollout write it? Further features are the
number of steps, the policy's entropy so far, and how the probe's value has changed since the prompt.

All weights are fitted on training problems; each rollout is valued by the other rollouts of its problem. That no other
rollout wrote a number means more if there are many others, and training groups may be smaller than test groups. So each
training rollout is valued by different numbers of others, and the weights of what is unseen may change with the
logarithm of that number.

Where a state's own rollout is in the group, it is not one of the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Group, Problem, Values
from sveb.estimators.numca import numbers
from sveb.estimators.registry import builtin
from sveb.estimators.shared.logistic import fit_logistic
from sveb.estimators.shared.needed_states import MOST_PROBLEMS, by_problem, unfinished_ends
from sveb.estimators.shared.pooled_points import Matrix
from sveb.estimators.shared.probing import FOLDS, Features, Regression, fit_probe

_KAPPAS = 2.0 ** np.arange(-2, 7)
_SUPPORTS = 4  # how many numbers of others, from 2 to all, each training rollout is valued with
_RECENT = 8  # tokens
_UNSEEN = 2  # features that are about numbers that no other rollout wrote
_LEAST = 1e-4  # a probability and its complement: keeps the log-odds finite


@dataclass(frozen=True)
class _Prefix:
    """What is used of a state: `written` are its numbers, each once, in order, without the question's.

    `n_repeated` counts numbers that it had written before, `n_steps` finished steps; `entropies` (n_tokens + 1,) are
    those of each next token.
    """

    written: list[str]
    n_repeated: int
    n_steps: int
    entropies: Features

    @classmethod
    def of(cls, text: str, question: set[str], n_steps: int, entropies: Features) -> _Prefix:
        found = [name for name, _ in numbers(text, "backoff")]
        distinct = list(dict.fromkeys(found))
        written = [name for name in distinct if name not in question]
        return cls(written, len(found) - len(distinct), n_steps, entropies)


@dataclass(frozen=True)
class _Others:
    """`n` other rollouts of a problem, whose returns add up to `total`.

    For each number, `counts` is how many of them wrote it, and `sums` the sum of their returns.
    """

    n: int
    total: float
    counts: dict[str, int]
    sums: dict[str, float]

    @classmethod
    def of(cls, group: Group, sets: Sequence[set[str]], chosen: Sequence[int]) -> _Others:
        counts: dict[str, int] = defaultdict(int)
        sums: dict[str, float] = defaultdict(float)
        for i in chosen:
            for name in sets[i]:
                counts[name] += 1
                sums[name] += float(group.returns[i])
        return cls(len(chosen), float(group.returns[chosen].sum()), counts, sums)

    def features(self, prefix: _Prefix) -> list[float]:
        """The features of a prefix except the group's and the probe's. The first `_UNSEEN` are about unseen numbers."""
        ratios = [self._log_ratio(name) for name in prefix.written] or [0.0]
        unseen = [name not in self.counts for name in prefix.written] or [False]
        entropies = prefix.entropies.astype(np.float64)
        return [
            sum(unseen),
            unseen[-1],
            sum(ratios),
            min(ratios),
            ratios[-1],
            prefix.n_repeated,
            prefix.n_steps,
            entropies.sum(),
            entropies.mean(),
            entropies.max(),
            entropies[-_RECENT:].mean(),
        ]

    def _log_ratio(self, name: str) -> float:
        """log P(number | success) / P(number | failure), both shrunk by one rollout towards its overall share."""
        count, good = self.counts.get(name, 0), self.sums.get(name, 0.0)
        share = (count + 0.5) / (self.n + 1)
        successes = (good + share) / (self.total + 1)
        failures = (count - good + share) / (self.n - self.total + 1)
        return float(np.log(successes / failures))


@dataclass(frozen=True)
class _Rows:
    """What the regression needs of n states: `evidence` (n, k) from `_Others.features`; `others` (n,) counts the other
    rollouts and `total` (n,) sums their returns; `own` and `prompt` (n,) are the probe's log-odds of the state and of
    the bare prompt.
    """

    evidence: Matrix
    others: Values
    total: Values
    own: Values
    prompt: Values

    @classmethod
    def of(cls, found: _Others, prefixes: Sequence[_Prefix], own: Values, prompt: float) -> _Rows:
        evidence = np.array([found.features(prefix) for prefix in prefixes], dtype=np.float64)
        n = len(prefixes)
        return cls(evidence, np.full(n, found.n), np.full(n, found.total), own, np.full(n, prompt))

    @classmethod
    def together(cls, parts: Sequence[_Rows]) -> _Rows:
        names = ("evidence", "others", "total", "own", "prompt")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def of_group(self, kappa: float) -> Values:
        """The mean return of the others, with the probe's value of the prompt as a prior worth kappa rollouts."""
        prior = 1 / (1 + np.exp(-self.prompt))
        return np.asarray((self.total + kappa * prior) / (self.others + kappa))

    def features(self, kappa: float) -> Matrix:
        """What the regression reads."""
        support = np.log(self.others + 1)
        return np.column_stack(
            [
                _log_odds(self.of_group(kappa)),
                self.own - self.prompt,
                self.evidence,
                support,
                support[:, None] * self.evidence[:, :_UNSEEN],
            ]
        )


@builtin(budget=("group", "train_returns", "hidden_states", "logprobs"), cost="reads")
class Stacked(Estimator):
    """Logistic regression on the group's returns, who wrote the same numbers, entropy and a probe."""

    def fit(self, train: Sequence[Problem]) -> Stacked:
        """Sets layer_ and probe_, the probe's; kappa_, its worth in rollouts; and regression_."""
        probe = fit_probe(self.policy, train, "logistic", None, False, "stacked")
        self.layer_, self.probe_ = probe.layer, probe.regression
        parts: list[_Rows] = []
        returns: list[float] = []
        for place, problem in enumerate(islice(train, MOST_PROBLEMS)):
            for part, return_ in self._left_out(problem, probe.without[place % FOLDS]):
                parts.append(part)
                returns.append(return_)
        if not parts:
            raise SvebError("stacked needs training problems with at least two rollouts: this suite has none")
        lengths = [len(part.own) for part in parts]
        # A long rollout has many states and one return: it counts once.
        weights, targets = np.repeat(1 / np.array(lengths), lengths), np.repeat(returns, lengths)
        rows = _Rows.together(parts)
        errors = [weights @ (rows.of_group(kappa) - targets) ** 2 for kappa in _KAPPAS]
        self.kappa_ = float(_KAPPAS[np.argmin(errors)])
        self.regression_ = fit_logistic(rows.features(self.kappa_), targets, weights)
        return self

    def predict_batch(self, problems: Sequence[Problem]) -> list[Values]:
        states = [state for problem in problems for state in problem.states]
        confidences = by_problem(self.policy.confidences(states, k=1), problems)
        hidden = by_problem(self.policy.hidden_states(states, self.layer_), problems)
        return [self._values(*each) for each in zip(problems, confidences, hidden, strict=True)]

    def _values(self, problem: Problem, confidences: Sequence[Features], hidden: Features) -> Values:
        asked = problem.remember(f"{self}.asked", lambda: _numbers_in(problem.question))
        prefixes = [
            _Prefix.of(state.text, asked, state.step_index, each[:, 1])
            for state, each in zip(problem.states, confidences, strict=True)
        ]
        own = _log_odds(self.probe_(hidden))
        opinion = problem.remember(f"{self}.opinion", lambda: self._of_prompt(problem))
        group, values = problem.group, np.empty(len(problem.states))
        sets = problem.remember(f"{self}.written", lambda: _written(group))
        cut_from = [state.own_rollout for state in problem.states]
        for its_own in set(cut_from):
            mine = [i for i, each in enumerate(cut_from) if each == its_own]
            others = [i for i in range(len(group)) if i != its_own]
            found = problem.remember(f"{self}.others {its_own}", partial(_Others.of, group, sets, others))
            rows = _Rows.of(found, [prefixes[i] for i in mine], own[mine], opinion)
            values[mine] = self.regression_(rows.features(self.kappa_))
        return values

    def _of_prompt(self, problem: Problem) -> float:
        """The probe's log-odds of the bare prompt."""
        n_prompt = len(problem.prompt_token_ids)
        shortest = min(problem.states, key=lambda state: state.n_tokens)
        hidden = next(iter(self.policy.token_hidden_states([shortest], self.layer_)))
        return float(_log_odds(self.probe_(hidden[n_prompt - 1 : n_prompt]))[0])

    def _left_out(self, problem: Problem, opinion: Regression) -> Iterator[tuple[_Rows, float]]:
        """Each rollout's states, valued by some of the others, and its return."""
        group = problem.group
        n_others = len(group) - 1
        if n_others < 1:
            return
        asked, sets = _numbers_in(problem.question), _written(group)
        texts = self.policy.rollout_prefix_texts(problem)
        hidden = self.policy.rollout_hidden_states(problem, self.layer_)
        confidences = self.policy.rollout_confidences(problem, k=1)
        supports = np.unique(np.rint(np.geomspace(min(2, n_others), n_others, _SUPPORTS))).astype(int)
        for i, return_ in enumerate(group.returns):
            ends = unfinished_ends(group, i)
            prefixes = [
                _Prefix.of(texts[i][step], asked, step, confidences[i][: end + 1, 1]) for step, end in enumerate(ends)
            ]
            own = _log_odds(opinion(hidden[i][: len(ends)]))
            for n in supports:
                others = [(i + 1 + j) % len(group) for j in range(n)]
                yield _Rows.of(_Others.of(group, sets, others), prefixes, own, float(own[0])), float(return_)


def _numbers_in(text: str) -> set[str]:
    return {name for name, _ in numbers(text, "backoff")}


def _written(group: Group) -> list[set[str]]:
    """The numbers of each rollout; the last one of a finished response is its answer, not a milestone."""
    return [{name for name, _ in numbers(text, "backoff")[:-1]} for text in group.texts]


def _log_odds(probabilities: Values) -> Values:
    inside = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(inside / (1 - inside)))
