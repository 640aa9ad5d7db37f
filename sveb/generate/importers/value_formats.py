"""Monte Carlo values of prefixes as others publish them, one reader for each layout. `VALUE_FORMATS` is the table.

docs/import.md says where the layouts were read. To add one, write a reader that turns a row into a `Valued`, and add it
to the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sveb.common.errors import SvebError, unknown_name
from sveb.generate.importers.dumped import Prompt, read_prompt
from sveb.generate.importers.findings import Findings, Row, Tokens, answer_text, jsonl_rows, table_rows
from sveb.suite.export import STEP_MARK

_WHOLE = 1e-3  # how far mean times count may be from a whole number


@dataclass(frozen=True)
class Value:
    """What is known of one state: the mean of `n` graded returns, and the returns (None: ungraded) if they were kept.

    `hard`: only whether a continuation was right is known, so the mean is 0 or 1 and n is 1.
    """

    mean: float
    n: int
    returns: tuple[float | None, ...] | None = None
    hard: bool = False


@dataclass(frozen=True, kw_only=True)
class Valued:
    """A response, or its beginning, with values.

    `parts` are texts or token ids, one after the other; values[i] belongs to the state at the end of parts[i]. At most
    one more part follows. `text` is the text of the response, if the data has it next to token ids. The prompt is given
    as a bare `question`, as a `prompt`, or as token ids. `context` are other responses to it with their returns.
    """

    place: str
    parts: Sequence[str | Tokens]
    values: Sequence[Value]
    text: str | None = None
    question: str | None = None
    prompt: Prompt | None = None
    prompt_ids: Tokens | None = None
    answer: str = ""
    tier: str | None = None
    return_: float | None = None
    context: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class Reading:
    """What readers need besides the row.

    `continuations` is how many returns a value is the mean of where rows do not say it; None: they must.
    `prompt_end` gives the length of the prompt at the start of token ids.
    """

    findings: Findings
    continuations: int | None
    prompt_end: Callable[[Tokens], int]


@dataclass(frozen=True)
class ValueFormat:
    """One layout. `read` turns a row into a `Valued`; None: it is left out, and it says why to the findings."""

    name: str
    about: str
    read: Callable[[Row, Reading], Valued | None] = field(repr=False)


def read_values(source: Path, name: str, reading: Reading) -> tuple[list[Path], Iterator[Valued]]:
    """The files in `source` (a folder or one file: parquet or jsonl), and what their rows say.

    Raises SvebError for an unknown format, a missing source, and rows of another kind.
    """
    if name not in VALUE_FORMATS:
        raise unknown_name("format", name, VALUE_FORMATS)
    form = VALUE_FORMATS[name]
    if not source.exists():
        raise SvebError(f"{source} does not exist: expected {form.about}")
    found = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.suffix in _ROWS)
    if not found or any(path.suffix not in _ROWS for path in found):
        raise SvebError(f"{source}: expected files ending in {' or '.join(_ROWS)} ({form.about})")

    def rows() -> Iterator[Valued]:
        for path in found:
            for row in _ROWS[path.suffix](path, reading.findings):
                if (valued := form.read(row, reading)) is not None:
                    yield valued

    return found, rows()


_ROWS: dict[str, Callable[[Path, Findings], Iterator[Row]]] = {".parquet": table_rows, ".jsonl": jsonl_rows}


def _value(row: Row, key: str, mean: Any, n: Any, reading: Reading) -> Value:
    """A mean of n returns; n None: the number that the caller named."""
    if not _is_share(mean):
        raise row.wrong(key, "a number in [0, 1] for each state")
    n = reading.continuations if n is None else n
    if n is None:
        raise SvebError(
            f"{row.place}: the row does not say how many continuations {key} is the mean of: name it with "
            "--continuations N"
        )
    if type(n) is not int or n < 1:
        raise SvebError(f"{row.place}: the number of continuations is {n!r}: expected a whole number of at least 1")
    if abs(mean * n - round(mean * n)) > _WHOLE:
        reading.findings.warn("a value that is not a multiple of 1/n: not the mean of n returns of 0 or 1", row.place)
    return Value(float(mean), n)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _of_returns(row: Row, key: str) -> Value:
    returns = row.list(key)
    if not all(each is None or isinstance(each, bool) or _is_share(each) for each in returns):
        raise row.wrong(key, "a list of returns in [0, 1], null where one could not be graded")
    stored = tuple(None if each is None else float(each) for each in returns)
    graded = np.asarray([each for each in stored if each is not None], dtype=np.float32)
    return Value(float(graded.astype(float).mean()) if len(graded) else float("nan"), len(graded), stored)


# --- sveb: `sveb suite export --as parquet`, or the same keys in jsonl


def _sveb(row: Row, reading: Reading) -> Valued:
    prefix: str | Tokens = row.tokens("prefix_token_ids") if row.has("prefix_token_ids") else row.text("prefix")
    exact = row.has("prompt_token_ids")
    if row.has("returns"):
        value = _of_returns(row, "returns")
    else:
        value = _value(row, "value", row.get("value"), row.whole("n") if row.has("n") else None, reading)
    return Valued(
        place=row.place,
        question=row.text("question") if not row.has("prompt") else None,
        prompt=read_prompt(row, "prompt") if row.has("prompt") else None,
        prompt_ids=row.tokens("prompt_token_ids") if exact else None,
        parts=[prefix],
        values=[value],
        answer=answer_text(row.get("answer")),
        tier=row.text("tier") if row.has("tier") else None,
    )


# --- prm: stepwise supervision of TRL, and `sveb suite export --as prm`


def _prm(row: Row, reading: Reading) -> Valued | None:
    steps = row.list("completions")
    if not steps or not all(isinstance(step, str) and step for step in steps):
        raise row.wrong("completions", "a list of steps, each a text that is not empty")
    # Published steps have lost the space around them. TRL's own trainer joins them with line breaks.
    bare = all(step == step.strip() for step in steps)
    steps = [f"\n{step}" if bare and place else step for place, step in enumerate(steps)]
    return _of_steps(row, row.text("prompt"), steps, row.list("labels"), reading)


def _of_steps(row: Row, question: str, steps: list[str], labels: list[Any], reading: Reading) -> Valued | None:
    """A response in steps; labels are numbers (with "n", if there is one) or True and False (hard)."""
    if len(labels) != len(steps):
        raise row.wrong("labels", f"{len(steps)} labels, one for each step")
    hard = all(isinstance(label, bool) for label in labels)
    if not hard:
        counts = row.list("n") if row.has("n") else [None] * len(labels)
        if len(counts) != len(labels):
            raise row.wrong("n", f"{len(labels)} numbers, one for each label")
        values = [_value(row, "labels", label, n, reading) for label, n in zip(labels, counts, strict=True)]
        return Valued(place=row.place, question=question, parts=steps, values=values, tier=_tier(row))
    if len(steps) == 1:
        reading.findings.warn("one step, which is the whole response, so no state: left out", row.place)
        return None
    # The last step ends the response: its label is the outcome, and no state.
    return Valued(
        place=row.place,
        question=question,
        parts=steps,
        values=[Value(float(label), 1, hard=True) for label in labels[:-1]],
        tier=_tier(row),
        return_=float(labels[-1]),
    )


def _tier(row: Row) -> str | None:
    return row.text("task") if row.has("task") else None


# --- math-shepherd: {input, label, task}, each a text of the question and steps with a mark after each step

_MARK = re.compile(f" ?{STEP_MARK}")


def _math_shepherd(row: Row, reading: Reading) -> Valued | None:
    whole = row.text("input")
    if row.has("prompt"):  # our own export: questions need no "Step 1:" after them
        question = row.text("prompt")
        start = len(question) + 1
        if not whole.startswith(f"{question} "):
            raise row.wrong("input", "the prompt, a space, and the steps")
    else:
        start = whole.find("Step 1:")
        question = whole[:start].strip()
        if start < 0 or not question:
            raise row.wrong("input", "a question, and steps that begin with 'Step 1:'")
    steps, signs = _signs(row, whole, start)
    labels = row.list("labels") if row.has("labels") else [sign == "+" for sign in signs]
    return _of_steps(row, question, steps, labels, reading)


def _signs(row: Row, whole: str, start: int) -> tuple[list[str], list[str]]:
    """The steps, and the sign that `label` has in the place of each step's mark."""
    label, first = row.text("label"), start
    steps: list[str] = []
    signs: list[str] = []
    for mark in _MARK.finditer(whole, start):
        steps.append(whole[start : mark.start()])
        # Each mark before this one is longer than the sign in its place.
        place = mark.end() - len(STEP_MARK) - len(signs) * (len(STEP_MARK) - 1)
        signs.append(label[place : place + 1])
        start = mark.end()
    left = iter(signs)
    expected = whole[:first] + re.sub(STEP_MARK, lambda _: next(left), whole[first:])
    if not steps or not set(signs) <= {"+", "-"} or label.strip() != expected.strip():
        raise row.wrong("label", f"the input with + or - in the place of each {STEP_MARK}")
    return steps, signs


