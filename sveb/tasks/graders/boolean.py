r"""Yes or no, with what people write around it. docs/graders.md holds the grammar as a table.

    answer  =  [leading words] (yes | no | true | false) [mark explanation | because ...]

An answer that says both counts as neither. So does one whose `no` is part of the sentence (`No one knows`).
"""

from __future__ import annotations

import re

from sveb.tasks.graders.grade import SAME, UNREADABLE, Verdict
from sveb.tasks.graders.written import plain

_LEAD = re.compile(
    r"(?:(?:the|my|final|correct|answer|it's|it|is|this|that|so|thus|hence|therefore|would|be|statement|claim|to|question|and)"
    r"(?![a-z])[ ~]*[:=,]?[ ~]*)*(?:[:=,-][ ~]*)?",
    re.IGNORECASE,
)
_WORD = re.compile(r"[(\[{]?[ ~]*(yes|no|true|false|not[ ~]+true|untrue)[ ~]*[)\]}]?(?![A-Za-z0-9_'])", re.IGNORECASE)
_VALUE = {"yes": True, "true": True, "no": False, "false": False, "not true": False, "untrue": False}
_TWICE = re.compile(r"[ ~]*/[ ~]*(yes|no|true|false)\b", re.IGNORECASE)  # `No/False`
_END = re.compile(r"[ ~]*[.,!;:]*[ ~]*$")
_MARK = re.compile(r"[ ~]*(?:[.,!;:(\[\n]|--?-?[ ~]|—)")
# Without a mark: `no` may be part of a sentence, so only what cannot be one may follow.
_GOES_ON = re.compile(r"[ ~]+(?:because|since|as|it|they|he|she|we|you|i|this|that|there)\b", re.IGNORECASE)
_OPPOSITE = {
    True: re.compile(
        r"\b(?:false|(?:answer(?: is)?|or|and|but|wait|actually|then|also|not)[ ~,:]+no)\b|"
        r"\bno\b(?=[ ~]*(?:[.,!;:)/?]|$|and\b|or\b))",
        re.IGNORECASE,
    ),
    False: re.compile(r"\b(?:yes|true)\b", re.IGNORECASE),
}
_NOT_TRUE = re.compile(r"\b(?:not|isn't|never)[ ~]+(?:\w+[ ~]+)?true\b|\bnot[ ~]+yes\b", re.IGNORECASE)
_DOUBT = re.compile(r"\?|\b(?:maybe|perhaps|unsure|not sure|unclear|unknown|cannot say)\b|/", re.IGNORECASE)


def parse_boolean(text: str) -> bool | None:
    """True for yes or true, False for no or false; None where the answer says neither, or both."""
    words = plain(text)
    if not words:
        return None
    words = re.sub(r"(?<!\\)[$*`\"]", " ", words).strip(" ~")
    lead = _LEAD.match(words)
    assert lead is not None
    found = _WORD.match(words, lead.end())
    if found is None:
        return None
    value, rest = _VALUE[found[1].lower().replace("~", " ")], words[found.end() :]
    if (twice := _TWICE.match(rest)) and _VALUE[twice[1].lower()] == value:
        rest = rest[twice.end() :]
    if _END.fullmatch(rest):
        return value
    if _DOUBT.search(rest) or _OPPOSITE[value].search(_NOT_TRUE.sub("", rest) if not value else rest):
        return None
    if _MARK.match(rest) or _GOES_ON.match(rest):
        return value
    is_yes = found[1].lower() == "yes"
    return (
        value
        if is_yes and not re.match(r"[ ~]*(?:and|or|&)\b", rest) and re.match(r"[ ~]+[a-z]", rest, re.IGNORECASE)
        else None
    )


def same_boolean(answer: str, found: str) -> Verdict:
    """1.0 if both say the same; 0.0 if `found` says the other or neither; None if `answer` is not yes or no."""
    gold = parse_boolean(answer)
    if gold is None:
        return Verdict(None, UNREADABLE)
    other = parse_boolean(found)
    if other is None:
        return Verdict(0.0, "the answer is not yes or no")
    return Verdict(1.0, SAME) if gold == other else Verdict(0.0, f"the answer is {'yes' if other else 'no'}")
