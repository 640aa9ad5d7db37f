"""What a generation will cost, before it starts: tokens (from a short trial), hours here and on GPUs, bytes on disk."""

from __future__ import annotations

from dataclasses import asdict
from math import prod
from pathlib import Path

from sveb.generate.cost import Forecast, StageCost
from sveb.generate.generation import Job
from sveb.generate.trial import measure
from sveb.policies.models import fetch_weights, find_model
from sveb.policies.workers import cached_numbers, model_config

# An H200-class GPU (docs/scaling.md has the arithmetic): memory bandwidth and dense bf16 compute of its data sheet, the
# share of both that a serving engine reaches, a decoding step's fixed cost, and the sequences decoded at once.
_BYTES_PER_S, _FLOPS, _REACHED = 4.8e12, 989e12, 0.6
_STEP_S, _AT_ONCE = 0.004, 512

_BYTES_PER_RETURN = 1.0  # with its length and finish reason, as the truth table stores it


def forecast(job: Job) -> Forecast:
    """Samples a short trial and extrapolates."""
    trial = measure(job)
    weights = fetch_weights(find_model(job.settings.model).source, job.settings.revision)
    c = job.plan.counts
    cut = job.settings.protocol.rollouts_cut(asdict(c))
    if job.settings.protocol.cut == "random_space":
        roots, path, siblings, remaining = 0, float(c.test_problems * cut), 0.0, trial.length / 2
    else:
        roots, path, remaining = c.test_problems, c.test_problems * cut * trial.states, trial.remaining
        siblings = c.test_problems * min(c.sibling_parents, cut * trial.states) * c.siblings
    states = roots + path + siblings
    # Until the tiers have chosen, problems.test are all candidates.
    training = range(len(job.problems.test), len(job.ordered))
    rollouts = c.test_problems * job.to_sample(0)[1] + sum(job.to_sample(place)[1] for place in training)
    # A root's continuation is a whole response.
    per_continuation = (roots * trial.length + (path + siblings) * remaining) / states
    # Each tier looks at as many candidates as it takes: this is the least.
    chosen = c.test_problems * job.settings.pilot if job.settings.tiers else 0
    stages = [
        *([StageCost("pilot, at least", chosen, chosen * trial.length)] if chosen else []),
        StageCost("rollouts", rollouts, rollouts * trial.length),
        StageCost("siblings", round(siblings), siblings * trial.step),
        StageCost("truth", round(states * c.continuations), states * c.continuations * per_continuation),
        StageCost("draws", round(states * c.draws), states * c.draws * per_continuation),
        *([StageCost("audit", round(states * c.audit), states * c.audit * per_continuation)] if c.audit else []),
    ]
    stored = rollouts * trial.length + states * (trial.length - per_continuation)
    drawn, returns = states * c.draws * per_continuation, states * (c.continuations + c.audit)
    return Forecast(
        problems=c.test_problems + c.train_problems,
        states=round(states),
        stages=stages,
        trial=trial,
        gpu_tokens_per_s=gpu_tokens_per_s(weights.folder, trial.length),
        bytes_on_disk=stored * trial.stored_bytes + drawn * trial.text_bytes + returns * _BYTES_PER_RETURN,
    )


def gpu_tokens_per_s(folder: Path, context: float) -> float:
    """Tokens a second that one H200-class GPU decodes, in bfloat16, at `context` tokens a sequence: an estimate.

    A decoding step of the whole batch reads the weights once and every sequence's keys and values, and multiplies each
    weight once a sequence; to these times comes a fixed cost. `folder` holds the model's config and weights.
    """
    cache = 2 * cached_numbers(model_config(folder))
    parameters = _parameters(folder)
    step = (
        _STEP_S
        + (2 * parameters + _AT_ONCE * context * cache) / (_BYTES_PER_S * _REACHED)
        + 2 * parameters * _AT_ONCE / (_FLOPS * _REACHED)
    )
    return float(_AT_ONCE / step)


def _parameters(folder: Path) -> int:
    from safetensors import safe_open

    total = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="np") as tensors:
            total += sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return total
