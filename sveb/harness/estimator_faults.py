"""What went wrong in an estimator's code, with the user's own file and lines."""

from __future__ import annotations

import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sveb.common.errors import SvebError
from sveb.common.text import shortened
from sveb.contract.problem import Values

_PACKAGE = Path(__file__).resolve().parent.parent
_LIBRARIES = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib"))


class ShapeError(SvebError):
    """What `predict` returned is not one number per state."""


@dataclass(frozen=True)
class Code:
    """Whose code runs: the user's file, and the name under which the user gave it. No path for a built-in."""

    path: Path | None = None
    shown: str = ""

    def owns(self, filename: str) -> bool:
        """Whether `filename` is the user's code: the file, or one in its folder or below."""
        if self.path is None or filename.startswith("<"):
            return False
        other = Path(filename)
        if other == self.path:
            return True
        foreign = any(other.is_relative_to(folder) for folder in (_PACKAGE, *_LIBRARIES))
        return other.is_relative_to(self.path.parent) and not foreign

    def name(self, filename: str) -> str:
        """The file by the name that the user knows."""
        if self.path is None:
            return filename
        shown = Path(self.shown)
        return str(shown.parent / Path(filename).relative_to(self.path.parent))


def describe(error: BaseException, code: Code) -> dict[str, Any]:
    """{"ours", "message"}. `ours`: a bug of SVEB, with its traceback; else the message shows the user's lines only."""
    if code.path is None:
        refusal = isinstance(error, SvebError)
        return {"ours": not refusal, "message": str(error) if refusal else "".join(traceback.format_exception(error))}
    if isinstance(error, SyntaxError) and error.filename and code.owns(error.filename):
        source = f"\n    {error.text.strip()}" if error.text else ""
        return {"ours": False, "message": f"{code.name(error.filename)}:{error.lineno}: {error.msg}{source}"}
    what = str(error) if isinstance(error, SvebError) else _summary(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if code.owns(frame.filename)]
    if not frames:
        return {"ours": False, "message": what if code.shown in what else f"{code.shown}: {what}"}
    shown = [
        traceback.FrameSummary(code.name(frame.filename), frame.lineno, frame.name, line=frame.line) for frame in frames
    ]
    lines = "".join(traceback.StackSummary.from_list(shown).format()).rstrip()
    return {"ours": False, "message": f"{shown[-1].filename}:{shown[-1].lineno}: {what}\n{lines}"}


def _summary(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    return "".join(traceback.format_exception_only(error)).strip()


def checked_values(result: Any, n_states: int, where: str) -> Values:
    """What `predict` returned, as (n_states,) float64; None becomes NaN. `where` names the user's function.

    Raises ShapeError, which says what was found instead.
    """
    numbers = "1 number" if n_states == 1 else f"{n_states} numbers"
    expected = f"{where}: expected {numbers}, one per state"
    try:
        array = np.asarray(result)
        if array.dtype.kind not in "fiubO" or any(isinstance(item, str | bytes) for item in array.flat):
            raise TypeError
        values = array.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = f" ({error})" if str(error) else ""
        raise ShapeError(f"{expected}, found {type(result).__name__} {shortened(repr(result))}{reason}") from None
    if values.shape != (n_states,):
        raise ShapeError(f"{expected}: an array of shape ({n_states},), found shape {values.shape}")
    return values
