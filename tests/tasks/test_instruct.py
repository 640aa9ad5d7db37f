"""Instruct: prompts that can be met, instructions that go together, and no reward for texts that ignore the prompt."""

from __future__ import annotations

import importlib
import random
from itertools import combinations

import pytest

from sveb.suite.records import ProblemRecord
from sveb.tasks.graders.instruction_kinds import FAMILIES, KINDS
from sveb.tasks.graders.instructions import grade_instructions, parse_instruction
from sveb.tasks.task import Task
from sveb.tasks.task_folders import load_code

instruct = load_code("instruct")
kinds = importlib.import_module("sveb_task_instruct.kinds")
topics = importlib.import_module("sveb_task_instruct.topics")
writers = importlib.import_module("sveb_task_instruct.writers")
PROBLEMS: list[ProblemRecord] = instruct.problems("test", 1000, 0)
LOREM = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore "
    "magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo."
)
# What a policy may write that pays no attention to the instructions.
TRIVIAL = {
    "nothing": lambda _problem: "",
    "yes": lambda _problem: "yes",
    "the prompt": lambda problem: problem.question,
    "the prompt twice": lambda problem: f"{problem.question}\n\n{problem.question}",
    "lorem ipsum": lambda _problem: LOREM,
    "the prompt and lorem ipsum": lambda problem: f"{problem.question}\n{LOREM}",
    "a refusal": lambda _problem: "I am sorry, but I am a language model and cannot help you with this request.",
    "the topic's name": lambda problem: f"{problem.extras['topic'][0]} " * 12,
    "the same text with the topic's name": lambda problem: (
        f"Many people love {problem.extras['topic'][0]}. It is a part of our life, and it makes the world a better "
        "place. We can enjoy it every day with our friends and family."
    ),
}


def grade(problem: ProblemRecord, response: str) -> float | None:
    extras = problem.extras
    return grade_instructions(problem.question, extras["instructions"], extras["topic"], response).grade


@pytest.mark.parametrize("policy", TRIVIAL)
def test_less_than_a_tenth_of_the_prompts_pay_a_text_that_ignores_them(policy: str) -> None:
    paid = sum(grade(problem, TRIVIAL[policy](problem)) == 1.0 for problem in PROBLEMS)
    assert paid < 0.1 * len(PROBLEMS)


def drawn(names: tuple[str, ...], seed: int) -> tuple[list[str], float | None, list[float | None]]:
    """Instructions of these kinds, the grade of a reference, and its grades after each one is broken in turn."""
    rng = random.Random(f"{names}{seed}")
    topic = rng.choice(topics.TOPICS)
    asked = {name: kinds.ASKS[name].draw(rng, topic) for name in names}
    instructions = [" ".join(map(str, (name, *arguments))) for name, arguments in asked.items()]
    text = instruct.write(topic, asked)
    broken = [writers.WRITERS[name].spoil(text, *asked[name]) for name in names]
    grades = [grade_instructions("", instructions, topic.names, each).grade for each in (text, *broken)]
    return instructions, grades[0], grades[1:]


def test_any_two_kinds_that_may_stand_together_can_be_kept_together() -> None:
    """For at least half of the numbers and words that can be drawn; a prompt only has those that can."""
    pairs = [pair for pair in combinations(kinds.ASKS, 2) if kinds.compatible(*pair)]
    assert len(pairs) > 600
    for pair in pairs:
        found = [drawn(pair, seed) for seed in range(4)]
        kept = [broken for _, grade, broken in found if grade == 1.0]
        assert len(kept) >= 2, found
        assert {grade for broken in kept for grade in broken} == {0.0}, found


