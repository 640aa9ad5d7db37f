"""A process reward model: another model, trained to score steps, reads question and response so far.

Lightman et al., "Let's Verify Step by Step" (arXiv 2305.20050). `format` says how the model is asked: the formats of
published models (shared/prm_formats.py, docs/critics.md) give each step of the prefix a probability of being good, and
`aggregate` makes one score of them. With `sequence` the model is any sequence classifier of `transformers`, which reads
the question and the prefix; the score is the log-odds of one label (with a single label, its logit).

The score is mapped to a value by isotonic regression on the training rollouts. A prompt without a step has no score of
steps: its value is the mean return of the training rollouts. The model's weights are read in the estimator's own
process, so it cannot be used in the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, Values
from sveb.estimators.registry import builtin
from sveb.estimators.shared.isotonic import fit_isotonic
from sveb.estimators.shared.needed_states import MOST_PROBLEMS, unfinished_ends

_AGGREGATES: dict[str, Callable[[Values], float]] = {
    "min": np.min,
    "last": lambda along: along[-1],
    "mean": np.mean,
    "product": np.prod,
}
_TOKENS_AT_ONCE = {"cpu": 2048, "cuda": 16_384}  # of a padded batch


@builtin(budget=("train_returns", "external_model"), cost="external")
class PRM(Estimator):
    """A process reward model's score of the steps so far, calibrated on training rollouts."""

    def __init__(
        self,
        model: str,
        format: Literal["sequence", "qwen", "math-shepherd", "rlhflow", "pure", "skywork", "trl"] = "sequence",
        label: int = -1,
        aggregate: Literal["min", "last", "mean", "product"] = "min",
    ) -> None:
        """`label` is for the format sequence, `aggregate` for the others."""
        self.model = model
        self.format = format
        self.label = label
        self.aggregate = aggregate

    def fit(self, train: Sequence[Problem]) -> PRM:
        """Sets scorer_ and calibration_, the latter from the training rollouts: prompts and ends of steps."""
        folder = self.policy.external_weights(self.model)
        if self.format != "sequence":
            return self._fit_steps(train, folder)
        self.scorer_: Any = Scorer(folder, self.model, self.label)
        texts: list[str] = []
        returns: list[float] = []
        for problem in islice(train, MOST_PROBLEMS):
            for i, prefixes in enumerate(self.policy.rollout_prefix_texts(problem)):
                found = prefixes[: len(unfinished_ends(problem.group, i))]
                texts += [_read(problem, text) for text in found]
                returns += [float(problem.group.returns[i])] * len(found)
        if not texts:
            raise SvebError("prm needs training problems with rollouts: this suite has none")
        self.calibration_ = fit_isotonic(self.scorer_(texts), np.array(returns))
        return self

    def _fit_steps(self, train: Sequence[Problem], folder: str) -> PRM:
        """Sets also prompt_, the value of a prompt without a step."""
        from sveb.estimators.shared.step_scorer import StepScorer

        self.scorer_ = StepScorer(Path(folder), self.format)
        scores: list[float] = []
        returns: list[float] = []
        of_rollouts: list[float] = []
        for problem in islice(train, MOST_PROBLEMS):
            steps = [
                [text[len(before) :] for before, text in pairwise(prefixes[: len(unfinished_ends(problem.group, i))])]
                for i, prefixes in enumerate(self.policy.rollout_prefix_texts(problem))
            ]
            found = self.scorer_([(problem.question, each) for each in steps])
            for along, return_ in zip(found, problem.group.returns, strict=True):
                scores += [self._score(along[: end + 1]) for end in range(len(along))]
                returns += [float(return_)] * len(along)
            of_rollouts += problem.group.returns.tolist()
        if not scores:
            raise SvebError("prm needs training problems with rollouts of several steps: this suite has none")
        self.prompt_ = float(np.mean(of_rollouts))
        self.calibration_ = fit_isotonic(np.array(scores), np.array(returns))
        return self

    def _score(self, along: Values) -> float:
        """One score of the probabilities (n_steps,) of the steps so far."""
        return float(_AGGREGATES[self.aggregate](along))

    def predict(self, problem: Problem) -> Values:
        if self.format != "sequence":
            steps = self.policy.step_texts(problem.states)
            found = self.scorer_([(problem.question, each) for each in steps])
            scores = np.array([self._score(along) if len(along) else np.nan for along in found])
            return np.where(np.isnan(scores), self.prompt_, self.calibration_(scores))
        return self.calibration_(self.scorer_([_read(problem, state.text) for state in problem.states]))


def _read(problem: Problem, text: str) -> str:
    return f"{problem.question}\n{text}"


class Scorer:
    """A sequence classifier of `folder`; errors call it `name`. A text that is too long loses its beginning."""

    def __init__(self, folder: str, name: str, label: int) -> None:
        import torch
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        try:
            self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
            model, told = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise SvebError(f"prm: transformers cannot load a sequence classifier from {name}: {reason}") from None
        if told["missing_keys"]:
            listed = ", ".join(sorted(told["missing_keys"])[:3])
            raise SvebError(f"prm: {name} is not a trained sequence classifier: its weights lack {listed}")
        labels = model.config.num_labels
        if not -labels <= label < labels:
            raise SvebError(f"prm: {name} has {labels} labels, found label={label}: expected {-labels} to {labels - 1}")
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        model.config.pad_token_id = (
            self.tokenizer.pad_token_id
        )  # the classifier uses it to find the end of a padded row
        self.tokenizer.padding_side, self.tokenizer.truncation_side = "right", "left"
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model: Any = model.to(self.device).eval()
        limit = getattr(model.config, "max_position_embeddings", None) or self.tokenizer.model_max_length
        self.limit = min(int(limit), int(self.tokenizer.model_max_length))
        self.label = label

    def __call__(self, texts: Sequence[str]) -> Values:
        """Log-odds (n,) of the label. They do not depend on how the texts are batched."""
        import torch

        ids = self.tokenizer(list(texts), truncation=True, max_length=self.limit)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        scores = np.empty(len(ids))
        while order:
            size = max(1, _TOKENS_AT_ONCE[self.device] // max(1, len(ids[order[0]])))
            rows, order = order[:size], order[size:]
            batch = self.tokenizer.pad({"input_ids": [ids[i] for i in rows]}, return_tensors="pt").to(self.device)
            with torch.inference_mode():
                logits = self.model(**batch).logits.float()
            if logits.shape[1] == 1:
                found = logits[:, 0]
            else:
                own = logits[:, self.label]
                others = logits.clone()
                others[:, self.label] = -torch.inf
                found = own - others.logsumexp(dim=1)
            scores[rows] = found.cpu().numpy()
        return scores
