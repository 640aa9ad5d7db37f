"""The engine never waits for a grade; what could not be graded is kept, tried again, and counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from sveb.common.errors import SvebError
from sveb.common.seeds import seeds
from sveb.generate import grading_queue
from sveb.generate.generation import Settings
from sveb.generate.pipeline import generate
from sveb.generate.plan import counts_for
from sveb.generate.reporter import SilentReporter
from sveb.generate.stage_runner import StageRunner
from sveb.generate.unit_store import Store
from sveb.generate.units import Unit
from sveb.policies.policy import Completion, Policy, SampleRequest, Sampling
from sveb.suite.manifest import Manifest
from sveb.suite.records import FinishReason, ProblemRecord
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify
from sveb.tasks.grading import Grading
from sveb.tasks.task import Task

EACH = 4  # continuations a unit


class LateGrading(Grading):
    """The task's own graders, whose verdicts are held back until `release`."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.held: list[tuple[Future[float | None], Future[float | None]]] = []
        self._guard = threading.Lock()

    def submit(self, problem: ProblemRecord, text: str, finish_reason: FinishReason) -> Future[float | None]:
        verdict, late = super().submit(problem, text, finish_reason), Future[float | None]()
        with self._guard:
            self.held.append((late, verdict))
        return late

    def release(self) -> None:
        """Gives all verdicts, those to come too."""
        with self._guard:
            held, self.submit = self.held, super().submit  # type: ignore[method-assign]
        for late, verdict in held:
            late.set_result(verdict.result())


class Engine:
    """The real policy, with something that happens after `after` completions, or at the end."""

    def __init__(self, policy: Policy, happens: Callable[[], object], after: int | None = None) -> None:
        self.policy, self.happens, self.after = policy, happens, after
        self.codec, self.fingerprint = policy.codec, policy.fingerprint

    def sample(self, requests: Iterable[SampleRequest], sampling: Sampling) -> Iterator[Completion]:
        for number, completion in enumerate(self.policy.sample(requests, sampling), start=1):
            yield completion
            if number == self.after:
                self.happens()
        if self.after is None:
            self.happens()


