"""An estimator that wants the truth: it writes down all that its process holds, for the test to look through."""

import gc
import json
import os
import sys
from pathlib import Path

import numpy as np

from sveb import Estimator

LOOT = Path(__file__).parent / "loot"


def walk(value, seen, texts, numbers, depth=0):
    """Collects every string and number that can be reached from `value`."""
    if id(value) in seen or depth > 50:
        return
    seen.add(id(value))
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, bytes | bytearray):
        texts.append(bytes(value).decode("latin-1"))
    elif isinstance(value, float):
        numbers.append(float(value))
    elif isinstance(value, np.ndarray):
        if value.dtype in (np.float32, np.float64):
            numbers.extend(value.ravel().astype(float).tolist())
    elif isinstance(value, dict):
        for pair in list(value.items()):
            for item in pair:
                walk(item, seen, texts, numbers, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in list(value):
            walk(item, seen, texts, numbers, depth + 1)


def objects():
    """Everything the garbage collector knows, what it refers to, and all frames' variables."""
    gc.collect()
    texts, numbers, seen = [], [], set()
    for value in gc.get_objects():
        walk(value, seen, texts, numbers)
        for other in gc.get_referents(value):
            walk(other, seen, texts, numbers)
    for frame in sys._current_frames().values():
        while frame:
            for value in frame.f_locals.values():
                walk(value, seen, texts, numbers)
            frame = frame.f_back
    return {"texts": [text for text in texts if len(text) < 10_000], "numbers": [n for n in numbers if 0 < n < 1]}


def memory(stream):
    """Every writable page of the process."""
    with Path("/proc/self/maps").open() as maps, Path("/proc/self/mem").open("rb", 0) as pages:
        for line in maps:
            span, rights, *_ = line.split()
            if rights.startswith("rw"):
                start, end = (int(part, 16) for part in span.split("-"))
                pages.seek(start)
                try:
                    stream.write(pages.read(end - start))
                except OSError:
                    continue


def surroundings():
    descriptors = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            descriptors[link.name] = str(link.readlink())
        except FileNotFoundError:  # the one that listed the folder
            continue
    here = {str(path): path.read_text(errors="replace") for path in Path().rglob("*") if path.is_file()}
    process = {name: Path(f"/proc/self/{name}").read_text(errors="replace") for name in ("cmdline", "environ", "maps")}
    arguments = [*sys.argv, *sys.orig_argv, *sys.path, str(Path.cwd())]
    return {"descriptors": descriptors, "files": here, "process": process, "arguments": arguments,
            "environment": dict(os.environ)}  # fmt: skip


class Thief(Estimator):
    """Asks for all that may be had, then looks for what may not."""

    def fit(self, train):
        self.kept_ = [(problem, problem.group, problem.answer) for problem in train]

    def predict(self, problem):
        self.kept_.append((problem, problem.group, problem.answer, self.policy.draws(problem.states, 4)))
        # Looked through at the last problem, when all that was ever sent can still be lying about.
        if len(self.kept_) == 4 + 3 * 3:
            LOOT.mkdir()
            with (LOOT / "memory").open("wb") as stream:
                memory(stream)
            (LOOT / "objects.json").write_text(json.dumps(objects()))
            (LOOT / "surroundings.json").write_text(json.dumps(surroundings()))
        return [0.5] * len(problem.states)
