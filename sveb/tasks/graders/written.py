r"""What people write around an answer: markup of LaTeX, Markdown and HTML, kinds of spaces, brackets.

Every grader of short answers reads the plain text that `plain` gives.
"""

from __future__ import annotations

import re

# One sign of Unicode: its ASCII or LaTeX form. Superscripts are no digits: 10² is not 102.
_SIGNS = str.maketrans(
    {
        "−": "-", "–": "-", "﹣": "-", "－": "-", "‐": "-", "‑": "-", "‒": "-", "＋": "+", "＝": "=", "．": ".",
        "，": ",",
        "％": "%", "＄": "$", "（": "(", "）": ")", "［": "[", "］": "]", "：": ":", "\u2044": "/", "∕": "/", "÷": "/",
        "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "√": r"\sqrt ", "π": r"\pi ", "∞": r"\infty ",
        "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≡": r"\equiv ",
        "±": r"\pm ", "∈": r"\in ", "∉": r"\notin ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ", "∀": r"\forall ",
        "∃": r"\exists ", "°": r"^\circ ", "º": r"^\circ ", "′": "'", "’": "'", "‘": "'", "“": '"', "”": '"',
        "…": r"\ldots ",
        "→": r"\to ", "⇒": r"\Rightarrow ", "✓": "", "✔": "", "⟨": r"\langle ", "⟩": r"\rangle ",
        "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "φ": r"\varphi ", "λ": r"\lambda ", "ℝ": r"\mathbb{R}",
        "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}", "∣": r"\mid ", "∤": r"\nmid ",
        "\u00a0": "~", "\u2009": "~", "\u202f": "~", "\u2007": "~", "\u200a": "~", "\u200b": "", "\u2060": "",
        "\ufeff": "",
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
    }
)  # fmt: skip
_FRACTIONS = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5), "⅘": (4, 5),
    "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8),
}  # fmt: skip
_FRACTION = re.compile("[" + "".join(_FRACTIONS) + "]")
_HIGH = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ"
_LOW = "₀₁₂₃₄₅₆₇₈₉"
_SUPERSCRIPT = re.compile(f"[{_HIGH}]+")
_SUBSCRIPT = re.compile(f"[{_LOW}]+")
_FROM_HIGH = str.maketrans(_HIGH, "0123456789+-n")
_FROM_LOW = str.maketrans(_LOW, "0123456789")

_TAG = re.compile(r"</?(?:b|i|u|em|strong|span|code|p|math)(?:\s[^<>]*)?>|<br\s*/?>", re.IGNORECASE)
STYLE = re.compile(
    r"\\(?:left|right|[bB]igg?[lrm]?|middle)(?![a-zA-Z])\.?|"
    r"\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|rm|bf|it|sf|tt|boldmath|large|Large|normalsize|checkmark)"
    r"(?![a-zA-Z])|\\(?:text)?color\s*\{[\w!]*\}|\\!"
)
# Not after a backslash: two of them end a line.
SPACE = re.compile(
    r"(?<!\\)\\[,;:> ]|\\(?:quad|qquad|enspace|thinspace|medspace|thickspace|space|nobreakspace)(?![a-zA-Z])|\\\n"
)
# In their innermost braces first: repeated, it unwraps any depth.
WRAPPERS = (
    "text|textbf|textit|textrm|textsf|texttt|textnormal|textup|mathrm|mathbf|mathit|mathsf|mathtt|mathcal|mathscr|mathfrak|mathbb|"
    "mathnormal|boldsymbol|bm|pmb|mbox|hbox|fbox|boxed|emph|underline|operatorname|ensuremath|bold|rm|bf"
)
_WRAPPED = re.compile(r"\\(?:" + WRAPPERS + r")\s*\{([^{}]*)\}")
_AROUND = (
    (r"\(", r"\)"), (r"\[", r"\]"), ("$$", "$$"), ("__", "__"), ("$", "$"), ("*", "*"), ("`", "`"), ('"', '"'),
    ("``", "''"), ("'", "'"),
)  # fmt: skip
_BOLD = re.compile(r"(?<!\w)\*\*([^*\n]+)\*\*(?!\w)")
LINE_ENDS = re.compile(r"(?:\\\\|\s)+\Z")
LONGEST = 2000  # characters: no short answer is longer, and the time to read one stays bounded


def words(text: str) -> frozenset[str]:
    """The words of a list that is written as one text."""
    return frozenset(text.split())


def signs(text: str) -> str:
    """Signs of Unicode in their ASCII or LaTeX form."""
    if text.isascii():
        return text
    text = _FRACTION.sub(lambda match: r" \frac{{{}}}{{{}}}".format(*_FRACTIONS[match[0]]), text)
    text = _SUPERSCRIPT.sub(lambda match: "^{" + match[0].translate(_FROM_HIGH) + "}", text)
    text = _SUBSCRIPT.sub(lambda match: "_{" + match[0].translate(_FROM_LOW) + "}", text)
    return text.translate(_SIGNS)


def balanced(text: str) -> bool:
    r"""Whether every brace that is opened is closed. `\{` and `\}` are signs of a set."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth < 0:
            return False
    return depth == 0


def unmarked(text: str) -> str:
    """The text without Markdown's and HTML's emphasis and without the delimiters of mathematics around it."""
    text = _BOLD.sub(r"\1", _TAG.sub(" ", text)).strip()
    while True:
        before = text
        for left, right in _AROUND:
            inner = text[len(left) : -len(right)]
            if len(text) > len(left + right) and text.startswith(left) and text.endswith(right) and left not in inner:
                text = inner.strip()
        if text == before:
            return text


def plain(text: str) -> str | None:
    r"""The words and signs of a short answer: macros of type unwrapped, spaces of one kind (`~` a small one).

    None where braces do not balance (the answer was cut off), and where it is longer than any short answer.
    """
    if len(text) > LONGEST or not balanced(text):
        return None
    text = STYLE.sub("", LINE_ENDS.sub("", signs(text)))
    text = SPACE.sub("~", text)
    while (unwrapped := _WRAPPED.sub(r" \1 ", text)) != text:
        text = unwrapped
    return re.sub(r"[ \t\r\n]+", " ", unmarked(text)).strip(" ~")
