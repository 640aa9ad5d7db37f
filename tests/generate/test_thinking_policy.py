"""A policy whose chat template opens a thought, through the real pipeline: states, counts, manifest, later commands."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pytest

from sveb.cli import main
from sveb.common.errors import SvebError
from sveb.generate.generation import Settings, settings_for
from sveb.generate.pipeline import generate
from sveb.generate.regrade_suite import regrade_suite
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify
from sveb.tasks.task import Task
from tests.support.gguf_file import TEMPLATE, write_gguf
from tests.support.needs import require_package

THINKS = TEMPLATE.replace("{% endif %}", "{% if enable_thinking | default(true) %}<think>\n{% endif %}{% endif %}")
COUNTS = {
    "test_problems": 2, "train_problems": 1, "group": 3, "train_group": 2, "probes": 1, "path_states": 2,
    "sibling_parents": 0, "siblings": 2, "continuations": 2, "draws": 1,
}  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A small suite of a policy with random weights: it never ends its thought."""
    require_package("gguf", "accelerate")
    monkeypatch.setenv("SVEB_CACHE", str(tmp_path / "cache"))
    write_gguf(tmp_path / "thinks.gguf", template=THINKS)
    return settings_for(
        str(tmp_path / "thinks.gguf"), task="svamp", sample=True, engine="transformers", size="demo",
        out=tmp_path / "suite", counts=COUNTS, max_new_tokens=24,
    )  # fmt: skip


def test_unclosed_thoughts_are_counted_and_the_suite_knows_that_prompts_open_them(
    settings: Settings, tmp_path: Path
) -> None:
    suite = Suite.open(str(generate(settings)))
    m = suite.manifest
    assert m.task["thought"] == "<think>"
    assert "chat_template_kwargs" not in m.task
    assert Task.of_suite(m.task).thought == "<think>"
    rollouts = suite.table("rollouts")
    assert m.generation["unclosed_thoughts"] == len(rollouts)
    assert pc.max(rollouts["return_"]).as_py() == 0.0
    assert verify(suite, None) == []
    assert regrade_suite(suite, tmp_path / "regraded").moved == 0


def test_an_argument_of_the_template_is_part_of_the_plan(settings: Settings) -> None:
    quiet = replace(settings, chat_template_kwargs={"enable_thinking": False})
    m = Suite.open(str(generate(quiet))).manifest
    assert m.task["chat_template_kwargs"] == {"enable_thinking": False}
    assert "thought" not in m.task
    assert "unclosed_thoughts" not in m.generation
    with pytest.raises(SvebError, match="other settings") as raised:
        generate(settings)
    assert "task.chat_template_kwargs: {'enable_thinking': False} in the folder, None asked for" in str(raised.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("enable_thinkin=false", "takes no argument enable_thinkin: leave it out"),
        ("enable_thinking", "--chat-template-kwarg enable_thinking: expected key=value"),
    ],
)
def test_a_wrong_argument_is_exit_code_2_and_one_line(
    given: str, message: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [
        "sveb", "generate", "--model", settings.model, "--task", "svamp", "--sample",
        "--engine", "transformers", "--test-problems", "2", "--train-problems", "1", "--out", str(settings.out),
        "--chat-template-kwarg", given,
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", list(map(str, command)))
    with pytest.raises(SystemExit) as ended:
        main()
    lines = capfd.readouterr().err.splitlines()
    assert ended.value.code == 2, lines
    assert lines[-1].startswith("error: ")
    assert message in lines[-1]
    assert sum("rror" in line for line in lines) == 1
    assert not settings.out.exists()
