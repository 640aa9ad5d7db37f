r"""One number, with what people write around it. docs/graders.md holds the grammar as a table.

    answer  =  [words] [side "="]... [sign] [currency] number [scale] [unit words]
    number  =  decimal, with thousands marks or not | fraction | mixed number | power | decimal times a power of ten

Two numbers, a list, a range, an inequality, an expression that would have to be computed: no number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from sveb.tasks.graders.grade import SAME, UNREADABLE, Verdict
from sveb.tasks.graders.measure_units import is_unit, unit_of
from sveb.tasks.graders.number_words import in_digits
from sveb.tasks.graders.written import plain, words

_SCALES = {
    "%": Fraction(1, 100), "percent": Fraction(1, 100), "percentage": Fraction(1, 100),
    "dozen": Fraction(12), "dozens": Fraction(12), "hundred": Fraction(100), "thousand": Fraction(1000),
    "million": Fraction(10**6), "billion": Fraction(10**9), "trillion": Fraction(10**12),
}  # fmt: skip
_LETTERS = {"k": 10**3, "m": 10**6, "b": 10**9}  # after a number: `18k`; of money `$18M`, `$18B` too
_MOST_DIGITS = 400
_MOST_EXPONENT = 400

_SIMPLE = re.compile(r"[-+]?\d{1,18}(?:\.\d{1,18})?")
# `~` is any small space of LaTeX or of a printer (see written.py). A group 0 does not begin thousands: 0,500 is a half
# in many countries.
_GROUPED = r"(?!0)(?:\d{1,3}(?:(?:,|\{,\}|,~|\{,\}~|~| |')\d{3})+|\d{1,2}(?:,\d\d)+,\d{3})"
_DECIMAL = re.compile(rf"(?:(?:{_GROUPED}(?!\d)|\d+)(?:\.\d*)?|\.\d+)(?![\d])(?!(?:,|\{{,\}})\d)")
_MARK = re.compile(r"[,{}~ ']")
_START = re.compile(r"\\[dtc]?frac|\.?\d")
_FRAC = re.compile(r"\\[dtc]?frac")
_INTEGER = r"(?:\{\s*([-+]?\d+)\s*\}|\(\s*([-+]?\d+)\s*\)|(-?\d+))"
_POWER = re.compile(r"\s*\^\s*" + _INTEGER)
_TIMES_TEN = re.compile(r"[ ~]*(?:\\times|\\cdot|\\ast|\*|x|X)[ ~]*10[ ~]*\^[ ~]*" + _INTEGER)
_E = re.compile(r"[eE]([-+]?\d{1,4})(?![\d.])")
_SLASH = re.compile(r"[ ~]*/[ ~]*(?=\.?\d)")
_GAP = re.compile(r"[ ~]*")

_RELATION = re.compile(
    r"[<>|?&]|\\(?:leq?|geq?|neq?|pm|mp|in|notin|lt|gt|mid|cup|cap|sim|infty|ldots|dots|cdots)(?![a-zA-Z])|!"
)
_EQUALS = re.compile(
    r"=|\\(?:approx|simeq|cong|equiv|doteq)(?![a-zA-Z])|\\(?:Right|right|Longright)arrow(?![a-zA-Z])|->|=>"
)
_BESIDE = re.compile(r"[,;]|\b(?:and|or)\b")
_INNER = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|(?<=\d),(?=\d{3})")
_CURRENCY = re.compile(
    r"(?:US|AU|CA|A|C|HK|NZ|S)?\\?\$|[€£¥₹₩₽¢]|\\(?:pounds|euro|EUR|yen|cent|textdollar|texteuro|mathdollar|dollar)(?![a-zA-Z])|"
    r"\b(?:USD|EUR|GBP|CAD|AUD|INR|JPY|CNY|RMB|CHF|Rs\.?|Tk\.?)"
)
_DEGREES = re.compile(
    r"\^\s*(?:\{\s*\\circ\s*\}|\\circ|\{\s*\\degree\s*\}|\\degree)|\\(?:degree|degrees|circ)(?![a-zA-Z])"
)
_WORD = re.compile(r"[A-Za-z][A-Za-z']*(?:-[A-Za-z]+)*")
_UNIT_POWER = re.compile(r"(?<=[A-Za-z)])[ ~]*\^[ ~]*(?:\{\s*(-?[1-4])\s*\}|(-?[1-4]))(?!\d)|(?<=[a-z])([23])(?!\d)")
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b")
_UNIT_FRACTION = re.compile(r"\\[dtc]?frac\s*\{([A-Za-z ~]+)\}\s*\{([A-Za-z ~]+(?:\^\{?[1-4]\}?)?)\}")

_REFUSED = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand "
    "thousands million billion trillion half halves third thirds quarter quarters double twice triple not never "
    "neither nor or than plus squared cubed factorial root sqrt log ln sin cos tan cot sec csc mod exp pi "
    "modulo wrong incorrect false divided multiplied cannot without except unknown infinity remainder"
)
# Words that make another claim of the number that follows, or that went before.
_REFUSED_BEFORE = _REFUSED | words(
    "no least most over under above below up between from square cube factor multiple percent minus and nearly "
    "almost times until before after exceeding maximum minimum"
)
_REFUSED_AFTER = _REFUSED | words("to through thru least most above over beyond below under greater higher lower minus")
_SHORT = words("ad tv pc cd a an am pm of in is it at as on we he by my us so if do be ex")
# What may be "of" a number.
_OF = words(
    "total value answer amount number cost price result average mean area volume length profit probability speed "
    "distance sum width height weight age count perimeter revenue charge fee score population"
)
_BEFORE_SIGN = words("is are was be equals equal to about approximately approx answer result value total gets get")
_MOST_WORDS = 14


@dataclass(frozen=True)
class Number:
    """What was read: `number` as it is written, the scale of a word or sign after it, the known unit if any."""

    number: Fraction
    scale: Fraction = Fraction(1)
    unit: str | None = None

    def same(self, other: Number) -> bool:
        """Whether both are the same quantity.

        Beside a number without a scale, one with a scale may be meant in it or not: 75 % is 75 and .75.
        """
        if self.unit and other.unit and self.unit != other.unit:
            return False
        if self.scale == other.scale:
            return self.number == other.number
        if self.scale == 1:
            return self.number in (other.number, other.number * other.scale)
        if other.scale == 1:
            return other.same(self)
        return self.number * self.scale == other.number * other.scale


def parse_number(text: str) -> Number | None:
    """The one number that a short answer says, or None. Linear in the text's length."""
    if _SIMPLE.fullmatch(text):
        return Number(Fraction(text))
    answer = plain(text)
    if not answer:
        return None
    answer = answer.rstrip(" ~.,;:")
    answer = in_digits(answer)
    if _RELATION.search(answer) or re.search(r"\d[ ~]*\$[ ~]*\d", answer):
        return None
    return _last_side(answer)


