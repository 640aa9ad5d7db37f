"""Score vectors: gradients of log-probabilities with respect to all parameters of a policy, and their inner products.

Every figure of `bench.gradients` is quadratic in these vectors. So their inner products are kept, never the vectors:
for each probe rollout those of its segments with each other, and with each problem's reference gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sveb.common.files import write_atomic

Array = npt.NDArray[np.float64]
_SKETCH_SEED = 16
_AT_ONCE = 16  # rollouts of one backward pass: the logits of a large vocabulary take much memory


@dataclass(frozen=True, eq=False)
class Probe:
    """A probe rollout. `starts` (n,) are the token offsets at which its segments begin, the first is 0; the last
    segment ends with the response. `state_ids` (n,) name the states there.
    """

    prompt: Sequence[int]
    response: Sequence[int]
    starts: Sequence[int]
    state_ids: Sequence[str]
    return_: float


@dataclass(frozen=True, eq=False)
class Products:
    """What is kept of one problem's r probe rollouts, each with at most n segments; N reference gradients.

    state_ids (r, n), "" beyond a rollout's last segment; returns (r,); gram (r, n, n): inner products of the score
    vectors of a rollout's segments; reference (r, n, N): those with the reference gradients. Zero beyond the last.
    """

    state_ids: npt.NDArray[np.str_]
    returns: Array
    gram: Array
    reference: Array

    def write(self, path: Path) -> None:
        """The whole file or nothing."""

        def write(temporary: Path) -> None:
            with temporary.open("wb") as stream:
                np.savez(stream, **{each.name: getattr(self, each.name) for each in fields(self)})

        write_atomic(path, write)

    @classmethod
    def read(cls, path: Path) -> Products:
        """What `write` wrote."""
        with np.load(path) as held:
            return cls(**{each.name: held[each.name] for each in fields(cls)})


class ScoreVectors:
    """Score vectors of a causal language model at temperature 1.

    With `sketch` they are projected to so many dimensions by a seeded count sketch (Charikar et al. 2002): it keeps
    inner products in expectation, with a standard deviation of at most sqrt(2 / sketch) |a| |b|. 0: exact.
    """

    def __init__(self, model: Any, sketch: int = 0) -> None:
        self._model = model
        self._parameters = list(model.parameters())
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        size = sum(parameter.numel() for parameter in self._parameters)
        self.dimensions = sketch or size
        self._buckets: torch.Tensor | None = None
        if sketch:
            generator = torch.Generator().manual_seed(_SKETCH_SEED)
            self._buckets = torch.randint(sketch, (size,), generator=generator, dtype=torch.int32)
            self._signs = torch.randint(2, (size,), generator=generator, dtype=torch.int8).mul_(2).sub_(1)

    def of_segments(self, probe: Probe) -> torch.Tensor:
        """The score vector of each segment; (n, dimensions)."""
        scores = self._logprobs([(probe.prompt, probe.response)])[0]
        bounds = [*probe.starts, len(probe.response)]
        parts = [scores[start:end].sum() for start, end in pairwise(bounds)]
        return torch.stack([self._gradient(part, keep=part is not parts[-1]) for part in parts])

    def of_group(self, prompt: Sequence[int], responses: Sequence[Sequence[int]], returns: Array) -> torch.Tensor:
        """The policy gradient of one problem: mean (R - mean return of the other rollouts) score; (dimensions,)."""
        n = len(responses)
        advantages = (returns - returns.mean()) * n / (n - 1)  # equals R minus the mean of the others
        chosen = np.flatnonzero(advantages)
        total = torch.zeros(self.dimensions, dtype=self._parameters[0].dtype)
        for start in range(0, len(chosen), _AT_ONCE):
            part = chosen[start : start + _AT_ONCE]
            scores = self._logprobs([(prompt, responses[i]) for i in part])
            weighted = [float(advantages[i]) / n * each.sum() for i, each in zip(part, scores, strict=True)]
            total += self._gradient(torch.stack(weighted).sum(), keep=False)
        return total

    def _logprobs(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[torch.Tensor]:
        """For each prompt and response the log-probabilities of the response's tokens, with gradients."""
        width = max(len(prompt) + len(response) for prompt, response in pairs)
        ids = torch.zeros((len(pairs), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, (prompt, response) in enumerate(pairs):
            n = len(prompt) + len(response)
            ids[row, :n] = torch.tensor([*prompt, *response])
            mask[row, :n] = 1
        scores = self._model(ids, attention_mask=mask, use_cache=False).logits[:, :-1].log_softmax(-1)
        chosen = scores.gather(-1, ids[:, 1:, None])[..., 0]
        return [
            chosen[row, len(prompt) - 1 : len(prompt) + len(response) - 1]
            for row, (prompt, response) in enumerate(pairs)
        ]

    def _gradient(self, total: torch.Tensor, keep: bool) -> torch.Tensor:
        parts = torch.autograd.grad(total, self._parameters, retain_graph=keep)
        flat = torch.cat([part.reshape(-1) for part in parts])
        if self._buckets is None:
            return flat
        return torch.zeros(self.dimensions, dtype=flat.dtype).index_add_(0, self._buckets, flat * self._signs)


def products(vectors: ScoreVectors, probes: Sequence[Probe], references: torch.Tensor) -> Products:
    """The inner products of one problem's probes; `references` (N, dimensions)."""
    n = max(len(probe.starts) for probe in probes)
    found = Products(
        np.full((len(probes), n), "", dtype=f"<U{max(len(name) for probe in probes for name in probe.state_ids)}"),
        np.array([probe.return_ for probe in probes]),
        np.zeros((len(probes), n, n)),
        np.zeros((len(probes), n, len(references))),
    )
    scores = [vectors.of_segments(probe) for probe in probes]
    against = (torch.cat(scores) @ references.T).split([len(each) for each in scores])
    for row, (probe, own, others) in enumerate(zip(probes, scores, against, strict=True)):
        m = len(own)
        found.state_ids[row, :m] = probe.state_ids
        found.gram[row, :m, :m] = (exact := own.double()) @ exact.T
        found.reference[row, :m] = others
    return found


def advantages(values: Array, returns: Array, lam: float, lengths: npt.NDArray[np.int64]) -> Array:
    """GAE with gamma 1 (Schulman et al. 2016, arXiv 1506.02438, equation 16); (r, n), 0 beyond a rollout's length.

    `values` (r, n) are those of the states at which segments begin; after the last one the return (r,) follows.
    """
    r, n = values.shape
    found = np.zeros((r, n))
    later, following = np.zeros(r), returns
    for i in reversed(range(n)):
        inside = i < lengths
        later = np.where(inside, following - values[:, i] + lam * later, 0.0)
        following = np.where(inside, values[:, i], following)
        found[:, i] = later
    return found
