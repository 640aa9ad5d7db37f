"""Tiers by pilot pass rate: who gets in, who does not, and what the pilot must not leave behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sveb.common.errors import SvebError
from sveb.generate import tiers as module
from sveb.generate.cost import Forecast
from sveb.generate.plan import SeedLayout, counts_for
from sveb.generate.tiers import Tier, parse_tiers, select
from sveb.suite.records import ProblemRecord
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify


def problems(n: int) -> list[ProblemRecord]:
    return [ProblemRecord(f"p{i:03d}", "?", "1") for i in range(n)]


def rates_of(rates: Sequence[float | None]):  # type: ignore[no-untyped-def]
    def pilot(batch: Sequence[ProblemRecord]) -> Mapping[str, float | None]:
        return {p.problem_id: rates[int(p.problem_id[1:])] for p in batch}

    return pilot


def test_a_tier_takes_the_first_candidates_of_its_band_and_counts_how_many_it_saw() -> None:
    rates = [0.0, 0.1, 0.9, 0.2, 0.1, 0.3, 0.5]
    found = select(problems(7), parse_tiers("0:0.2:2,0.2:0.4:1"), rates_of(rates))
    assert [(p.problem_id, p.tier) for p in found.problems] == [
        ("p001", "(0, 0.2]"), ("p003", "(0, 0.2]"), ("p005", "(0.2, 0.4]"),
    ]  # fmt: skip
    assert found.looked_at == {"(0, 0.2]": 4, "(0.2, 0.4]": 6}


def test_a_candidate_whose_pilot_is_not_graded_in_full_is_counted_and_taken_by_no_tier() -> None:
    found = select(problems(3), parse_tiers("0:1:1"), rates_of([None, None, 0.5]))
    assert [p.problem_id for p in found.problems] == ["p002"]
    assert found.ungraded == 2


@settings(max_examples=50)
@given(
    rates=st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0, None]), min_size=30, max_size=90),
    at_once=st.integers(1, 40),
)
def test_the_choice_does_not_depend_on_how_many_are_piloted_at_once(rates: list[float | None], at_once: int) -> None:
    bands = parse_tiers("0.05:0.3:2,0.3:0.8:3")
    found = []
    for size in (at_once, len(rates)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_AT_ONCE", size)
            try:
                found.append(select(problems(len(rates)), bands, rates_of(rates)))
            except SvebError as error:
                found.append(str(error))
    assert found[0] == found[1]


def test_too_few_candidates_name_what_each_tier_got() -> None:
    with pytest.raises(SvebError, match=r"all 4 candidates the tiers hold \(0, 0.5\]: 3 of 3, \(0.5, 1\]: 1 of 2"):
        select(problems(4), parse_tiers("0:0.5:3,0.5:1:2"), rates_of([0.5, 0.5, 0.9, 0.1]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected LOW:HIGH:PROBLEMS"),
        ("0.1:0.2", "expected LOW:HIGH:PROBLEMS"),
        ("0.1:0.2:x", "expected LOW:HIGH:PROBLEMS"),
        ("0.3:0.2:5", "LOW < HIGH"),
        ("0:1.2:5", "LOW < HIGH"),
        ("nan:1:5", "LOW < HIGH"),
        ("0:1:0", "at least one problem"),
        ("0.1:0.5:5,0.4:0.6:5", "overlap"),
    ],
)
def test_tiers_that_are_none_are_refused(text: str, message: str) -> None:
    with pytest.raises(SvebError, match=message):
        parse_tiers(text)


def test_the_papers_tiers_are_read() -> None:
    assert parse_tiers("0.07:0.17:1000,0.17:0.37:1000,0.37:0.77:1000") == (
        Tier(0.07, 0.17, 1000), Tier(0.17, 0.37, 1000), Tier(0.37, 0.77, 1000),
    )  # fmt: skip


def test_no_pilot_rollout_shares_a_seed_with_anything_else() -> None:
    counts = counts_for("demo", {"test_problems": 3, "train_problems": 2})
    layout = SeedLayout(counts, 0, pilots=40 * 20)
    pilots = {int(seed) for i in range(40) for seed in layout.pilot(i, 20)}
    assert len(pilots) == 800
    others: set[int] = set()
    for problem in range(5):
        states = 1 + counts.probes * counts.path_states + counts.sibling_parents * counts.siblings
        parts = [layout.rollouts(problem, 0, counts.group + counts.probes)]
        parts += [layout.siblings(problem, parent) for parent in range(counts.sibling_parents)]
        parts += [part(problem, state) for state in range(states) for part in (layout.truth, layout.draws)]
        others |= {int(seed) for part in parts for seed in part}
    assert not pilots & others


@pytest.mark.slow
def test_a_tiered_suite_holds_problems_of_its_tiers_and_tells_how_they_were_found(tmp_path: Path) -> None:
    from sveb.generate.generation import Settings
    from sveb.generate.pipeline import generate
    from sveb.generate.reporter import SilentReporter

    bands = parse_tiers("0.1:0.5:3,0.5:0.9:3")
    counts = counts_for(
        "demo",
        {"test_problems": 6, "train_problems": 2, "group": 4, "train_group": 2, "probes": 1, "path_states": 2,
         "sibling_parents": 0, "continuations": 2, "draws": 0},
    )  # fmt: skip
    settings = Settings(
        model="nano", out=tmp_path / "tiered", counts=counts, engine="transformers", tiers=bands, pilot=8
    )
    reporter = SilentReporter()
    expected: list[Forecast] = []
    reporter.forecast = expected.append  # type: ignore[method-assign]
    suite = Suite.open(generate(settings, reporter))
    # The forecast counts the rollouts of the problems that will be chosen, not those of all candidates.
    samples = {stage.name: stage.samples for stage in expected[0].stages}
    assert samples["rollouts"] == 6 * (4 + 1) + 2 * 2 == len(suite.rollouts())
    assert samples["pilot, at least"] == 6 * 8
    assert verify(suite) == []
    tests = suite.problems[suite.problems["split"] == "test"]
    assert sorted(tests["tier"]) == ["(0.1, 0.5]"] * 3 + ["(0.5, 0.9]"] * 3
    assert suite.manifest.task["pilot"] == 8
    looked_at = suite.manifest.generation["pilot"]["looked_at"]
    assert set(looked_at) == {"(0.1, 0.5]", "(0.5, 0.9]"}
    assert all(3 <= n <= 300 for n in looked_at.values())
    # The pilot's seeds are not among those of the suite's rollouts: nothing of it is reused.
    layout = SeedLayout(counts, 0, pilots=300 * 8)
    pilots = {int(seed) for i in range(300) for seed in layout.pilot(i, 8)}
    assert not pilots & set(suite.rollouts()["seed"].astype(int))
