"""What counts as the same mathematical answer, kind by kind."""

from __future__ import annotations

import time

import pytest

from sveb.tasks.graders.math_bounds import UnreadableError
from sveb.tasks.graders.math_compare import verdict
from sveb.tasks.graders.math_reading import read

# Reference, and another way to say it.
SAME = [
    (r"\frac{1}{2}", "0.5"), (r"\frac12", "1/2"), ("x^2+2x+1", "(x+1)^2"),
    (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}"), ("3,5,7", r"\{7, 5, 3\}"),
    (r"(-\infty, 3)\cup(5,\infty)", r"(-\infty,3) \cup (5,\infty)"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1\\2\end{bmatrix}"), (r"\text{Evelyn}", "Evelyn"),
    (r"\text{(B)}", "B"), ("1{,}000", "1000"), (r"90^\circ", "90"), ("x=5", "5"), ("$-3$", "-3"),
    (r"1.5 \times 10^5", "150000"), ("10", "010"), ("12345678901234567890", "12345678901234567890.0"),
    ("0.5", r"\frac{1}{2}"), (r"\sqrt2", r"$\sqrt{2}$"), ("0.335", r"33.5\%"), ("20", r"20\%"),
    ("1500", r"1.5 \times 10^3"), ("0", "x^2-x^2"), (r"\sqrt{3} - 1", "-1 + sqrt(3)"),
    (r"\frac{3\sqrt{5}}{7}", "(3*sqrt(5))/7"), ("2**(1/4)", r"\sqrt{\sqrt{2}}"),
    (r"(3, \frac{\pi}{2})", r"\left( 3, \frac{\pi}{2} \right)"), ("odd $n$", "odd $n$"),
    (r"2,3,\frac{3+i\sqrt{3}}{2},\frac{3-i\sqrt{3}}{2}", r"3,2,\frac{3-i\sqrt{3}}{2},\frac{3+i\sqrt{3}}{2}"),
    (r"\binom{2026}{1013}", r"\binom{2026}{1013}"), ("2024^{4046}", "2024^{4046}"), ("1/2004!", "1/2004!"),
    ("10", r"10\text{ cm}"), ("15000", r"\$15,\!000"), ("x=2", "2=x"), ("x<2", "2>x"), ("2=x", "x=2"),
    (r"74^\circ", r"\;\angle APC = 74^\circ\;"), (r"74^\circ", "74°"), (r"74^\circ", r"74 \text{ degrees}"),
    (r"74^\circ", r"74^{\circ}"), ("y = 2x+3", "2x+3"), ("2x+3", "y=2x+3"),
    ("5x - 7y + 11z + 4 = 0", "10x-14y+22z+8=0"), ("5x - 7y + 11z + 4 = 0", "5x-7y+11z=-4"),
    (r"3 \pm 2 \sqrt{2}", r"3 - 2\sqrt2, 3+2\sqrt2"), (r"\{1\pm\sqrt{5},-2\}", r"-2, 1+\sqrt5, 1-\sqrt5"),
    (r"x \in [-2,7]", "[-2,7]"), (r"x \in [-2,7]", r"-2 \le x \le 7"), (r"(2,\infty)", "x > 2"),
    (r"(2,\infty)", "2 < x"), (r"(-\infty,2)\cup(3,\infty)", r"x<2 \text{ or } x>3"),
    (r"(0,9) \cup (9,36)", r"(9,36)\cup(0,9)"), ("(3,4]", r"\left(3,4\right]"), (r"10,\!080", "10080"),
    (r"10,\!080", "10,080"), (r"11,\! 111,\! 111,\! 100", "11111111100"), ("58,500", "58500"),
    (r"\$32,\!348", "32348"), (r"864 \mbox{ inches}^2", "864"), (r"864 \mbox{ inches}^2", r"864 \text{ in}^2"),
    (r"15\mbox{ cm}^2", r"15\ \mathrm{cm}^2"), (r"15\mbox{ cm}^2", r"15 \text{ square cm}"),
    (r"1\frac{4}{5}", r"\frac95"), (r"1\frac{4}{5}", "1.8"), (r"5.4 \text{ cents}", "5.4"),
    (r"\frac{270}7\text{ degrees}", r"\frac{270}{7}^\circ"), (r"\$18.90", "18.90"), (r"\text{even}", "even"),
    (r"\text{even}", r"\text{Even}"), (r"\text{ellipse}", r"\textbf{ellipse}"), (r"\text{(C)}", "C"),
    (r"\text{(C)}", "(C)"), ("4210_{5}", "4210_5"), ("4210_{5}", "4210"), ("4210_5", r"4210_{\text{base }5}"),
    ("(6,31,-1)", "(6, 31, -1)"),
    (r"\begin{pmatrix} -1/3 \\ 2/3 \\ 5/3 \end{pmatrix}",
     r"\begin{pmatrix} -\frac13 \\ \frac23 \\ \frac53 \end{pmatrix}"),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "(1,2)"), ("6 - 5i", "-5i+6"), ("p - q", "-q+p"),
    (r"\cot x", r"\frac{\cos x}{\sin x}"), ("x=1, y=2", "y=2, x=1"), ("x=1,y=2", "(x,y)=(1,2)"), ("x=1,y=2", "(1,2)"),
    ("x=y=z=1", "x=1,y=1,z=1"), ("x=y=z=1", r"x=1, y=1 \text{ and } z=1"),
    (r"n \equiv 1 \pmod{4}", r"n \equiv 1 \pmod 4"), (r"n \equiv 1 \pmod{4}", r"n \equiv 5 \pmod{4}"),
    (r"n \equiv 1 \pmod{4}", r"n\equiv 1 (\mathrm{mod}\ 4)"), (r"1 \text{ and } 2", "2, 1"),
    ("1, 2", r"x=1 \text{ or } x=2"), ("x=1, x=2", "1,2"), ("1,2", "x = 1, 2"), (r"1.\overline{27}", r"\frac{14}{11}"),
    (r"0.\overline{3}", r"\frac13"), (r"0.\overline{3}", r"0.333\ldots"), (r"1, 2, \ldots, n", r"1,2,\dots,n"),
    ("e", r"\mathrm{e}"), (r"\frac{\pi}{2}", r"\pi/2"), ("12", "12"), (r"\frac{1}{2^{99}}", "2^{-99}"),
    (r"\emptyset", r"\varnothing"), (r"\mathbb{R}", r"(-\infty,\infty)"), (r"\mathbb{R}", r"\mathbb{R}"),
    ("f(x)=x+1", "x+1"), ("f(x)=x+1", "f(x)=1+x"), ("(a+5)(b+2)", "ab+2a+5b+10"),
    (r"\frac{11+9a}{20}", r"\frac{9a+11}{20}"), ("6r^2-4r-24", "2(3r^2-2r-12)"), (r"\text{June 20}", "june 20"),
    (r"x > 1 \text{ and } y < 2", "y<2, x>1"), (r"\frac{2}{3}", r"\dfrac{4}{6}"), (r"2\pi", "2π"), (r"\sqrt{3}", "√3"),
    ("5", "5."), ("5", r"\text{5}"), ("5", r"\boxed{5}"), ("5", r"\mathbf{5}"), ("5", "$5$"), ("5", r"\(5\)"),
    (r"\log_2 3", r"\log_{2}(3)"), ("x^{10}", "x^{10}"), ("a_n = 2n+1", "2n+1"), ("3", r"3\ \text{(approx.)}"),
    (r"3 \text{ hours}", r"3 \text{ hr}"), ("0.15", r"15\%"), (r"-\frac{1}{2}", r"\frac{-1}{2}"),
    (r"-\frac{1}{2}", r"\frac{1}{-2}"), (".35625", "0.35625"), (r"\text{A, C}", r"A \text{ and } C"),
    ("7", r"7 \text{ apples}"), ("100", "100.00"), (r"\lfloor x \rfloor", r"\lfloor x\rfloor"),
    (r"\sin^2 x", r"(\sin x)^2"), (r"x \neq 2", r"x \ne 2"), (r"2 \le x", r"x \ge 2"), ("a < b", "b > a"),
    (r"\angle ABC", r"\angle ABC"), (r"\triangle ABC", r"\triangle ABC"), ("3:2", "3:2"), ("y=-2x", "y = -2x"),
    ("y=2x+1", "2x-y+1=0"), (r"\text{Yes}", "yes"), (r"5 \text{ or } 7", "7,5"), ("k = 3", "3"),
    (r"x = \pm 2", "2,-2"), (r"\pm 2", "x = 2, x=-2"), (r"\pm 2", r"\pm 2"), ("2.0", "2"), (r"\frac{x}{2}", "0.5x"),
    (r"\frac{n(n+1)}{2}", r"\frac{n^2+n}{2}"), ("n!", "n(n-1)!"), (r"1-\frac{1}{e}", r"\frac{e-1}{e}"),
    ("x^2 + y^2 = 4", "y^2+x^2=4"), (r"\left(\frac{3}{5},\frac{8}{3}\right]", r"(0.6, \frac{8}{3}]"), (r"\{0\}", "0"),
    (r"\mathbb{R} \setminus \{1\}", r"\mathbb{R}\setminus\{1\}"), (r"3\sqrt{2} \text{ cm}", r"3\sqrt2"),
    (r"50\%", "0.5"), (r"50\%", "50"), (r"50\%", r"\frac12"), (r"2:30 \text{ p.m.}", r"2:30 \text{ p.m.}"),
]  # fmt: skip
# Reference, and what says something else.
OTHER = [
    (r"\frac{1}{2}", r"\frac{2}{1}"), ("(x+1)^2", "(x-1)^2"),
    (r"(-\infty, 3)\cup(5,\infty)", r"(-\infty,3] \cup (5,\infty)"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\1\end{pmatrix}"), ("10", "10.5"),
    ("12345678901234567890", "12345678901234567899"), ("3", "3,4"), ("3,4", "3"), ("(3,4)", "(4,3)"),
    ("(3,4)", "[3,4]"), ("[3,4]", "(3,4)"), (r"\{3,4\}", "(3,4)"), ("x=1,y=2", "x=2,y=1"), ("x=y=z=1", "1"),
    (r"x \le 2", "x<2"), (r"x \le 2", r"y \le 2"), (r"n \equiv 1 \pmod 4", "1"), (r"n \equiv 1 \pmod 4", "n = 1"),
    (r"13824 \notin A", r"13824 \in A"), (r"x \ne 2", "x = 2"), (r"x\ne 2", "2"), ("3a", "3A"), ("6 cm", "6 m"),
    (r"6\text{ cm}^2", r"6\text{ cm}"), (r"6\text{ km/h}", r"6\text{ m/s}"), (r"1.\overline{27}", "1.27"),
    (r"0.\overline{3}", "0.333"), (r"\pi", "3.14"), (r"\sqrt2", "1.414"), ("10^{-9}", "0"),
    ("10^{-9}", r"2 \times 10^{-9}"), ("1", "1+10^{-10}"), ("1", "0.9999999999"), ("5", "5x"), ("5", "no idea"),
    ("10", "10 apples or 12"), (r"1, 2, \ldots, n", "1, 2"), ("2,1", "1,2,3"), ("f(x)=0", "f(x)=1"),
    ("f(x)=0", "g(x)=0"), ("y=2x", "y=2x+1"), ("y=2x", "x=2y"), ("2^{2025}", "3^{2025}"), (r"90^\circ", r"9^\circ"),
    (r"\text{east}", "west"), (r"\text{(B)}", "C"), ("B", "A, B"), ("5", "5, 5"), (r"\frac{1}{3}", "0.33"),
    ("2516_8", "2516_7"), ("2516_8", "2517_8"), ("2516_8", "1358"), ("|x|", "x"), ("x<2", "x>2"), ("x<2", "2<x"),
    ("-1<x<1", r"-1 \le x \le 1"), ("x^2+y^2=4", "x^2+y^2=5"), ("x^2+y^2=4", "4"), (r"\mathbb{R}", r"\mathbb{Z}"),
    (r"3 \text{ hours and } 20 \text{ minutes}", "3"),
    (r"3 \text{ hours and } 20 \text{ minutes}", r"20 \text{ hours and } 3 \text{ minutes}"),
    (r"5 \text{ red}", r"5 \text{ blue}"), (r"\text{odd } n", r"\text{even } n"), (r"\text{odd } n", "n"),
    ("a<b", "a>b"), ("x > 0", "x"), ("x>0", "0"), (r"\forall x>0, f(x)=0", "f(x)=0"),
    (r"\exists x, f(x)=0", r"\forall x, f(x)=0"), (r"3 \mid n", r"3 \nmid n"), (r"A \subset B", r"B \subset A"),
    ("1,234", "1, 234"), (r"(1,2)\cup(3,4)", r"(1,2)\cap(3,4)"), (r"1 \pm 2", "3"), (r"\pm 2", "2"), ("2", r"\pm 2"),
    ("x=2", r"x=\pm2"), ("5", "10=5"), ("12", r"1\text{ and }2"), ("12", "1 2"), ("12", "1,2"), (r"50\%", "5"),
    ("0.5", r"5\%"), (r"\$5", r"5\text{ cents}"), (r"\sin x", r"\cos x"), ("e^x", "x^e"), (r"\ln 2", r"\log_{10} 2"),
    ("1+i", "1-i"), (r"\sqrt{x^2}", "x"), ("f(x)", "f(y)"), (r"\infty", r"-\infty"), ("x_1", "x_2"),
    (r"\frac{a}{b}", r"\frac{b}{a}"), (r"\text{June 20}", "June 2"), (r"\text{no solution}", "0"), (r"\emptyset", "0"),
    ("0", r"\emptyset"), ("3:2", "2:3"), ("3:2", "3"), ("x=5", "y=5"), ("5", "x"), ("5", "x=6"),
    (r"\{1,2\}", r"\{1,2,3\}"), (r"n \equiv 1 \pmod{4}", r"m \equiv 1 \pmod{4}"), (r"x \in A", r"x \notin A"),
    (r"x \in (0,1)", r"x \in [0,1]"), ("k+1", "k"), ("(1,2)", "1"), ("2", r"2\text{ or }3"), (r"100\pi", "100"),
    (r"100\pi", "314"), ("1{,}234", "1.234"),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "found"), SAME)