def same_number(answer: str, found: str) -> Verdict:
    """1.0 if both are the same number; 0.0 if `found` is another or none; None if `answer` itself is not a number."""
    gold = parse_number(answer)
    if gold is None:
        return Verdict(None, UNREADABLE)
    other = parse_number(found)
    if other is None:
        return Verdict(0.0, "the answer is not one number")
    return Verdict(1.0, SAME) if gold.same(other) else Verdict(0.0, f"the answer is {spelled(other.number)}")


def spelled(number: Fraction) -> str:
    """The plainest spelling: an integer, a decimal where it ends, else a fraction."""
    if number.denominator == 1:
        return str(number.numerator)
    decimal = Decimal(number.numerator) / Decimal(number.denominator)
    return str(decimal) if Fraction(decimal) == number else str(number)


def _last_side(text: str) -> Number | None:
    """The last side of an equation; of `18 = x` the first. What goes before must be one equation, no list of them."""
    sides = _EQUALS.split(text)
    if len(sides) == 1:
        return _quantity(text)
    before = " ".join(sides[:-1])
    while (inner := _INNER.sub("", before)) != before:
        before = inner
    if _BESIDE.search(before):
        return None
    if re.search(r"\d|\\[dtc]?frac", sides[-1]):
        return _quantity(sides[-1])
    return _quantity(sides[0]) if len(sides) == 2 and re.fullmatch(r"\s*[A-Za-z](?:_\{?\w\}?)?\s*", sides[1]) else None


