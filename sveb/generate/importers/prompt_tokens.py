"""From a dumped prompt to its question and its token ids, exactly where that is possible.

Dumps of texts lose the special tokens: `user\\nWhat is 2+2?\\nassistant\\n` is what is left of a chat prompt. So the
question is taken out of the text, its prompt is rendered again as the task and the model's chat template do it, and the
result counts only if it decodes to the dumped text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.generate.importers.dumped import Prompt
from sveb.policies.codec import TextCodec
from sveb.suite.records import ProblemRecord
from sveb.tasks.problems import open_rows
from sveb.tasks.task import Task

_MARK = "[[the question]]"


@dataclass(frozen=True)
class ReadPrompt:
    """`exact` is False if the prompt's text could only be tokenised as it stands. `known`: its row of `--data`."""

    question: str
    token_ids: list[int]
    exact: bool
    known: ProblemRecord | None = None


class PromptReader:
    """Reads dumped prompts of one task and one model. `known` are problems that the prompts may be of."""

    def __init__(self, task: Task, codec: TextCodec, known: Iterable[ProblemRecord] = ()) -> None:
        self._codec = codec
        self._task_messages = task.messages
        self._known: dict[str, ProblemRecord] = {}
        for problem in known:
            messages = task.messages(problem)
            for text in (codec.decode(codec.render(messages)), messages[-1]["content"], problem.question):
                self._known.setdefault(text.strip(), problem)
        marked = ProblemRecord("", _MARK, "")
        self._frames = [self._frame(task.messages(marked)), self._frame([{"role": "user", "content": _MARK}])]

    def read(self, prompt: Prompt | None, token_ids: Sequence[int] | None) -> ReadPrompt:
        """The question and the tokens of a prompt that was dumped as a text, as messages, or as token ids."""
        rendered: list[int] | None
        if isinstance(prompt, list):
            question, rendered = self._asked(prompt[-1]["content"]), self._codec.render(prompt)
        elif prompt is not None:
            question, rendered = self._of_text(prompt)
        else:
            question, rendered = self._of_text(self._codec.decode(token_ids or []))
        known = self._known.get(question.strip()) or self._known.get(prompt.strip() if isinstance(prompt, str) else "")
        tokens = rendered if token_ids is None else list(token_ids)
        if tokens is None and known is not None:
            tokens = self._codec.render(self._task_messages(known))
        exact = tokens is not None
        if tokens is None:
            assert isinstance(prompt, str)
            tokens = self._codec.encode(prompt)
            # A text that contains the special tokens is a rendered prompt.
            tokenizer = self._codec.tokenizer
            exact = (
                any(token in prompt for token in tokenizer.all_special_tokens)
                and tokenizer.decode(tokens, clean_up_tokenization_spaces=False) == prompt
            )
        return ReadPrompt(known.question if known else question, tokens, exact, known)

    def ask(self, question: str) -> ReadPrompt:
        """The prompt of a bare question, as the task asks it."""
        known = self._known.get(question.strip())
        asked = known or ProblemRecord("", question, "")
        return ReadPrompt(asked.question, self._codec.render(self._task_messages(asked)), True, known)

    def end(self, token_ids: Sequence[int]) -> int:
        """Where the prompt ends in the tokens of a prompt and a response: after the first opening of an answer.

        Raises SvebError if the chat template writes nothing after the question, or if the tokens do not contain it.
        """
        opening = self._opening
        for end in range(len(opening), len(token_ids) + 1):
            if opening and list(token_ids[end - len(opening) : end]) == opening:
                return end
        wanted = repr(self._codec.tokenizer.decode(opening)) if opening else "a model with a chat template"
        raise SvebError(f"where the prompt ends cannot be told: expected {wanted} after the question")

    @cached_property
    def _opening(self) -> list[int]:
        """What every prompt ends with, whatever the question is; empty without a chat template."""
        one, other = (self._codec.render([{"role": "user", "content": text}]) for text in ("1", _MARK))
        return one[len(one) - _common_end(one, other) :]

    def _frame(self, messages: list[dict[str, str]]) -> tuple[list[dict[str, str]], str, str]:
        """Messages with the mark as their question, and the prompt's text before and after it."""
        plain = "".join(message["content"] for message in messages)
        text = self._codec.decode(self._codec.render(messages)) if self._codec.chat else plain
        before, _, after = text.partition(_MARK)
        return messages, before, after

    def _asked(self, content: str) -> str:
        """The question in the user's message, if the message is the task's."""
        before, _, after = self._frames[0][0][-1]["content"].partition(_MARK)
        if content.startswith(before) and content.endswith(after):
            return content[len(before) : len(content) - len(after)]
        return content

    def _of_text(self, text: str) -> tuple[str, list[int] | None]:
        """The question, and the tokens of the prompt if they are certain."""
        for messages, before, after in self._frames:
            if text.startswith(before) and text.endswith(after) and len(text) > len(before) + len(after):
                question = text[len(before) : len(text) - len(after)]
                filled = [{**m, "content": m["content"].replace(_MARK, question)} for m in messages]
                tokens = self._codec.render(filled)
                if self._codec.decode(tokens) == text:
                    return question, tokens
        return text, None


def _common_end(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens at their ends are the same."""
    return next((i for i, (a, b) in enumerate(zip(reversed(one), reversed(other), strict=False)) if a != b), 0)


def known_problems(task: Task, data: Path | None) -> list[ProblemRecord]:
    """All problems of a file in the task's own columns, by which prompts are recognised."""
    if data is None:
        return []
    tables, _ = open_rows(task, data)
    return [rows.problem(row, name) for rows in tables.values() for row, name in rows.listed()]