# --- open-instruct: the parquet of its value_estimation.py


def _open_instruct(row: Row, reading: Reading) -> Valued | None:
    text, tokens = row.text("rollout_text"), row.tokens("rollout_tokens")
    places, means = row.list("probe_positions"), row.list("mc_values")
    if len(means) != len(places):
        raise row.wrong("mc_values", f"{len(places)} values, one for each of probe_positions")
    if not all(type(place) is int and 0 <= place <= len(tokens) for place in places):
        raise row.wrong("probe_positions", f"a list of numbers of tokens, 0 to {len(tokens)}")
    if not places:
        reading.findings.warn("no probe_positions, so no state: left out", row.place)
        return None
    n = row.whole("num_continuations")
    pairs = sorted(zip(places, means, strict=True))
    whole: str | Tokens = tokens
    cuts = [place for place, _ in pairs]
    # Only the later layout has the prompt's tokens, and continued the rollout's tokens.
    exact = row.has("prompt_token_ids")
    if not exact:
        reading.findings.warn(
            "the older layout: continuations began at that share of the text, and were graded without their prefix",
            row.place,
        )
        whole, cuts = text, [len(text) * place // max(1, len(tokens)) for place in cuts]
    siblings = [Row(f"{row.place}, sibling_rollouts", each) for each in row.list("sibling_rollouts")]
    return Valued(
        place=row.place,
        question=row.text("problem") if exact and row.has("problem") else None,
        prompt=row.text("prompt"),
        prompt_ids=row.tokens("prompt_token_ids") if exact else None,
        parts=[whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)],
        values=[_value(row, "mc_values", mean, n, reading) for _, mean in pairs],
        text=text,
        answer=answer_text(row.get("ground_truth")),
        return_=float(bool(row.get("rollout_is_correct"))),
        context=[(each.text("text"), float(bool(each.get("is_correct")))) for each in siblings],
    )


