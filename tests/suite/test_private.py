"""A split suite: nothing of the private problems' truth is in it, and what is kept apart is what it is committed to."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sveb.cli import app
from sveb.common.errors import SvebError
from sveb.evaluation import evaluate
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions, SuiteRef
from sveb.runs.results import Results
from sveb.score.score import score
from sveb.suite.assemble import file_entries
from sveb.suite.manifest import Manifest
from sveb.suite.private_truth import Private
from sveb.suite.split import choose, split
from sveb.suite.suite import Suite
from sveb.suite.tables import ADDED, read_table, write_table
from sveb.suite.verify_suite import verify
from tests.support.needs import require_bubblewrap

WHOLE = Suite.open("ledger-nano")
SPY = """
from pathlib import Path

def predict(problem):
    try:
        Path({path!r}).read_bytes()
    except OSError:
        return [0.25] * len(problem.states)
    return [1.0] * len(problem.states)
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds `public` and `secret`, of the embedded suite."""
    folder = tmp_path_factory.mktemp("split")
    split(WHOLE, 0.3, folder / "public", folder / "secret")
    return folder


@pytest.fixture(scope="module")
def public(folders: Path) -> Suite:
    return Suite.open(folders / "public")


@pytest.fixture(scope="module")
def private(folders: Path, public: Suite) -> Private:
    return Private.open(folders / "secret", public)


@pytest.fixture(scope="module")
def predictions(public: Suite, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same values as predictions of the whole and of the public suite."""
    folder = tmp_path_factory.mktemp("predictions")
    made = Predictions.read(run(public, "mc", {"k": "2"}, folder / "mc"))
    found = {}
    for name, suite in (("whole", WHOLE), ("public", public)):
        m = suite.manifest
        ref = SuiteRef(m.name, m.version, suite.checksum, m.task["name"], m.policy["name"], m.protocol)
        found[name] = folder / f"{name}.parquet"
        Predictions(replace(made.info, suite=ref), made.state_ids, made.values).write(found[name])
    return found


def resealed(folder: Path) -> Suite:
    """A public suite whose manifest names its tables as they now are, as a forger would leave it."""
    replace(Manifest.read(folder), files=file_entries(folder)).write(folder)
    (folder / "SHA256SUMS").unlink()
    return Suite.open(folder)


def test_the_public_suite_is_whole_and_another_than_the_one_it_was_made_from(public: Suite, private: Private) -> None:
    assert verify(public) == []
    assert verify(public, private) == []
    assert (public.name, public.manifest.version) == ("public", WHOLE.manifest.version)
    assert public.checksum != WHOLE.checksum
    assert WHOLE.checksum.startswith("ead43f20c74d95bd"), "a suite without a private part keeps its checksum"
    assert "private" not in (WHOLE.path / "manifest.json").read_text()


def test_the_private_problems_are_a_seeded_choice_of_the_same_share_of_each_tier(public: Suite) -> None:
    problems, states = WHOLE.table("problems"), WHOLE.table("states")
    chosen = public.manifest.private_problems
    assert choose(problems, states, 0.3, 0) == chosen
    assert choose(problems, states, 0.3, 1) != chosen
    tiers = WHOLE.problems[WHOLE.problems["split"] == "test"]["tier"]
    found = Counter(WHOLE.problems.loc[sorted(chosen), "tier"])
    assert all(abs(found[tier] - 0.3 * count) < 1 for tier, count in Counter(tiers).items())
    assert len(chosen) == 33


def test_nothing_that_tells_the_private_truth_is_public(public: Suite) -> None:
    hidden = public.manifest.private_problems
    apart = set(public.states.index[public.states["problem_id"].isin(hidden)])
    assert not apart & set(public.table("truth")["state_id"].to_pylist())
    longest = public.states[public.states["kind"] == "path"].groupby("rollout_id")["n_tokens"].max()
    whole = WHOLE.rollouts("probe").set_index("rollout_id")
    for row in public.table("rollouts", filters=[("role", "=", "probe")]).to_pylist():
        before = whole.loc[row["rollout_id"]]
        if row["problem_id"] not in hidden:
            assert (row["text"], row["return_"], row["seed"]) == (before["text"], before["return_"], before["seed"])
            continue
        length = int(longest.get(row["rollout_id"], 0))
        assert row["token_ids"] == before["token_ids"].tolist()[:length]
        assert before["text"].startswith(row["text"])
        assert len(row["text"]) < len(before["text"])
        assert (row["return_"], row["finish_reason"], row["seed"]) == (None, None, None)
        assert max(row["step_ends"], default=0) <= length


