"""Ledger: short stories about packs of things; the answer is a signed sum, often counted in full trays.

A problem is a list of signed terms `[sign, a, b]`, worth `sign * a * b` things (b = 1: loose things), and a
tray size or none. Which split a problem may belong to is decided by a hash of those numbers, so that no two
splits share a problem, whatever the seeds, not even one told with another name.
"""

from __future__ import annotations

import hashlib
import json
import random

from sveb.suite.records import ProblemRecord

Term = tuple[int, int, int]  # sign, factor, factor

NAMES = ("Ada", "Ben", "Cleo", "Dana", "Emil", "Finn", "Gina", "Hugo", "Iris", "Juan")
THINGS = ("cards", "coins", "beads", "shells", "stamps", "nuts")
PACKS = ("packs", "boxes", "bags", "jars")
LOSSES = ("sells", "loses", "lends")
TRAYS = (10, 20, 25, 50)

# Shares of the hash space, in percent: [from, to).
SPLITS = {"test": (0, 10), "train": (10, 20), "pretrain": (20, 100)}

COARSE_SHARE = 0.65  # of the problems ask for full trays
HARD_PRODUCT_SHARE = 0.15  # of the products have two factors of two digits
LOOSE_SHARE = 0.3  # of the items are loose things
TIERS = ((6, "light"), (8, "middle"))  # up to this workload; beyond: "heavy"

# The embedded policy is trained on every workload; suites leave out what it nearly always or nearly never solves,
# so that values vary within problems more than between them.
SUITE_WORKLOADS = range(5, 11)


def problems(split: str, n: int, seed: int) -> list[ProblemRecord]:
    """The first `n` problems of a split; problem i depends on (seed, split, i) alone.

    Raises ValueError for a split that is none of "train", "test" and "pretrain".
    """
    if split not in SPLITS:
        raise ValueError(f"ledger has the splits {', '.join(sorted(SPLITS))}; found {split!r}")
    return [problem(split, i, seed) for i in range(n)]


def problem(split: str, i: int, seed: int) -> ProblemRecord:
    """Problem i of a split: numbers are drawn until they belong to it."""
    rng = random.Random(f"ledger/{seed}/{split}/{i}")
    terms, tray = _draw_numbers(rng)
    while not _belongs(terms, tray, split):
        terms, tray = _draw_numbers(rng)
    total = sum(sign * a * b for sign, a, b in terms)
    return ProblemRecord(
        problem_id=f"ledger-{split}-{i:05d}",
        question=_tell(terms, tray, rng),
        answer=str(total if tray is None else total // tray),
        tier=tier_of(terms, tray),
        extras={"terms": [list(term) for term in terms], "tray": tray},
    )


def split_of(terms: list[Term], tray: int | None) -> str:
    """The only split that may hold these numbers; their order and the words around them do not matter."""
    canonical = json.dumps([sorted(terms), tray])
    percent = int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:8], "big") % 100
    return next(split for split, (low, high) in SPLITS.items() if low <= percent < high)


def _belongs(terms: list[Term], tray: int | None, split: str) -> bool:
    is_suitable = split == "pretrain" or workload(terms, tray) in SUITE_WORKLOADS
    return is_suitable and split_of(terms, tray) == split


def workload(terms: list[Term], tray: int | None) -> int:
    """Amount of arithmetic: digit products in the multiplications, plus one for each addition or subtraction."""
    digit_products = sum(len(str(a)) * len(str(b)) for _, a, b in terms if b > 1)
    return digit_products + len(terms) - 1 + (tray is None)


def tier_of(terms: list[Term], tray: int | None) -> str:
    """Difficulty level by workload: "light", "middle" or "heavy"."""
    load = workload(terms, tray)
    return next((name for limit, name in TIERS if load <= limit), "heavy")


def _draw_numbers(rng: random.Random) -> tuple[list[Term], int | None]:
    items = [_draw_item(rng) for _ in range(rng.choice((2, 3)))]
    while all(b == 1 for _, _, b in items):
        items = [_draw_item(rng) for _ in items]
    left = sum(a * b for _, a, b in items)
    losses: list[Term] = []
    for _ in range(rng.choices((0, 1, 2), (0.3, 0.5, 0.2))[0]):
        if rng.random() < 0.3:
            loss = (-1, rng.randint(2, 5), rng.randint(11, 29))
        else:
            loss = (-1, rng.randint(12, max(13, min(190, left - 20))), 1)
        if loss[1] * loss[2] <= left - 10:
            losses.append(loss)
            left -= loss[1] * loss[2]
    fitting = [tray for tray in TRAYS if tray <= left]
    tray = rng.choice(fitting) if rng.random() < COARSE_SHARE else None
    return items + losses, tray


def _draw_item(rng: random.Random) -> Term:
    if rng.random() < LOOSE_SHARE:
        return (1, rng.randint(12, 99), 1)
    if rng.random() < HARD_PRODUCT_SHARE:
        return (1, rng.randint(11, 29), rng.randint(11, 39))
    return (1, rng.randint(2, 9), rng.randint(11, 59))


def _tell(terms: list[Term], tray: int | None, rng: random.Random) -> str:
    name, things = rng.choice(NAMES), rng.choice(THINGS)

    def amount(a: int, b: int, loose: str) -> str:
        return f"{a} {loose}{things}" if b == 1 else f"{a} {rng.choice(PACKS)} of {b} {things}"

    items = [amount(a, b, "loose ") for sign, a, b in terms if sign > 0]
    story = f"{name} has {', '.join(items[:-1])} and {items[-1]}."
    for sign, a, b in terms:
        if sign < 0:
            story += f" {name} {rng.choice(LOSSES)} {amount(a, b, '')}."
    if tray is None:
        return f"{story} How many {things} are left?"
    return f"{story} Trays hold {tray}. How many full trays?"
