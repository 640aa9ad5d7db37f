r"""What a mathematical answer says: its kind and its parts, each part an expression of its own.

Value     an expression, with or without a unit: `\frac{1}{2}`, `6\text{ cm}`, `74^\circ`, `50\%`
Based     digits with the base they are written in: `2516_8`
Items     several things: a bare list `1, 2` or a set `\{1, 2\}` in any order, a tuple `(1, 2)`, a ratio `1:2` or a
          sequence with an ellipsis in its own
Interval  `(0, 1]`, and an inequality with one variable alone: `x > 2`, `-2 \le x \le 7`
Union     of intervals and sets
Relation  an equation, inequality, congruence, membership; sides in their order
System    relations that hold together: `cases`, `x = 1, y = 2`, `x = y = 1`
Matrix    rows of expressions
Literal   words, or words and signs: compared as they are written
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp  # type: ignore[import-untyped]

from sveb.tasks.graders.math_expression import TooLargeError, UnreadableError, expression
from sveb.tasks.graders.measure_units import canonical, unit_of
from sveb.tasks.graders.written import balanced, signs


@dataclass(frozen=True)
class Value:
    """`unit`: a known unit, or the words after a number; "" where there is none. `percent`: it stands before a %."""

    expr: Any
    unit: str = ""
    percent: bool = False


@dataclass(frozen=True)
class Based:
    """Digits in a base; the base as digits."""

    digits: str
    base: str


@dataclass(frozen=True)
class Items:
    """`kind`: list, set, tuple, ratio, or sequence: a list with an ellipsis."""

    kind: str
    parts: tuple[Reading, ...]


@dataclass(frozen=True)
class Interval:
    """`brackets`: the two signs. `variable`: whose values they are, "" where it is not said."""

    brackets: str
    low: Any
    high: Any
    variable: str = ""


@dataclass(frozen=True)
class Union:
    """In any order."""

    parts: tuple[Reading, ...]
    variable: str = ""


@dataclass(frozen=True)
class Relation:
    """`signs` stand between the `sides`. `modulus` of a congruence, as it is written."""

    signs: tuple[str, ...]
    sides: tuple[Reading, ...]
    modulus: Reading | None = None


@dataclass(frozen=True)
class System:
    """Relations in any order."""

    relations: tuple[Reading, ...]


@dataclass(frozen=True)
class Matrix:
    """Rows of readings."""

    rows: tuple[tuple[Reading, ...], ...]


@dataclass(frozen=True)
class Literal:
    """Words and signs, without spaces, marks and case of words."""

    text: str


Reading = Value | Based | Items | Interval | Union | Relation | System | Matrix | Literal

_MOST_WORDS = 12
_LONGEST = 2000

_RELATIONS = {
    "=": "=", "<": "<", ">": ">", r"\lt": "<", r"\gt": ">", r"\le": "<=", r"\leq": "<=", r"\leqslant": "<=",
    "<=": "<=", r"\ge": ">=", r"\geq": ">=", r"\geqslant": ">=", ">=": ">=", r"\ne": "!=", r"\neq": "!=",
    r"\not=": "!=", "!=": "!=", r"\in": "in", r"\notin": "notin", r"\not\in": "notin", r"\equiv": "equiv",
    r"\not\equiv": "notequiv", r"\approx": "~", r"\mid": "divides", r"\nmid": "notdivides",
    r"\not\mid": "notdivides", r"\subset": "subset", r"\subseteq": "subseteq", r"\to": "to",
    r"\rightarrow": "to", r"\mapsto": "to", r"\Rightarrow": "implies", r"\implies": "implies",
    r"\iff": "iff", r"\Leftrightarrow": "iff", r"\perp": "perp", r"\parallel": "parallel",
    r"\sim": "sim", r"\cong": "cong",
    r"\propto": "propto", "≃": "~", r"\simeq": "~", r"\supset": "supset", r"\nsubseteq": "notsubseteq",
}  # fmt: skip
_RELATION = re.compile(
    "|".join(
        re.escape(sign) + (r"(?![a-zA-Z])" if sign[-1].isalpha() else "")
        for sign in sorted(_RELATIONS, key=len, reverse=True)
    )
)
_OPPOSITE = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_STYLE = re.compile(
    r"\\(?:left|right|[bB]igg?[lrm]?|middle)(?![a-zA-Z])\.?|\\(?:displaystyle|textstyle|limits|nolimits|rm|bf|it|boldmath)(?![a-zA-Z])|\\!"
)
_SPACE = re.compile(r"(?<!\\)\\[,;:> ]|\\(?:quad|qquad|enspace|thinspace|space)(?![a-zA-Z])")
_TYPE = re.compile(
    r"\\(?:mathbf|mathit|mathsf|mathnormal|boldsymbol|bm|boxed|fbox|underline|emph|ensuremath|displaystyle|mathcal)\s*(?=\{)"
)
_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|textsf|textnormal|mbox|hbox|mathrm|operatorname)\s*\{([^{}]*)\}")
_BEGIN = re.compile(
    r"\\begin\{(cases|aligned|align|array|gathered|split|matrix|pmatrix|bmatrix|vmatrix|Bmatrix|smallmatrix)\*?\}(?:\{[lcr|]*\})?"
)
_TEXT_SIGN = "\x02"  # stands before and after a run of words
_WORD_RUN = re.compile(rf"{_TEXT_SIGN}([^{_TEXT_SIGN}]*){_TEXT_SIGN}")
_BARE_WORDS = re.compile(
    r"(?<![\\A-Za-z_^{])[A-Za-z]{4,}(?:[ -]+[A-Za-z]+)*|"
    r"(?<![\\A-Za-z])(?:and|or|for|if|all|odd|cm|km|mm|kg|the|yes|no|in|is)(?![A-Za-z])"
)
_ASCII = frozenset(["arcsin", "arccos", "arctan", "sqrt", "sinh", "cosh", "tanh", "binom", "floor", "ceil"])
_ELLIPSIS = re.compile(r"\\(?:ldots|dots|cdots|dotsc)(?![a-zA-Z])|\.\.\.")
_DEGREE = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ|\{\s*\\degree\s*\}|\\degree)(?![a-zA-Z])|\\degree(?![a-zA-Z])")
_THOUSANDS = re.compile(r"(?<![\d.,}])(\d{1,3}(?:,\d{3})+)(?![\d,])")
_BASED = re.compile(
    rf"([0-9A-Za-z]*[0-9][0-9A-Za-z]*|[0-9A-Z]+)\s*_\s*"
    rf"(?:\{{\s*{_TEXT_SIGN}?(?:base)?[ ~]*{_TEXT_SIGN}?(\d+)\s*{_TEXT_SIGN}?\s*\}}|(\d))"
)
_CURRENCY = re.compile(r"\\\$|[€£¥]|(?<!\S)\$(?=\d)")


def read(text: str) -> Reading:
    """What the answer says. Raises UnreadableError where that is not certain, TooLargeError where it takes too long."""
    plain = clean(text)
    if not plain:
        raise UnreadableError("it is empty")
    return _read(plain)


def clean(text: str) -> str:
    """One notation for what has several; words stand between signs of their own."""
    if len(text) > _LONGEST:
        raise TooLargeError(f"it is longer than {_LONGEST} characters")
    text = text.strip()
    if not balanced(text):
        raise UnreadableError("its braces do not balance")
    text = re.sub(r",\s*\\!\s*", "{,}", signs(text))
    text = re.sub(r"\\ddfrac|\\[dtc]frac", r"\\frac", _STYLE.sub("", text))
    text = _TYPE.sub("", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"\1", text) if text.startswith("**") else text
    text = _outside_dollars(text)
    text = _SPACE.sub("~", text)
    while (inner := _TEXT.sub(_as_words, text)) != text:
        text = inner
    parts = _WORD_RUN.split(text)
    parts[0::2] = [_BARE_WORDS.sub(_as_bare_words, part) for part in parts[0::2]]
    parts[1::2] = [f"{_TEXT_SIGN}{part}{_TEXT_SIGN}" for part in parts[1::2]]
    text = "".join(parts)
    text = re.sub(rf"{_TEXT_SIGN}([\s~]*){_TEXT_SIGN}", " ", text)
    text = re.sub(r"\s+", " ", text).strip(" ~")
    while text.endswith((".", ",", ";", ":")) and not text.endswith("..."):
        text = text[:-1].rstrip(" ~")
    while text.startswith("{") and text.endswith("}") and _closes(text, 0) == len(text) - 1:
        text = text[1:-1].strip(" ~")
    return text


def _as_words(match: re.Match[str]) -> str:
    r"""`\text{...}`: a letter or digits alone are mathematics (`\mathrm{e}`, `\text{18}`), other content is words."""
    inner = match[1].strip().strip("~")
    if len(inner) <= 1 or re.fullmatch(r"-?[\d.,]+|[a-zA-Z]", inner):
        return inner if len(inner) <= 1 and inner else f"{inner} "
    return f"{_TEXT_SIGN}{match[1].replace(_TEXT_SIGN, '')}{_TEXT_SIGN}"


def _as_bare_words(match: re.Match[str]) -> str:
    return match[0] if match[0] in _ASCII else f"{_TEXT_SIGN}{match[0]}{_TEXT_SIGN}"


def _outside_dollars(text: str) -> str:
    r"""Without delimiters of mathematics; what stands outside of them is words."""
    text = re.sub(r"\\[()\[\]]", "$", re.sub(r"(?<!\\)\$\$", "$", text)) if re.search(r"\\[(\[]|\$", text) else text
    parts = re.split(r"(?<!\\)\$", text)
    if len(parts) == 1:
        return text
    if len(parts) % 2 == 0:  # a lone sign of money
        return text
    words = [
        f"{_TEXT_SIGN}{part}{_TEXT_SIGN}"
        if place % 2 == 0 and re.search(r"[A-Za-z]{2}", part) and "\\" not in part
        else part
        for place, part in enumerate(parts)
    ]
    return " ".join(words)


def _read(text: str) -> Reading:
    text = text.strip(" ~")
    if not text:
        raise UnreadableError("a part is empty")
    if (block := _BEGIN.match(text)) and text.rstrip(" .").endswith("}"):
        end = f"\\end{{{block[1]}}}"
        if text.rstrip(" .").endswith(end) and text.count("\\begin") == 1:
            return _block(block[1], text[block.end() : text.rindex(end)])
    parts = list(_split(text))
    if len(parts) > 1:
        return _several(text, parts)
    if _ELLIPSIS.fullmatch(text):
        return Literal("...")
    return _one(text)


def _one(text: str) -> Reading:
    """What is not a list."""
    if based := _BASED.fullmatch(text):
        return Based(based[1].upper().lstrip("0") or "0", based[2] or based[3])
    relations = list(_pieces(text, _RELATION, keep=True))
    if len(relations) > 1:
        return _relation(relations)
    unions = list(_split_at(text, r"\\(?:cup|bigcup)(?![a-zA-Z])"))
    if len(unions) > 1:
        return Union(tuple(_read(part) for part in unions))
    if re.fullmatch(r"\\mathbb\s*\{?R\}?|\\(?:R|Reals|reals)", text):
        return Interval("()", _infinity(-1), _infinity(1))
    if re.fullmatch(r"\\emptyset|\\varnothing|\\\{[ ~]*\\\}", text):
        return Items("set", ())
    if bracketed := _bracketed(text):
        return bracketed
    ratio = list(_pieces(text, re.compile(r":|\\colon(?![a-zA-Z])")))
    if len(ratio) > 1 and _TEXT_SIGN not in text:
        return Items("ratio", tuple(_value(part.strip(" ~")) for part in ratio))
    return _value(text)


def _bracketed(text: str) -> Reading | None:
    """A set, tuple or interval that is the whole text."""
    opening = next((sign for sign in (r"\{", "(", "[", "]") if text.startswith(sign)), None)
    if opening is None:
        return None
    closing = next((sign for sign in (r"\}", ")", "]", "[") if text.endswith(sign)), None)
    if closing is None or (opening == r"\{") != (closing == r"\}"):
        return None
    inner = text[len(opening) : -len(closing)]
    parts = list(_split_at(inner, r",(?!\})|;"))
    if opening == r"\{":
        if re.search(r"(?<!\\)\||:|\\mid", inner):
            return Literal(_literal(text))
        return Items("set", tuple(each for part in parts for each in _both_signs(_read_in_brackets(part))))
    if len(parts) < 2:
        return None if (opening, closing) in (("(", ")"), ("[", "]")) else _refuse("an interval has two ends")
    if len(parts) == 2 and ((opening, closing) not in (("(", ")"),) or r"\infty" in inner):
        low, high = (_expr(part) for part in parts)
        return Interval({"]": "("}.get(opening, opening) + {"[": ")"}.get(closing, closing), low, high)
    if (opening, closing) == ("(", ")"):
        return Items("tuple", tuple(_read_in_brackets(part) for part in parts))
    if (opening, closing) == ("[", "]"):
        return Items("tuple", tuple(_read_in_brackets(part) for part in parts))
    raise UnreadableError("brackets do not match")


def _refuse(reason: str) -> Reading:
    raise UnreadableError(reason)


def _read_in_brackets(text: str) -> Reading:
    return Literal("...") if _ELLIPSIS.fullmatch(text.strip(" ~")) else _one(text.strip(" ~"))


def _several(text: str, parts: list[str]) -> Reading:
    if any(_ELLIPSIS.fullmatch(part) for part in parts):
        return Items("sequence", tuple(_read(part) for part in parts))
    if re.search(r"\\(?:forall|exists)", text):
        return Literal(_literal(text))
    read_parts = [each for part in parts for each in _both_signs(_one(part))]
    if all(isinstance(part, Relation | Interval | Union) and _names(part) for part in read_parts):
        names = {_names(part) for part in read_parts}
        if len(names) == len(read_parts):
            return System(tuple(read_parts))
        if len(names) == 1:
            if all(isinstance(part, Relation) and part.signs == ("=",) for part in read_parts):
                return Items("list", tuple(read_parts))
            if re.search(rf"{_TEXT_SIGN}[^{_TEXT_SIGN}]*\bor\b", text) or r"\lor" in text or r"\vee" in text:
                return Union(tuple(read_parts), next(iter(names)))
        return System(tuple(read_parts))
    first = read_parts[0]
    values = all(isinstance(part, Value) for part in read_parts[1:])
    if values and isinstance(first, Relation) and first.signs == ("=",) and _names(first):  # `x = 1, 2`
        return Items("list", (first.sides[1], *read_parts[1:]))
    if any(isinstance(part, Relation) for part in read_parts):
        return System(tuple(read_parts))
    return Items("list", tuple(read_parts))


def _names(reading: Reading) -> str:
    """The single variable that a reading is about, "" where there is none."""
    if isinstance(reading, Interval | Union):
        return reading.variable
    if isinstance(reading, Relation) and isinstance(reading.sides[0], Value) and reading.sides[0].expr.is_Symbol:
        return str(reading.sides[0].expr)
    if isinstance(reading, Relation) and isinstance(reading.sides[0], Literal):
        return reading.sides[0].text
    return ""


def _relation(pieces: list[str]) -> Reading:
    """Sides and signs in turn."""
    signs_, texts = tuple(_RELATIONS[sign] for sign in pieces[1::2]), pieces[0::2]
    if signs_ and signs_[0] == "=" and not texts[0].strip(" ~"):
        signs_, texts = signs_[1:], texts[1:]
        if not signs_:
            return _one(texts[0].strip(" ~"))
    if signs_ and signs_[0] == "~" and len(signs_) == 1 and not texts[0].strip(" ~"):
        return _one(texts[1].strip(" ~"))
    if r"\forall" in "".join(texts) or r"\exists" in "".join(texts):
        return Literal(_literal("".join(pieces)))
    modulus = None
    if signs_[-1] in ("equiv", "notequiv") or re.search(r"\\p?mod|\\bmod", texts[-1]):
        found = re.search(
            rf"\\(?:pmod|bmod|mod|pod)\s*(?:\{{(.*)\}}|(.+))$|\(\s*(?:\\mathrm|\\bmod|\\mod|mod|{_TEXT_SIGN}\s*mod\s*{_TEXT_SIGN})\s*~*(.+?)\)$",
            texts[-1],
        )
        if found:
            modulus = _one(next(group for group in found.groups() if group).strip(" ~()"))
            texts[-1] = texts[-1][: found.start()]
    sides: list[Reading] = []
    for place, side in enumerate(texts):
        try:
            if re.search(r"\\(?:angle|triangle|overline|widehat)(?![a-zA-Z])", side) and place < len(texts) - 1:
                raise UnreadableError("it is the name of a figure")
            sides.append(_one(side.strip(" ~")) if side.strip(" ~") else _refuse("a side is empty"))
        except UnreadableError:
            if place == len(texts) - 1 or not side.strip(" ~"):
                raise
            sides.append(Literal(_literal(side)))
    relation = Relation(signs_, tuple(sides), modulus)
    return _solved(relation) or _apart(relation) or relation


def _solved(relation: Relation) -> Reading | None:
    """The interval or set that a variable, alone on its side, is said to be in."""
    sides, between = relation.sides, relation.signs
    if between == ("in",) and isinstance(sides[0], Value) and sides[0].expr.is_Symbol:
        name = str(sides[0].expr)
        match sides[1]:
            case Interval(brackets, low, high, _):
                return Interval(brackets, low, high, name)
            case Union(parts, _):
                return Union(parts, name)
            case Items("tuple", (Value(low), Value(high))):
                return Interval("()", low, high, name)
        return None
    if not set(between) <= {"<", "<=", ">", ">="} or not all(isinstance(side, Value) for side in sides):
        return None
    exprs = [side.expr for side in sides if isinstance(side, Value)]
    if len(sides) == 2 and len(free := (exprs[0] - exprs[1]).free_symbols) == 1:
        exprs, between = _isolated(exprs, between, *free)
    if len(sides) == 2 and not (exprs[0].is_Symbol and exprs[1].is_Symbol):
        for variable, bound, sign in ((exprs[0], exprs[1], between[0]), (exprs[1], exprs[0], _OPPOSITE[between[0]])):
            if variable.is_Symbol and not bound.has(variable):
                if sign in ("<", "<="):
                    return Interval("(" + ("]" if sign == "<=" else ")"), _infinity(-1), bound, str(variable))
                return Interval(("[" if sign == ">=" else "(") + ")", bound, _infinity(1), str(variable))
    if len(sides) == 3 and exprs[1].is_Symbol:
        if set(between) <= {">", ">="}:
            exprs, between = exprs[::-1], tuple(_OPPOSITE[sign] for sign in between[::-1])
        if set(between) <= {"<", "<="}:
            brackets = ("[" if between[0] == "<=" else "(") + ("]" if between[1] == "<=" else ")")
            return Interval(brackets, exprs[0], exprs[2], str(exprs[1]))
    return None


def _isolated(exprs: list[Any], between: tuple[str, ...], variable: Any) -> tuple[list[Any], tuple[str, ...]]:
    """A linear inequality with the variable alone on its left; another as it is."""
    difference = sp.expand(exprs[0] - exprs[1])
    factor = difference.coeff(variable, 1)
    rest = sp.expand(difference - factor * variable)
    if rest.has(variable) or not factor.is_real or factor.is_zero:
        return exprs, between
    return [variable, -rest / factor], between if factor.is_positive else (_OPPOSITE[between[0]],)


def _apart(relation: Relation) -> Reading | None:
    """`x = y = 1` and `(x, y) = (1, 2)` as what they say of each variable."""
    sides = relation.sides
    if set(relation.signs) != {"="}:
        return None
    names = [side for side in sides[:-1] if isinstance(side, Value) and side.expr.is_Symbol]
    if len(names) > 1 and len(names) == len(sides) - 1:
        return System(tuple(Relation(("=",), (name, sides[-1])) for name in names))
    if len(sides) == 2:
        match sides:
            case (Items("tuple", left), Items("tuple", right)) if len(left) == len(right):
                if all(isinstance(name, Value) and name.expr.is_Symbol for name in left):
                    return System(tuple(Relation(("=",), pair) for pair in zip(left, right, strict=True)))
    return None


def _block(kind: str, body: str) -> Reading:
    rows = [row.strip(" ~&") for row in re.split(r"\\\\(?:\[[^\]]*\])?", body)]
    rows = [row.rstrip(",;. ") for row in rows if row]
    if kind.endswith("matrix"):
        return Matrix(tuple(tuple(_one(cell.strip(" ~")) for cell in row.split("&")) for row in rows))
    parts = [_read(row.replace("&", " ")) for row in rows]
    flat = [each for part in parts for each in (part.relations if isinstance(part, System) else (part,))]
    return System(tuple(flat)) if len(flat) > 1 else flat[0]


def _both_signs(reading: Reading) -> Iterator[Reading]:
    r"""The values of `a \pm b`, each its own."""
    if isinstance(reading, Items) and reading.kind == "list":
        yield from reading.parts
    else:
        yield reading


def _value(text: str) -> Reading:
    if re.search(r"\\(?:pm|mp)(?![a-zA-Z])", text):
        one = re.sub(r"\\pm(?![a-zA-Z])", "+", re.sub(r"\\mp(?![a-zA-Z])", "-", text))
        other = re.sub(r"\\pm(?![a-zA-Z])", "-", re.sub(r"\\mp(?![a-zA-Z])", "+", text))
        return Items("list", (_value(one), _value(other)))
    words = " ".join(match[1] for match in _WORD_RUN.finditer(text))
    rest = _CURRENCY.sub(" ", text)
    money = "dollar" if rest != text else ""
    degrees = bool(_DEGREE.search(rest)) and not re.search(r"\\(?:sin|cos|tan|cot|sec|csc)", rest)
    if degrees:
        rest = _DEGREE.sub(" ", rest, count=1) if len(_DEGREE.findall(rest)) == 1 else rest
    percent = bool(re.search(r"\\?%", rest))
    rest = re.sub(r"\\?%[ ~]*$", "", rest.rstrip(" ~"))
    unit, bare = _unit(rest)
    if bare is not None:
        named = "deg" if degrees else unit or money
        if not (named in ("deg", "") and degrees and unit) or unit == "deg":
            try:
                percent = percent or unit == "percent"
                return Value(_expr(bare), "" if unit == "percent" else named, percent)
            except UnreadableError:
                if not words:
                    raise
        elif unit:
            return Value(_expr(bare), f"deg {unit}", percent)
    if words:
        if len(words.split()) > _MOST_WORDS:
            raise UnreadableError("it is a sentence")
        return Literal(_literal(text))
    if "\\" not in text and re.fullmatch(r"[A-Za-z][A-Za-z .'-]+", text) is not None and " " in text:
        return Literal(_literal(text))
    return Value(_expr(rest), "deg" if degrees else money, percent)


def _unit(text: str) -> tuple[str, str | None]:
    """The words that follow an expression, in one form; and the expression, None where words stand elsewhere."""
    runs = list(_WORD_RUN.finditer(text))
    if not runs:
        return "", text
    first = runs[0]
    bare, after = text[: first.start()].strip(" ~"), text[first.start() :]
    remark = re.fullmatch(
        rf"[ ~]*{_TEXT_SIGN}[ ~]*\(?\s*"
        rf"(?:approx\.?|approximately|about|exactly|total|in total)\s*\)?[ ~]*{_TEXT_SIGN}[ ~]*",
        after,
    )
    if remark and bare:
        return "", bare
    if not bare:
        lead = re.fullmatch(
            rf"[ ~]*{_TEXT_SIGN}[ ~]*"
            rf"(?:approximately|about|exactly|the answer is|answer:?|roughly)[ ~]*{_TEXT_SIGN}(.+)",
            text,
        )
        return _unit(lead[1]) if lead and re.search(r"\d", lead[1]) else ("", None)
    if not re.search(r"\d|\\pi|\\sqrt|\\frac|[)}]$", bare):
        return "", None
    words = re.sub(rf"[{_TEXT_SIGN}~^{{}}()]", " ", after).strip()
    if not re.fullmatch(r"[A-Za-z /.\-0-9'*\\]*", words) or re.search(
        r"\b(?:and|or|if|where|for|when|not|to|mod|base)\b", words
    ):
        return "", None
    known = unit_of(words.replace("\\cdot", " "))
    if re.search(r"(?<![A-Za-z^ ])\d{2}", words):
        return "", None
    if known is not None:
        return known, bare
    return (
        "percent" if words.lower() in ("percent", "per cent") else " ".join(canonical(word) for word in words.split())
    ), bare


def _expr(text: str) -> Any:
    text = text.strip(" ~")
    text = _THOUSANDS.sub(lambda match: match[1].replace(",", "{,}"), text)
    if re.fullmatch(r"-\s*\\infty", text):
        return _infinity(-1)
    if re.fullmatch(r"\+?\s*\\infty", text):
        return _infinity(1)
    if _TEXT_SIGN in text:
        raise UnreadableError("it holds words")
    return expression(text)


def _infinity(sign: int) -> Any:
    return sp.oo if sign > 0 else -sp.oo


def _literal(text: str) -> str:
    text = text.replace(_TEXT_SIGN, " ").casefold() if _TEXT_SIGN in text else text
    text = re.sub(r"\\(?:text|mathrm)\s*", "", text)
    return (
        re.sub(r"[\s~{}().,;:'\"]", "", text).replace("-", "")
        if not re.search(r"[\d\\+*/^=<>]", text)
        else re.sub(r"[\s~{}]", "", text)
    )


def _split(text: str) -> Iterator[str]:
    """At commas, semicolons and connecting words that stand in no brackets."""
    text = _THOUSANDS.sub(lambda match: match[1].replace(",", "{,}"), text) if not _long_list(text) else text
    text = _WORD_RUN.sub(_connectives, text)
    yield from (part for part in _split_at(text, r",(?!\})|;|\x03|\\(?:lor|vee|land|wedge)(?![a-zA-Z])") if part)


def _long_list(text: str) -> bool:
    """Whether commas with three digits after them are a list's: where others have fewer, or a space after."""
    return bool(re.search(r"\d,\s+\S|\d,\d{1,2}(?!\d)", text)) and not re.search(
        r"\d,\d{3}(?!\d)", re.sub(r",\s", "", text)
    )