def test_what_estimators_see_is_as_before(public: Suite) -> None:
    for name in ("problems", "draws"):
        assert (public.path / f"{name}.parquet").read_bytes() == (WHOLE.path / f"{name}.parquet").read_bytes()
    seen = [name for name in WHOLE.table("states").column_names if name not in ADDED["states"]]
    assert public.table("states", seen).equals(WHOLE.table("states", seen))
    for role in ("context", "train"):
        assert public.rollouts(role).to_json() == WHOLE.rollouts(role).to_json()


def test_anyone_can_check_the_commitment_without_sveb(public: Suite, private: Private) -> None:
    recipe = "(cat salt; sha256sum *.parquet) | sha256sum"
    said = subprocess.run(["sh", "-c", recipe], cwd=private.folder, capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == public.manifest.private["commitment"]


@pytest.mark.parametrize("file", ["salt", "truth.parquet", "rollouts.parquet"])
def test_a_private_part_that_was_changed_is_refused(
    public: Suite, private: Private, predictions: dict[str, Path], tmp_path: Path, file: str
) -> None:
    folder = Path(shutil.copytree(private.folder, tmp_path / "secret"))
    if file == "salt":
        (folder / file).write_text("0" * 64 + "\n")
    else:
        table = read_table(folder / file)
        write_table(folder / file, table.take(list(range(table.num_rows))[::-1]))
    with pytest.raises(SvebError, match=r"does not match the commitment of public 2\.0\.0"):
        Private.open(folder, public)
    said = CliRunner().invoke(
        app, ["score", str(predictions["public"]), "--suite", str(public.path), "--truth", str(folder)]
    )
    assert isinstance(said.exception, SvebError)
    assert not predictions["public"].with_name("results.json").exists()


def test_verify_tells_what_a_public_suite_should_not_hold(public: Suite, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(public.path, tmp_path / "public"))
    for name in ("truth", "rollouts"):
        shutil.copyfile(WHOLE.path / f"{name}.parquet", folder / f"{name}.parquet")
    wrong = " ".join(str(fault) for fault in verify(resealed(folder)))
    assert "truth of private problems: ledger-test-" in wrong
    assert "a private problem's probe shows how it continues" in wrong


def test_a_truth_of_other_states_does_not_pass_for_the_private_part(
    public: Suite, private: Private, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(private.folder, tmp_path / "secret"))
    write_table(folder / "truth.parquet", public.table("truth"))
    wrong = [str(fault) for fault in verify(public, Private(folder))]
    assert len(wrong) == 1
    assert "expected each state of the private problems exactly once" in wrong[0]


def test_both_parts_together_are_scored_as_the_whole_suite(
    public: Suite, private: Private, predictions: dict[str, Path]
) -> None:
    whole = score(WHOLE, predictions["whole"])
    everything = score(public, predictions["public"], private=private, everything=True)
    assert (everything.metrics, everything.slices, everything.alarms) == (whole.metrics, whole.slices, whole.alarms)
    parts = [score(public, predictions["public"]), score(public, predictions["public"], private=private)]
    assert [part.truth for part in (whole, everything, *parts)] == ["whole", "all", "public", "hidden"]
    assert [part.counts["problems"] for part in parts] == [77, 33]
    errors = sum(part.metrics["mse"].value * part.counts["path_states"] for part in parts)
    assert errors / whole.counts["path_states"] == pytest.approx(whole.metrics["mse"].value, abs=1e-9)


def test_the_private_states_must_be_predicted_too(public: Suite, predictions: dict[str, Path], tmp_path: Path) -> None:
    made = Predictions.read(predictions["public"])
    problem = public.states.loc[made.state_ids, "problem_id"]
    kept = ~problem.isin(public.manifest.private_problems).to_numpy()
    few = tmp_path / "few.parquet"
    Predictions(made.info, [s for s, keep in zip(made.state_ids, kept, strict=True) if keep], made.values[kept]).write(
        few
    )
    with pytest.raises(SvebError, match=f"{(~kept).sum()} states have no value"):
        score(public, few)


def children() -> set[str]:
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def test_the_truth_is_opened_after_the_estimator_has_ended_and_out_of_its_reach(
    public: Suite, private: Private, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_bubblewrap()
    spy = tmp_path / "spy.py"
    spy.write_text(SPY.format(path=str(private.folder.resolve() / "truth.parquet")))
    free = Predictions.read(run(public, str(spy), {}, tmp_path / "free", sandbox=False))
    assert set(free.values) == {1.0}, "unconfined it would have read it"

    before, alive, opened = children(), [], Private.open

    def watched(path: Path, suite: Suite) -> Private:
        alive.append(children() - before)
        return opened(path, suite)

    monkeypatch.setattr(Private, "open", watched)
    mine = evaluate(public, str(spy), {}, tmp_path / "runs", truth=private.folder)
    assert set(Predictions.read(mine.predictions).values) == {0.25}
    assert mine.results.truth == "hidden"
    assert Results.read(mine.folder / "results-all.json").truth == "all"
    assert alive == [set()]


def test_scores_on_a_hidden_truth_make_no_entry_and_no_report(
    public: Suite, private: Private, predictions: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "public" / "mc"
    folder.mkdir(parents=True)
    shutil.copyfile(predictions["public"], folder / "predictions.parquet")
    arguments = ["score", str(folder), "--suite", str(public.path)]
    runner = CliRunner()
    assert runner.invoke(app, [*arguments, "--truth", str(private.folder)]).exit_code == 0
    for command, said in (
        (["report", str(folder), "--suite", str(public.path)], "a report would show its states"),
        (["submit", str(folder), "--submissions", str(tmp_path / "submissions")], "is hidden, not what everyone"),
    ):
        assert said in str(runner.invoke(app, command).exception)
    assert not list(tmp_path.rglob("*.html"))
    assert runner.invoke(app, arguments).exit_code == 0
    assert runner.invoke(app, ["report", str(folder), "--suite", str(public.path)]).exit_code == 0


def test_a_files_code_never_runs_unconfined_beside_the_truth(public: Suite, private: Private, tmp_path: Path) -> None:
    spy = tmp_path / "spy.py"
    spy.write_text(SPY.format(path="x"))
    with pytest.raises(SvebError, match="leave --no-sandbox out"):
        evaluate(public, str(spy), {}, tmp_path / "runs", truth=private.folder, sandbox=False)


def test_folders_and_shares_that_cannot_be_are_refused_before_anything_is_written(
    public: Suite, tmp_path: Path
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for suite, share, out, secret, said in (
        (WHOLE, 0.3, a, a / "secret", "are inside each other"),
        (WHOLE, 0.3, tmp_path / "ledger-nano", b, "choose another, such as ledger-nano-public"),
        (WHOLE, 0.3, public.path, b, "is not an empty folder"),
        (WHOLE, 0.0, a, b, "leaves 0 private and 110 public"),
        (WHOLE, 1.0, a, b, "leaves 110 private and 0 public"),
        (public, 0.3, a, b, "is split already"),
    ):
        with pytest.raises(SvebError, match=said):
            split(suite, share, out, secret)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SvebError, match="has no private part"):
        Private.open(b, WHOLE)
    with pytest.raises(SvebError, match=r"contains no private\.json and no salt"):
        Private.open(tmp_path, public)


def test_the_command_line_splits_shows_and_verifies(tmp_path: Path) -> None:
    out, secret = str(tmp_path / "mine"), str(tmp_path / "secret")
    runner = CliRunner(env={"COLUMNS": "300"})
    said = runner.invoke(app, ["suite", "split", "ledger-nano", "--private", "0.1", "--out", out, "--secret", secret])
    assert said.exit_code == 0, said.output
    assert "11 of 110 test problems are private" in said.output
    assert "sampled with the suite's own seed" in said.output
    assert (Path(secret).stat().st_mode & 0o777) == 0o700
    assert "the truth of 11 of 110 problems, commitment" in runner.invoke(app, ["suite", "show", out]).output
    said = runner.invoke(app, ["suite", "verify", out, "--truth", secret])
    assert "valid; it is the private truth that the suite is committed to" in said.output
