"""Whole runs: what comes out, what was asked for, what it cost."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.common.processor import cores
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions
from sveb.suite.suite import Suite

ANSWER = (
    "def predict(problem):\n    return [float(problem.answer.split()[1]) + s.n_tokens / 100 for s in problem.states]"
)


def test_values_stand_in_the_suites_order_under_its_own_names(suite, write_estimator, values) -> None:
    found = values(suite, write_estimator(ANSWER))
    expected = {
        row.state_id: int(row.problem_id[-3:]) + row.n_tokens / 100 for row in suite.states.itertuples(index=False)
    }
    assert list(found) == list(expected)
    assert found == pytest.approx(expected)


def test_an_estimator_sees_each_input_as_it_stands_in_the_suite(suite, write_estimator, values) -> None:
    """Every field that the contract promises, compared in the estimator's own process."""
    source = """
import numpy as np
def predict(problem):
    group = problem.group
    i = int(problem.question[9:-1])
    assert problem.prompt_token_ids.tolist() == [1, 5 + i, 7]
    assert problem.answer == f"answer {i}"
    assert group.returns.tolist() == [1, 0, 1, 1] and group.returns.dtype == np.float64 and len(group) == 4
    assert group.texts == ["context 0", "context 1", "context 2", "context 4"]
    assert [len(t) for t in group.token_ids] == [12] * 4 and group.token_ids[0].dtype == np.int32
    assert [e.tolist() for e in group.step_ends] == [[4, 8, 12]] * 4
    number = problem.remember("calls", list)
    number.append(len(problem.states))
    assert [(s.kind, s.step_index, s.n_tokens, s.text) for s in problem.states] == [
        [("root", 0, 0, "")], [("path", 1, 4, "first 1 steps")] * 2, [("path", 2, 8, "first 2 steps")] * 2,
    ][len(number) - 1]
    assert all(len(s.token_ids) == s.n_tokens and s.token_ids.dtype == np.int32 for s in problem.states)
    return [0.5] * len(problem.states)
"""
    assert set(values(suite, write_estimator(source)).values()) == {0.5}


@pytest.mark.parametrize(
    ("variables", "expected"), [({}, 1), ({"OMP_NUM_THREADS": "2"}, 2), ({"OPENBLAS_NUM_THREADS": "2"}, 2)]
)
def test_numpy_has_one_thread_in_the_estimators_process_unless_the_user_says_otherwise(
    suite, write_estimator, values, monkeypatch, variables: dict[str, str], expected: int
) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    source = """
import os
import numpy as np
def predict(problem):
    square = np.ones((500, 500))
    assert (square @ square == 500).all()
    return [len(os.listdir("/proc/self/task")) / 100] * len(problem.states)
"""
    assert set(values(suite, write_estimator(source)).values()) == {min(expected, cores()) / 100}


def budget_of(suite: Suite, spec: str, out: Path) -> list[str]:
    return Predictions.read(run(suite, spec, {}, out)).info.budget


@pytest.mark.parametrize(
    ("touch", "expected"),
    [
        ("problem.question", []),
        ("problem.group", ["group"]),
        ("problem.answer", ["gold_answer"]),
        ("self.policy.draws(problem.states, 1)", ["extra_rollouts"]),
        ("(problem.answer, problem.group)", ["group", "gold_answer"]),
    ],
)
def test_the_budget_is_what_was_asked_for_and_no_more(suite, write_estimator, tmp_path, touch, expected) -> None:
    source = (
        "from sveb import Estimator\nclass Mine(Estimator):\n    def predict(self, problem):\n"
        f"        {touch}\n        return [0.0] * len(problem.states)\n"
    )
    assert budget_of(suite, write_estimator(source), tmp_path) == expected


def test_training_returns_are_in_the_budget_only_when_a_training_group_is_touched(
    suite, write_estimator, tmp_path
) -> None:
    source = (
        "from sveb import Estimator\nclass Mine(Estimator):\n    def fit(self, train):\n"
        "        self.n_ = sum(len(p.{0}) for p in train)\n"
        "    def predict(self, problem):\n        return [self.n_] * len(problem.states)\n"
    )
    assert budget_of(suite, write_estimator(source.format("question")), tmp_path) == []
    assert budget_of(suite, write_estimator(source.format("group")), tmp_path) == ["train_returns"]