def test_every_kind_can_be_kept_and_broken() -> None:
    assert set(kinds.ASKS) == set(writers.WRITERS) == set(KINDS)
    for name in KINDS:
        for seed in range(20):
            instructions, kept, broken = drawn((name,), seed)
            assert (kept, broken) == (1.0, [0.0]), instructions


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lower_case", "upper_case"), ("words_at_most", "words_at_least"), ("without_commas", "commas_at_least"),
        ("words_at_least", "sentences_exactly"), ("bullets_exactly", "paragraphs_exactly"),
        ("sentences_exactly", "title"), ("begins_with", "first_letter"), ("ends_with", "ends_with_question"),
        ("without_letter", "has_words"), ("without_word", "begins_with"), ("without_word", "without_letter"),
        ("title", "quoted"), ("title", "first_sentence_has"), ("quoted", "ends_with_question"),
    ],
)  # fmt: skip
def test_kinds_that_contradict_each_other_never_stand_together(one: str, other: str) -> None:
    assert not kinds.compatible(one, other)
    assert not kinds.compatible(other, one)


def test_the_rule_is_symmetric_and_no_kind_goes_with_itself() -> None:
    for one, other in combinations(kinds.ASKS, 2):
        assert kinds.compatible(one, other) == kinds.compatible(other, one)
    assert not any(kinds.compatible(name, name) for name in kinds.ASKS)


def test_problems_use_every_kind_and_say_what_is_graded() -> None:
    used: dict[str, int] = dict.fromkeys(KINDS, 0)
    for problem in PROBLEMS:
        names = [parse_instruction(instruction)[0] for instruction in problem.extras["instructions"]]
        for name in names:
            used[name] += 1
        assert problem.tier == {1: "one", 2: "two"}[len(names)]
        assert len(names) == 1 or kinds.compatible(*names)
        for _, arguments in map(parse_instruction, problem.extras["instructions"]):
            said = problem.question.casefold()
            assert all(str(each) in said or instruct.NUMBERS[each] in said for each in arguments), problem
        assert grade(problem, problem.answer) == 1.0
        assert grade(problem, instruct.altered(problem)) == 0.0
    assert min(used.values()) >= 3
    assert {KINDS[name].family for name in used} == set(FAMILIES)
    assert sum(problem.tier == "two" for problem in PROBLEMS) > 250


def test_problems_are_distinct_and_no_two_splits_share_one() -> None:
    assert len({problem.question for problem in PROBLEMS}) > 950
    seen = {
        split: {
            (tuple(p.extras["topic"]), tuple(sorted(i.split()[0] for i in p.extras["instructions"])))
            for seed in (0, 1)
            for p in instruct.problems(split, 300, seed)
        }
        for split in ("train", "test")
    }
    assert not seen["train"] & seen["test"]


def test_problem_i_depends_on_seed_split_and_i_alone() -> None:
    assert instruct.problems("train", 5, 7) == instruct.problems("train", 9, 7)[:5]
    assert instruct.problem("train", 3, 7) == instruct.problems("train", 5, 7)[3]
    with pytest.raises(ValueError, match="validation"):
        instruct.problems("validation", 1, 0)


def test_topics_have_names_and_keywords_that_differ() -> None:
    assert len({topic.name for topic in topics.TOPICS}) == len(topics.TOPICS) >= 90
    for topic in topics.TOPICS:
        assert len(set(topic.words)) == 4
        assert not set(topic.words) & set(topic.names)
        assert any(name in topic.name.casefold() for name in topic.names), topic


def test_the_whole_task_is_part_of_its_fingerprint_and_no_state_counts_as_answered() -> None:
    task = Task.load("instruct")
    assert {path.name for path in task.folder.glob("*.py")} == {
        "draft.py", "kinds.py", "task.py", "topics.py", "writers.py",
    }  # fmt: skip
    assert not task.answered("Rivers carry water. \\boxed{7} ####")


def test_the_worked_examples_keep_their_instructions_and_are_about_topics_of_no_problem() -> None:
    kept = {
        "kettles": ["words_at_most 40"],
        "balloons": ["without_commas", "ends_with_question"],
        "pencils": ["sentences_exactly 3", "has_words paper paper"],
    }
    examples = Task.load("instruct").examples
    assert len(examples) == len(kept)
    for example, (topic, instructions) in zip(examples, kept.items(), strict=True):
        assert topic in example["question"]
        assert topic not in {name for each in topics.TOPICS for name in each.names}
        found = grade_instructions(example["question"], instructions, [topic, topic[:-1]], example["response"])
        assert found.grade == 1.0, found.reason
