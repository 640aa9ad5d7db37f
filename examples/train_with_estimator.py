"""Train the embedded policy with PPO. Any SVEB estimator, built-in or your own file, gives the advantages.

python examples/train_with_estimator.py --estimator stacked --lam 0.5
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from sveb.common.errors import SvebError
from sveb.common.seeds import rng
from sveb.policies.batches import batches
from sveb.policies.engines import load_policy
from sveb.tasks.problems import load_problems
from sveb.tasks.task import Task
from sveb.training import Sampled, Valuer, sample

MODEL, TASK = "nano-early", "ledger"
EVALUATION_SEED = 0  # of the fixed problems and of their rollouts: the same in every run


@dataclass(frozen=True)
class Settings:
    """One training run. `lam` is GAE's lambda, per step of a response; gamma is 1.

    An estimator that learns is fitted before the first update on `fit_on` batches that are sampled for it, and again
    every `refit_every` updates on the last `fit_on` batches.
    """

    estimator: str = "group_mean"
    params: dict[str, Any] = field(default_factory=dict)
    lam: float = 1.0
    refit_every: int = 10
    fit_on: int = 3
    updates: int = 60
    problems: int = 64
    rollouts: int = 8  # of each problem
    test_problems: int = 300
    minibatches: int = 4
    lr: float = 3e-4
    clip: float = 0.2
    seed: int = 1


class Trainer:
    """PPO on one task."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.task = Task.load(TASK)
        self.policy: Any = load_policy(MODEL, "transformers", workers=1)
        self.model = self.policy.model.float()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=settings.lr)
        self.valuer = Valuer(settings.estimator, self.policy, TASK, settings.params, settings.seed)
        self.recent: deque[list[Sampled]] = deque(maxlen=settings.fit_on)
        self.updates = self.batches = 0
        self.tokens = self.tokens_to_fit = 0  # of the rollouts that the policy, and only the estimator, learned from

    def next_batch(self) -> list[Sampled]:
        """The next training problems, with rollouts of the policy as it is now."""
        s, first = self.settings, self.batches * self.settings.problems
        self.batches += 1
        problems = load_problems(self.task, first + s.problems, 0, s.seed).train[first:]
        return sample(self.policy, self.task, problems, s.rollouts, s.seed, first * s.rollouts)

    def update(self) -> dict[str, float]:
        """One update of the policy. Returns what it was like before, and the tokens that were sampled so far."""
        s = self.settings
        if self.valuer.fits and self.updates % s.refit_every == 0:
            while not self.updates and len(self.recent) < s.fit_on:
                self.recent.append(self.next_batch())
                self.tokens_to_fit += n_tokens(self.recent[-1])
            self.valuer.fit([sampled for batch in self.recent for sampled in batch])
        batch = self.next_batch()
        clipped = self.learn(batch, self.advantages(batch))
        self.recent.append(batch)
        self.updates += 1
        self.tokens += n_tokens(batch)
        return {
            "update": self.updates,
            "return": mean_return(batch),
            "clipped": clipped,
            "tokens": self.tokens,
            "tokens_of_estimator": self.tokens_to_fit + self.valuer.tokens_sampled,
        }

    def values(self, batch: list[Sampled]) -> list[list[np.ndarray]]:
        """For each problem and rollout V at the prompt and after each step, by the other rollouts of the problem."""
        return self.valuer.values(batch)

    def advantages(self, batch: list[Sampled]) -> list[np.ndarray]:
        """For each rollout the advantage of each of its tokens, in units of their root mean square over the batch."""
        found = []
        for sampled, values in zip(batch, self.values(batch), strict=True):
            group = sampled.group
            for row, return_ in enumerate(group.returns):
                lengths = np.diff([0, *group.step_ends[row][: len(values[row]) - 1], len(group.token_ids[row])])
                found.append(np.repeat(gae(values[row], return_, self.settings.lam), lengths))
        size = np.sqrt(np.mean(np.concatenate(found) ** 2))
        return [each / max(size, 1e-8) for each in found]

    def learn(self, batch: list[Sampled], advantages: Sequence[np.ndarray]) -> float:
        """PPO's clipped objective (arXiv 1707.06347, equation 7), one pass. Returns the share of clipped tokens."""
        s = self.settings
        sequences = [sequence for sampled in batch for sequence in sampled.sequences]
        old = self.policy.logprobs(sequences)
        # Over all tokens but the first, as the log-probabilities; 0 in the prompt, where nothing is learned.
        spread = [np.append(np.zeros(len(o) - len(a)), a) for o, a in zip(old, advantages, strict=True)]
        order = rng(s.seed, "minibatches", self.updates).permutation(len(sequences))
        n_clipped, n_tokens = 0, sum(map(len, advantages))
        for rows in np.array_split(order, s.minibatches):
            total = sum(len(advantages[row]) for row in rows)
            self.optimizer.zero_grad()
            for part in batches([sequences[row] for row in rows], self.policy.device):
                chosen = [rows[place] for place in part]
                ids, before, advantage = (
                    pad_sequence([torch.as_tensor(each[row]) for row in chosen], batch_first=True).to(self.model.device)
                    for each in (sequences, old, spread)
                )
                # Padding is on the right, where causal attention does not look, and has advantage 0.
                scores = self.model(ids.long(), use_cache=False).logits[:, :-1].log_softmax(-1)
                ratio = (scores.gather(-1, ids.long()[:, 1:, None])[..., 0] - before).exp()
                plain, bounded = ratio * advantage, ratio.clamp(1 - s.clip, 1 + s.clip) * advantage
                n_clipped += int((bounded < plain).sum())
                (-torch.minimum(plain, bounded).sum() / total).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
        return n_clipped / n_tokens

    def success(self) -> float:
        """Mean return on fixed test problems, with the same random numbers at every call."""
        fixed = load_problems(self.task, 0, self.settings.test_problems, EVALUATION_SEED).test
        return mean_return(sample(self.policy, self.task, fixed, self.settings.rollouts, EVALUATION_SEED))


def gae(values: np.ndarray, return_: float, lam: float) -> np.ndarray:
    """Advantages (n,) of the segments that start at the states with `values` (n,): arXiv 1506.02438, equation 16."""
    advantages, later = np.empty(len(values)), 0.0
    following = np.append(values[1:], return_)
    for j in range(len(values) - 1, -1, -1):
        later = advantages[j] = following[j] - values[j] + lam * later
    return advantages


def n_tokens(batch: list[Sampled]) -> int:
    """Tokens of all responses."""
    return sum(len(tokens) for sampled in batch for tokens in sampled.group.token_ids)


def mean_return(batch: list[Sampled]) -> float:
    """Over all rollouts."""
    return float(np.mean(np.concatenate([sampled.group.returns for sampled in batch])))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for each in fields(Settings):
        if each.name != "params":
            parser.add_argument(f"--{each.name}".replace("_", "-"), type=type(each.default), default=each.default)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the estimator")
    options = vars(parser.parse_args())
    pairs = [pair.partition("=") for pair in options.pop("set")]
    try:
        trainer = Trainer(Settings(**options, params={name: value for name, _, value in pairs}))
        for _ in range(trainer.settings.updates):
            print("  ".join(f"{name} {value:.4g}" for name, value in trainer.update().items()), flush=True)
        print(f"success on {trainer.settings.test_problems} fixed problems: {trainer.success():.3f}")
    except SvebError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
