"""Where the task folders are, and the code that some of them contain.

tasks/<name>/
  task.toml      what the task is: source, columns, prompt, steps, answer, sampling
  README.md      source, licence, data statement
  sample.jsonl   a few problems in the schema of the original dataset
  task.py        only if a task generates its own problems; it may import other modules of the folder
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from sveb.common.errors import SvebError, unknown_name

_PACKAGE = Path(__file__).resolve().parent.parent


@cache
def tasks_dir() -> Path:
    """The folder of task folders: inside the installed package, or next to it in a checkout."""
    for candidate in (_PACKAGE / "_tasks", _PACKAGE.parent / "tasks"):
        if candidate.is_dir():
            return candidate
    raise SvebError(f"no task folders found next to {_PACKAGE}: the installation is incomplete, install sveb again")


def task_names() -> list[str]:
    """Names of all tasks that have a task.toml, sorted."""
    return sorted(path.parent.name for path in tasks_dir().glob("*/task.toml"))


def task_folder(name: str) -> Path:
    """The folder of one task. For an unknown name, the error suggests the closest valid ones."""
    if name not in task_names():
        raise unknown_name("task", name, task_names())
    return tasks_dir() / name


def load_code(name: str) -> ModuleType:
    """The module tasks/<name>/task.py, imported once under the name `sveb_task_<name>`.

    It may import other modules of its folder, as in `from .topics import TOPICS`.
    """
    module_name = f"sveb_task_{name}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    path = task_folder(name) / "task.py"
    spec = importlib.util.spec_from_file_location(module_name, path, submodule_search_locations=[str(path.parent)])
    if spec is None or spec.loader is None or not path.is_file():
        raise SvebError(f"task {name!r} says that it generates its problems, but {path} is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module
