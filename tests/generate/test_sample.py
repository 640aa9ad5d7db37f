"""`--sample`: a task's own few problems, through the real preparation of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.generate.generation import Settings
from sveb.generate.pipeline import prepare
from sveb.generate.plan import counts_for
from sveb.generate.reporter import SilentReporter


def settings(out: Path, **counts: int) -> Settings:
    return Settings(
        model="nano", task="svamp", out=out, counts=counts_for("demo", counts), engine="transformers", sample=True,
        max_new_tokens=32,
    )  # fmt: skip


def test_the_plan_says_that_the_problems_are_the_sample(tmp_path: Path) -> None:
    job = prepare(settings(tmp_path, test_problems=2, train_problems=4), SilentReporter())
    try:
        assert job.plan.task["dataset"]["kind"] == "sample"
        assert [len(job.problems.test), len(job.problems.train)] == [2, 4]
        assert all(job.prompts[problem.problem_id] for problem in job.ordered)
    finally:
        job.policy.close()


def test_more_than_the_sample_holds_is_refused_with_counts_that_fit(tmp_path: Path) -> None:
    with pytest.raises(SvebError, match="use --test-problems 2 --train-problems 4"):
        prepare(settings(tmp_path), SilentReporter())
