"""Thoughts: what a thinking model writes before it answers, between tags of its family."""

from __future__ import annotations

import re

# The tags of several model families. A channel `final` ends every thought before it.
_TAG = re.compile(
    r"</?(?:seed:)?(?:think|thinking|thought|thoughts|reasoning|scratchpad)\s*>|◁/?think▷|\[/?THINK\]|"
    r"<\|(?:begin_of_thought|end_of_thought|start_thinking|end_thinking|channel\|>(?:analysis|commentary|final)<\|message)\|>",
    re.IGNORECASE,
)
_CLOSES = re.compile(r"/|\bend_|\|end_|final", re.IGNORECASE)
# Each is written as tokens of their own around the channel's name.
_CHANNEL = ("<|channel|>", "<|message|>")


def spoken(text: str) -> str:
    """The response without its thoughts. An unclosed one runs to the end, one that the prompt opened from the start."""
    return "".join(_outside(text)[0])


def in_thought(text: str) -> bool:
    """Whether a response that ends here ends inside a thought."""
    return _outside(text)[1]


def opened_by(prompt: str) -> str:
    """The tag with which a prompt opens the response's thought, "" if the response begins outside of one."""
    tags = list(_TAG.finditer(prompt))
    if not tags or prompt[tags[-1].end() :].strip() or _CLOSES.search(tags[-1][0]):
        return ""
    return tags[-1][0]


def is_tag(token: str) -> bool:
    """Whether a token of this text is a tag, or a part of one."""
    return token in _CHANNEL or _TAG.fullmatch(token) is not None


def _outside(text: str) -> tuple[list[str], bool]:
    """The parts outside of thoughts, and whether the text ends inside one."""
    kept: list[str] = []
    start, depth = 0, 0
    for match in _TAG.finditer(text):
        if not _CLOSES.search(match[0]):
            if depth == 0:
                kept.append(text[start : match.start()])
            depth += 1
        elif depth:
            depth = 0 if "final" in match[0] else depth - 1
            start = match.end()
        else:
            kept, start = [], match.end()
    return (kept, True) if depth else ([*kept, text[start:]], False)
