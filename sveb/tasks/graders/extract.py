"""Where a response's answer stands.

First what is not part of the answer goes (`spoken`): thoughts, and the next question that a policy asks itself after it
has answered. Then the last box, line of hashes or program counts. All of it is linear in the response's length.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sveb.common.thoughts import spoken

Extract = Callable[[str, str], str | None]

# No quantifier gives back what it took: blanks without end take linear time.
_MARKED = r"(?:#{1,6}[ \t]*+|\*{1,2}|>[ \t]*+)"  # a heading, bold type, a quotation
_NUMBERED = r"(?:[ \t]*+(?:no\.?|\#)?[ \t]*+\d++)"
_NEXT_QUESTION = re.compile(
    # `Question:`, `**Problem 2:**`, `Here is another exercise:`, `Question 2 (hard):`
    rf"^[ \t]*+{_MARKED}?(?:(?:here(?:'s|[ \t]++is)[ \t]++)?(?:the[ \t]++)?(?:next|new|another)[ \t]++)?"
    rf"(?:question|problem|q|human|user|instruction|exercise|task){_NUMBERED}?"
    r"[ \t]*+(?:\([^()\n]*+\))?[ \t]*+\*{0,2}[ \t]*+:|"
    # `## Problem`, `Question 2`, `Example 2: ...`, `Problem 2. ...`
    rf"^[ \t]*+{_MARKED}(?:question|problem|exercise){_NUMBERED}?[ \t]*+\*{{0,2}}[ \t]*+$|"
    rf"^[ \t]*+{_MARKED}?(?:question|problem|exercise|example){_NUMBERED}[ \t]*+\*{{0,2}}[ \t]*+(?:$|[.:)])|"
    # the end of a turn, the beginning of another
    r"<\|(?:im_start|im_end|user|start_header_id|eot_id|endoftext|end_of_text)\|>|<(?:start|end)_of_turn>|</s>|\[INST\]",
    re.IGNORECASE | re.MULTILINE,
)
_BRACES = re.compile(r"(\\boxed\s*\{)|\\.|[{}]", re.DOTALL)
_HASHES = re.compile(r"(?<!#)####(?!#)[ \t]*((?:(?!####)[^\n])*)")
_NEAR = 200  # characters between two boxes of one list
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_LIST_MARK = re.compile(r",(?!\d{3}(?!\d))|;|\band\b|\bor\b|\\pm|\\mp|±")
_SPACES = re.compile(r"\\[,;:! ]|~")
_TYPED = re.compile(r"\\(?:text|mathrm|mbox)\s*\{([^{}]*)\}")

_FENCE = re.compile(r"^((?:[ \t]|>|[-*+][ \t]|\d+[.)][ \t])*)(`{3,}|~{3,})[ \t]*([^`\n]*)$")
_FENCE_LATER = re.compile(r"^(.*?\S.*?)(`{3,}|~{3,})[ \t]*\{?\.?((?:python|py)[\w.-]*)[ \t]*\}?[ \t]*$", re.IGNORECASE)
_PYTHON = re.compile(
    r"\{?\.?(?:python|py|python3|py3|pypy3?|python[23]?\.\d+|ipython|sage)\}?(?:[\s{:,].*)?", re.IGNORECASE
)
_CODE = re.compile(
    r"^[ \t]*(?:def|import|from|for|while|if|class|with|try|return|print|async|@\w)\b|"
    r"\b(?:print|input|exec|open|main)\s*\(|\bsys\.std|"
    r"^[ \t]*[A-Za-z_][\w.\[\], \t]*\s*(?:[-+*/%|&^]|//|\*\*|>>|<<)?=(?!=)|\blambda\b|"
    r"^[ \t]*[A-Za-z_][\w.]*\(.*\)[ \t]*$|;",
    re.MULTILINE,
)


def last_boxed(text: str, reference: str = "") -> str | None:
    r"""The content of the last `\boxed{...}`, the inner one of two nested; None where there is none.

    If a box is opened after it and never closed, the answer was cut off: then the result is None too. Where the
    reference is a list and the last box holds a single answer, the boxes before it in the same paragraph are part of
    the answer. `\{` and `\}` are signs of a set and balance nothing.
    """
    boxes, opened = _boxes(spoken(text))
    if not boxes:
        return None
    following = _NEXT_QUESTION.search(spoken(text), boxes[0][1]) if len(boxes) > 1 or opened >= 0 else None
    if following is not None:
        boxes, opened = _boxes(spoken(text)[: following.start()])
    start, end, found = boxes[-1]
    if opened > end:
        return None
    if _is_list(reference) and not _is_list(found):
        said = spoken(text)
        together = [found]
        for begin, stop, content in reversed(boxes[:-1]):
            between = said[stop:start]
            if len(between) > _NEAR + len(r"\boxed{") or _PARAGRAPH.search(between):
                break
            together.insert(0, content)
            start = begin
        return ", ".join(together)
    return found


def _boxes(text: str) -> tuple[list[tuple[int, int, str]], int]:
    """(start, end, content) of the innermost complete boxes; and where the last unclosed one begins, or -1."""
    boxes: list[tuple[int, int, str]] = []
    opened: list[int | None] = []
    for match in _BRACES.finditer(text):
        if match[0] == "}":
            start = opened.pop() if opened else None
            if start is not None and (not boxes or start > boxes[-1][0]):
                boxes.append((start, match.end(), text[start : match.start()].strip()))
        elif match[1] or match[0] == "{":
            opened.append(match.end() if match[1] else None)
    return boxes, max((place for place in opened if place is not None), default=-1)


def _is_list(text: str) -> bool:
    """Whether several values stand there, in no brackets."""
    depth = 0
    bare = []
    text = _TYPED.sub(r"\1", _SPACES.sub("", text.replace("{,}", "")))
    for sign in re.split(r"(\\[{}]|[()\[\]{}])", text.strip(" .$")):
        if sign in ("(", "[", "{", r"\{"):
            depth += 1
        elif sign in (")", "]", "}", r"\}"):
            depth -= 1
        elif depth == 0:
            bare.append(sign)
    return bool(_LIST_MARK.search(" ".join(bare)))


def after_hashes(text: str, reference: str = "") -> str | None:  # noqa: ARG001
    """What stands on the line after the last `####`; None where there is none."""
    said = spoken(text)
    found = None
    end = len(said)
    for match in _HASHES.finditer(said):
        if match.start() >= end:
            break
        if found is None and (following := _NEXT_QUESTION.search(said, match.end())):
            end = following.start()
        found = match[1].strip()
    return found


def last_code(text: str, reference: str = "") -> str | None:  # noqa: ARG001
    """The last fenced block that is a Python program, by its label and by what it holds; None where no block is.

    Fences as CommonMark has them: three or more backticks or tildes, indented, in a list or a quotation, unclosed at
    the end. A label that says Python wins over none, none over another; a program over sample output.
    """
    best: tuple[int, str] | None = None
    for label, code in _blocks(spoken(text)):
        rank = 2 if _PYTHON.fullmatch(label) else 0 if label else 1
        worth = 2 * rank + bool(_CODE.search(code)) if rank else 0
        if best is None or worth >= best[0]:
            best = worth, code
    return None if best is None else best[1]


def _blocks(text: str) -> list[tuple[str, str]]:
    """(label, content) of every fenced block; text that asks the next question after a block ends the search."""
    found: list[tuple[str, str]] = []
    lines = text.replace("\r\n", "\n").split("\n")
    place = 0
    while place < len(lines):
        line = lines[place]
        opening = _FENCE.match(line) or (_FENCE_LATER.match(line) if "py" in line.lower() else None)
        place += 1
        if opening is None:
            if found and _NEXT_QUESTION.search(line):
                break
            continue
        indent, fence, label = opening.groups()
        width = len(indent.expandtabs(4)) if not indent.strip() or _FENCE.match(line) else 0
        quoted = ">" in indent and bool(_FENCE.match(line))
        body, end = _body(lines, place, fence, quoted)
        found.append((label.strip(), "\n".join(_shifted(row, width, quoted) for row in body)))
        place = end
    return found


def _body(lines: list[str], place: int, fence: str, quoted: bool) -> tuple[list[str], int]:
    """The lines of a block that begins at `place`, and where to read on.

    A closing fence inside a text in triple quotes is part of the program, if the program goes on after it.
    """
    closed = re.compile(rf"[ \t]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*")
    first: int | None = None
    odd = {'"""': False, "'''": False}
    for row in range(place, len(lines)):
        line = lines[row].lstrip("> ") if quoted else lines[row]
        if closed.fullmatch(line):
            if not any(odd.values()):
                return lines[place:row], row + 1
            first = row if first is None else first
        for quotes in odd:
            odd[quotes] ^= line.count(quotes) % 2 == 1
    if first is not None:
        return lines[place:first], first + 1
    body = lines[place:]
    if body and body[-1].rstrip().endswith(fence):  # a fence at the end of the last line of code
        body[-1] = body[-1].rstrip()[: -len(fence)]
    return body, len(lines)


def _shifted(line: str, width: int, quoted: bool) -> str:
    """The line without the indentation of its fence."""
    if quoted:
        return re.sub(r"^[ \t]*>[ ]?", "", line)
    blank = len(line) - len(line.lstrip(" \t"))
    taken = 0
    while taken < blank and len(line[: taken + 1].expandtabs(4)) <= width:
        taken += 1
    return line[taken:]


def whole(text: str, reference: str = "") -> str:  # noqa: ARG001
    """The whole response without its thoughts."""
    return spoken(text)


EXTRACTORS: dict[str, Extract] = {"hashes": after_hashes, "boxed": last_boxed, "code": last_code, "whole": whole}
