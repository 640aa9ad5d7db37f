"""States are shown from short to long: no estimator sees a state's future before it has valued the state."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sveb.harness.forward_passes import RefusedError
from sveb.harness.policy_server import Broker
from sveb.harness.run_estimator import run
from sveb.harness.shown_states import ShownStates, depths
from sveb.harness.visible_inputs import Inputs
from sveb.harness.wire import Message, WireError
from sveb.runs.predictions import Predictions
from sveb.suite.suite import EMBEDDED_DIR, EMBEDDED_SUITE, Suite

FOREST = st.lists(st.lists(st.integers(0, 1), max_size=6).map(tuple), min_size=1, max_size=20)


def extends(longer: tuple[int, ...], shorter: tuple[int, ...]) -> bool:
    return len(longer) > len(shorter) and longer[: len(shorter)] == shorter


def longest_chain(states: list[tuple[int, ...]], top: tuple[int, ...]) -> int:
    """Length of the longest chain of different strict prefixes below a state, by recursion."""
    return max((1 + longest_chain(states, each) for each in states if extends(top, each)), default=0)


def as_tokens(states: list[tuple[int, ...]]) -> list[np.ndarray]:
    return [np.array(state, dtype=np.int32) for state in states]


@given(FOREST)
def test_a_states_set_is_the_longest_chain_of_prefixes_below_it(states: list[tuple[int, ...]]) -> None:
    assert depths(as_tokens(states), [""] * len(states)).tolist() == [longest_chain(states, state) for state in states]


@given(FOREST)
def test_no_set_extends_itself_or_a_later_one_and_there_are_no_more_sets_than_needed(
    states: list[tuple[int, ...]],
) -> None:
    found = depths(as_tokens(states), [""] * len(states))
    for one, its in zip(states, found, strict=True):
        for other, others in zip(states, found, strict=True):
            assert not (extends(one, other) and its <= others)
            assert one != other or its == others
    assert sorted(set(found.tolist())) == list(range(found.max() + 1))
    assert found.max() == max(longest_chain(states, state) for state in states)


@given(FOREST, st.data())
def test_a_state_whose_text_another_one_begins_with_comes_first(states: list[tuple[int, ...]], data) -> None:
    """Texts that were tokenised again: `ab` may be one token, and the first two characters of `abc` two others."""
    texts = ["".join(map(str, state)) for state in states]
    order = data.draw(st.permutations(range(len(states))))
    found = depths(as_tokens([(100 + place, place) for place in order]), texts)
    assert found.tolist() == [longest_chain(states, state) for state in states]


def test_chains_of_tokens_and_of_texts_are_one_chain() -> None:
    tokens = as_tokens([(9, 9), (1,), (1, 2), (7,)])
    assert depths(tokens, ["abcd", "a", "ab\ufffd", "abc"]).tolist() == [2, 0, 1, 1]
    assert depths(tokens, ["ab\ufffdd", "a", "ab\ufffd", ""]).tolist() == [3, 1, 2, 0]


@given(st.lists(FOREST, max_size=4), st.randoms(use_true_random=False))
def test_every_state_is_shown_once_whatever_the_order_of_problems(forests, random) -> None:
    sets, first = [], 0
    for states in forests:
        depth = depths(as_tokens(states), [""] * len(states))
        rows = first + np.arange(len(states))
        sets.append([rows[depth == each] for each in range(depth.max() + 1)])
        first += len(states)
    shown = ShownStates(sets)
    seen: list[int] = []
    left = list(range(len(sets)))
    while left:
        index = random.choice(left)
        rows = shown.show(index)
        if not len(rows):
            left.remove(index)
            continue
        seen += rows.tolist()
        with pytest.raises(WireError, match="must first give the values"):
            shown.show(index)
        assert shown.answered(index).tolist() == rows.tolist()
        with pytest.raises(WireError, match="waits for none"):
            shown.answered(index)
    assert sorted(seen) == list(range(first))
    assert shown.row_of_number == seen
    assert shown.n_finished == len(sets)


def asked(broker: Broker, op: str, numbers: list[int]) -> None:
    body = {"k": 1, "n": 1, "layer": -1, "until": "end"}
    broker.answer(Message(op, body, [np.array(numbers, dtype=np.int64)]))


SOLD = ("draws", "sample", "hidden_states", "token_hidden_states", "logprobs", "confidences", "answer_logprobs")


@pytest.mark.parametrize("op", SOLD)
def test_nothing_is_sold_for_a_state_that_has_not_been_shown(suite: Suite, op: str) -> None:
    broker = Broker(suite, Inputs(suite, 0))
    sets = broker.inputs.state_sets[0]
    broker.shown.show(0)
    with pytest.raises(RefusedError, match=rf"the state s{len(sets[0]):06d} has not been shown yet"):
        asked(broker, op, [0, len(sets[0])])
    broker.shown.answered(0)
    broker.shown.show(0)
    asked(broker, "draws", [0, len(sets[0])])


def test_the_next_set_comes_only_after_the_values(suite: Suite) -> None:
    broker = Broker(suite, Inputs(suite, 0))
    question = Message("states", {"problems": [0]})
    body, _ = broker.answer(question)
    assert body["kinds"] == ["root"]
    with pytest.raises(WireError, match="must first give the values"):
        broker.answer(question)
    broker.shown.answered(0)
    assert broker.answer(question)[0]["kinds"] == ["path", "path"]


def test_no_number_says_how_many_states_are_still_to_come(suite: Suite) -> None:
    """The first states of two problems have neighbouring numbers, however many states the first problem has."""
    broker = Broker(suite, Inputs(suite, 0))
    first = [broker.answer(Message("states", {"problems": [i]}))[0]["first_state"] for i in (0, 1)]
    assert first == [0, 1]


COUNTING = """
import json
from pathlib import Path
from sveb import Estimator
class Counting(Estimator):
    def predict(self, problem):
        with (self.workplace.home / "calls.jsonl").open("a") as calls:
            print(json.dumps([problem.question, [s.token_ids.tolist() for s in problem.states]]), file=calls)
        return [0.5] * len(problem.states)