def _connectives(match: re.Match[str]) -> str:
    """Words between which `and` or `or` joins parts: the parts' own words, and a mark between."""
    pieces = re.split(r",|;|\b(?:and|or)\b", match[1])
    if len(pieces) == 1:
        return match[0]
    return "\x03".join(f"{_TEXT_SIGN}{piece}{_TEXT_SIGN}" if piece.strip(" ~") else "" for piece in pieces)


def _split_at(text: str, pattern: str) -> Iterator[str]:
    yield from (part.strip(" ~") for part in _pieces(text, re.compile(pattern)))


def _pieces(text: str, separator: re.Pattern[str], keep: bool = False) -> Iterator[str]:
    """The parts between separators that stand in no brackets and no words; with `keep` the separators too."""
    depth, start, place = 0, 0, 0
    in_words = False
    while place < len(text):
        if text[place] == _TEXT_SIGN:
            in_words = not in_words
        elif not in_words:
            found = separator.match(text, place) if depth == 0 else None
            if found:
                yield text[start:place]
                if keep:
                    yield found[0]
                start = place = found.end()
                continue
            sign = text[place : place + 2] if text[place] == "\\" else text[place]
            if sign in ("(", "[", "{", r"\{"):
                depth += 1
            elif sign in (")", "]", "}", r"\}"):
                depth = max(0, depth - 1)
            if text.startswith(r"\begin", place):
                depth += 1
            elif text.startswith(r"\end", place):
                depth = max(0, depth - 1)
            place += 1 if len(sign) == 2 and sign[1:].strip() and not sign[1].isalpha() else 0
        place += 1
    yield text[start:]


def _closes(text: str, place: int) -> int:
    """Where the brace at `place` closes."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text[place:]):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return place + match.start()
    return -1
