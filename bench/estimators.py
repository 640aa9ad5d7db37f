"""What each built-in estimator takes on the embedded suite: the policy's hidden states once, then ms a problem.

`hidden_states` is the first reading of all hidden states of the suite's last layer, into an empty cache. Each estimator
then runs twice on that cache, as it may read another layer, and the second time counts. Its figures: `own_ms`, the wall
time of predicting without what the readings took when they were made; `cpu_ms`, the CPU time of its process and ours,
for machines that are busy otherwise; `charged_ms`, what results say, readings and all; `rss_mib`, its process's peak.
Those that sample or ask another model are left out. The last figures are hista's distances for 32 rollouts of 4096
tokens.

    python -m bench.estimators            all
    python -m bench.estimators hista mc   these alone
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import report
from sveb.estimators.registry import describe
from sveb.harness.forward_passes import Forward
from sveb.harness.run_estimator import run
from sveb.harness.visible_inputs import Inputs
from sveb.runs.predictions import Predictions
from sveb.suite.suite import Suite

# Of one probe among 32 rollouts of 4096 tokens of a model as wide as Qwen2.5-0.5B.
LENGTH, WIDTH, ROLLOUTS = 4096, 896, 32


def read_all(suite: Suite) -> dict[str, float]:
    """Seconds and tokens of the last layer's states at every token that any estimator of the suite reads."""
    inputs, forward = Inputs(suite, seed=0), Forward(suite.manifest)
    forward.logprobs([np.array([1, 2], dtype=np.int32)], [1])  # loads the policy
    forward.tokens_read = 0
    began, busy = time.perf_counter(), time.process_time()
    for split, ids in inputs.problem_ids.items():
        for index in range(len(ids)):
            prompt = inputs.prompt(split, index)
            responses = list(inputs.rollouts(split, index).token_ids)
            if split == "test":
                responses += [inputs.state_tokens(row) for row in inputs.state_rows[index]]
            sequences = [np.concatenate([prompt, tokens]) for tokens in responses]
            forward.hidden_at(sequences, [np.array([len(sequence)]) for sequence in sequences], -1)
    return {
        "hidden_states_s": round(time.perf_counter() - began, 1),
        "hidden_states_cpu_s": round(time.process_time() - busy, 1),
        "hidden_states_tokens": forward.tokens_read,
    }


def busy() -> float:
    """CPU seconds of this process and of the estimator's, which is its only child."""
    seconds = time.process_time()
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def measure(suite: Suite, name: str, out: Path) -> dict[str, float]:
    """One estimator's figures."""
    n = suite.manifest.counts["test_problems"]
    ticks: list[tuple[float, float, float]] = []

    def progress(done: int, total: int) -> None:
        if total == n:  # of predicting, not of training
            ticks.append((done, time.perf_counter(), busy()))

    run(suite, name, {}, out / name)
    cost = Predictions.read(run(suite, name, {}, out / name, progress=progress)).info.cost
    # From the first values to the last ones: what lies before them is the process's start.
    done, own, cpu = (last - first for first, last in zip(ticks[0], ticks[-1], strict=True))
    return {
        "own_ms": round(1000 * own / done, 1),
        "cpu_ms": round(1000 * cpu / done, 1),
        "charged_ms": round(1000 * cost.wall_s / n, 1),
        "train_s": round(cost.train_s, 2),
        "rss_mib": round(cost.peak_rss_bytes / 2**20),
    }


def long_responses() -> None:
    """Prints CPU seconds and peak MiB of hista's distances where responses are long; runs in a process of its own."""
    from sveb.estimators.hista import node_offsets
    from sveb.estimators.shared.prefix_distances import kept_vectors, prefix_distances, prepared

    generator = np.random.default_rng(0)
    kept = [generator.normal(size=(-(-LENGTH // 5), WIDTH)).astype(np.float32) for _ in range(ROLLOUTS)]
    nodes = [kept_vectors(node_offsets(LENGTH, 50)[1:], 5) for _ in range(ROLLOUTS)]
    sizes = np.arange(10, LENGTH // 5, 100)
    before, began = peak_mib(), time.process_time()
    prefix_distances(kept[0], sizes, prepared(kept, nodes))
    print(f"{time.process_time() - began:.2f} {peak_mib():.0f} {peak_mib() - before:.0f}")


def peak_mib() -> float:
    """The most memory that this process has held: not ru_maxrss, which starts at what the parent held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Runs the bench."""
    suite = Suite.open("ledger-nano")
    names = sys.argv[1:] or [each.name for each in describe() if each.cost in ("free", "reads")]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SVEB_CACHE"] = f"{folder}/cache"
        figures: dict[str, Any] = read_all(suite)
        for name in names:
            figures[name] = measure(suite, name, Path(folder))
            print(name, figures[name], flush=True)
    code = "from bench.estimators import long_responses; long_responses()"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    columns = ("cpu_s_a_probe", "rss_mib", "of_which_distances_mib")
    figures["hista_32x4096"] = dict(zip(columns, map(float, told), strict=True))
    report("estimators", figures)


if __name__ == "__main__":
    main()
