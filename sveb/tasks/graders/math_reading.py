"""From the text of an answer to what it says: one of the kinds of math_kinds.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import sympy as sp  # type: ignore[import-untyped]

from sveb.tasks.graders.math_bounds import UnreadableError
from sveb.tasks.graders.math_kinds import (
    UNSAID,
    Based,
    Interval,
    Items,
    Literal,
    Matrix,
    Reading,
    Relation,
    System,
    Union,
    Value,
)  # fmt: skip
from sveb.tasks.graders.math_notation import TEXT_SIGN, clean, literal, pieces, split, split_at
from sveb.tasks.graders.math_sets import common, solved, without
from sveb.tasks.graders.math_value import expr, value
from sveb.tasks.graders.number_words import value_of

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
_BEGIN = re.compile(
    r"\\begin\{(cases|aligned|align|array|gathered|split|matrix|pmatrix|bmatrix|vmatrix|Bmatrix|smallmatrix)\*?\}(?:\{[lcr|]*\})?"
)
_ELLIPSIS = re.compile(r"\\(?:ldots|dots|cdots|dotsc)(?![a-zA-Z])|\.\.\.")
_BASED = re.compile(
    rf"(\()?([0-9A-Za-z]*[0-9][0-9A-Za-z]*|[0-9A-Z]+)(?(1)\))\s*"
    rf"(?:_\s*(?:\{{\s*{TEXT_SIGN}?(?:base)?[ ~]*{TEXT_SIGN}?(\d+|[A-Za-z]+)\s*{TEXT_SIGN}?\s*\}}|(\d))|"
    rf"{TEXT_SIGN}[ ~]*\(?(?:in[ ~]+)?base[ ~]*{TEXT_SIGN}?[ ~]*(\d+|[A-Za-z]+)\)?[ ~]*{TEXT_SIGN}?)"
)
_REALS = re.compile(
    r"\\mathbb\s*\{?R\}?|\\(?:R|Reals|reals)|"
    rf"{TEXT_SIGN}[ ~]*(?:all[ ~]+)?(?:real[ ~]+numbers|reals)[ ~]*{TEXT_SIGN}",
    re.IGNORECASE,
)
_BUILDER = re.compile(r"[ ~]*([A-Za-z])[ ~]*(?:(?<!\\)\||:|\\mid(?![a-zA-Z]))(.+)")


def read(text: str) -> Reading:
    """What the answer says. Raises UnreadableError where that is not certain, TooLargeError where it takes too long."""
    plain = clean(text)
    if not plain:
        raise UnreadableError("it is empty")
    return _read(plain)


def _read(text: str) -> Reading:
    text = text.strip(" ~")
    if not text:
        raise UnreadableError("a part is empty")
    if (block := _BEGIN.match(text)) and text.rstrip(" .").endswith("}"):
        end = f"\\end{{{block[1]}}}"
        if text.rstrip(" .").endswith(end) and text.count("\\begin") == 1:
            return _block(block[1], text[block.end() : text.rindex(end)])
    parts = list(split(text))
    if len(parts) > 1:
        return _several(text, parts)
    if _ELLIPSIS.fullmatch(text):
        return Literal("...")
    return _one(text)


def _one(text: str) -> Reading:
    """What is not a list."""
    if based := _BASED.fullmatch(text):
        base = based[3] or based[4] or based[5]
        spelled = base if base.isdigit() else value_of(base)
        if spelled is not None:
            return Based(based[2].upper().lstrip("0") or "0", str(spelled))
    relations = list(pieces(text, _RELATION, keep=True))
    if len(relations) > 1:
        return _relation(relations)
    if re.search(r"\\pmod(?![a-zA-Z])", text):
        return _relation([UNSAID, r"\equiv", text])
    unions = list(split_at(text, r"\\(?:cup|bigcup)(?![a-zA-Z])"))
    if len(unions) > 1:
        return Union(tuple(_read(part) for part in unions))
    left, *taken = split_at(text, r"\\(?:setminus|backslash)(?![a-zA-Z])")
    if len(taken) == 1 and (remaining := without(_one(left), _one(taken[0]))):
        return remaining
    if _REALS.fullmatch(text):
        return Interval("()", -sp.oo, sp.oo)
    if re.fullmatch(r"\\emptyset|\\varnothing|\\\{[ ~]*\\\}", text):
        return Items("set", ())
    if bracketed := _bracketed(text):
        return bracketed
    ratio = list(pieces(text, re.compile(r":|\\colon(?![a-zA-Z])")))
    if len(ratio) > 1 and TEXT_SIGN not in text:
        return Items("ratio", tuple(value(part.strip(" ~")) for part in ratio))
    return value(text)


def _bracketed(text: str) -> Reading | None:
    """A set, tuple or interval that is the whole text."""
    opening = next((sign for sign in (r"\{", "(", "[") if text.startswith(sign)), None)
    if opening is None:
        return None
    closing = next((sign for sign in (r"\}", ")", "]") if text.endswith(sign)), None)
    if closing is None or (opening == r"\{") != (closing == r"\}"):
        return None
    inner = text[len(opening) : -len(closing)]
    parts = list(split_at(inner, r",(?!\})|;"))
    if opening == r"\{":
        if builder := _BUILDER.fullmatch(inner):
            condition = _read(builder[2])
            if isinstance(condition, Interval | Union) and condition.variable == builder[1]:
                return replace(condition, variable="")
        if re.search(r"(?<!\\)\||:|\\mid", inner):
            return Literal(literal(re.sub(r"(?<!\\)\||\\mid(?![a-zA-Z])", ":", text)))
        return Items("set", tuple(each for part in parts for each in _both_signs(_read_in_brackets(part))))
    if len(parts) < 2:
        return None if (opening, closing) in (("(", ")"), ("[", "]")) else _refuse("an interval has two ends")
    if len(parts) == 2 and ((opening, closing) != ("(", ")") or r"\infty" in inner):
        low, high = (expr(part) for part in parts)
        return Interval(opening + closing, low, high)
    if (opening, closing) in (("(", ")"), ("[", "]")):
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
        return Literal(literal(text))
    read_parts = [each for part in parts for each in _both_signs(_one(part))]
    if all(isinstance(part, Relation | Interval | Union) and _names(part) for part in read_parts):
        names = {_names(part) for part in read_parts}
        if len(names) == len(read_parts):
            return System(tuple(read_parts))
        if len(names) == 1:
            if all(isinstance(part, Relation) and part.signs == ("=",) for part in read_parts):
                return Items("list", tuple(read_parts))
            if re.search(rf"{TEXT_SIGN}[^{TEXT_SIGN}]*\bor\b", text) or r"\lor" in text or r"\vee" in text:
                return Union(tuple(read_parts), next(iter(names)))
            if both := common(read_parts):
                return both
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
        return Literal(literal("".join(pieces)))
    modulus = None
    if signs_[-1] in ("equiv", "notequiv") or re.search(r"\\p?mod|\\bmod", texts[-1]):
        found = re.search(
            rf"\\(?:pmod|bmod|mod|pod)\s*(?:\{{(.*)\}}|(.+))$|\(\s*(?:\\mathrm|\\bmod|\\mod|mod|{TEXT_SIGN}\s*mod\s*{TEXT_SIGN})\s*~*(.+?)\)$",
            texts[-1],
        )
        if found is None and "mod" in texts[-1]:
            raise UnreadableError("a modulus is missing")
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
            sides.append(Literal(literal(side)))
    relation = Relation(signs_, tuple(sides), modulus)
    return solved(relation) or _apart(relation) or relation


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
