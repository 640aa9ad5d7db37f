"""Live sampling: whole continuations and next steps of the suite's states, seeded, graded, charged and bounded."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.common.seeds import SPACE, seeds
from sveb.harness import live_sampling as live
from sveb.harness.forward_passes import RefusedError
from sveb.harness.live_sampling import Live, Prefix
from sveb.harness.policy_server import Broker
from sveb.harness.run_estimator import run
from sveb.harness.visible_inputs import Inputs
from sveb.harness.wire import Message
from sveb.policies import engines
from sveb.policies.policy import Policy
from sveb.runs.predictions import Predictions
from sveb.suite.suite import Suite
from tests.harness.sets import show_all


@pytest.fixture(autouse=True)
def _without_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it is not installed: two of its engines in one process break each other."""
    monkeypatch.setattr(engines, "choose_engine", lambda *_, **__: "transformers")


@pytest.fixture
def broker(tiny_suite: Path) -> Iterator[Broker]:
    suite = Suite.open(tiny_suite)
    found = Broker(suite, Inputs(suite, seed=0))
    show_all(found)
    yield found
    found.close()


def prefixes(broker: Broker, count: int) -> list[Prefix]:
    inputs = broker.inputs
    return [
        Prefix(
            broker.shown.row_of_number[number], inputs.record("test", index), inputs.prompt("test", index),
            inputs.state_tokens(broker.shown.row_of_number[number]),
        )
        for number, index in enumerate(broker.shown.problem_of_number[:count])
    ]  # fmt: skip


def test_continuations_end_their_response_and_are_graded(broker: Broker) -> None:
    asked = prefixes(broker, 6)
    found = broker.live.continuations(asked, 3)
    codec = broker.live._policy.codec
    for prefix, drawn in zip(asked, found, strict=True):
        assert len(drawn) == 3
        for one in drawn:
            assert one.finished
            assert one.text == codec.decode([*prefix.token_ids.tolist(), *one.token_ids.tolist()])
            assert one.return_ == float(one.text.rpartition("####")[2].strip() == prefix.problem.answer)
            assert 0 <= one.step < len(one.token_ids)
            assert one.step_text == codec.decode([*prefix.token_ids.tolist(), *one.token_ids[: one.step].tolist()])
            if one.step:
                assert one.step_text.endswith("\n")
                assert one.step_text.count("\n") == codec.decode(prefix.token_ids.tolist()).count("\n") + 1
    assert broker.tokens_sampled == sum(len(one.token_ids) for drawn in found for one in drawn)