def test_another_way_to_say_it_is_right(gold: str, found: str) -> None:
    assert verdict(gold, gold).grade == 1.0
    assert verdict(found, found).grade == 1.0
    assert verdict(gold, found).grade == 1.0


@pytest.mark.parametrize(("gold", "found"), OTHER)
def test_what_says_something_else_is_wrong(gold: str, found: str) -> None:
    assert verdict(gold, found).grade == 0.0


@pytest.mark.parametrize(
    "text",
    ["", "$$", r"\frac{", "3 5", "1/2x", "a/b/c", "5!!", "x = ", "{", "1 +", "a^b^c^d", r"\text{" + "word " * 20 + "}"],
)
def test_what_can_be_read_in_two_ways_or_none_is_never_guessed(text: str) -> None:
    with pytest.raises(UnreadableError):
        read(text)
    assert verdict(text, "5").grade is None


@pytest.mark.parametrize(
    ("bomb", "expected"),
    [
        ("9^{9^{9^{9}}}", None), ("10000000!", None), (r"2^{10^{10}}", None), (r"\binom{10^9}{10^8}", None),
        ("{" * 50_000 + "}" * 50_000, None), ("(" * 900 + ")" * 900, 0.0),
        ("1+" * 2000 + "1", 0.0),
    ],
    ids=lambda value: str(value)[:12],
)  # fmt: skip
def test_what_takes_too_long_to_compute_is_never_paid_and_takes_no_time(bomb: str, expected: float | None) -> None:
    started = time.process_time()
    assert verdict("5", bomb).grade == expected
    assert time.process_time() - started < 20, "computed it would take hours"