def test_draws_are_charged_once_at_their_tokens(suite, write_estimator, tmp_path) -> None:
    """Draws of 10, 20, 30 tokens: k = 1, then 3, then 2 of one state of each of three sets buys three for each."""
    source = (
        "from sveb import Estimator\nclass Mine(Estimator):\n    def predict(self, problem):\n"
        "        for k in (1, 3, 2):\n            found = self.policy.draws(problem.states[:1], k)\n"
        "        assert found.tolist() == [[1, 0]]\n        return [0.0] * len(problem.states)\n"
    )
    cost = Predictions.read(run(suite, write_estimator(source), {}, tmp_path)).info.cost
    assert cost.tokens_sampled_per_state == pytest.approx(3 * 60 / 5)
    assert cost.tokens_read_per_state == 0


def test_the_record_names_suite_estimator_and_cost(suite, write_estimator, tmp_path) -> None:
    source = (
        "import time\nfrom sveb import Estimator\nclass Mine(Estimator):\n    '''Says what it is.\n\n    More.'''\n"
        "    def __init__(self, pause: float = 0.0):\n        self.pause = pause\n"
        "    def fit(self, train):\n        time.sleep(self.pause)\n"
        "    def predict(self, problem):\n        return [0.0] * len(problem.states)\n"
    )
    path = write_estimator(source)
    info = Predictions.read(run(suite, path, {"pause": "0.5"}, tmp_path, seed=5)).info
    assert (info.suite.name, info.suite.checksum, info.suite.task) == ("tiny", suite.checksum, "ledger")
    estimator = info.estimator
    assert (estimator.name, estimator.description, estimator.seed) == ("Mine", "Says what it is.", 5)
    assert (estimator.spec, estimator.params) == (path, {"pause": 0.5})
    assert len(estimator.code_sha256) == 64
    assert info.cost.wall_s > 0
    assert info.cost.train_s >= 0.5
    assert info.cost.wall_s_per_state == pytest.approx(info.cost.wall_s / 15)


def test_peak_memory_is_the_childs_own(suite, write_estimator, tmp_path) -> None:
    """Linux's rusage would give a child at least what its parent holds: hold 300 MB here and see."""
    hoard = np.ones(300 * 2**17)
    small = write_estimator("def predict(problem):\n    return [0.0] * len(problem.states)", "small.py")
    large = write_estimator(
        "import numpy as np\ndef predict(problem):\n    np.ones(2**24).sum()\n    return [0.0] * len(problem.states)",
        "large.py",
    )
    peaks = [Predictions.read(run(suite, path, {}, tmp_path)).info.cost.peak_rss_bytes for path in (small, large)]
    assert hoard.nbytes >= 300 * 2**20
    assert 10 * 2**20 < peaks[0] < 120 * 2**20
    assert 120 * 2**20 < peaks[1] - peaks[0] < 140 * 2**20


def test_a_seed_decides_and_the_other_problems_do_not(build_suite, write_estimator, values) -> None:
    source = (
        "from sveb import Estimator\nclass Mine(Estimator):\n    def predict(self, problem):\n"
        "        return [self.rng.random()] * len(problem.states)\n"
    )
    path = write_estimator(source)
    few, many = build_suite(2, folder="few"), build_suite(6, folder="many")
    first = values(few, path, seed=1)
    assert first == values(few, path, seed=1)
    assert first != values(few, path, seed=2)
    assert len(set(first.values())) == 2 * 3, "a number for each set of each problem"
    more = values(many, path, seed=1)
    assert {name: more[name] for name in first} == first


def test_order_and_names_tell_nothing_of_the_suite(build_suite, write_estimator, tmp_path, capfd) -> None:
    source = """
def predict(problem):
    print("SEEN", problem.id, problem.question[9:-1], [s.kind for s in problem.states])
    return [0.0] * len(problem.states)
"""
    path, suite = write_estimator(source), build_suite(12)
    orders = []
    for seed in (1, 2):
        run(suite, path, {}, tmp_path, seed=seed)
        seen = [line.split(maxsplit=3) for line in capfd.readouterr().err.splitlines() if line.startswith("SEEN")]
        seen = [each for each in seen if "root" in each[3]]  # the first set of each problem
        assert [name for _, name, _, _ in seen] == [f"test-{i:05d}" for i in range(12)]
        assert sorted(int(question) for _, _, question, _ in seen) == list(range(12))
        orders.append([question for _, _, question, _ in seen])
    assert orders[0] != orders[1]
    assert orders[0] != [str(i) for i in range(12)]


def test_what_the_estimator_prints_goes_to_standard_error(suite, write_estimator, tmp_path, capfd) -> None:
    run(suite, write_estimator("def predict(p):\n    print('hello')\n    return [0] * len(p.states)"), {}, tmp_path)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.count("hello") == 3 * 3


def test_progress_counts_problems_by_the_share_of_states_with_values(suite, write_estimator, tmp_path) -> None:
    seen: list[tuple[int, int]] = []
    run(suite, write_estimator(ANSWER), {}, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (3, 3)]  # after 3, 9 and 15 of 15 states