"""


def test_a_problem_is_asked_for_at_most_as_often_as_its_longest_chain(
    write_estimator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the embedded suite, as counted by an estimator; what it sees never extends what it sees later."""
    monkeypatch.chdir(tmp_path)
    suite = Suite.open(EMBEDDED_DIR / EMBEDDED_SUITE)
    run(suite, write_estimator(COUNTING), {}, tmp_path)
    calls: dict[str, list[list[list[int]]]] = {}
    for question, states in map(json.loads, (tmp_path / "calls.jsonl").read_text().splitlines()):
        calls.setdefault(question, []).append(states)
    problems = suite.problems.set_index("problem_id")["question"].to_dict()
    for problem, states in suite.states.groupby("problem_id"):
        different = {tuple(tokens) for tokens in states["token_ids"]}
        sets = calls[problems[problem]]
        assert len(sets) == 1 + max(longest_chain(sorted(different), state) for state in different)
        assert sum(map(len, sets)) == len(states)
        assert {tuple(tokens) for each in sets for tokens in each} == different


READING = """
from sveb import Estimator
class Reading(Estimator):
    def predict(self, problem):
        self.policy.{ask}
        return [0.5] * len(problem.states)
"""


@pytest.mark.parametrize("ask", ["hidden_states(problem.states)", "rollout_hidden_states(problem)"])
def test_sets_do_not_raise_what_reading_costs(tiny_suite: Path, write_estimator, tmp_path: Path, ask: str) -> None:
    """Each token of the longest states, or of the group, is charged once for a problem, however many sets ask."""
    suite = Suite.open(tiny_suite)
    inputs = Inputs(suite, 0)
    tokens = 0
    for index, rows in enumerate(inputs.state_rows):
        n_prompt = len(inputs.prompt("test", index))
        read = [tuple(inputs.state_tokens(row)) for row in rows]
        if "rollout" in ask:
            read = [tuple(each) for each in inputs.rollouts("test", index).token_ids]
        tokens += sum(n_prompt + len(one) for one in set(read) if not any(extends(other, one) for other in read))
    cost = Predictions.read(run(suite, write_estimator(READING.format(ask=ask)), {}, tmp_path)).info.cost
    assert cost.tokens_read_per_state == pytest.approx(tokens / len(inputs.state_ids))


PEEKING = """
import numpy as np
from sveb import Estimator
class Peeking(Estimator):
    def predict(self, problem):
        seen = problem.remember("seen", list)
        draws = self.policy.draws(problem.states, 1)[:, 0]
        seen += [(state.token_ids.tolist(), draw) for state, draw in zip(problem.states, draws)]
        values = []
        for state, own in zip(problem.states, draws):
            mine = state.token_ids.tolist()
            later = [draw for other, draw in seen if len(other) > len(mine) and other[: len(mine)] == mine]
            values.append(0.4 * own + 0.6 * np.nanmean(later) if later else own)
        return values
"""


def test_an_estimator_that_averages_over_later_states_gains_nothing(tiny_suite: Path, write_estimator, values) -> None:
    """Its values are those of single draws: it has never seen a state that extends one it still has to value."""
    suite = Suite.open(tiny_suite)
    assert values(suite, write_estimator(PEEKING)) == values(suite, "mc", {"k": 1})


REMEMBERING = """
import numpy as np
def predict(problem):
    made = problem.remember("made", list)
    made.append(len(problem.states))
    assert problem.group is problem.group and problem.remember("made", dict) is made
    return [sum(made) / 100] * len(problem.states)
"""


def test_what_is_remembered_is_kept_for_the_problems_later_sets_and_no_other_problem(
    suite: Suite, write_estimator, values
) -> None:
    """One root, two states of one step, two of two steps: 1, 3 and 5 states so far."""
    found = values(suite, write_estimator(REMEMBERING))
    assert sorted(found.values()) == [0.01] * 3 + [0.03] * 6 + [0.05] * 6


def test_a_batch_is_at_the_same_set_of_each_problem(suite: Suite, write_estimator, values) -> None:
    source = """
from sveb import Estimator
class Mine(Estimator):
    def predict_batch(self, problems):
        lengths = {state.n_tokens for problem in problems for state in problem.states}
        assert len(problems) == 3 and len(lengths) == 1
        return [[0.5] * len(problem.states) for problem in problems]
"""
    assert set(values(suite, write_estimator(source)).values()) == {0.5}
