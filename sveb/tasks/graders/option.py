r"""The letter of an option, with what people write around it. docs/graders.md holds the grammar as a table.

    answer  =  [leading words] label [remark | mark explanation]
    label   =  B | (B) | [B] | {B} | B) | B. | B:

A letter that begins a sentence without a mark is a word (`A dog`); two labels are no answer.
"""

from __future__ import annotations

import re

from sveb.tasks.graders.grade import SAME, UNREADABLE, Verdict
from sveb.tasks.graders.written import plain

_LEAD = re.compile(
    r"(?:(?:think|believe|guess|the|my|final|correct|right|best|answer|answers|option|choice|letter|statement|is|are|it's|it|that|so|thus|"
    r"hence|therefore|would|be|should|must|i|we|choose|select|pick|ans|\\implies|\\Rightarrow|\\rightarrow)"
    r"(?![a-z\\])[ ~]*[:=,]?[ ~]*)*",
    re.IGNORECASE,
)
# A bracket on either side, or a lone letter.
_LABEL = re.compile(r"\\?[(\[{][ ~]*([A-Za-z])[ ~]*\\?[)\]}]|([A-Za-z])(?![A-Za-z0-9_^'\\=+*/])(?:[ ~]*(\)))?")
_REMARK = re.compile(
    r"[ ~]*(?:is|are|seems|must be|would be)?[ ~]*(?:(?:the|a)[ ~]+)?(?:only[ ~]+)?(?:correct|right|true|best|answer)?"
    r"(?:[ ~]+(?:answer|option|choice|one))?",
    re.IGNORECASE,
)
# What separates a label from its explanation. A hyphen needs room around it: A-frame is a word.
_MARK = re.compile(
    r"[ ~]*(?:[.:;,]|[ ~]---?[ ~]|[ ~]-[ ~]|—|--|\\(?:to|implies|Rightarrow|rightarrow)(?![a-z]))|"
    r"[ ~]*\n|[ ~]*(?=\((?:[^()]{2,}|\d)\))|[ ~]+(?=(?:because|since)\b)"
)
_SECOND_AT_ONCE = re.compile(
    r"[ ~,;/&]*(?:(?:and|or|and/or|but|as well as|plus|then)[ ~]+)*(?:both[ ~]+|also[ ~]+)?"
    r"(?:(?:option|choice|answer)s?[ ~]+)?"
    r"[(\[]?([A-Za-z])[)\]]?[ ~]*(?:$|[.,;:)/&]|and\b|or\b)",
    re.IGNORECASE,
)
_SECOND_LATER = re.compile(
    r"(?<![\w(\[])\\?[(\[][ ~]*([A-Z])[ ~]*\\?[)\]](?!\w)|(?:^|[\s~,;&])([A-Z])[):](?!\w)|"
    r"(?:[,;/&]|\b(?:and|or))[ ~]*([A-Z])\.(?=[\s~]|$)|"
    r"\b(?:option|choice)[ ~]+\(?([A-Za-z])\b"
)
# What is said against other options: `not C`, `because A is too small`, `(C is wrong)`.
_DENIED = re.compile(
    r"[(,;]?[ ~]*(?:\b(?:and|but)[ ~]+)?\b(?:not|rather than|instead of)[ ~]+(?:option[ ~]+)?\(?[A-Z]\b\)?\)?|"
    r"(?<![A-Za-z])\(?[A-Z]\b\)?[ ~]+(?:is|are|was)[ ~]+(?:wrong|incorrect|false|too|not)\b(?:[ ~]+\w+)?"
)
# Behind its own text: `the owl (B)`.
_BEHIND = re.compile(r"(?!.*\b(?:not|nor|or|and|neither|either|except)\b)[^()]*[^()\s~][ ~]*\([ ~]*([A-Z])[ ~]*\)")
_DOUBT = re.compile(r"\?|\b(?:wrong|incorrect|not correct|not right|false answer)\b", re.IGNORECASE)


def parse_option(text: str) -> str | None:
    """The one letter that an answer names, in upper case; else None."""
    words = plain(text)
    if not words:
        return None
    words = re.sub(r"(?<!\\)[$*`]", " ", words).strip(" ~!").rstrip(".")
    lead = _LEAD.match(words)
    assert lead is not None
    # A leading word may be the label itself: `I` is one of both.
    for start in (lead.end(), 0):
        label = _LABEL.match(words, start)
        if label is not None:
            break
    if label is None:
        behind = _BEHIND.fullmatch(words)
        return behind[1] if behind else None
    letter = (label[1] or label[2]).upper()
    rest = _DENIED.sub(lambda match: "" if match[0].strip(" (,;~")[:1] != letter else match[0], words[label.end() :])
    remark = _REMARK.match(rest)
    if remark is not None and not rest[remark.end() :].strip(" ~.!;:,)"):
        return letter
    if remark is not None and re.search(r"(?:correct|right|true|best|answer|option|choice|one)\Z", remark[0]):
        rest = rest[remark.end() :]
    bracketed = bool(label[1] or label[3])
    mark = _MARK.match(rest)
    if mark is None and not (bracketed and re.match(r"[ ~\d\\]", rest)):
        return None
    explanation = rest[mark.end() if mark else 0 :].strip(" ~")
    if _second(rest, explanation, letter) or _DOUBT.search(explanation):
        return None
    comma = mark is not None and mark[0].strip(" ~") in (",", ";")
    if (
        comma
        and not bracketed
        and lead.end() == 0
        and not re.match(r"(?:because|since|as|for|the|which|it|so)\b", explanation)
    ):
        return None  # `A, dog`: a list of two things
    return letter


def same_option(answer: str, found: str) -> Verdict:
    """1.0 if both name the same option; 0.0 if `found` names another or none; None if `answer` names none."""
    gold = parse_option(answer)
    if gold is None:
        return Verdict(None, UNREADABLE)
    other = parse_option(found)
    if other is None:
        return Verdict(0.0, "the answer does not name one option")
    return Verdict(1.0, SAME) if gold == other else Verdict(0.0, f"the answer is {other}")


def _second(rest: str, explanation: str, letter: str) -> bool:
    """Whether another option is named too."""
    at_once = (
        _SECOND_AT_ONCE.match(rest.lstrip(" ~")) if re.match(r"[ ~]*(?:[,;/&(\[]|and\b|or\b|but\b)", rest) else None
    )
    found = [at_once[1]] if at_once else []
    if first := re.match(
        r"(?:(?:and|or)[ ~]+)?[(\[]?([A-Z])[)\]]?[ ~]*(?:[.:;,](?=[\s~]|$)|$)|[(\[]([a-z])[)\]]$", explanation
    ):
        found.append(first[1] or first[2])
    for match in _SECOND_LATER.finditer(explanation):
        found.append(next(group for group in match.groups() if group))
    return any(other.upper() != letter for other in found)
