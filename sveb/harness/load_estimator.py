"""Makes the estimator that the command line names: a file's class or function, or a built-in, with parameters."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt

from sveb.common.errors import SvebError, unknown_name
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem
from sveb.estimators.registry import find, first_line

_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class FunctionEstimator(Estimator):
    """A bare function `predict(problem)`."""

    def __init__(self, function: Callable[[Problem], npt.ArrayLike]) -> None:
        self.function = function

    def predict(self, problem: Problem) -> npt.ArrayLike:
        return self.function(problem)


def load_builtin(name: str, params: dict[str, Any]) -> Estimator:
    """The built-in estimator `name`, made with `params`."""
    return _construct(find(name).cls, params)


def load_file(path: Path, attribute: str | None, params: dict[str, Any], shown: str) -> Estimator:
    """The estimator of a file: the only one it defines, or the one that `attribute` names.

    Errors of the file's own code pass through.
    """
    module = _run_file(path)
    candidates = _candidates(module)
    if attribute is not None:
        chosen = _named(module, attribute, candidates, shown)
    elif not candidates:
        raise SvebError(
            f"{shown} has no estimator: expected a class that inherits from sveb.Estimator, or a function "
            "predict(problem)"
        )
    elif len(candidates) > 1:
        choices = " or ".join(f"{shown}:{name}" for name in candidates)
        raise SvebError(f"{shown} has {len(candidates)} estimators: say which one, {choices}")
    else:
        (chosen,) = candidates.values()
    if not inspect.isfunction(chosen):
        return _construct(chosen, params)
    if params:
        raise SvebError(f"{shown}: the function {chosen.__name__} takes no parameters, found {', '.join(params)}")
    return FunctionEstimator(chosen)


def description(estimator: Estimator) -> str:
    """The first line of the estimator's docstring (of a function's own), or nothing."""
    return first_line(estimator.function if isinstance(estimator, FunctionEstimator) else type(estimator))


def _run_file(path: Path) -> types.ModuleType:
    sys.path.insert(0, str(path.parent))
    name = f"estimator_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SvebError(f"{path} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up
    spec.loader.exec_module(module)
    return module


def _candidates(module: types.ModuleType) -> dict[str, Any]:
    """Public estimators that the module itself defines, without those that others inherit from."""
    classes = {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Estimator) and value.__module__ == module.__name__
        and not name.startswith("_")
    }  # fmt: skip
    bases = {base for value in classes.values() for base in value.__mro__[1:]}
    found: dict[str, Any] = {name: value for name, value in classes.items() if value not in bases}
    function = vars(module).get("predict")
    if inspect.isfunction(function):
        found["predict"] = function
    return found


def _named(module: types.ModuleType, attribute: str, candidates: dict[str, Any], shown: str) -> Any:
    value = vars(module).get(attribute)
    if value is None:
        raise unknown_name(f"estimator in {shown}", attribute, candidates)
    if not inspect.isfunction(value) and not (inspect.isclass(value) and issubclass(value, Estimator)):
        raise SvebError(f"{shown}:{attribute} is neither a function nor a class that inherits from sveb.Estimator")
    return value


def _construct(cls: type[Estimator], params: dict[str, Any]) -> Estimator:
    if cls.predict is Estimator.predict and cls.predict_batch is Estimator.predict_batch:
        raise SvebError(f"{cls.__name__} defines no predict(self, problem)")
    known = cls._parameters()
    hints = _hints(cls)
    given = {}
    for name, value in params.items():
        if name not in known:
            if not known:
                raise SvebError(f"{cls.__name__} takes no parameters, found {name}")
            raise unknown_name(f"parameter of {cls.__name__}", name, known)
        kind = hints.get(name, type(known[name].default))
        given[name] = _typed(f"{name} of {cls.__name__}", value, kind)
    missing = [name for name, p in known.items() if p.default is p.empty and name not in given]
    if missing:
        raise SvebError(f"{cls.__name__} needs {', '.join(missing)}: add {' '.join(f'--set {n}=...' for n in missing)}")
    estimator = cls(**given)
    estimator.get_params()  # finds a constructor that does not store its arguments now, not after the run
    return estimator


def _hints(cls: type[Estimator]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls.__init__)
    except Exception:  # where an annotation cannot be resolved, the default's type is used
        return {}


def _typed(what: str, value: Any, kind: Any) -> Any:
    """`value`, which may be text from the command line, as `kind` (an annotation or a default's type)."""
    if typing.get_origin(kind) is typing.Literal:
        choices = {str(choice): choice for choice in typing.get_args(kind)}
        if str(value) not in choices:
            raise unknown_name(f"value of {what}", str(value), choices)
        return choices[str(value)]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(kind) if member is not type(None)]
        optional = len(members) < len(typing.get_args(kind))
        if optional and (value is None or str(value).lower() == "none"):
            return None
        return _typed(what, value, members[0]) if len(members) == 1 else value
    if not isinstance(value, str) or kind not in (bool, int, float):
        return value
    try:
        return _WORDS[value.lower()] if kind is bool else kind(value)
    except (KeyError, ValueError):
        name = {bool: "true or false", int: "an integer", float: "a number"}[kind]
        raise SvebError(f"{what} is {value!r}: expected {name}") from None
