"""The tables of docs/results.md: every entry's scores on a suite, best skill first, as Markdown.

python -m bench.entries smollm2-instruct
"""

from __future__ import annotations

import math
import sys
import tomllib
from pathlib import Path

from sveb.runs.results import Results
from sveb.suite.suite import EMBEDDED_SUITE

_COLUMNS = (
    "estimator", "skill", "adv_corr", "mse", "r2_within", "spearman (within)", "order_steps", "order_siblings", "worth",
    "collapse", "ece", "ms a state", "tokens a state", "information",
)  # fmt: skip


def _row(name: str, results: Results) -> list[str]:
    def interval(metric: str, places: int) -> str:
        found = results.metrics[metric]
        ends = (f"{end:.{places}f}" if math.isfinite(end) else "n/a" for end in (found.low, found.high))
        return f"{found.value:.{places}f} [{', '.join(ends)}]"

    value, cost = {metric: estimate.value for metric, estimate in results.metrics.items()}, results.info.cost
    return [
        name, interval("skill", 3), interval("adv_corr", 2), interval("mse", 4), interval("r2_within", 2),
        f"{value['spearman']:.2f} ({value['spearman_within']:.2f})", interval("order_steps", 2),
        interval("order_siblings", 2), interval("worth", 2), f"{value['collapse']:.2f}", f"{value['ece']:.3f}",
        f"{1000 * cost.wall_s_per_state:.1f}", f"{cost.tokens_sampled_per_state:.0f}", ", ".join(results.info.budget),
    ]  # fmt: skip


def main() -> None:
    """Prints the table of the suite that is named; default: the one of the embedded policy."""
    suite, found = [*sys.argv[1:], EMBEDDED_SUITE][0], []
    for path in Path("submissions").glob(f"*/results/{suite}@*.json"):
        results = Results.read(path)
        name = tomllib.loads((path.parents[1] / "metadata.toml").read_text())["title"]
        found.append((results.metrics["skill"].value, _row(name, results)))
    print("|", " | ".join(_COLUMNS), "|")
    print("|" + "---|" * len(_COLUMNS))
    for _, row in sorted(found, reverse=True):
        print("|", " | ".join(row), "|")


if __name__ == "__main__":
    main()
