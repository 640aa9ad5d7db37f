"""Our own decoding of a batch gives, row by row, what transformers' `generate` gives with the same draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers

from sveb.policies.decode import decode, draw
from sveb.policies.policy import Policy, SampleRequest, Sampling
from sveb.suite.suite import Suite


class Drawn(transformers.LogitsProcessor):  # type: ignore[misc]
    """Leaves one token a row: the one that `draw` takes."""

    def __init__(self, batch: list[SampleRequest], sampling: Sampling, width: int) -> None:
        rows = [np.random.default_rng(request.seed).random(224) for request in batch]
        self.uniforms, self.sampling, self.width = torch.from_numpy(np.stack(rows)), sampling, width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        tokens = draw(scores, self.sampling, self.uniforms[:, input_ids.shape[1] - self.width])
        return torch.full_like(scores, -torch.inf).scatter(-1, tokens[:, None], 0.0)


@pytest.mark.parametrize("sampling", [Sampling(1.0, 1.0, 224), Sampling(0.7, 0.8, 224), Sampling(0.0, 1.0, 224)])
def test_rows_that_leave_and_a_cache_that_grows_change_no_token(nano_transformers: Any, sampling: Sampling) -> None:
    """Prefixes of many lengths, budgets from one token to past the cache's first room."""
    policy: Policy = nano_transformers
    suite = Suite.open()
    prompt_of = suite.problems["prompt_token_ids"]
    batch = [
        SampleRequest(i, [*prompt_of[row.problem_id].tolist(), *row.token_ids.tolist()], i, 1 + 7 * i)
        for i, row in enumerate(suite.states.iloc[:960:32].itertuples())
    ]
    stops = policy.codec.stop_token_ids
    found = {c.key: c for c in decode(nano_transformers.model, batch, sampling, stops)}
    width = max(len(request.token_ids) for request in batch)
    ids = torch.tensor([[stops[0]] * (width - len(r.token_ids)) + list(r.token_ids) for r in batch])
    mask = torch.tensor([[0] * (width - len(r.token_ids)) + [1] * len(r.token_ids) for r in batch])
    whole = nano_transformers.model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=224, do_sample=False,
        logits_processor=transformers.LogitsProcessorList([Drawn(batch, sampling, width)]),
        generation_config=transformers.GenerationConfig(eos_token_id=stops, pad_token_id=stops[0]),
    )[:, width:].tolist()  # fmt: skip
    for request, row in zip(batch, whole, strict=True):
        budgeted = row[: request.max_tokens]
        ends = [place for place, token in enumerate(budgeted) if token in stops]
        completion = found[request.key]
        assert completion.token_ids.tolist() == (budgeted[: ends[0] + 1] if ends else budgeted)
        assert completion.finish_reason == ("stop" if ends else "length")
    assert {c.finish_reason for c in found.values()} == {"stop", "length"}
