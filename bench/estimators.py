"""What each built-in estimator takes on the embedded suite: the policy's hidden states once, then ms a problem.

`hidden_states` is the first reading of all hidden states of the suite's last layer, into an empty cache. Each estimator
is then fitted once and predicts all problems, on that cache, in turns: with their states in sets, as in a run, and with
all states of one problem at once. The first turn, which may read another layer, does not count. Medians of the turns
with sets: `own_ms`, the wall time of predicting without what the readings took when they were made; `cpu_ms`, the CPU
time of its process and ours, for machines that are busy otherwise; `charged_ms`, what results say, readings and all.
`rss_mib` is its process's peak. `sets_over_once` is the ratio of the two CPU times of a turn: the median and its 95 %
interval; `charged_sets_over_once` is that of the charged times. Those that sample or ask another model are left out.
The last figures are hista's distances for 32 rollouts of 4096 tokens.

    python -m bench.estimators            all
    python -m bench.estimators hista mc   these alone
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import ratio, report
from sveb.estimators.registry import describe
from sveb.harness.forward_passes import Forward
from sveb.harness.run_estimator import Session, resolve
from sveb.harness.shown_states import ShownStates
from sveb.harness.untrusted_identity import identity
from sveb.harness.visible_inputs import Inputs
from sveb.suite.suite import Suite

# Of one probe among 32 rollouts of 4096 tokens of a model as wide as Qwen2.5-0.5B.
LENGTH, WIDTH, ROLLOUTS = 4096, 896, 32
TURNS = 5


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
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    threads = [path for pid in ["self", *children] for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(path.read_text().split()[0]) for path in threads) / 1e9


class Turns(Session):
    """A `Session` that fits once and then predicts again and again."""

    def __init__(self, suite: Suite, name: str) -> None:
        super().__init__(suite, resolve(name), {}, 0, None, None, None)
        self.at_once = 0
        self.turns = {
            "sets": (self.inputs.problems_at_once, self.inputs.state_sets),
            "once": (1, [[rows] for rows in self.inputs.state_rows]),
        }

    def measure(self) -> dict[str, Any]:
        """The estimator's figures."""
        times: dict[str, list[tuple[float, float, float]]] = {"sets": [], "once": []}
        with closing(self.broker), self._worker() as worker:
            worker.channel.send("job", self._job(worker))
            claimed = identity(self._until("loaded", "load", worker))
            train_s = self._phase("fit", worker).seconds if claimed.fits else 0.0
            for turn in range(1 + TURNS):
                for name, (at_once, sets) in self.turns.items():
                    self.at_once = at_once
                    self.broker.shown = ShownStates(sets)
                    began, before = time.perf_counter(), busy()
                    charged = self._phase("predict", worker).seconds
                    if turn:
                        times[name].append((time.perf_counter() - began, busy() - before, charged))
            peak = worker.finish()
        (own, cpu, charges), once = np.transpose(times["sets"]), np.transpose(times["once"])
        figures = zip(("own_ms", "cpu_ms", "charged_ms"), (own, cpu, charges), strict=True)
        return {name: round(1000 * float(np.median(each)) / len(self.problem_ids), 1) for name, each in figures} | {
            "train_s": round(train_s, 2),
            "rss_mib": round(peak / 2**20),
            "sets_over_once": ratio(cpu, once[1]),
            "charged_sets_over_once": ratio(charges, once[2]),
        }

    def _task(self, command: str) -> dict[str, int]:
        return super()._task(command) | {"at_once": self.at_once}


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
            figures[name] = Turns(suite, name).measure()
            print(name, figures[name], flush=True)
    code = "from bench.estimators import long_responses; long_responses()"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    columns = ("cpu_s_a_probe", "rss_mib", "of_which_distances_mib")
    figures["hista_32x4096"] = dict(zip(columns, map(float, told), strict=True))
    report("estimators", figures)


if __name__ == "__main__":
    main()
