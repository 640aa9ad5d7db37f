"""Values for a trainer: any estimator on the rollouts of a policy that is being trained.

valuer = Valuer("stacked", policy, "ledger")
valuer.fit(earlier)              # rollouts that are not valued: those of earlier updates
batch = sample(policy, task, problems, 8, seed)
values = valuer.values(batch)    # for each problem and rollout V at the prompt and after each step

examples/train_with_estimator.py is a whole training loop.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sveb.common.errors import SvebError
from sveb.common.seeds import seeds
from sveb.contract.estimator import Estimator, Workplace
from sveb.contract.problem import Group, Problem, Values
from sveb.harness.estimator_faults import checked_values
from sveb.harness.load_estimator import load_builtin, load_file
from sveb.harness.local_policy import LocalPolicy, Sampled
from sveb.harness.run_estimator import resolve
from sveb.policies.policy import Policy, SampleRequest, Sampling
from sveb.policies.transformers_engine import TransformersPolicy
from sveb.suite.manifest import Manifest
from sveb.suite.protocol import STANDARD
from sveb.suite.records import ProblemRecord
from sveb.tasks.grading import Grading
from sveb.tasks.task import Task

__all__ = ["Sampled", "Valuer", "sample"]


def sample(
    policy: Policy, task: Task, problems: Sequence[ProblemRecord], rollouts: int, seed: int, first: int = 0
) -> list[Sampled]:
    """Graded rollouts of each problem, with the task's sampling. Those that cannot be graded are left out.

    Rollout i of all of these has the number `first` + i, below 2^31: rollouts of the same number and seed have the same
    random numbers.
    """
    codec, sampling = policy.codec, Sampling(**task.sampling)
    prompts = [codec.render(task.messages(problem)) for problem in problems]
    numbers = seeds(seed, first + np.arange(len(problems) * rollouts)).tolist()
    requests = [
        SampleRequest(i, prompts[i // rollouts], number, sampling.max_new_tokens) for i, number in enumerate(numbers)
    ]
    found = {one.key: one for one in policy.sample(requests, sampling)}
    batch = []
    with Grading(task) as grading:
        for place, problem in enumerate(problems):
            own = [found[place * rollouts + i] for i in range(rollouts)]
            tokens = [one.token_ids for one in own]
            texts = codec.decode_many([each.tolist() for each in tokens])
            grades = [grading.submit(problem, text, one.finish_reason) for text, one in zip(texts, own, strict=True)]
            returns = [grade.result() for grade in grades]
            ends = [np.array(task.step_ends(codec.pieces(each.tolist())), dtype=np.int32) for each in tokens]
            group = Group(np.array(returns, dtype=np.float64), texts, tokens, ends)
            graded = [i for i, return_ in enumerate(returns) if return_ is not None]
            batch.append(Sampled(problem, np.array(prompts[place], dtype=np.int32), group.subset(graded)))
    return batch


class Valuer:
    """An estimator in the trainer's process, which reads and continues `policy` as it is at each call.

    `estimator` is a built-in's name or a file (`my.py`, `my.py:Class`), with parameters `params`. A rollout is valued
    by the other rollouts of its problem: it is not in the group. So `group_mean` gives the mean of the others (RLOO).
    """

    def __init__(
        self,
        estimator: str,
        policy: TransformersPolicy,
        task: str,
        params: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        target, given = resolve(estimator), dict(params or {})
        if target.file is None:
            self.estimator = load_builtin(estimator, given)
        else:
            self.estimator = load_file(target.file, target.attribute, given, str(target.given))
        self._seed = seed
        self._folder = tempfile.TemporaryDirectory(prefix="sveb-training-")
        scratch = Path(self._folder.name)
        manifest = Manifest(
            "training", "0", STANDARD.name, {"name": task}, {"name": "policy", "source": "training"},
            dict(Task.load(task).sampling), {}, seed,
        )  # fmt: skip
        self._access = LocalPolicy(policy, manifest, scratch)
        self.estimator._policy = self._access
        self.estimator._workplace = Workplace(scratch, Path.cwd(), lambda _done, _total: None)
        self._tokens_before = 0

    @property
    def fits(self) -> bool:
        """Whether the estimator learns from rollouts."""
        return type(self.estimator).fit is not Estimator.fit

    @property
    def tokens_sampled(self) -> int:
        """Tokens of all continuations that the estimator sampled."""
        return self._tokens_before + self._access.live.tokens_sampled

    def fit(self, earlier: Sequence[Sampled]) -> None:
        """Fits the estimator to rollouts. None of them may be valued later: the estimator knows their returns."""
        self._access.begin()
        self.estimator._rng = np.random.default_rng([self._seed, self._access.n_states])
        self.estimator.fit([self._access.whole(f"problem{i}", sampled) for i, sampled in enumerate(earlier)])

    def values(self, batch: Sequence[Sampled]) -> list[list[Values]]:
        """For each problem and each of its rollouts V (1 + n_steps,): at the prompt, then after each unfinished step.

        The states of a rollout are shown one after the other, so that none shows the future of another. Raises
        SvebError if a value is not a finite number.
        """
        self._access.begin()
        asked = [
            (place, *self._access.left_out(f"problem{place}", sampled, row))
            for place, sampled in enumerate(batch)
            for row in range(len(sampled.group))
        ]
        rows: list[list[float]] = [[] for _ in asked]
        for step in range(max((len(states) for *_, states in asked), default=0)):
            due = [i for i, (*_, states) in enumerate(asked) if step < len(states)]
            problems = [asked[i][1].with_states(asked[i][2][step : step + 1]) for i in due]
            for i, value in zip(due, self._predicted(problems), strict=True):
                rows[i].append(value)
        found: list[list[Values]] = [[] for _ in batch]
        for (place, *_), row in zip(asked, rows, strict=True):
            found[place].append(np.array(row))
        return found

    def _predicted(self, problems: list[Problem]) -> list[float]:
        """One value for each of these problems, each with one state."""
        where = f"{type(self.estimator).__name__}.predict"
        if type(self.estimator).predict_batch is not Estimator.predict_batch:
            results = list(self.estimator.predict_batch(problems))
        else:
            results = []
            for problem in problems:
                self.estimator._rng = problem.rng
                results.append(self.estimator.predict(problem))
        values = [float(checked_values(result, 1, where)[0]) for result in results]
        if len(values) != len(problems) or not np.isfinite(values).all():
            missing = len(problems) - int(np.isfinite(values).sum())
            raise SvebError(f"{where}: {missing} of {len(problems)} states have no finite value: training needs all")
        return values

    def state_dict(self) -> dict[str, Any]:
        """What the next call depends on, besides the policy: the fitted estimator and two counters."""
        return {
            "estimator": self.estimator.__getstate__(),
            "n_states": self._access.n_states,
            "tokens_sampled": self.tokens_sampled,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where `state_dict` was taken."""
        self.estimator.__dict__.update(state["estimator"])
        self._access.n_states = state["n_states"]
        self._tokens_before = state["tokens_sampled"] - self._access.live.tokens_sampled
