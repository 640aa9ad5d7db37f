"""Both engines are the same policy: the same log-probabilities, and samples that depend on prefix and seed alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.common.seeds import seeds
from sveb.generate.plan import Counts, SeedLayout
from sveb.policies.engines import load_policy
from sveb.policies.models import fetch_weights
from sveb.policies.policy import Policy, SampleRequest, Sampling
from sveb.suite.suite import Suite
from sveb.tasks.problems import load_problems
from sveb.tasks.task import Task

if TYPE_CHECKING:
    from sveb.policies.transformers_engine import TransformersPolicy

pytestmark = pytest.mark.engine
SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=48)


def prompts(policy: Policy, n: int) -> list[list[int]]:
    task = Task.load("ledger")
    return [policy.codec.render(task.messages(p)) for p in load_problems(task, 0, n, seed=5).test]


def draw(policy: Policy, requests: list[SampleRequest], sampling: Sampling = SAMPLING) -> dict[object, list[int]]:
    found = {c.key: c.token_ids.tolist() for c in policy.sample(requests, sampling)}
    assert set(found) == {r.key for r in requests}
    return found


def requests_for(policy: Policy, n: int) -> list[SampleRequest]:
    numbers = seeds(11, np.arange(4 * n))
    return [
        SampleRequest((i, k), prompt, int(numbers[4 * i + k]), 48)
        for i, prompt in enumerate(prompts(policy, n))
        for k in range(4)
    ]


@pytest.mark.parametrize("engine", ["nano_vllm", "nano_transformers"])
def test_a_sample_depends_on_its_prefix_and_seed_not_on_its_company(
    engine: str, request: pytest.FixtureRequest
) -> None:
    policy: Policy = request.getfixturevalue(engine)
    asked = requests_for(policy, 24)
    together = draw(policy, asked)
    for one in asked[::17]:
        assert draw(policy, [one])[one.key] == together[one.key]
    assert draw(policy, asked[::-1]) == together


@pytest.mark.parametrize("engine", ["nano_vllm", "nano_transformers"])
def test_samples_follow_the_policys_own_distribution(engine: str, request: pytest.FixtureRequest) -> None:
    """First tokens of 4000 continuations of one prompt against the probabilities of a plain forward pass."""
    from scipy.stats import chisquare

    policy: Policy = request.getfixturevalue(engine)
    prompt = prompts(policy, 1)[0]
    n = 4000
    asked = [SampleRequest(i, prompt, int(s), 1) for i, s in enumerate(seeds(3, np.arange(n)))]
    first = [tokens[0] for tokens in draw(policy, asked).values()]
    vocabulary = len(policy.codec.tokenizer)
    exact = np.exp([lp[-1] for lp in policy.logprobs([[*prompt, token] for token in range(vocabulary)])])
    counts = np.bincount(first, minlength=vocabulary)
    common = exact * n >= 5
    observed = [*counts[common], counts[~common].sum()]
    expected = np.array([*(exact[common] * n), exact[~common].sum() * n])
    if expected[-1] < 1:  # too rare to be a cell of its own
        observed, expected = observed[:-1], expected[:-1]
    expected = expected.astype(np.float64)  # float32 sums miss scipy's own check of the totals
    assert chisquare(observed, expected * (sum(observed) / expected.sum())).pvalue > 1e-4


def test_both_engines_agree_on_logprobs_token_by_token(nano_vllm: Policy, nano_transformers: Policy) -> None:
    asked = requests_for(nano_vllm, 16)
    full = [[*r.token_ids, *tokens] for r, tokens in zip(asked, draw(nano_vllm, asked).values(), strict=False)]
    for a, b in zip(nano_vllm.logprobs(full), nano_transformers.logprobs(full), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_token_weights_are_those_of_vllms_whole_distributions(nano_vllm: Any, nano_transformers: Policy) -> None:
    """vLLM itself reads here: it returns the log-probability of every token of the vocabulary at every place."""
    import vllm

    asked = requests_for(nano_vllm, 8)
    drawn = draw(nano_vllm, asked)
    full = [[*r.token_ids, *drawn[r.key]] for r in asked]
    vocabulary = len(nano_vllm.codec.tokenizer)
    engine = nano_vllm._running()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.llm_engine.model_config, "max_logprobs", vocabulary)
        params = vllm.SamplingParams(temperature=1.0, max_tokens=1, prompt_logprobs=vocabulary, detokenize=False)
        outputs = engine.generate([{"prompt_token_ids": list(map(int, s))} for s in full], params, use_tqdm=False)
    own = nano_vllm.token_weights(full)
    for sequence, output, mine, theirs in zip(
        full, outputs, own, nano_transformers.token_weights(full) or [], strict=True
    ):
        p = np.exp([[scores[a].logprob for a in range(vocabulary)] for scores in output.prompt_logprobs[1:]])
        expected = 1 - 2 * p[np.arange(len(p)), sequence[1:]] + (p**2).sum(axis=1)
        np.testing.assert_allclose(mine, expected, atol=1e-3)
        np.testing.assert_allclose(theirs, expected, atol=1e-3)
    assert draw(nano_vllm, asked[:8]) == {r.key: drawn[r.key] for r in asked[:8]}, "it samples again afterwards"


def test_first_tokens_of_different_states_agree_no_more_than_chance(nano_vllm: Policy, nano_transformers: Any) -> None:
    """The trap that shared seeds would set. Every seed is the one that the embedded suite's plan gives that state.

    The k-th continuations of two states are compared; how often any two others agree (k and k + shift) is the chance
    level, with its spread.
    """
    suite = Suite.open()
    manifest = suite.manifest
    layout = SeedLayout(Counts(**manifest.counts), manifest.seed)
    places = {problem_id: place for place, problem_id in enumerate(suite.problems.query("split == 'test'").index)}
    numbers = suite.states.groupby("problem_id", sort=False).cumcount()
    states = suite.states.assign(number=numbers).query("kind == 'path'").iloc[::8]
    prompt_of = suite.problems["prompt_token_ids"]
    asked = [[*prompt_of[row.problem_id].tolist(), *row.token_ids.tolist()] for row in states.itertuples()]
    # After these the policy is unsure: elsewhere agreement says nothing.
    likeliest = np.exp([found[-1, 0] for found in nano_transformers.confidences(asked, 1)])
    unsure = np.flatnonzero(likeliest < 0.5)[:40]
    assert len(unsure) == 40

    def excess(own: list[np.ndarray]) -> float:
        """Agreement beyond chance, in standard deviations."""
        requests = [
            SampleRequest((i, k), asked[place], int(seed), 1)
            for i, (place, numbers) in enumerate(zip(unsure, own, strict=True))
            for k, seed in enumerate(numbers)
        ]
        drawn = draw(nano_vllm, requests)
        first = np.array([[drawn[i, k][0] for k in range(len(own[0]))] for i in range(len(unsure))])
        one, other = np.triu_indices(len(unsure), 1)
        shifts = [(first[one] == np.roll(first[other], shift, axis=1)).mean() for shift in range(first.shape[1])]
        return float((shifts[0] - np.mean(shifts[1:])) / np.std(shifts[1:]))

    chosen = [states.iloc[place] for place in unsure]
    planned = [layout.truth(places[state.problem_id], state.number) for state in chosen]
    assert len(np.unique(np.concatenate(planned))) == 40 * manifest.counts["continuations"]
    assert abs(excess(planned)) < 5
    # The trap itself is real: one state's seeds on all of them do correlate.
    assert excess([planned[0]] * len(unsure)) > 8


@pytest.mark.parametrize("engine", ["nano_vllm", "nano_transformers"])
def test_a_budget_that_runs_out_is_length_and_a_stop_token_is_stop(engine: str, request: pytest.FixtureRequest) -> None:
    policy: Policy = request.getfixturevalue(engine)
    prompt = prompts(policy, 1)[0]
    short, long = SampleRequest("short", prompt, 1, 3), SampleRequest("long", prompt, 2, 300)
    found = {c.key: c for c in policy.sample([short, long], Sampling(1.0, 1.0, 300))}
    assert found["short"].finish_reason == "length"
    assert len(found["short"].token_ids) == 3
    assert found["long"].finish_reason == "stop"
    assert found["long"].token_ids[-1] in policy.codec.stop_token_ids


def test_an_abandoned_call_leaves_nothing_in_the_next(nano_vllm: Policy) -> None:
    asked = requests_for(nano_vllm, 30)
    abandoned = nano_vllm.sample(asked, SAMPLING)
    next(abandoned)
    abandoned.close()  # type: ignore[attr-defined]
    only = SampleRequest("only", asked[0].token_ids, 5, 8)
    assert set(draw(nano_vllm, [only])) == {"only"}


def test_hidden_states_of_a_padded_batch_equal_those_of_single_sequences(nano_transformers: Policy) -> None:
    asked = requests_for(nano_transformers, 6)
    sequences = [
        [*r.token_ids, *tokens] for r, tokens in zip(asked, draw(nano_transformers, asked).values(), strict=False)
    ]
    for layer in (-1, 0, 2):
        together = nano_transformers.hidden_states(sequences, layer)
        for sequence, batched in zip(sequences, together, strict=True):
            assert batched.shape[0] == len(sequence)
            np.testing.assert_allclose(batched, nano_transformers.hidden_states([sequence], layer)[0], atol=1e-4)


def test_a_long_common_beginning_is_read_once_and_changes_no_value(nano_transformers: TransformersPolicy) -> None:
    prompt = (list(range(5, 45)) * 6)[:230]
    tails = [[7], [7, 8, 9], [7, 8, 20, 21, 22], [30] * 12]
    sequences = [prompt + tail for tail in tails] + [[1, 2, 3]]
    read: list[int] = []

    def count(_: object, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        read.append((given[0] if given else named["input_ids"]).numel())

    hook = nano_transformers.model.base_model.register_forward_pre_hook(count, with_kwargs=True)
    for method, arguments in (("hidden_states", (2,)), ("logprobs", ()), ("token_weights", ()), ("confidences", (3,))):
        read.clear()
        together = getattr(nano_transformers, method)(sequences, *arguments)
        assert sum(read) <= 230 + 4 * 13 + 3
        for sequence, one in zip(sequences, together, strict=True):
            alone = getattr(nano_transformers, method)([sequence], *arguments)[0]
            assert one.shape == alone.shape
            np.testing.assert_allclose(one, alone, atol=1e-4)
    hook.remove()


def test_several_layers_of_frozen_weights_are_read_in_two_passes(
    nano_transformers: TransformersPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nano_transformers, "frozen", True)
    sequences, passes = [[1, 2, 3, 4], [5, 6, 7]], []
    expected = []
    for layer in (0, 1, 2, -1):
        nano_transformers.hidden_states([[9]])
        expected.append(nano_transformers.hidden_states(sequences, layer))
    nano_transformers.hidden_states([[9]])
    hook = nano_transformers.model.base_model.register_forward_hook(lambda *_: passes.append(1))
    found = [nano_transformers.hidden_states(sequences, layer) for layer in (0, 1, 2, -1)]
    hook.remove()
    assert len(passes) == 2
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_layer_that_does_not_exist_is_refused(nano_transformers: Policy) -> None:
    with pytest.raises(SvebError, match="layer 99 does not exist"):
        nano_transformers.hidden_states([[1, 2]], 99)


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_the_checkpoints_own_sampling_defaults_never_override_ours(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The same weights, whose generation_config.json asks for other sampling and knows another end: the same tokens."""
    usual: Policy = request.getfixturevalue(f"nano_{engine}")
    shutil.copytree(fetch_weights("package:nano").folder, tmp_path / "hostile")
    path = tmp_path / "hostile" / "generation_config.json"
    hostile = {"top_k": 1, "temperature": 0.01, "top_p": 0.1, "repetition_penalty": 1.5, "eos_token_id": [1]}
    path.write_text(json.dumps(json.loads(path.read_text()) | hostile))
    asked = [SampleRequest(i, prompts(usual, 1)[0], i, 200) for i in range(32)]
    expected = draw(usual, asked)
    assert sum(tokens[-1] == 0 for tokens in expected.values()) > 24
    # Two live vLLM engines in one process break each other: this call ends the usual one, until it is asked again.
    usual.token_weights([[1, 2]])
    policy = load_policy(str(tmp_path / "hostile"), engine)
    assert draw(policy, asked) == expected
    policy.close()
