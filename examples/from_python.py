"""The whole pipeline from Python, cell by cell, as in a notebook: `python examples/from_python.py`.

It makes a tiny suite of the embedded policy, evaluates two estimators on it, and compares them.
"""

# %% A suite: true values of partial responses of the embedded policy. The folder is continued if it is unfinished.
from pathlib import Path

import sveb

COUNTS = {"test_problems": 5, "train_problems": 2, "group": 8, "probes": 2, "path_states": 4, "continuations": 12}
suite = sveb.generate_suite("nano", out="suites/from-python", size="demo", counts=COUNTS | {"draws": 4})
print(suite.name, suite.manifest.version)
print(suite.states.groupby("kind").size())

# %% An estimator from a file, and a built-in. Each runs in a process of its own, which never holds the true values.
here = Path(__file__).parent
mine = sveb.evaluate(here / "my_estimator.py", suite, {"strength": 0.2})
rollouts = sveb.evaluate("mc", suite, {"k": 4})

# %% The scores as a data frame: one row per metric, with its 95 % interval over problems.
print(mine.results.to_pandas().loc[["mse", "skill", "spearman"]])

# %% The same predictions, scored again, give the same figures.
assert sveb.score_predictions(mine.predictions, suite).metrics["mse"] == mine.results.metrics["mse"]

# %% Paired on the same problems: which differences and which ranks are certain?
print(sveb.compare([mine, rollouts], suite).to_pandas().T)