def _quantity(text: str) -> Number | None:
    text = _bare(text.replace("\\$", "$").replace("\\%", "%"))
    text = re.sub(r"(?<!\\)\$(?=[ ~]*(?:[A-Za-z(]|$))", " ", text) if text.count("$") > 1 else text
    start = _START.search(text)
    if start is None:
        return None
    before = text[: start.start()]
    sign, glued = 1, True
    signed = money = False
    while before:
        currency = re.search(rf"(?:{_CURRENCY.pattern})[ ~]*$", before)
        if currency:
            before, glued, money = before[: currency.start()], False, True
        elif before[-1] in " ~":
            before, glued = before[:-1], False
        elif before[-1] in "+-":
            if signed:
                return None
            signed, sign, glued = True, -1 if before[-1] == "-" else 1, False
            before = before[:-1]
        elif before[-1] in "({[":
            closing = {"(": ")", "{": "}", "[": "]"}[before[-1]]
            end = text.rfind(closing)
            if end < start.end():
                return None
            before, text, glued = before[:-1], text[:end] + " " + text[end + 1 :], False
        else:
            break
    if word := re.search(r"(?:^|[ ~])(minus|negative)$", before, re.IGNORECASE):
        if signed:
            return None
        signed, sign, before = True, -1, before[: word.start()]
    if before and ((glued and before[-1] not in ":,") or not _words_before(before, signed)):
        return None
    found = _number(text, start.start())
    if found is None:
        return None
    number, end = found
    after = text[end:]
    scaled = re.match(r"[ ~]*(%)|[ ~]+([a-z]+)\b|[ ~]*-[ ~]*([a-z]+)\b", after, re.IGNORECASE)
    scale = Fraction(1)
    letter = re.match(r"k\b" if not money else r"([kmb])\b", after, re.IGNORECASE if money else 0)
    if letter:
        number, after = number * _LETTERS[letter[0].lower()], after[1:]
    if scaled and (name := (scaled[1] or scaled[2] or scaled[3]).lower()) in _SCALES:
        scale, after = _SCALES[name], after[scaled.end() :]
    if not _words_after(after, number.denominator == 1):
        return None
    return Number(sign * number, scale, unit_of(_UNIT_FRACTION.sub(r"\1/\2", _DEGREES.sub(" deg ", after))))


def _bare(text: str) -> str:
    """Without brackets around the whole."""
    while True:
        text = text.strip(" ~,;:").rstrip(".")
        for left, right in (("\\{", "\\}"), ("(", ")"), ("[", "]"), ("{", "}")):
            inner = text[len(left) : -len(right)]
            around = text.startswith(left) and text.endswith(right) and len(text) > len(left + right)
            if around and left not in inner and right not in inner and not inner.endswith("\\"):
                text = inner
                break
        else:
            return text


def _number(text: str, place: int) -> tuple[Fraction, int] | None:
    """The number that begins at `place`, and where it ends."""
    if frac := _FRAC.match(text, place):
        return _frac(text, frac.end())
    found = _DECIMAL.match(text, place)
    if found is None or len(found[0]) > _MOST_DIGITS:
        return None
    value, end = Fraction(_MARK.sub("", found[0])), found.end()
    if power := _POWER.match(text, end):
        return _raised(value, power)
    if ten := _TIMES_TEN.match(text, end) or _E.match(text, end):
        tens = _raised(Fraction(10), ten)
        return None if tens is None else (value * tens[0], ten.end())
    if slash := _SLASH.match(text, end):
        return _over(value, text, slash.end())
    gap = _GAP.match(text, end)
    assert gap is not None
    if value.denominator == 1 and "." not in found[0]:  # a mixed number?
        part = None
        if frac := _FRAC.match(text, gap.end()):
            part = _frac(text, frac.end())
        elif gap.end() > end and (top := re.compile(r"\d+").match(text, gap.end())):
            slash = _SLASH.match(text, top.end())
            part = _over(Fraction(top[0]), text, slash.end()) if slash else None
        if part is not None:
            return (value + part[0], part[1]) if 0 < part[0] < 1 else None
    return value, end


