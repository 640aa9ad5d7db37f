"""The Python API: what the main commands do, as functions. Each is also a name of `sveb` itself.

import sveb

suite = sveb.load_suite("ledger-nano")
run = sveb.evaluate("my_estimator.py", suite)
print(run.results.to_pandas())
print(sveb.compare([run, sveb.evaluate("group_mean", suite)]).to_pandas())

Every function raises `sveb.SvebError` for what its user can fix.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sveb import evaluation
from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.estimators import registry
from sveb.generate.generation import settings_for
from sveb.generate.pipeline import generate
from sveb.generate.reporter import Reporter
from sveb.runs.predictions import Predictions
from sveb.runs.results import Results
from sveb.runs.run_folder import PREDICTIONS, RunFolder
from sveb.runs.suite_of_run import suite_of
from sveb.score.compare import Comparisons, compare_all
from sveb.score.score import score
from sveb.suite.private_truth import Private
from sveb.suite.suite import EMBEDDED_SUITE, Suite

if TYPE_CHECKING:
    from sveb.estimators.shared.critic_writer import Exported


def load_suite(suite: str | Path | Suite = EMBEDDED_SUITE) -> Suite:
    """Opens a suite: a name (`sveb suite list` shows them), a folder, or `hf://datasets/org/name`."""
    return suite if isinstance(suite, Suite) else Suite.open(suite)


def generate_suite(
    model: str,
    *,
    out: str | Path | None = None,
    task: str | None = None,
    size: str = "standard",
    counts: Mapping[str, int | None] | None = None,
    reporter: Reporter | None = None,
    **options: Any,
) -> Suite:
    """Generates a suite, or continues one that was stopped, and opens it: `sveb generate`.

    `model` is a name from `sveb models`, a hub id or a folder. `size` is a preset of the protocol's counts: demo,
    standard or full. `counts` replaces single ones, for example {"test_problems": 10, "continuations": 32}. `options`
    are the other options of the command, with underscores: seed, engine, data, temperature, protocol, truth, ...
    `reporter` is told of the progress; without one nothing is shown.
    """
    folder = None if out is None else Path(out)
    settings = settings_for(model, task=task, out=folder, size=size, counts=counts, **options)
    return Suite.open(generate(settings, reporter))


def evaluate(
    estimator: str | Path | Estimator | type[Estimator],
    suite: str | Path | Suite = EMBEDDED_SUITE,
    params: Mapping[str, Any] | None = None,
    *,
    runs: str | Path = "runs",
    seed: int = 0,
    seeds: int = 1,
    allow_missing: bool = False,
    sandbox: bool | None = None,
    truth: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RunFolder:
    """Runs an estimator on a suite in a process of its own, scores it, and keeps both in a run folder: `sveb eval`.

    `estimator` is a built-in's name, a Python file (`my.py` or `my.py:Class`), or a class or instance that is defined
    in a file; an instance brings its parameters along. `params` are constructor arguments. The run folder is
    `runs`/<suite>/<estimator>; an earlier run there is replaced when this one has succeeded.

    With `seeds` above 1 it is trained and asked with each of `seed`, `seed` + 1, ...; every score is their mean, with
    their spread in its interval. A killed run goes on where it was.

    `sandbox` confines the estimator's process; None confines files under a folder named submissions. `truth` is the
    private part of a split suite. With `allow_missing`, states without a finite value are left out instead of an error.
    `progress(done, total)` is called as problems are done, seed after seed.
    """
    spec, given = _spec_of(estimator)
    if given and params:
        raise SvebError(f"{spec} is an instance and has its parameters: leave params out, or pass the class")
    return evaluation.evaluate(
        load_suite(suite), spec, dict(params or given), Path(runs), seed=seed, seeds=seeds,
        allow_missing=allow_missing, progress=None if progress is None else lambda _: progress, sandbox=sandbox,
        truth=None if truth is None else Path(truth),
    )  # fmt: skip


def score_predictions(
    predictions: str | Path,
    suite: str | Path | Suite | None = None,
    *,
    allow_missing: bool = False,
    truth: str | Path | None = None,
) -> Results:
    """Scores a predictions file, or a run folder's, and writes nothing: `sveb score`.

    `suite` is by default the one that the predictions name. The same files give the same figures.
    """
    file = predictions_file(Path(predictions))
    opened = suite_for(file, suite)
    private = None if truth is None else Private.open(Path(truth), opened)
    return score(opened, file, allow_missing=allow_missing, private=private)


def export_critic(run: str | Path, to: str, out: str | Path | None = None, suite: str | None = None) -> Exported:
    """Writes the critic of a run of `critic` for a trainer (verl, openrlhf, trl): `sveb critic export`.

    `out` is by default <run>/<to>. `suite` is by default the one that the run names: its policy gives the
    configuration and the tokenizer.
    """
    from sveb.estimators.shared.critic_writer import write_critic
    from sveb.harness.forward_passes import Forward

    file = predictions_file(Path(run))
    policy = Forward(suite_for(file, suite).manifest).weights_folder()
    return write_critic(file.parent / "scratch", Path(policy), to, file.parent / to if out is None else Path(out))


def compare(
    runs: Sequence[str | Path | RunFolder],
    suite: str | Path | Suite | None = None,
    *,
    allow_missing: bool = False,
) -> Comparisons:
    """The first of two or more runs against each of the others, paired on the same problems, and the ranks of all.

    A run is a `RunFolder`, a run folder or a predictions file. `suite` is by default the one that the first run names.
    """
    if isinstance(runs, str | Path) or len(runs) < 2:
        raise SvebError("compare needs at least two predictions files or run folders: name one more")
    files = [predictions_file(run.folder if isinstance(run, RunFolder) else Path(run)) for run in runs]
    named = dict(zip(_short_names(files), files, strict=True))
    return compare_all(suite_for(files[0], suite), named, allow_missing=allow_missing)


def predictions_file(path: Path) -> Path:
    """The predictions file at `path`: the file itself, or the one in a run folder."""
    file = path / PREDICTIONS if path.is_dir() else path
    if not file.is_file():
        raise SvebError(f"{file} does not exist: expected a predictions file, or a run folder written by `sveb eval`")
    return file


def suite_for(file: Path, suite: str | Path | Suite | None) -> Suite:
    """The suite to score a predictions file on: `suite`, else the one that the file names."""
    if suite is not None:
        return load_suite(suite)
    return suite_of(Predictions.read(file).info.suite, f"{file} was made for")


def _spec_of(estimator: str | Path | Estimator | type[Estimator]) -> tuple[str, dict[str, Any]]:
    """What the harness runs (`name`, `my.py` or `my.py:Class`), and an instance's parameters that are not defaults."""
    if isinstance(estimator, str | Path):
        return str(estimator), {}
    cls = estimator if isinstance(estimator, type) else type(estimator)
    if not issubclass(cls, Estimator):
        raise SvebError(f"{cls.__name__} is not an estimator: expected a class that inherits from sveb.Estimator")
    given = {} if isinstance(estimator, type) else _changed(estimator)
    room, _, name = cls.__module__.rpartition(".")
    if room == registry.__package__:
        return name, given
    try:
        file = inspect.getsourcefile(cls)
    except (OSError, TypeError):
        file = None
    if file is None or not Path(file).is_file():
        raise SvebError(
            f"{cls.__name__} is not defined in a file, and its own process could not load it: save it as a .py file "
            "(in a notebook: %%writefile my_estimator.py) and pass that file"
        )
    return f"{file}:{cls.__name__}", given


def _changed(estimator: Estimator) -> dict[str, Any]:
    defaults = {name: parameter.default for name, parameter in inspect.signature(type(estimator)).parameters.items()}
    return {name: value for name, value in estimator.get_params().items() if value != defaults[name]}


def _short_names(files: list[Path]) -> list[str]:
    """A short name for each file: its run folder or its stem; the whole path where short names are equal."""
    short = [file.parent.resolve().name if file.name == PREDICTIONS else file.stem for file in files]
    names = [name if short.count(name) == 1 else str(file) for name, file in zip(short, files, strict=True)]
    for name in names:
        if names.count(name) > 1:
            raise SvebError(f"{name} is given {names.count(name)} times: name each predictions file once")
    return names
