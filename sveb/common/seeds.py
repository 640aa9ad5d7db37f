"""One seed per continuation, never used twice.

Engines keep only the low 32 bits of a seed, and two continuations with the same seed are correlated even if their
prefixes differ. Seeds from a 32-bit hash would collide (with certainty at 1e8 continuations). So seeds are *numbered*:
a continuation's number within its suite goes through a bijection of 32-bit integers, keyed with the suite seed.
Different numbers give different seeds, and the numbers depend only on ids.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

SPACE = 2**32
_ROUNDS = 4


def _keys(suite_seed: int) -> list[int]:
    digest = hashlib.sha256(f"sveb seeds {suite_seed}".encode()).digest()
    return [int.from_bytes(digest[4 * i : 4 * i + 4], "little") for i in range(_ROUNDS)]


def seeds(suite_seed: int, numbers: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """Seeds of the continuations with these numbers (any shape, 0 <= number < 2**32), each in [0, 2**32).

    A four-round Feistel network over two 16-bit halves, which is a bijection for any round function.
    """
    index = np.asarray(numbers, dtype=np.uint64)
    if index.size and int(index.max()) >= SPACE:
        raise ValueError("a continuation's number must be below 2**32")
    left, right = index >> np.uint64(16), index & np.uint64(0xFFFF)
    for key in _keys(suite_seed):
        mixed = (right + np.uint64(key)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        left, right = right, left ^ ((mixed >> np.uint64(40)) & np.uint64(0xFFFF))
    return ((left << np.uint64(16)) | right).astype(np.uint32)


def rng(suite_seed: int, *labels: object) -> np.random.Generator:
    """A generator for one choice, named by `labels` (for example which states to cut), independent of all others."""
    text = "\x1f".join(map(str, (suite_seed, *labels)))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little"))
