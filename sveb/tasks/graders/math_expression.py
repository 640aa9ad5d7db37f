r"""One expression of LaTeX, or as it is typed, as a sympy expression: exact, and read in one way only.

What could be read in two ways (`3 5`, `1/2x`) raises `UnreadableError`; so does other text. Decimals
are exact rationals, letters keep their case, `e` and `i` are the constants. What this grammar does not know (sums,
integrals, matrices inside an expression) is left to the parser of math-verify.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import sympy as sp  # type: ignore[import-untyped]

from sveb.tasks.graders.math_bounds import UnreadableError, bounded, power
from sveb.tasks.graders.math_tokens import tokens
from sveb.tasks.graders.written import words

_DEEPEST = 60

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": sp.sin, "cos": sp.cos, "tan": sp.tan, "cot": sp.cot, "sec": sp.sec, "csc": sp.csc, "sinh": sp.sinh,
    "cosh": sp.cosh, "tanh": sp.tanh, "coth": sp.coth, "arcsin": sp.asin, "arccos": sp.acos, "arctan": sp.atan,
    "arccot": sp.acot, "ln": sp.log, "exp": sp.exp, "tg": sp.tan, "ctg": sp.cot, "arctg": sp.atan, "abs": sp.Abs,
    "floor": sp.floor, "ceil": sp.ceiling,
}  # fmt: skip
_INVERSE = {sp.sin: sp.asin, sp.cos: sp.acos, sp.tan: sp.atan, sp.cot: sp.acot, sp.sec: sp.asec, sp.csc: sp.acsc}
_GREEK = words(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau "
    "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell"
)
_TIMES = frozenset((r"\cdot", r"\times", r"\ast", "*"))
_PAIRS = {
    "(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil", r"\lvert": r"\rvert",
}  # fmt: skip
_NO_FACTOR = frozenset((*_PAIRS.values(), *_TIMES, r"\div"))
_MULTIPLE: dict[str, Callable[..., Any]] = {
    "max": sp.Max, "min": sp.Min, "gcd": lambda *values: sp.gcd(values), "lcm": lambda *values: sp.lcm(values),
}  # fmt: skip


def expression(text: str) -> Any:
    """The sympy expression. Raises UnreadableError, TooLargeError."""
    try:
        return _Parser(text).whole()
    except _UnknownError:
        return _by_math_verify(text)


_NAMED_SETS = (sp.S.Naturals, sp.S.Naturals0, sp.S.Integers, sp.S.Rationals, sp.S.Reals, sp.S.Complexes)


class _UnknownError(UnreadableError):
    """A command that this grammar does not know."""


def _by_math_verify(text: str) -> Any:
    from latex2sympy2_extended import latex2sympy  # type: ignore[import-untyped]
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig  # type: ignore[import-untyped]

    if re.search(r"\d\s+\d", text):
        raise UnreadableError("it holds two numbers side by side")
    try:
        found = latex2sympy(text.replace("~", " "), conversion_config=ConversionConfig(lowercase_symbols=False))
    except MemoryError:
        raise
    except Exception as error:  # its own, ANTLR's and sympy's
        raise UnreadableError(type(error).__name__) from None
    if isinstance(found, sp.MatrixBase):
        return sp.ImmutableMatrix(found)
    if not isinstance(found, sp.Expr) and found not in _NAMED_SETS:
        raise UnreadableError("it is not an expression")
    if any(len(limits) == 1 for integral in found.atoms(sp.Integral) for limits in integral.limits):
        raise UnreadableError("an integral without limits has no value")
    return sp.nsimplify(found, rational=True) if found.has(sp.Float) else found


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self.tokens = tokens(text)
        self.place, self.depth = 0, 0
        self.angle = self.bars = 0  # how many functions of an angle, and how many bars, are open here

    def whole(self) -> Any:
        value = self.sum()
        if self.place < len(self.tokens):
            raise UnreadableError(f"unexpected {self.tokens[self.place]}")
        return value

    @property
    def next(self) -> Any:
        return self.tokens[self.place] if self.place < len(self.tokens) else None

    def take(self, *wanted: str) -> bool:
        if isinstance(self.next, str) and self.next in wanted:
            self.place += 1
            return True
        return False

    def need(self, token: str) -> None:
        if not self.take(token):
            raise UnreadableError(f"expected {token}, found {self.next}")

    def sum(self) -> Any:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise UnreadableError("it is nested too deeply")
        value = self.product()
        while isinstance(self.next, str) and self.next in "+-":
            minus = self.next == "-"
            self.place += 1
            other = self.product()
            value = value - other if minus else value + other
        self.depth -= 1
        return value

    def product(self) -> Any:
        if self.take("-"):
            return -self.product()
        if self.take("+"):
            return self.product()
        value, divided = self.factor(), False
        while True:
            if isinstance(self.next, str) and self.next in _TIMES:
                self.place += 1
                value, divided = value * self.signed(), False
            elif isinstance(self.next, str) and self.next in ("/", r"\div"):
                self.place += 1
                if divided:
                    raise UnreadableError("a/b/c")
                value, divided = value / self.divisor(self.signed()), True
            elif self.starts():
                if divided:
                    raise UnreadableError("what follows a/b may be part of the denominator or not")
                if isinstance(self.next, sp.Rational):
                    raise UnreadableError("a number follows without a sign between")
                value = value * self.factor()
            else:
                return value

    def signed(self) -> Any:
        if self.take("-"):
            return -self.signed()
        return self.factor()

    def divisor(self, value: Any) -> Any:
        if value == 0:
            raise UnreadableError("division by zero")
        return value

    def starts(self) -> bool:
        """Whether a factor begins here."""
        if self.next is None:
            return False
        if not isinstance(self.next, str):
            return True
        if self.next in _PAIRS:
            return True
        if self.next == "|":
            return not self.bars
        return self.next.isalpha() or (self.next[0] == "\\" and self.next[1:].isalpha() and self.next not in _NO_FACTOR)

    def factor(self) -> Any:
        start = self.place
        value = self.base()
        while True:
            if self.take("!"):
                if self.next == "!":
                    raise UnreadableError("n!! is a double factorial or a factorial's")
                value = sp.factorial(bounded(value))
            elif self.take("'"):
                value = sp.Symbol(f"{value}'")
            elif self.next == "^":
                self.place += 1
                if self.degrees():
                    if not self.angle:
                        raise UnreadableError("degrees inside an expression")
                    value = value * sp.pi / 180
                    continue
                exponent = self.exponent()
                if value == 0 and exponent.is_negative:
                    raise UnreadableError("division by zero")
                value = power(value, exponent)
                if self.next == "^":
                    raise UnreadableError("a^b^c")
            elif isinstance(value, sp.Integer) and self.place == start + 1 and (part := self.mixed()) is not None:
                return value + part
            else:
                return value

    def degrees(self) -> bool:
        if self.take(r"\circ", r"\degree"):
            return True
        if self.tokens[self.place : self.place + 3] == ["{", r"\circ", "}"]:
            self.place += 3
            return True
        return False

    def exponent(self) -> Any:
        if self.take("-"):
            return -self.exponent()
        return self.argument()

    def mixed(self) -> Any:
        r"""The fraction of a mixed number, `1\frac{2}{3}` or `1 2/3`."""
        top, slash, bottom = (*self.tokens[self.place : self.place + 3], None, None, None)[:3]
        if isinstance(top, sp.Integer) and slash == "/" and isinstance(bottom, sp.Integer) and 0 < top < bottom:
            self.place += 3
            return top / bottom
        if self.next not in (r"\frac", r"\dfrac", r"\tfrac"):
            return None
        start = self.place
        value = self.base()
        part = self.tokens[start + 1 : self.place]
        digits = [token for token in part if not isinstance(token, str)]
        plain = all(isinstance(token, sp.Integer) for token in digits) and set(part) - set(digits) <= {"{", "}"}
        if plain and isinstance(value, sp.Rational) and 0 < value < 1:
            return value
        self.place = start
        return None

    def argument(self, digit: bool = False) -> Any:
        """What a command applies to: a group, else one token; of a number only its first digit where `digit`."""
        if self.take("{"):
            value = self.sum()
            self.need("}")
            return value
        if digit and isinstance(self.next, sp.Integer) and self.next >= 10:
            digits = str(self.next)
            self.tokens[self.place] = sp.Integer(digits[1:])
            return sp.Integer(digits[0])
        if isinstance(self.next, str) and self.next.startswith("\\") and self.next[1:] in _FUNCTIONS:
            raise UnreadableError("a function without its argument")
        return self.base()

    def base(self) -> Any:
        token = self.next
        if token is None:
            raise UnreadableError("it ends too early")
        self.place += 1
        if not isinstance(token, str):
            return token
        if token in ("{", "(", "[", r"\lfloor", r"\lceil", r"\lvert"):
            value = self.sum()
            self.need(_PAIRS[token])
            return {r"\lfloor": sp.floor, r"\lceil": sp.ceiling, r"\lvert": sp.Abs}.get(token, lambda inner: inner)(
                value
            )
        if token == "|":
            self.bars += 1
            value = self.sum()
            self.need("|")
            self.bars -= 1
            return sp.Abs(value)
        if token.isalpha():
            return self.symbol(token)
        if token.startswith("\\"):
            return self.command(token[1:])
        raise UnreadableError(f"unexpected {token}")

    def symbol(self, name: str) -> Any:
        if self.take("_"):
            start = self.place
            if self.take("{"):
                while self.next not in ("}", None):
                    self.place += 1
                self.need("}")
            else:
                self.place += 1
            name += "_" + "".join(str(t) for t in self.tokens[start : self.place] if t not in ("{", "}"))
            return sp.Symbol(name)
        if name in "fghFGH" and self.take("("):
            arguments = [self.sum()]
            while self.take(","):
                arguments.append(self.sum())
            self.need(")")
            return sp.Function(name)(*arguments)
        return {"e": sp.E, "i": sp.I}.get(name) or sp.Symbol(name)

    def command(self, name: str) -> Any:
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            top = self.argument(digit=True)
            return top / self.divisor(self.argument(digit=True))
        if name == "sqrt":
            index: Any = 2
            if self.take("["):
                index = self.sum()
                self.need("]")
            return power(self.argument(), 1 / self.divisor(sp.sympify(index)))
        if name in ("binom", "dbinom", "tbinom"):
            return sp.binomial(bounded(self.argument(digit=True)), bounded(self.argument(digit=True)))
        if name == "pi":
            return sp.pi
        if name == "infty":
            return sp.oo
        if name in ("log", "lg"):
            return self.logarithm()
        if name in _FUNCTIONS:
            return self.function(_FUNCTIONS[name])
        if name in _MULTIPLE and self.take("(", r"\{"):
            arguments = [self.sum()]
            while self.take(","):
                arguments.append(self.sum())
            if not self.take(")", r"\}"):
                raise UnreadableError("unclosed bracket")
            return _MULTIPLE[name](*arguments)
        if name in _GREEK:
            return self.symbol("\\" + name)
        if name in ("mathrm", "mathbf", "mathit", "text", "operatorname"):
            return self.argument()
        raise _UnknownError(name)

    def logarithm(self) -> Any:
        base: Any = sp.Integer(10)  # unless another is named
        if self.take("_"):
            base = self.argument()
        power = self.exponent() if self.take("^") else sp.Integer(1)
        inner = self.operand()
        if inner == 0 or base in (0, 1):
            raise UnreadableError("logarithm of zero")
        value = sp.log(inner) / sp.log(base)
        return value**power

    def function(self, function: Callable[..., Any]) -> Any:
        power: Any = sp.Integer(1)
        if self.take("^"):
            power = self.exponent()
            if power == -1:
                if function not in _INVERSE:
                    raise UnreadableError("the inverse of this function")
                function, power = _INVERSE[function], sp.Integer(1)
        self.angle += 1
        inner = self.operand()
        self.angle -= 1
        return function(inner) ** power

    def operand(self) -> Any:
        """What a function without braces takes: a bracket, else the factors up to a sign or the next function."""
        if self.next in ("(", "{", "[") or self.next in ("|", r"\lvert", r"\sqrt", r"\frac"):
            value = self.factor()
            if self.tokens[self.place - 1] in (")", "}", "]", "|"):
                return value
        elif self.take("-"):
            return -self.operand()
        else:
            value = self.factor()
        while (
            self.starts()
            and not (isinstance(self.next, str) and self.next[1:] in {*_FUNCTIONS, "log", "lg"})
            and self.next != "("
        ):
            value = value * self.factor()
        if self.take("/"):
            value = value / self.divisor(self.factor())
        return value
