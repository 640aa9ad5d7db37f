"""The grader of instructions: its rules have goldens in tests/data/grading; here what holds for every text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sveb.common.errors import SvebError
from sveb.tasks.graders.instruction_kinds import FAMILIES, KINDS
from sveb.tasks.graders.instructions import grade_instructions, instructions_fault, own_words, parse_instruction
from sveb.tasks.graders.response_text import ResponseText, words_of

GOLDENS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data/grading/instructions.jsonl").read_text().splitlines()
]
DOCS = (Path(__file__).parents[2] / "docs/instruct.md").read_text()
# One instruction of every kind: numbers are 3, words are "sea", letters are "s".
EVERY = [" ".join((name, *("3" if each is int else "s" for each in kind.arguments))) for name, kind in KINDS.items()]
LONG = 200_000
HOSTILE = {
    "empty": "",
    "one word": "a" * LONG,
    "one sign": "." * LONG,
    "marks without an end": "?!" * (LONG // 2) + "a",
    "blanks": " " * LONG + "a",
    "blank lines": "\n \t" * (LONG // 3),
    "returns": "\r" * LONG,
    "open parentheses": "(" * LONG,
    "an open parenthesis": "(" + "a" * LONG,
    "an open bracket": "[" + "a " * (LONG // 2) + "\na",
    "asterisks": "*" * LONG,
    "open bold": "**a" * (LONG // 3),
    "list marks": "- " * (LONG // 2),
    "numbers of items": "1. a\n" * (LONG // 5),
    "long numbers": "9" * LONG + ".",
    "initials": "A. " * (LONG // 3),
    "dashes": "-" * LONG,
    "quotes": '"' * LONG,
    "commas": "," * LONG,
    "money": "$a " * (LONG // 3),
    "fences": "```\n" * (LONG // 4),
    "short words": "s sea " * (LONG // 6),
    "accents": "e" + "\u0301" * LONG,
    "emojis": "👩‍👩‍👧‍👦" * (LONG // 7),
    "letters that grow in lower case": "İß" * (LONG // 2),
    "nulls": "\0" * LONG,
    "half characters": "\ud800" * LONG,
}


def test_every_kind_has_a_positive_and_a_negative_golden() -> None:
    """Each on its own; the negative is a text on the topic that breaks this instruction and nothing else."""
    alone = [row for row in GOLDENS if len(row["instructions"]) == 1 and "topic" not in row and "question" not in row]
    for wanted in (0, 1):
        found = {row["instructions"][0].split()[0] for row in alone if row["return"] == wanted}
        assert set(KINDS) <= found


def test_every_kind_belongs_to_a_family_and_is_in_the_docs_with_its_family() -> None:
    assert {kind.family for kind in KINDS.values()} == set(FAMILIES)
    rows = [line for line in DOCS.splitlines() if line.startswith("| ")]
    for name, kind in KINDS.items():
        types = ["n" if each is int else "word" for each in kind.arguments]
        assert [row for row in rows if row.startswith(f"| {kind.family} | `{name}`")], (name, types)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_gets_a_grade_at_once(name: str) -> None:
    """Time that grew with the square of the length would take hours here."""
    text, parts = HOSTILE[name], ResponseText(HOSTILE[name])
    for instruction in EVERY:
        kind, arguments = parse_instruction(instruction)
        assert KINDS[kind].holds(parts, *arguments) in (True, False)
    assert grade_instructions(text, EVERY, ["sea"], text).grade == 0.0


@given(st.text(), st.sampled_from(EVERY))
def test_any_text_gets_0_or_1_and_line_ends_and_blanks_around_it_change_nothing(text: str, instruction: str) -> None:
    said = grade_instructions("", [instruction], None, text)
    assert said.grade in (0.0, 1.0)
    assert grade_instructions("", [instruction], None, f"\n {text} \r\n") == said
    assert grade_instructions("", [instruction], None, text.replace("\r", "").replace("\n", "\r\n")).grade == (
        grade_instructions("", [instruction], None, text.replace("\r", "")).grade
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("a well-known man, don't you think?", ["a", "well-known", "man", "don't", "you", "think"]),
        ("e.g. 3.5 km and/or 2", ["e.g", "3.5", "km", "and/or", "2"]),
        ("stop—go -- now...later … end", ["stop", "go", "now", "later", "end"]),
        ("# Title\n- one\n  * two\n12. three\n1) four\n• five", ["title", "one", "two", "three", "four", "five"]),
        ('**Bold** _it_ `code` "said" (so) 🙂 --- ***', ["bold", "it", "code", "said", "so"]),
        ("1. 2. 3", ["2", "3"]),
        ("-dash #tag", ["dash", "tag"]),
        ("Straße ÉTÉ", ["strasse", "été"]),
    ],
)
def test_words_as_docs_say(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_words_in_a_run_that_the_prompt_has_too_are_not_own_words() -> None:
    prompt = words_of("write a short text about the sea")
    assert own_words(words_of("here is a short text about the sea"), prompt) == ["here", "is"]
    assert own_words(words_of("a short text about a sea"), prompt) == ["a", "short", "text", "about", "a", "sea"]
    assert own_words(prompt * 2, prompt) == []
    assert own_words([], prompt) == [] == own_words([], [])
    assert own_words(["so"], []) == ["so"]


@pytest.mark.parametrize(
    ("instruction", "said"),
    [
        ("words_at_mots 3", "unknown kind of instruction 'words_at_mots': did you mean words_at_most?"),
        ("words_at_most", "expected 'words_at_most number'"),
        ("has_words sea", "expected 'has_words word word'"),
        ("without_commas 3", "expected 'without_commas'"),
        ("word_at_least sea two", "with a whole number up to 9999"),
        ("words_at_most -3", "with a whole number up to 9999"),
        ("words_at_most 10000", "with a whole number up to 9999"),
    ],
)
def test_an_instruction_that_cannot_be_read_says_what_was_expected(instruction: str, said: str) -> None:
    with pytest.raises(SvebError, match=said):
        parse_instruction(instruction)
    assert grade_instructions("", [instruction], None, "x").grade is None


@pytest.mark.parametrize("instructions", [None, [], "lower_case", [3], [""], {"lower_case": 1}])
def test_instructions_that_are_no_list_of_texts_are_missing_not_zero(instructions: object) -> None:
    assert "expected a list of texts" in str(instructions_fault(instructions, None))
    assert grade_instructions("", instructions, None, "x").grade is None
    assert "expected a list of words" in str(instructions_fault(["lower_case"], instructions or "sea"))
