"""Hista's batched distances over a plain version, node by node, at equal values.

Both value the same states against the same rollouts, whose hidden states are given: 32 rollouts and four probe
responses of like length, with states every `STEP` tokens. The plain version compares each state with each node by
itself, as the definition reads.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from scipy.spatial.distance import cdist

from bench.report import report
from sveb.estimators.hista import neighbours, node_offsets, weighted_votes
from sveb.estimators.shared.prefix_distances import kept_vectors, prefix_distances, prepared, running_means

ROLLOUTS, PROBES, PROMPT, STRIDE, EVERY, FLOOR = 32, 4, 40, 5, 50, 5.0
SHAPES = {"ledger": (90, 128, 8), "long": (1000, 128, 125)}  # response tokens, width, tokens between states
ROUNDS = 3


def plain_means(hidden: np.ndarray, alpha: float) -> np.ndarray:
    """Token by token."""
    mean, kept = np.zeros(hidden.shape[1]), []
    for t, vector in enumerate(hidden):
        mean = alpha * mean + (1 - alpha) * vector
        if t % STRIDE == 0:
            kept.append(mean / (1 - alpha ** (t + 1)))
    return np.array(kept)


def plain_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean over the longer one's elements of the least distance to the shorter one's."""
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    return float(cdist(longer, shorter).min(axis=1).mean())


def plain(probes: list[np.ndarray], rollouts: list[np.ndarray], returns: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Values of all probes' states, one node at a time."""
    kept = [plain_means(hidden, 0.7) for hidden in rollouts]
    mean_length = np.mean([len(hidden) - PROMPT for hidden in rollouts])
    values = []
    for hidden in probes:
        own = plain_means(hidden, 0.7)
        for state in states:
            mine = own[: -(-(PROMPT + state) // STRIDE)]
            nearest = [
                min(
                    plain_distance(mine, vectors[: -(-(PROMPT + node) // STRIDE)])
                    for node in [*range(0, len(whole) - PROMPT, EVERY), len(whole) - PROMPT]
                )
                for whole, vectors in zip(rollouts, kept, strict=True)
            ]
            k = round(66 - 60 * min(state / mean_length, 1.0))
            order = np.argsort(nearest, kind="stable")[:k]
            weights = 1 / np.maximum(np.array(nearest)[order], FLOOR)
            values.append(weights @ returns[order] / weights.sum())
    return np.array(values)


def batched(
    probes: list[np.ndarray], rollouts: list[np.ndarray], returns: np.ndarray, states: np.ndarray
) -> np.ndarray:
    """Values of the same states as `hista` computes them."""
    kept = [running_means(hidden, 0.7, STRIDE) for hidden in rollouts]
    lengths = [len(hidden) - PROMPT for hidden in rollouts]
    nodes = [kept_vectors(PROMPT + node_offsets(length, EVERY), STRIDE) for length in lengths]
    sizes, k = kept_vectors(PROMPT + states, STRIDE), neighbours(states / np.mean(lengths), 66, 6)
    others, values = prepared(kept, nodes), []
    for hidden in probes:
        distances = prefix_distances(running_means(hidden, 0.7, STRIDE), sizes, others)
        nearest = np.column_stack([each.min(axis=1) for each in distances])
        values.append(weighted_votes(nearest, returns, k, FLOOR, 1.0))
    return np.concatenate(values)


def example(length: int, width: int, step: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]:
    """Probes, rollouts, returns and states' offsets: random walks from one prompt, of lengths around `length`."""
    generator = np.random.default_rng(0)
    prompt = generator.normal(size=(PROMPT, width)).cumsum(axis=0)

    def response() -> np.ndarray:
        n = int(length * generator.uniform(0.8, 1.2))
        steps = generator.normal(size=(n, width))
        return np.concatenate([prompt, prompt[-1] + steps.cumsum(axis=0)]).astype(np.float32)

    made = [response() for _ in range(ROLLOUTS + PROBES)]
    returns = generator.integers(0, 2, ROLLOUTS).astype(float)
    return made[:PROBES], made[PROBES:], returns, np.arange(0, int(0.8 * length), step)


def main() -> None:
    """Runs the bench."""
    figures: dict[str, float] = {}
    for name, (length, width, step) in SHAPES.items():
        given = example(length, width, step)
        seconds: dict[str, list[float]] = {"plain": [], "batched": []}
        for _ in range(ROUNDS):
            found = {}
            for kind, function in (("plain", plain), ("batched", batched)):
                began = time.perf_counter()
                found[kind] = function(*given)
                seconds[kind].append(time.perf_counter() - began)
        slow, fast = (statistics.median(seconds[kind]) for kind in ("plain", "batched"))
        figures |= {
            f"{name}_plain_ms_a_problem": round(1000 * slow, 1),
            f"{name}_hista_ms_a_problem": round(1000 * fast, 1),
            f"{name}_plain_over_hista": round(slow / fast, 1),
            f"{name}_largest_difference": float(f"{np.abs(found['plain'] - found['batched']).max():.1e}"),
        }
    report("hista", figures)


if __name__ == "__main__":
    main()