@pytest.fixture(scope="module")
def units(tiny_suite: Path) -> list[Unit]:
    """Twelve units: the first states of the small suite."""
    suite = Suite.open(tiny_suite)
    found = []
    for number, state in enumerate(suite.states.head(12).itertuples()):
        problem = suite.problems.loc[state.problem_id]
        record = ProblemRecord(state.problem_id, problem["question"], problem["answer"])
        numbers = seeds(5, range(number * EACH, (number + 1) * EACH))
        prompt, response = problem["prompt_token_ids"].tolist(), state.token_ids.tolist()
        found.append(Unit(state.state_id, record, prompt, response, numbers, 60 - len(response) // 2))
    return found


class Workplace:
    """One stage over `units` in a store of its own."""

    def __init__(self, folder: Path, units: list[Unit], task: Task) -> None:
        self.store, self.units, self.task = Store(folder, {}), units, task
        self.problems = {unit.problem.problem_id: unit.problem for unit in units}

    def run(self, policy: Any, grading: Grading) -> None:
        self._runner(policy, grading).run("truth", lambda: self.units, keep_tokens=False, retry=False)

    def grade_missing(self, policy: Any, grading: Grading) -> dict[str, int]:
        """Why some still have no grade, with counts."""
        runner = self._runner(policy, grading)
        runner.grade_missing("truth", keep_tokens=False)
        return runner.missing["truth"]

    def _runner(self, policy: Any, grading: Grading) -> StageRunner:
        return StageRunner(
            store=self.store, policy=policy, sampling=Sampling(1.0, 1.0, 200), grading=grading,
            reporter=SilentReporter(), problem_of=self.problems,
        )  # fmt: skip

    def rows(self) -> dict[str, dict[str, Any]]:
        rows = list(self.store.read("truth"))
        assert len({row["unit_id"] for row in rows}) == len(rows), "a unit stands twice"
        return {row["unit_id"]: row for row in rows}


@pytest.fixture
def workplace(tmp_path: Path, units: list[Unit], tiny_suite: Path) -> Iterator[Workplace]:
    place = Workplace(tmp_path, units, Task.load(Suite.open(tiny_suite).manifest.task["name"]))
    with place.store:
        yield place


@pytest.fixture(scope="module")
def undisturbed(
    units: list[Unit], tiny_suite: Path, nano_transformers: Policy, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What the stage ends with where nothing happens."""
    task = Task.load(Suite.open(tiny_suite).manifest.task["name"])
    place = Workplace(tmp_path_factory.mktemp("undisturbed"), units, task)
    with place.store, Grading(task) as grading:
        place.run(nano_transformers, grading)
    rows = place.rows()
    assert {return_ for row in rows.values() for return_ in row["return_"]} == {0.0, 1.0}
    return rows


def test_everything_is_sampled_before_the_first_grade_is_in(
    workplace: Workplace, nano_transformers: Policy, undisturbed: dict[str, dict[str, Any]]
) -> None:
    """The grades come when the engine has ended: one that waited for any would wait for ever."""
    with LateGrading(workplace.task) as grading:
        workplace.run(Engine(nano_transformers, grading.release), grading)
    assert workplace.rows() == undisturbed
    assert all(row["token_ids"] == [None] * EACH and row["response"] is None for row in undisturbed.values())


def test_what_waits_for_a_grade_is_bounded_and_the_rest_is_graded_afterwards(
    workplace: Workplace,
    nano_transformers: Policy,
    undisturbed: dict[str, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grading_queue, "_MOST_WAITING", 3 * EACH)
    with LateGrading(workplace.task) as grading:
        workplace.run(Engine(nano_transformers, grading.release), grading)
        spilled = [row for row in workplace.rows().values() if row["return_"] == [None] * EACH]
        assert len(spilled) == len(workplace.units) - 3
        assert all(row["response"] is not None and None not in row["token_ids"] for row in spilled)
        assert workplace.grade_missing(nano_transformers, grading) == {}
    assert workplace.rows() == undisturbed


def test_a_run_that_is_stopped_keeps_what_was_sampled_and_grades_it_on_the_next_start(
    workplace: Workplace, nano_transformers: Policy, undisturbed: dict[str, dict[str, Any]]
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with LateGrading(workplace.task) as grading, pytest.raises(KeyboardInterrupt):
        workplace.run(Engine(nano_transformers, stop, after=7 * EACH), grading)
    kept = workplace.rows()
    assert 0 < len(kept) < len(workplace.units)
    assert all(row["return_"] == [None] * EACH and None not in row["token_ids"] for row in kept.values())

    with Grading(workplace.task) as grading:
        workplace.run(nano_transformers, grading)
        assert workplace.grade_missing(nano_transformers, grading) == {}
    assert workplace.rows() == undisturbed


def test_an_engine_that_fails_names_its_stage_and_leaves_its_traceback(
    workplace: Workplace, nano_transformers: Policy
) -> None:
    def fail() -> None:
        raise RuntimeError("device-side assert triggered\nmore of it")

    with Grading(workplace.task) as grading, pytest.raises(SvebError) as caught:
        workplace.run(Engine(nano_transformers, fail, after=7 * EACH), grading)
    assert "the engine failed in stage truth (RuntimeError: device-side assert triggered)" in str(caught.value)
    assert "more of it" in (workplace.store.folder / "crash.txt").read_text()
    assert workplace.rows()


class SometimesSilent(Grading):
    """Graders that decide nothing about responses that end in an even digit."""

    def submit(self, problem: ProblemRecord, text: str, finish_reason: FinishReason) -> Future[float | None]:
        if text.rstrip()[-1:] not in "02468":
            return super().submit(problem, text, finish_reason)
        self.failures["the judge is away"] += 1
        silent = Future[float | None]()
        silent.set_result(None)
        return silent


def test_missing_grades_are_counted_never_zero_and_tried_again_by_the_same_call(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "tiny"
    counts = counts_for("demo", Suite.open(tiny_suite).manifest.counts)
    settings = Settings(model="nano", out=out, counts=counts, engine="transformers")
    with monkeypatch.context() as patched:
        patched.setattr("sveb.generate.pipeline.Grading", SometimesSilent)
        generate(settings, SilentReporter())
    suite = Suite.open(out)
    assert verify(suite) == []
    truth = suite.table("truth").to_pandas()
    missing = suite.manifest.generation["missing"]
    assert missing["truth"]["count"] == truth["n_missing"].sum() > 0
    assert missing["rollouts"]["count"] == suite.rollouts()["return_"].isna().sum() > 0
    for found in missing.values():
        assert found["reasons"] == {"the judge is away": found["count"]}

    again = SilentReporter()
    generate(settings, again)
    assert again.tokens == 0, "nothing is sampled anew"
    assert Manifest.read(out).generation["missing"] == {}
    assert not (out / "work").exists()
    for name in ("rollouts", "states", "draws", "truth"):
        assert (out / f"{name}.parquet").read_bytes() == (tiny_suite / f"{name}.parquet").read_bytes()