def test_next_steps_stop_at_their_end_and_cost_little_more(broker: Broker) -> None:
    asked = prefixes(broker, 8)
    found = [one for drawn in broker.live.steps(asked, 4) for one in drawn]
    longest = int(broker.live._task.steps["max_tokens"])
    going_on = [one for one in found if not one.finished]
    assert len(going_on) > 10
    for one in going_on:
        assert one.step == len(one.token_ids) <= longest
        assert np.isnan(one.return_)
        assert one.text.endswith("\n") or one.step == longest
    for one in (one for one in found if one.finished):
        assert one.step == 0
        assert one.return_ in (0.0, 1.0)
    steps = sum(len(one.token_ids) for one in found)
    assert steps <= broker.tokens_sampled <= steps + len(found) * (longest // live._ROUNDS + 1)


def test_the_same_question_gets_the_same_answer_whatever_else_is_asked(broker: Broker) -> None:
    asked = prefixes(broker, 4)
    together = broker.live.steps(asked, 2)
    (alone,) = broker.live.steps(asked[2:3], 2)
    assert [one.text for one in alone] == [one.text for one in together[2]]
    assert (
        len({tuple(one.token_ids.tolist()) for drawn in broker.live.continuations(asked[:1], 6) for one in drawn}) > 1
    )


def test_another_seed_is_another_sample(tiny_suite: Path, broker: Broker) -> None:
    suite = Suite.open(tiny_suite)
    other = Live(suite.manifest, 1, lambda: Inputs(suite, seed=1).longest_prompt)
    asked = prefixes(broker, 4)
    mine, theirs = broker.live.continuations(asked, 4), other.continuations(asked, 4)
    other.close()
    assert [one.text for row in mine for one in row] != [one.text for row in theirs for one in row]


def test_every_sample_has_a_seed_of_its_own_and_none_of_the_suites(broker: Broker) -> None:
    """The suite's continuations are numbered from 0 up; these take numbers from 2^31 on."""
    row = prefixes(broker, 1)[0]
    slots = range(live._PER_STATE)
    made = [
        broker.live._request((0, 0), Prefix(number, row.problem, row.prompt, row.token_ids), (), slot, 1).seed
        for number in range(3)
        for slot in slots
    ]
    assert len(set(made)) == 3 * live._PER_STATE
    assert not set(made) & set(seeds(broker.live._manifest.seed, np.arange(200_000)).tolist())
    assert max(made) < SPACE


def test_a_sampled_state_can_be_read_but_not_continued(broker: Broker) -> None:
    numbers = np.arange(3)
    reply, arrays = broker.answer(Message("sample", {"n": 4, "until": "step"}, [numbers]))
    led_to = arrays[5]
    assert led_to.shape == (12,)
    sampled = led_to[led_to >= 0]
    assert sampled.tolist() == list(range(len(broker.inputs.state_ids), len(broker.inputs.state_ids) + len(sampled)))
    _, (hidden,) = broker.answer(Message("hidden_states", {"layer": -1}, [sampled]))
    assert hidden.shape == (len(sampled), 128)
    # What is read is what was sampled: the state's own prefix gives the same hidden state.
    tokens, lengths = arrays[0], arrays[1]
    place = int(np.flatnonzero(led_to >= 0)[0])
    start = int(lengths[:place].sum())
    index = broker.shown.problem_of_number[place // 4]
    whole = [
        broker.inputs.prompt("test", index), broker.inputs.state_tokens(broker.shown.row_of_number[place // 4]),
        tokens[start : start + lengths[place]],
    ]  # fmt: skip
    sequence = np.concatenate(whole).astype(np.int32)
    (expected,) = broker.forward.hidden_at([sequence], [np.array([len(sequence)])], -1)
    np.testing.assert_allclose(hidden[0], expected[0], atol=1e-4)
    assert len(reply["texts"]) == 12
    for op, body in (("draws", {"k": 1}), ("sample", {"n": 1, "until": "end"})):
        with pytest.raises(RefusedError, match="only the suite's states can be continued"):
            broker.answer(Message(op, body, [sampled[:1]]))


def test_only_the_last_sampled_states_are_kept(broker: Broker) -> None:
    broker._sampled = type(broker._sampled)(maxlen=5)
    for _ in range(2):
        _, arrays = broker.answer(Message("sample", {"n": 4, "until": "step"}, [np.arange(3)]))
    led_to = arrays[5][arrays[5] >= 0]
    assert broker.answer(Message("hidden_states", {"layer": -1}, [led_to[-5:]]))[1][0].shape == (5, 128)
    with pytest.raises(RefusedError, match="the last 5 are kept"):
        broker.answer(Message("hidden_states", {"layer": -1}, [led_to[-6:]]))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"n": 0, "until": "end"}, "0 continuations per state were asked for: expected 1 to 512"),
        ({"n": 513, "until": "end"}, "expected 1 to 512"),
        ({"n": 129, "until": "step"}, "129 next steps per state were asked for: expected 1 to 128"),
        ({"n": 512, "until": "end"}, "at once, at most 4096 are sampled"),
    ],
)
def test_what_may_be_asked_is_bounded(broker: Broker, body: dict, says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        broker.answer(Message("sample", body, [np.arange(9)]))
    assert broker.tokens_sampled == 0
    assert broker.budget == []


def test_a_policy_that_fails_is_told_by_its_first_line(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA out of memory\nmore of it")

    for name in ("sample", "hidden_states"):
        monkeypatch.setattr(f"sveb.policies.transformers_engine.TransformersPolicy.{name}", fail)
    asked = {"sample": {"n": 1, "until": "end"}, "hidden_states": {"layer": 1}}
    for op, body in asked.items():
        with pytest.raises(SvebError, match=rf"failed when asked for {op} \(RuntimeError: CUDA out of memory\)$"):
            broker.answer(Message(op, body, [np.arange(1)]))


@pytest.mark.parametrize(("protocol", "spent"), [("standard", True), ("paper", False)])
def test_the_token_budget_is_that_of_the_suites_own_continuations(
    broker: Broker, tiny_suite: Path, protocol: str, spent: bool
) -> None:
    manifest = replace(Suite.open(tiny_suite).manifest, protocol=protocol)
    prefix = max(prefixes(broker, 10), key=lambda each: len(each.token_ids))
    assert len(prefix.token_ids) > 10
    whole = manifest.sampling["max_new_tokens"]
    other = Live(manifest, 0, lambda: broker.inputs.longest_prompt)
    assert other._left(prefix) == whole - spent * len(prefix.token_ids)


def test_live_and_drawn_continuations_are_of_one_kind(tiny_suite: Path, tmp_path: Path) -> None:
    """Both are charged, and their means differ by no more than chance."""
    suite = Suite.open(tiny_suite)
    found = {}
    for source in ("draws", "live"):
        predictions = Predictions.read(run(suite, "mc", {"k": "4", "source": source}, tmp_path / source))
        assert predictions.info.budget == ["extra_rollouts"]
        found[source] = predictions
    tokens = [each.info.cost.tokens_sampled_per_state for each in found.values()]
    assert tokens[0] == pytest.approx(tokens[1], rel=0.15)
    gap = found["draws"].values - found["live"].values
    assert not np.array_equal(found["draws"].values, found["live"].values)
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(len(gap))


def test_vllm_serves_as_well(broker: Broker, nano_vllm: Policy) -> None:
    broker.live.__dict__["_policy"] = nano_vllm  # the session's engine, in the place of a second one
    asked = prefixes(broker, 5)
    first, again = broker.live.steps(asked, 3), broker.live.steps(asked, 3)
    assert [one.text for row in first for one in row] == [one.text for row in again for one in row]
    assert all(one.finished or one.text.endswith("\n") for row in first for one in row)
    whole = [one for row in broker.live.continuations(asked, 3) for one in row]
    assert {one.return_ for one in whole} <= {0.0, 1.0}
    assert all(one.finished for one in whole)


def test_an_estimator_in_training_cannot_sample(tiny_suite: Path, write_estimator, tmp_path: Path) -> None:
    source = """
from sveb import Estimator
class Mine(Estimator):
    def fit(self, train):
        from sveb.contract.problem import State
        import numpy as np
        self.policy.sample([State("s000000", np.empty(0, np.int32), "", 0, 0, "root")], 1)
    def predict(self, problem):
        return [0.5] * len(problem.states)
"""
    with pytest.raises(SvebError, match="unexpected 'sample' while waiting for 'done' of fit"):
        run(Suite.open(tiny_suite), write_estimator(source), {}, tmp_path)
