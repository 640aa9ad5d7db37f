"""Every `sveb` command in the documentation exists, with the options that it is shown with."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from sveb.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PLACEHOLDERS = re.compile(r"<\w+>|\.\.\.|\[|\]")


def commands(page: Path) -> list[str]:
    """Lines of code blocks, and inline code, that start with `sveb`."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^(?:    |\$ )?(?:\w+=\S+ )*(sveb [^\n]*)", text, re.MULTILINE)
    inline = re.findall(r"`(sveb [^`]+)`", text)
    lines = [re.split(r"\s+#|\s&&|\s\|\|", line)[0] for line in blocks] + inline
    return [PLACEHOLDERS.sub("x", line).replace("\n", " ") for line in lines]


def fault(line: str) -> str | None:
    """What is wrong with a command line; None if every command and option of it exists."""
    command: Any = get_command(app)
    for word in shlex.split(line)[1:]:
        if word.startswith("-") and word != "-":
            known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
            if word.split("=")[0] not in known:
                return f"{line}: {command.name} has no {word}"
        elif hasattr(command, "commands"):
            found = command.commands.get(word)
            if found is None and not command.invoke_without_command:
                return f"{line}: {command.name} has no command {word}"
            if found is None:
                return None
            command = found
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_commands_exist(page: Path) -> None:
    assert [fault(line) for line in commands(page) if fault(line)] == []


def test_a_command_or_an_option_that_does_not_exist_is_found() -> None:
    assert len([line for page in PAGES for line in commands(page)]) > 100
    assert fault("sveb suite show ledger-nano") is None
    assert "has no command shwo" in str(fault("sveb suite shwo ledger-nano"))
    assert "has no --sise" in str(fault("sveb generate --model nano --sise demo"))
