"""A task: where its problems come from, how the prompt asks them, where responses are cut, how they are graded."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.thoughts import spoken
from sveb.suite.records import ProblemRecord
from sveb.tasks import splitters
from sveb.tasks.task_folders import task_folder
from sveb.tasks.task_schema import faults_of


@dataclass(frozen=True)
class Task:
    """The content of one folder under tasks/. The tables are those of task.toml (docs/tasks.md describes every key).

    `thought` is the tag with which the policy's chat template opens a thought in every prompt, so that responses begin
    inside it; "" for all other policies.
    """

    name: str
    title: str
    description: str
    field: str
    licence: str
    folder: Path
    source: Mapping[str, Any]
    prompt: Mapping[str, Any]
    steps: Mapping[str, Any]
    answer: Mapping[str, Any]
    sampling: Mapping[str, Any]
    thought: str = ""

    @classmethod
    def load(cls, name: str) -> Task:
        """Reads tasks/<name>/task.toml. Raises SvebError with everything that is wrong with it."""
        folder = task_folder(name)
        path = folder / "task.toml"
        with path.open("rb") as stream:
            try:
                raw = tomllib.load(stream)
            except tomllib.TOMLDecodeError as error:
                raise SvebError(f"{path}: {error}") from None
        if faults := faults_of(raw, name):
            raise SvebError(f"{path}: {'; '.join(faults)}")
        return cls(**raw, folder=folder)

    @classmethod
    def of_suite(cls, recorded: Mapping[str, Any]) -> Task:
        """The task of a suite, from what its manifest says in `task`."""
        return replace(cls.load(recorded["name"]), thought=recorded.get("thought", ""))

    @property
    def fingerprint(self) -> str:
        """sha256 of the files that define the task: a changed prompt or generator makes another task."""
        digest = hashlib.sha256()
        for path in (self.folder / "task.toml", *sorted(self.folder.glob("*.py"))):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    @property
    def sample(self) -> Path:
        """A few problems in the schema of the original dataset, written for this repository."""
        return self.folder / "sample.jsonl"

    @property
    def skips_unusable(self) -> bool:
        """Whether rows that cannot be used are left out and counted. Otherwise they are errors."""
        return bool(self.source.get("unusable", "refuse") == "skip")

    def messages(self, problem: ProblemRecord) -> list[dict[str, str]]:
        """The prompt as chat messages: the task's system text, if any, its worked examples as turns, the question."""
        system = self.prompt.get("system")
        found = [{"role": "system", "content": system}] if system else []
        for example in self.examples:
            found.append(self._asked(example["question"]))
            found.append({"role": "assistant", "content": example["response"]})
        return [*found, self._asked(problem.question)]

    @property
    def examples(self) -> Sequence[Mapping[str, str]]:
        """The worked examples of the prompt: {"question", "response"}."""
        return tuple(self.prompt.get("examples", ()))

    @property
    def chat_template_kwargs(self) -> Mapping[str, Any]:
        """The arguments that the task gives to the policy's chat template."""
        return dict(self.prompt.get("chat_template_kwargs", {}))

    def step_ends(self, pieces: Sequence[str]) -> list[int]:
        """Token offsets at the ends of steps; `pieces` are the texts of the response's tokens (`TextCodec.pieces`)."""
        return splitters.step_ends(pieces, splitters.find_splitter(self.steps["splitter"]), self.steps["min_tokens"])

    def answered(self, text: str) -> bool:
        """Whether the final answer has begun, outside any reasoning block: from here the value is trivially 0 or 1.

        Always False if the whole response is the answer (no marker).
        """
        marker = self.answer.get("marker")
        return marker is not None and marker in text and marker in spoken(self.thought + text)

    def _asked(self, question: str) -> dict[str, str]:
        return {"role": "user", "content": self.prompt["user"].replace("{question}", question)}

    @property
    def truncated(self) -> float | None:
        """The return of a response that ran out of budget. None: it is graded like any other. Default 0."""
        rule = self.answer.get("truncated", 0.0)
        return None if rule == "grade" else float(rule)