# --- stop: {prefix_token_ids, Soft_label}, the tokens of prompt and prefix

# In the order in which its dataset class looks for them; the last one is the name in its data card.
_SOFT = ("Soft_label", "soft_label", "good_probability", "label_prob", "score", "s_mc")


def _stop(row: Row, reading: Reading) -> Valued:
    tokens = row.tokens("prefix_token_ids")
    key = next((key for key in _SOFT if row.has(key)), _SOFT[0])
    try:
        end = reading.prompt_end(tokens)
    except SvebError as error:
        raise SvebError(f"{row.place}: prefix_token_ids: {error}") from None
    return Valued(
        place=row.place,
        prompt_ids=tokens[:end],
        parts=[tokens[end:]],
        values=[_value(row, key, row.get(key), None, reading)],
    )


VALUE_FORMATS: dict[str, ValueFormat] = {
    each.name: each
    for each in (
        ValueFormat("sveb", "rows of `sveb suite export --as parquet`, or the same keys in jsonl", _sveb),
        ValueFormat("prm", "rows with prompt, completions and labels, as TRL's stepwise supervision", _prm),
        ValueFormat("math-shepherd", "rows with input and label, as Math-Shepherd", _math_shepherd),
        ValueFormat("open-instruct", "the parquet that value_estimation.py of open-instruct writes", _open_instruct),
        ValueFormat("stop", "rows with prefix_token_ids and Soft_label, as STOP-data", _stop),
    )
}