def test_predict_batch_gets_whole_batches(build_suite, write_estimator, values) -> None:
    source = (
        "from sveb import Estimator\nclass Mine(Estimator):\n    def predict_batch(self, problems):\n"
        "        return [[float(len(problems))] * len(p.states) for p in problems]\n"
    )
    found = values(build_suite(70), write_estimator(source))
    assert sorted(found.values()) == [6.0] * 30 + [64.0] * 320


def test_training_problems_can_be_gone_through_again_indexed_and_sliced(suite, write_estimator, values) -> None:
    source = """
from sveb import Estimator
class Mine(Estimator):
    def fit(self, train):
        names = [p.id for p in train]
        assert names == [p.id for p in train] == [p.id for p in train[:]] and len(train) == len(names) == 4
        assert train[-1].id == names[3] and train[1].group.returns.tolist() == [0, 1, 0, 1]
        assert train[0].states == []
        try:
            train[4]
        except IndexError:
            self.ok_ = 1.0
    def predict(self, problem):
        return [self.ok_] * len(problem.states)
"""
    assert set(values(suite, write_estimator(source)).values()) == {1.0}


def test_missing_values_are_kept_as_missing_when_allowed(suite, write_estimator, values) -> None:
    source = "def predict(problem):\n    return [None if s.kind == 'root' else 0.5 for s in problem.states]"
    found = values(suite, write_estimator(source), allow_missing=True)
    assert sum(np.isnan(value) for value in found.values()) == 3
    assert all(np.isnan(value) == name.endswith("root") for name, value in found.items())


def test_helpers_beside_the_file_can_be_imported(suite, write_estimator, values) -> None:
    write_estimator("HALF = 0.5", "helper_of_mine.py")
    path = write_estimator("from helper_of_mine import HALF\ndef predict(p):\n    return [HALF] * len(p.states)")
    assert set(values(suite, path).values()) == {0.5}
    assert not (Path(path).parent / "__pycache__").exists()


@pytest.mark.parametrize("name", ["my_estimator.py", "function_estimator.py"])
def test_the_examples_run(suite, values, name) -> None:
    example = Path(__file__).parents[2] / "examples" / name
    found = values(suite, str(example))
    assert len(found) == 15
    assert all(0 <= value <= 1 for value in found.values())
    assert found["test-000/root"] == pytest.approx(0.75)


def test_the_worker_imports_numpy_and_nothing_heavier() -> None:
    code = "import sys, sveb.harness.worker; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in modules
    assert not {"pandas", "pyarrow", "torch", "scipy", "transformers"} & set(modules)


def test_the_scratch_folder_and_everything_started_are_gone_after_a_run(
    suite, write_estimator, tmp_path, capfd
) -> None:
    source = (
        "import os, subprocess\nchild = subprocess.Popen(['sleep', '600'])\n"
        "def predict(p):\n    print('AT', os.getcwd(), child.pid)\n    return [0] * len(p.states)"
    )
    run(suite, write_estimator(source), {}, tmp_path)
    _, folder, pid = capfd.readouterr().err.splitlines()[0].split()
    assert not Path(folder).exists()
    wait_for(lambda: not alive(int(pid)))


def test_a_suite_whose_states_have_no_problem_is_named(build_suite, tmp_path) -> None:
    from sveb.suite.tables import read_table, write_table

    suite = build_suite(3)
    problems = read_table(suite.path / "problems.parquet")
    write_table(suite.path / "problems.parquet", problems.slice(1))
    with pytest.raises(SvebError, match=r"states of 1 problems.*\(test-000\)"):
        run(Suite.open(suite.path), "group_mean", {}, tmp_path)


def test_a_parent_that_dies_takes_the_worker_along(suite, write_estimator, tmp_path) -> None:
    """kill -9 of the harness: the estimator's process ends at its next word instead of living on."""
    path = write_estimator(
        f"import os, time\ndef predict(p):\n    open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "    time.sleep(0.5)\n    return [0] * len(p.states)"
    )
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from sveb.suite.suite import Suite\nfrom sveb.harness.run_estimator import run\n"
        "run(Suite.open(sys.argv[1]), sys.argv[2], {}, Path(sys.argv[3]))"
    )
    harness = subprocess.Popen([sys.executable, "-c", code, str(suite.path), path, str(tmp_path / "out")])
    pid_file = tmp_path / "pid"
    wait_for(lambda: pid_file.exists() and pid_file.read_text())
    harness.kill()
    harness.wait()
    pid = int(pid_file.read_text())
    wait_for(lambda: not alive(pid))
    assert not (tmp_path / "out").exists()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition) -> None:
    while not condition():
        time.sleep(0.05)
