"""One run: an estimator on a suite, from a specification to predictions.parquet."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sveb.common.errors import SvebError, unknown_name
from sveb.common.files import disk_errors, sha256
from sveb.common.seeds import rng
from sveb.common.text import first_few
from sveb.common.version import __version__
from sveb.estimators.registry import find, names
from sveb.harness.confined_worker import ConfinedWorker, confined_secrets, given
from sveb.harness.forward_passes import RefusedError
from sveb.harness.policy_server import Broker, listed_problems
from sveb.harness.untrusted_identity import Identity, fault, identity
from sveb.harness.visible_inputs import Inputs
from sveb.harness.wire import ClosedError, Message, WireError, harmless
from sveb.harness.worker_process import Worker
from sveb.runs.predictions import Cost, EstimatorRef, Predictions, RunInfo, SuiteRef
from sveb.sandbox.limits import Limits
from sveb.suite.suite import Suite

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Target:
    """What a specification names: a built-in (`builtin`), or a file and perhaps a name in it (`attribute`).

    `file` is resolved, `given` is the path as the user gave it.
    """

    spec: str
    builtin: str | None = None
    file: Path | None = None
    attribute: str | None = None
    given: Path | None = None

    @property
    def submitted(self) -> bool:
        """Whether it is a file under a folder named submissions: foreign code, confined by default."""
        paths = [path for path in (self.file, self.given) if path is not None]
        return any("submissions" in path.absolute().parent.parts for path in paths)


@dataclass(frozen=True)
class _Phase:
    """What was spent between a command and its end."""

    seconds: float
    tokens_sampled: int
    tokens_read: int


def resolve(spec: str) -> Target:
    """`numca`, `my.py` or `my.py:Class`. Raises SvebError for a missing file or an unknown name."""
    stem, colon, attribute = spec.rpartition(":")
    name = stem if colon else spec
    if name in names() and not colon:
        return Target(spec, builtin=name)
    if not name.endswith(".py") and "/" not in name:
        raise unknown_name("estimator", spec, names())
    path = Path(name).expanduser()
    if not path.is_file():
        raise SvebError(f"no file {name}: expected an estimator's Python file, or a name that `sveb estimators` lists")
    return Target(spec, file=path.resolve(), attribute=attribute if colon else None, given=path)


def run(
    suite: Suite,
    spec: str,
    params: dict[str, Any],
    out: Path,
    seed: int = 0,
    allow_missing: bool = False,
    progress: Progress | None = None,
    sandbox: bool | None = None,
    limits: Limits | None = None,
    scratch: Path | None = None,
    secrets: Sequence[Path] = (),
) -> Path:
    """Runs an estimator in a process of its own, writes `out`/predictions.parquet and returns its path.

    `params` are constructor arguments, as values or as text from the command line. `progress(done, total)` counts what
    the estimator reports from its training, then problems, by the share of states that have values. Non-finite
    predictions are an error; with `allow_missing` they become nulls. `scratch` is a folder that an unconfined estimator
    may write to, and it is kept; by default it is deleted with the process.

    `sandbox` confines the process to `limits`; by default this is done for files under a folder named submissions. If
    the sandbox does not work, nothing runs. `secrets` are files, besides the suite's, that the sandbox must hide.

    Raises SvebError for everything that the user can fix; then nothing is written except to `scratch`.
    """
    target = resolve(spec)
    confine = target.submitted if sandbox is None else sandbox
    session = Session(
        suite, target, params, seed, progress, (limits or Limits()) if confine else None, scratch, secrets
    )
    info, values = session.run()
    finite = np.isfinite(values)
    if not finite.all() and not allow_missing:
        raise session.missing(~finite)
    path = out / "predictions.parquet"
    Predictions(info, session.inputs.state_ids, np.where(finite, values, np.nan)).write(path)
    return path


class Session:
    """The harness's side of one run. `module` is what the estimator's process runs."""

    module = "sveb.harness.worker"

    def __init__(
        self,
        suite: Suite,
        target: Target,
        params: dict[str, Any],
        seed: int,
        progress: Progress | None,
        confined: Limits | None,
        scratch: Path | None,
        secrets: Sequence[Path] = (),
    ) -> None:
        self.suite, self.target, self.params, self.seed, self.progress = suite, target, params, seed, progress
        self.confined, self.scratch, self.secrets = confined, scratch, secrets
        self.inputs = Inputs(suite, seed)
        # Only a built-in's: a submission may not choose what the sandbox shows.
        asked = [params.get(name) for name in find(target.builtin).folders] if target.builtin and confined else []
        self.shown = {
            str(path): given(Path(path), place, confined_secrets(suite, secrets)) for place, path in enumerate(asked)
            if path and Path(path).expanduser().is_dir()
        }  # fmt: skip
        self.broker = Broker(
            suite, self.inputs, confined=confined is not None,
            shown={path: bind.target for path, bind in self.shown.items()},
        )  # fmt: skip
        self.problem_ids = self.inputs.problem_ids["test"]
        self.values = np.full(len(self.inputs.state_ids), np.nan)  # in the suite's order of states

    def run(self) -> tuple[RunInfo, npt.NDArray[np.float64]]:
        """The account of the run, and the values (n_states,) in the suite's order of states."""
        with contextlib.closing(self.broker), self._worker() as worker:
            try:
                worker.channel.send("job", self._job(worker))
                claimed = identity(self._until("loaded", "load", worker))
                nothing = _Phase(0.0, 0, 0)
                train = self._phase("fit", worker) if claimed.fits else nothing
                predict = self._phase("predict", worker)
                peak = worker.finish()
            except ClosedError:
                raise worker.death() from None
            except WireError as error:
                raise SvebError(f"the estimator's process broke the harness's protocol: {error}") from None
        return self._info(claimed, train, predict, peak), self.values

    def missing(self, missing: npt.NDArray[np.bool_]) -> SvebError:
        """The error that says which problems have how many states without a finite value."""
        counts = {
            self.problem_ids[index]: int(missing[rows].sum())
            for index, rows in enumerate(self.inputs.state_rows)
            if missing[rows].any()
        }
        listed = first_few([f"{name} ({count})" for name, count in sorted(counts.items())], 8)
        first = ", ".join(self.inputs.state_ids[row] for row in np.flatnonzero(missing)[:3])
        return SvebError(
            f"{self.target.spec}: NaN or infinite values for {missing.sum()} of {len(missing)} states, in problems "
            f"{listed}; the first states are {first}: give each state a finite value, or allow missing ones with "
            "--allow-missing"
        )

    def _worker(self) -> Worker | ConfinedWorker:
        if self.confined is None:
            return Worker(self.module)
        own = self.target.given
        # Not resolved: a link may lead anywhere, and the sandbox refuses it.
        return ConfinedWorker(
            self.suite, None if own is None else own.absolute(), self.confined, self.module, self.secrets,
            list(self.shown.values()),
        )  # fmt: skip

    def _job(self, worker: Worker | ConfinedWorker) -> dict[str, Any]:
        target = self.target
        # Not the run's own seed, which decides the order of problems and states.
        job = {"params": self.params, "name": target.builtin, "seed": int(rng(self.seed, "estimator").integers(2**63))}
        if self.confined is None:
            job["home"] = str(Path.cwd())
            if self.scratch is not None:
                with disk_errors(self.scratch):
                    self.scratch.mkdir(parents=True, exist_ok=True)
                job["scratch"] = str(self.scratch.resolve())
        if target.file is None:
            return job
        shown = target.spec.removesuffix(f":{target.attribute}")
        return job | {"path": worker.path(target.file), "attribute": target.attribute, "shown": shown}

    def _task(self, command: str) -> dict[str, int]:
        """What the process is told with `fit` or `predict`."""
        if command == "fit":
            return {"problems": len(self.inputs.problem_ids["train"])}
        return {"problems": len(self.problem_ids), "at_once": self.inputs.problems_at_once}

    def _phase(self, command: str, worker: Worker | ConfinedWorker) -> _Phase:
        broker = self.broker
        broker.begin_phase()
        before = (broker.tokens_sampled, broker.forward.tokens_read, broker.uncharged_s)
        started = time.perf_counter()
        worker.channel.send(command, self._task(command))
        self._until("done", command, worker)
        seconds = time.perf_counter() - started
        if command == "predict" and broker.shown.n_finished < len(self.problem_ids):
            raise WireError(f"it predicted {broker.shown.n_finished} of {len(self.problem_ids)} problems")
        return _Phase(
            seconds - (broker.uncharged_s - before[2]),
            broker.tokens_sampled - before[0],
            broker.forward.tokens_read - before[1],
        )

    def _until(self, op: str, phase: str, worker: Worker | ConfinedWorker) -> Message:
        """Answers the estimator's questions until it sends `op`. What it may send depends on the phase.

        Work is timed by phase, so test problems are shown only in `predict`, and nothing is answered while it loads.
        """
        while (message := worker.channel.receive()).op != op:
            if message.op == "values" and phase == "predict":
                self._keep(message)
            elif message.op == "progress" and phase == "fit":
                self._show(message)
            elif message.op == "failed":
                raise self._failure(message)
            elif self.broker.answers(message.op) and _may_ask(message, phase):
                try:
                    body, arrays = self.broker.answer(message)
                except RefusedError as refusal:
                    worker.channel.send("refused", {"message": str(refusal)})
                else:
                    worker.channel.send("reply", body, arrays)
            else:
                raise WireError(f"unexpected {harmless(message.op)} while waiting for {op!r} of {phase}")
        return message

    def _keep(self, message: Message) -> None:
        shown, problems = self.broker.shown, listed_problems(message)
        rows = np.concatenate([shown.answered(index) for index in problems])
        if [(array.shape, array.dtype) for array in message.arrays] != [(rows.shape, np.dtype(np.float64))]:
            raise WireError(
                f"values of problems {harmless(problems)}: expected one float64 array of shape {rows.shape}"
            )
        self.values[rows] = message.arrays[0]
        if self.progress is not None:
            self.progress(len(self.problem_ids) * shown.n_answered // len(self.values), len(self.problem_ids))

    def _show(self, message: Message) -> None:
        done, total = message.body.get("done"), message.body.get("total")
        if type(done) is not int or type(total) is not int:
            raise WireError(f"progress of {harmless(done)} in {harmless(total)}, which are not integers")
        if self.progress is not None:
            self.progress(done, total)

    def _failure(self, message: Message) -> Exception:
        text, index = fault(message), message.body.get("problem")
        if message.body.get("ours") and self.target.builtin is not None:
            return RuntimeError(f"the built-in estimator {self.target.spec} failed:\n{text}")
        if type(index) is int and 0 <= index < len(self.problem_ids):
            place = f"problem {index + 1} of {len(self.problem_ids)}, {self.problem_ids[index]}"
            first, newline, rest = text.partition("\n")
            text = f"{first} ({place}){newline}{rest}"
        return SvebError(text)

    def _info(self, claimed: Identity, train: _Phase, predict: _Phase, peak: int) -> RunInfo:
        manifest, n = self.suite.manifest, len(self.inputs.state_ids)
        return RunInfo(
            suite=SuiteRef(
                manifest.name, manifest.version, self.suite.checksum, manifest.task["name"], manifest.policy["name"],
                manifest.protocol,
            ),
            estimator=EstimatorRef(
                name=claimed.name,
                spec=self.target.spec,
                params=claimed.params,
                description=claimed.description,
                seed=self.seed,
                code_sha256=None if self.target.file is None else sha256(self.target.file),
            ),
            budget=self.broker.budget,
            cost=Cost(
                train_s=train.seconds,
                wall_s=predict.seconds,
                wall_s_per_state=predict.seconds / n,
                tokens_sampled_per_state=predict.tokens_sampled / n,
                tokens_read_per_state=predict.tokens_read / n,
                peak_rss_bytes=peak,
            ),
            sveb_version=__version__,
        )  # fmt: skip


def _may_ask(question: Message, phase: str) -> bool:
    # A question with arrays is about test states, even if it names another split.
    return phase == "predict" or (phase == "fit" and question.body.get("split") == "train" and not question.arrays)
