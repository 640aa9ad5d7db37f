"""What a faulty estimator gets: its own file and line, and nothing written."""

from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.harness.run_estimator import resolve, run

CLASS = "from sveb import Estimator\nclass Mine(Estimator):\n"


@pytest.fixture
def refusal(suite, write_estimator, tmp_path):
    """Runs a file that must fail and gives the message; nothing may be written."""

    def fail(source: str, params: dict | None = None, attribute: str = "", on=None) -> str:
        with pytest.raises(SvebError) as caught:
            run(on or suite, write_estimator(source) + attribute, params or {}, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return str(caught.value).replace(str(tmp_path / "code") + "/", "")

    return fail


def test_a_syntax_error_has_file_line_and_text(refusal) -> None:
    assert refusal("x = 1\ndef predict(problem)\n    return 1") == ("mine.py:2: expected ':'\n    def predict(problem)")


def test_a_syntax_error_in_a_helper_names_the_helper(refusal, write_estimator) -> None:
    write_estimator("def f(:\n    pass", "broken_helper.py")
    assert refusal("import broken_helper").startswith("broken_helper.py:1: invalid syntax")


def test_a_file_without_an_estimator_says_what_was_expected(refusal) -> None:
    assert refusal("from sveb import Estimator\nx = 1") == (
        "mine.py has no estimator: expected a class that inherits from sveb.Estimator, or a function predict(problem)"
    )


def test_two_estimators_are_listed_with_how_to_choose(refusal) -> None:
    body = "    def predict(self, problem): ...\n"
    source = CLASS + body + "class Other(Mine):\n    pass\nclass Third(Estimator):\n" + body
    assert refusal(source) == "mine.py has 2 estimators: say which one, mine.py:Other or mine.py:Third"


def test_a_function_beside_a_class_is_a_second_estimator(refusal) -> None:
    source = CLASS + "    def predict(self, problem): ...\ndef predict(problem): ..."
    assert "say which one, mine.py:Mine or mine.py:predict" in refusal(source)


def test_a_named_estimator_is_the_one_that_runs(suite, write_estimator, values) -> None:
    one = "    def predict(self, problem):\n        return [{}] * len(problem.states)\n"
    path = write_estimator(CLASS + one.format(0.25) + "class Other(Estimator):\n" + one.format(0.75))
    assert set(values(suite, f"{path}:Mine").values()) == {0.25}
    assert set(values(suite, f"{path}:Other").values()) == {0.75}


def test_a_misspelt_name_in_the_file_gets_the_closest(refusal) -> None:
    source = CLASS + "    def predict(self, problem): ...\n"
    assert refusal(source, attribute=":Mime") == "unknown estimator in mine.py 'Mime': did you mean Mine?"


def test_a_class_that_is_no_estimator_is_told_so(refusal) -> None:
    assert "neither a function nor a class that inherits" in refusal("class Mine: ...", attribute=":Mine")


def test_an_estimator_without_predict_is_told_so(refusal) -> None:
    assert refusal(CLASS + "    pass") == "mine.py: Mine defines no predict(self, problem)"


def test_an_exception_at_problem_57_shows_their_frames_only(refusal, build_suite, write_estimator) -> None:
    write_estimator("def divide(a, b):\n    return a / b\n", "arithmetic_of_mine.py")
    source = (
        "from arithmetic_of_mine import divide\nseen = set()\n\n\ndef predict(problem):\n    seen.add(problem.id)\n"
        "    divide(1, 57 - len(seen))\n    return [0.5] * len(problem.states)\n"
    )
    message = refusal(source, on=build_suite(60))
    first, *rest = message.splitlines()
    assert first.startswith("arithmetic_of_mine.py:2: ZeroDivisionError: division by zero (problem 57 of 60, test-0")
    assert rest == [
        '  File "mine.py", line 7, in predict',
        "    divide(1, 57 - len(seen))",
        '  File "arithmetic_of_mine.py", line 2, in divide',
        "    return a / b",
    ]


def test_a_fault_inside_a_library_is_told_by_their_line(refusal) -> None:
    message = refusal("import numpy as np\ndef predict(problem):\n    return np.linalg.inv(np.zeros((2, 2)))")
    assert message.startswith("mine.py:3: numpy.linalg.LinAlgError: Singular matrix (problem 1 of 3, ")
    assert "site-packages" not in message


def test_an_exception_at_import_in_init_and_in_fit(refusal) -> None:
    assert refusal("import no_such_module_here").startswith("mine.py:1: ModuleNotFoundError")
    body = "    def predict(self, problem): ...\n"
    assert refusal(CLASS + body + "    def __init__(self):\n        raise ValueError('a\\nb')").startswith(
        "mine.py:5: ValueError: a\nb\n"
    )
    assert refusal(CLASS + body + "    def fit(self, train):\n        train[0].gruop").startswith(
        "mine.py:5: AttributeError: 'Problem' object has no attribute 'gruop'"
    )


def test_a_recursion_without_end_is_short(refusal) -> None:
    message = refusal("def predict(problem):\n    return predict(problem)")
    assert message.startswith("mine.py:2: RecursionError")
    assert len(message.splitlines()) < 15


def test_leaving_by_sys_exit_is_an_error(refusal) -> None:
    assert refusal("import sys\ndef predict(problem):\n    sys.exit(0)").startswith("mine.py:3: it called sys.exit(0)")


def test_waiting_for_the_keyboard_is_an_error_not_a_wait(refusal) -> None:
    assert refusal("def predict(problem):\n    return input()").startswith("mine.py:2: EOFError")


@pytest.mark.parametrize(
    ("result", "found"),
    [
        ("[0.5] * 2", "an array of shape (1,), found shape (2,)"),
        ("0.5", "an array of shape (1,), found shape ()"),
        ("[[0.5]] * 5", "an array of shape (1,), found shape (5, 1)"),
        ("None", "an array of shape (1,), found shape ()"),
        ("['0.5'] * 5", "found list ['0.5', '0.5', '0.5', '0.5', '0.5']"),
        ("[1j] * 5", "found list [1j, 1j, 1j, 1j, 1j]"),
        ("[[1], [1, 2]]", "found list [[1], [1, 2]] (setting an array element"),
        ("{'a': 1}", "found dict {'a': 1}"),
    ],
)
def test_what_is_not_one_number_a_state_is_refused(refusal, result, found) -> None:
    message = refusal(f"\ndef predict(problem):\n    return {result}")
    assert message.startswith("mine.py:2: predict: expected 1 number, one per state")
    assert found in message
    assert "(problem 1 of 3, test-00" in message


def test_a_batch_with_too_few_arrays_is_refused(refusal) -> None:
    source = CLASS + "    def predict_batch(self, problems):\n        return []\n"
    assert refusal(source) == "mine.py: Mine.predict_batch: expected 3 arrays, one per problem, found 0"


@pytest.mark.parametrize("number", ["float('nan')", "float('inf')", "None"])
def test_values_that_are_not_finite_are_listed_by_problem(refusal, number) -> None:
    source = f"def predict(problem):\n    return [{number} if s.n_tokens == 4 else 0 for s in problem.states]"
    assert refusal(source) == (
        "mine.py: NaN or infinite values for 6 of 15 states, in problems test-000 (2), test-001 (2), test-002 (2); "
        "the first states are test-000/probe0/s1, test-000/probe1/s1, test-001/probe0/s1: "
        "give each state a finite value, or allow missing ones with --allow-missing"
    )


def test_a_long_list_of_problems_is_cut(refusal, build_suite) -> None:
    source = "def predict(problem):\n    return [None] * len(problem.states)"
    assert "test-007 (5) and 2 more; the first states are " in refusal(source, on=build_suite(10))


def test_a_killed_process_is_told_with_its_signal(refusal) -> None:
    source = "import os, signal\ndef predict(problem):\n    os.kill(os.getpid(), signal.SIGKILL)"
    assert refusal(source) == (
        "the estimator's process was killed by SIGKILL before it had answered: often the machine has run out of memory"
    )


def test_a_process_that_leaves_silently_is_told_with_its_code(refusal) -> None:
    source = "import os\ndef predict(problem):\n    os._exit(3)"
    assert refusal(source) == "the estimator's process ended with exit code 3 before it had answered"


def test_a_process_that_forges_messages_is_refused(refusal) -> None:
    """It finds the channel and claims values for the problem twice."""
    source = (
        "import gc, numpy as np\nfrom sveb.harness.wire import Channel\ndef predict(problem):\n"
        "    channel = next(o for o in gc.get_objects() if isinstance(o, Channel))\n"
        "    for _ in range(2):\n        channel.send('values', {'problems': [0]}, [np.zeros(1)])\n"
        "    return [0] * len(problem.states)"
    )
    assert "broke the harness's protocol: values of problem 0, which is unknown or waits for none" in refusal(source)


@pytest.mark.parametrize(
    "question",
    [
        "'group', {'split': 'probe', 'index': 0}",
        "'group', {'split': 'test', 'index': 99}",
        "'group', {'split': 'test', 'index': -1}",
        "'draws', {'k': 1}, [np.array([99])]",
        "'draws', {'k': 1}, [np.array([0.0])]",
        "'draws', {'k': 'x'}, [np.array([0])]",
        "'truth', {}",
    ],
)
def test_a_forged_question_gets_no_answer(refusal, question) -> None:
    source = (
        "import gc, numpy as np\nfrom sveb.harness.policy_client import ask\nfrom sveb.harness.wire import Channel\n"
        "def predict(problem):\n"
        f"    ask(next(o for o in gc.get_objects() if isinstance(o, Channel)), {question})\n"
        "    return [0] * len(problem.states)"
    )
    assert "broke the harness's protocol" in refusal(source)


def test_more_draws_than_the_suite_holds_are_refused_at_their_line(refusal) -> None:
    source = CLASS + "    def predict(self, problem):\n        return self.policy.draws(problem.states, 5)[:, 0]\n"
    assert refusal(source).startswith(
        "mine.py:4: 5 draws per state were asked for: expected 1 to 4, which is all that the suite has "
        "(problem 1 of 3, "
    )


def test_a_built_in_that_is_refused_says_so_in_one_line(suite, tmp_path) -> None:
    with pytest.raises(
        SvebError, match=r"^9 draws per state were asked for: expected 1 to 4, which is all that the suite has$"
    ):
        run(suite, "mc", {}, tmp_path)


def test_unknown_estimators_and_files_are_told_apart() -> None:
    with pytest.raises(SvebError, match=r"unknown estimator 'numka': did you mean numca\?"):
        resolve("numka")
    with pytest.raises(SvebError, match=r"no file nowhere/mine.py: expected .* Python file, or a name that `sveb est"):
        resolve("nowhere/mine.py")
    with pytest.raises(SvebError, match=r"unknown estimator 'numca:Other'"):
        resolve("numca:Other")


PARAMETERS = (
    CLASS + "    def __init__(self, n: int = 1, rate=0.5, fast: bool = False, name: 'str | None' = None, "
    "depth: int | None = 3):\n"
    "        self.n, self.rate, self.fast, self.name, self.depth = n, rate, fast, name, depth\n"
    "    def predict(self, problem):\n        assert self.get_params() == {'n': 2, 'rate': 2.0, 'fast': True, "
    "'name': 'x', 'depth': None}, self\n        return [0.5] * len(problem.states)\n"
)


def test_text_parameters_take_the_constructors_types(suite, write_estimator, values) -> None:
    params = {"n": "2", "rate": "2", "fast": "true", "name": "x", "depth": "none"}
    assert set(values(suite, write_estimator(PARAMETERS), params).values()) == {0.5}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"raet": "1"}, "unknown parameter of Mine 'raet': did you mean rate"),
        ({"n": "1.5"}, "n of Mine is '1.5': expected an integer"),
        ({"rate": "fast"}, "rate of Mine is 'fast': expected a number"),
        ({"fast": "perhaps"}, "fast of Mine is 'perhaps': expected true or false"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(refusal, params, message) -> None:
    assert message in refusal(PARAMETERS, params)


def test_a_parameter_without_default_must_be_given(refusal) -> None:
    source = CLASS + "    def __init__(self, k): self.k = k\n    def predict(self, problem): ...\n"
    assert refusal(source) == "mine.py: Mine needs k: add --set k=..."


def test_a_choice_gets_the_closest_valid_one(suite, tmp_path) -> None:
    with pytest.raises(SvebError, match=r"unknown value of variant of Numca 'oficial': did you mean official\?"):
        run(suite, "numca", {"variant": "oficial"}, tmp_path)


def test_a_function_takes_no_parameters(refusal) -> None:
    message = refusal("def predict(problem): ...", {"k": "1"})
    assert message == "mine.py: the function predict takes no parameters, found k"


def test_an_earlier_result_survives_a_run_that_fails(suite, write_estimator, tmp_path) -> None:
    path = run(suite, "group_mean", {}, tmp_path / "out")
    before = path.read_bytes()
    with pytest.raises(SvebError):
        run(suite, write_estimator("def predict(problem):\n    return 1"), {}, tmp_path / "out")
    assert path.read_bytes() == before
    assert [file.name for file in Path(tmp_path / "out").iterdir()] == ["predictions.parquet"]