def _frac(text: str, end: int) -> tuple[Fraction, int] | None:
    values = []
    for _ in range(2):
        braced = re.compile(r"\s*\{\s*([-+]?)\s*").match(text, end)
        if braced:
            found = _DECIMAL.match(text, braced.end())
            close = re.compile(r"\s*\}").match(text, found.end()) if found else None
            if found is None or close is None or len(found[0]) > _MOST_DIGITS:
                return None
            values.append(Fraction(_MARK.sub("", found[0])) * (-1 if braced[1] == "-" else 1))
            end = close.end()
        else:
            digit = re.compile(r"\s*(\d)").match(text, end)
            if digit is None:
                return None
            values.append(Fraction(digit[1]))
            end = digit.end()
    return (values[0] / values[1], end) if values[1] else None


def _over(top: Fraction, text: str, place: int) -> tuple[Fraction, int] | None:
    low = _DECIMAL.match(text, place)
    if low is None or len(low[0]) > _MOST_DIGITS:
        return None
    value = Fraction(_MARK.sub("", low[0]))
    return (top / value, low.end()) if value else None


def _raised(base: Fraction, match: re.Match[str]) -> tuple[Fraction, int] | None:
    exponent = next(group for group in match.groups() if group)
    if len(exponent) > 4 or abs(int(exponent)) > _MOST_EXPONENT or (base == 0 and int(exponent) <= 0):
        return None
    if abs(base.numerator) > 10**6 or base.denominator > 10**6:
        return None
    return base ** int(exponent), match.end()


def _words_before(text: str, signed: bool) -> bool:
    """Whether these words may go before a number and claim nothing else of it."""
    if not re.fullmatch(r"[A-Za-z'\-~ ,:.*]*", text):
        return False
    said = [word.lower() for word in _WORD.findall(text)]
    if len(said) > _MOST_WORDS or any(word in _REFUSED_BEFORE or word.endswith("n't") for word in said):
        return False
    if any(len(word) == 1 and word not in "ai" for word in said):
        return len(said) == 1 and bool(re.fullmatch(r"\s*[A-Za-z]\s*:\s*", text))
    if any(word == "of" and (place == 0 or said[place - 1] not in _OF) for place, word in enumerate(said)):
        return False
    return not signed or not said or text.rstrip(" ~").endswith(":") or said[-1] in _BEFORE_SIGN


def _words_after(text: str, whole: bool) -> bool:
    """Whether these words may follow a number: a unit, what is counted, a remark; nothing that changes the number."""
    if not text.strip(" ~.,;:*"):
        return True
    if whole and (ordinal := _ORDINAL.match(text)):
        return _words_after(text[ordinal.end() :], False)
    text = _UNIT_FRACTION.sub(r"\1/\2", text)
    attached = bool(re.match(r"[A-Za-z]", text))
    text = _CURRENCY.sub(" ", _DEGREES.sub(" degrees ", text))
    text = _UNIT_POWER.sub(" ", text)
    if not re.fullmatch(r"[A-Za-z'\-~ ,:;./()*\[\]]*", text) or re.match(r"[ ~]*[-*:/][ ~]*(?![A-Za-z])|[ ~]*\*", text):
        return False
    said = _WORD.findall(text)
    refused = _REFUSED_AFTER - {"over"} if "left over" in text.replace("~", " ") else _REFUSED_AFTER
    if len(said) > _MOST_WORDS or any(word.lower() in refused or word.lower().endswith("n't") for word in said):
        return False
    for place, word in enumerate(said):
        if is_unit(word):
            continue
        first = place == 0 and attached
        if len(word) == 1 and (first or word != "a" or place + 1 == len(said)):
            return False
        if len(word) == 2 and (first or word.lower() not in _SHORT):
            return False
    return True
