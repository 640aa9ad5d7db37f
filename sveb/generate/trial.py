"""A short trial of the policy, bounded in seconds: how long its rollouts are, and how fast they are sampled."""

from __future__ import annotations

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sveb.common.seeds import SPACE
from sveb.generate.cost import Trial
from sveb.generate.generation import Job
from sveb.generate.stage_runner import guarded
from sveb.generate.state_cuts import RolloutRecord, path_states
from sveb.policies.policy import SampleRequest

_SECONDS = 20.0
_PROBLEMS, _MOST, _LEAST = 16, 128, 16  # problems and rollouts of a trial
_SHARE = 40  # at most one rollout for so many samples of the plan: a small suite has a small trial
_FIRST_ROLLOUTS, _FIRST_TOKENS = 4, 8  # of the first round: a large model is slow
_GROWTH = 4  # a round with twice the rollouts and twice the tokens takes at most so many times as long


@dataclass
class _Rollout:
    """One rollout as far as the trial has sampled it."""

    place: int
    seed: int
    token_ids: list[int] = field(default_factory=list)
    reason: str | None = None


def measure(job: Job) -> Trial:
    """Samples rollouts of the first test problems for about 20 seconds. They are not kept.

    They are sampled in rounds of a few tokens each, because a request that has begun cannot be interrupted. When the
    time is over, some rollouts may not have ended: see `mean_length`.
    """
    job.reporter.stage("measure", 0, 0)
    rollouts, tokens_per_s = _sample(job)
    budget = job.plan.sampling.max_new_tokens
    seen = [len(rollout.token_ids) for rollout in rollouts]
    ended = [rollout.reason is not None for rollout in rollouts]
    low, length, high = mean_length([rollout.place for rollout in rollouts], seen, ended, budget)
    codec, counts, task = job.policy.codec, job.plan.counts, job.task
    ends = [task.step_ends(codec.pieces(rollout.token_ids)) for rollout in rollouts]
    step = sum(seen) / sum(max(len(each), 1) for each in ends)
    whole, left, states = 0, 0, 0
    for rollout, step_ends in zip(rollouts, ends, strict=True):
        if rollout.reason is None:
            continue
        record = RolloutRecord(
            "", job.problems.test[rollout.place].problem_id, "probe", rollout.token_ids, "", None,
            "length" if rollout.reason == "length" else "stop", step_ends, 0,
        )  # fmt: skip
        cuts = path_states(record, task, codec, counts.path_states, job.plan.seed)
        whole += len(rollout.token_ids)
        states += len(cuts)
        left += sum(len(rollout.token_ids) - len(state.token_ids) for state in cuts)
    texts = codec.decode_many([rollout.token_ids for rollout in rollouts])
    return Trial(
        rollouts=len(rollouts),
        ended=sum(ended),
        length=length,
        length_low=low,
        length_high=high,
        # If some rollouts have not ended, their states are assumed to have the same places as those of the others.
        remaining=length * (left / states) / (whole / sum(ended)) if states else length / 2,
        step=step,
        states=states / sum(ended) if any(ended) else min(counts.path_states, length / step),
        tokens_per_s=tokens_per_s,
        stored_bytes=_size(token_ids=[rollout.token_ids for rollout in rollouts], text=texts) / sum(seen),
        text_bytes=_size(text=texts) / sum(seen),
    )


def _sample(job: Job) -> tuple[list[_Rollout], float]:
    """The rollouts, and the tokens a second of the fastest round: the first ones are small, and warm the engine up."""
    began = time.monotonic()
    c, budget = job.plan.counts, job.plan.sampling.max_new_tokens
    problems = job.problems.test[:_PROBLEMS]
    planned = c.test_problems * (c.group + c.probes + c.continuations) + c.train_problems * c.train_group
    most = min(_MOST, max(_LEAST, planned // _SHARE))
    seeds = [job.layout.rollouts(place, 0, -(-most // len(problems))) for place in range(len(problems))]
    rollouts: list[_Rollout] = []
    number, length, rate = _FIRST_ROLLOUTS, _FIRST_TOKENS, 0.0
    for turn in itertools.count():
        for index in range(len(rollouts), min(number, most)):
            row, place = divmod(index, len(problems))
            rollouts.append(_Rollout(place, int(seeds[place][row])))
        requests = [
            SampleRequest(
                index, [*job.prompts[problems[rollout.place].problem_id], *rollout.token_ids],
                (rollout.seed + turn) % SPACE, min(length, budget - len(rollout.token_ids)),
            )
            for index, rollout in enumerate(rollouts) if rollout.reason is None
        ]  # fmt: skip
        started, sampled = time.monotonic(), 0
        for completion in guarded(job.policy.sample(requests, job.plan.sampling), "measure", job.store):
            rollout = rollouts[completion.key]
            rollout.token_ids += completion.token_ids.tolist()
            sampled += len(completion.token_ids)
            if completion.finish_reason == "stop" or len(rollout.token_ids) >= budget:
                rollout.reason = completion.finish_reason
        now = time.monotonic()
        took, rest = now - started, began + _SECONDS - now
        rate = max(rate, sampled / took)
        if took > rest or (len(rollouts) == most and all(rollout.reason for rollout in rollouts)):
            break
        if _GROWTH * took < rest:
            number, length = 2 * number, 2 * length
    return rollouts, rate


def mean_length(
    places: Sequence[int], seen: Sequence[int], ended: Sequence[bool], budget: int
) -> tuple[float, float, float]:
    """Lower bound, estimate and upper bound of a rollout's mean length in tokens.

    `places` are the rollouts' problems, `seen` their tokens so far. If a rollout has not `ended`, the estimate assumes
    that it ends at each further token with the same probability, at the latest at `budget` tokens. That probability is
    the number of ends over the tokens seen, its maximum likelihood estimate. The bounds assume that it ends now, or at
    the budget. Twice the standard error of the mean, over problems, is then added on both sides.
    """
    tokens, over = np.asarray(seen, float), np.asarray(ended, bool)
    mean_left = tokens.sum() / max(int(over.sum()), 1)
    left = np.where(over, 0.0, budget - tokens)
    expected = tokens + mean_left * -np.expm1(-left / mean_left)
    of_problem: defaultdict[int, list[float]] = defaultdict(list)
    for place, length in zip(places, expected, strict=True):
        of_problem[place].append(float(length))
    groups = [float(np.mean(lengths)) for lengths in of_problem.values()] if len(of_problem) > 1 else expected.tolist()
    error = 2 * float(np.std(groups, ddof=1)) / math.sqrt(len(groups)) if len(groups) > 1 else math.inf
    low, high = float(tokens.mean()) - error, float((tokens + left).mean()) + error
    return max(low, 1.0), float(expected.mean()), min(high, float(budget))


def _size(**columns: list[Any]) -> int:
    """Bytes of a table as the suite's files compress it."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd", compression_level=12)
    return int(sink.getvalue().size)
