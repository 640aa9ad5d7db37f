"""The built-in estimators: every file of this folder holds one, and registers it under the file's name.

    @builtin(budget=("group",), cost="free")
    class GroupMean(Estimator):
        "One line that `sveb estimators` shows."

The folder is listed to find names; a file is imported only when its estimator is asked for.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, TypeVar, get_args

import sveb.estimators as folder
from sveb.common.errors import SvebError, unknown_name
from sveb.contract.estimator import Estimator

Cost = Literal["free", "reads", "external", "samples"]  # the cheapest first
_COSTS: tuple[Cost, ...] = get_args(Cost)

E = TypeVar("E", bound=Estimator)


@dataclass(frozen=True)
class Builtin:
    """A built-in estimator. `budget` names the inputs that it asks for, `cost` what it needs of a model to predict.

    free: nothing; reads: the policy reads; external: another model is asked; samples: the policy samples. `folders` are
    the parameters that name folders of the user's, which the sandbox shows it. `unfaithful` says, by value of the
    parameter `variant`, why that variant is not the published method on suites that hide the rollout of a state.
    """

    name: str
    cls: type[Estimator]
    budget: tuple[str, ...]
    cost: Cost
    folders: tuple[str, ...] = ()
    unfaithful: Mapping[str, str] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """The first line of the class's docstring."""
        return first_line(self.cls)


_REGISTERED: dict[str, Builtin] = {}


def builtin(
    *,
    budget: tuple[str, ...],
    cost: Cost,
    folders: tuple[str, ...] = (),
    unfaithful: Mapping[str, str] | None = None,
) -> Callable[[type[E]], type[E]]:
    """Registers the decorated class under the name of its file."""

    def register(cls: type[E]) -> type[E]:
        name = cls.__module__.rpartition(".")[2]
        _REGISTERED[name] = Builtin(name, cls, budget, cost, folders, unfaithful or {})
        return cls

    return register


def names() -> list[str]:
    """The names of all built-in estimators, in alphabetical order. Imports none of them."""
    files = (module.name for module in pkgutil.iter_modules(folder.__path__) if not module.ispkg)
    return sorted(name for name in files if name != __name__.rpartition(".")[2])


def find(name: str) -> Builtin:
    """The estimator of this name; imports only its file. Raises SvebError with the closest names if there is none."""
    if name not in names():
        raise unknown_name("estimator", name, names())
    import_module(f"{folder.__name__}.{name}")
    if name not in _REGISTERED:
        raise SvebError(f"sveb/estimators/{name}.py registers no estimator: put @builtin(...) above its class")
    return _REGISTERED[name]


def describe() -> list[Builtin]:
    """All built-in estimators, the cheapest first; at equal cost those that ask for fewer inputs first."""
    return sorted(map(find, names()), key=lambda each: (_COSTS.index(each.cost), len(each.budget), each.name))


def unfaithful(spec: str, params: Mapping[str, Any], *, own_rollout_visible: bool) -> str | None:
    """Why this run of a built-in is not the published method whose variant it names; None if there is nothing to say.

    `own_rollout_visible`: the suite shows estimators the rollout that a state was cut from.
    """
    variant = params.get("variant")
    if own_rollout_visible or variant is None or spec not in names():
        return None
    return find(spec).unfaithful.get(str(variant))


def first_line(subject: object) -> str:
    """The first line of a class's or function's own docstring, or nothing."""
    return (inspect.cleandoc(subject.__doc__ or "").splitlines() or [""])[0]
