"""A suite's README.md: a dataset card whose header lets `datasets.load_dataset(folder, "states")` work."""

from __future__ import annotations

from pathlib import Path

from sveb.suite.manifest import Manifest


def dataset_card(manifest: Manifest, licence: str) -> str:
    """Markdown with the `configs:` header of the Hugging Face hub, one config per table.

    `licence` is the SPDX name of the task's data.
    """
    from huggingface_hub import DatasetCardData

    header = DatasetCardData(
        pretty_name=f"SVEB {manifest.name}",
        license=licence.lower(),
        tags=["reinforcement-learning", "value-function", "language-models"],
        configs=[
            {"config_name": name, "data_files": f"{name}.parquet"} | ({"default": True} if name == "states" else {})
            for name in (Path(file).stem for file in manifest.files)
        ],
    )
    s, c, p = manifest.statistics, manifest.counts, manifest.policy
    revision = f"revision {p['revision']}, " if p["revision"] else ""
    sampling = ", ".join(f"{key} {value}" for key, value in manifest.sampling.items())
    counts = ", ".join(f"{key} {value}" for key, value in c.items())
    tiers = "".join(f"| success rate, tier {tier} | {rate} |\n" for tier, rate in s["success_rate_by_tier"].items())
    notes = "".join(f"- Note on {name}: {note}.\n" for name, note in manifest.notes.items() if isinstance(note, str))
    if manifest.private:
        notes += (
            f"- The truth of {len(manifest.private_problems)} test problems is kept apart; the manifest commits to it "
            f"({manifest.private['commitment'][:16]}...) and the figures below leave it out.\n"
        )
    return f"""---
{header.to_yaml()}
---

# {manifest.name} {manifest.version}

A suite of SVEB, the State Value Estimation Benchmark: prefixes of a policy's responses ("states"), and the Monte Carlo
truth of V(s), the probability that the policy ends with a correct answer.

- Policy: `{p["source"]}` ({revision}weights sha256 {p["sha256"][:12]}...), {p["dtype"]},
  {p["engine"]} {p["engine_version"]}; {sampling}.
- Task: `{manifest.task["name"]}`, grader `{manifest.grader}`, protocol `{manifest.protocol}`, seed {manifest.seed}.
- Counts: {counts}.
{notes}
| figure | value |
|---|---|
| states (root / path / sibling) | {s["states"]["root"]} / {s["states"]["path"]} / {s["states"]["sibling"]} |
| sibling groups | {s["sibling_groups"]} |
| continuations behind the truth | {s["continuations"]} |
| grades missing | {s["missing_grades"]} |
| truncated (rollouts / continuations) | {s["truncated_share"]["rollouts"]} / {s["truncated_share"]["continuations"]} |
| success rate of the policy | {s["success_rate"]} |
{tiers}| Var(V) over path states | {s["value_variance"]} |
| share of it within problems | {s["within_problem_share"]} |
| path states with .05 < V < .95 | {s["graded_share"]} |
| noise floor (mean squared standard error of V) | {s["noise_floor"]} |

`datasets.load_dataset(folder, "states")` reads a table; the tables and columns are those of docs/suite-format.md.
An estimator may never read `truth.parquet` and `audit.parquet`. `sveb suite verify` recomputes every checksum,
every reference between tables and the figures above.
"""
