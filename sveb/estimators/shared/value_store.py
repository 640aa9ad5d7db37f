"""A critic on disk, so that a killed training can continue and a finished one can be used again.

folder/
  critic.safetensors   the weights of the best epoch so far
  critic.json          how it was trained; loss of each step, held-out squared error after each epoch
  critic.svg           both as curves
  unfinished.pt        the state of an unfinished training: deleted at its end
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sveb.common.errors import SvebError
from sveb.common.files import dump_json, read_json, write_atomic, write_text
from sveb.estimators.shared.loss_curve import loss_curve

_EVERY_S = 20.0
_SHARE = 0.05  # largest share of the time for saving: the state of a large model is large


@dataclass
class History:
    """`losses` of each step; `held_out`, squared error to held-out returns after each epoch."""

    losses: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)


class Store:
    """The folder of one training. `settings` (JSON) are all that the weights depend on, with a digest of the data."""

    def __init__(
        self, folder: Path, settings: dict[str, Any], every_s: float = _EVERY_S, share: float = _SHARE
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._every_s = every_s
        self._share = share
        self._next = time.monotonic() + every_s

    def finished(self, epochs: int) -> History | None:
        """The history of the same training, if it has finished before."""
        if not (self._folder / "critic.json").exists() or self._unfinished.exists():
            return None
        settings, history = read_history(self._folder)
        return history if settings == self._settings and len(history.held_out) == epochs else None

    def resume(self, state: dict[str, Any]) -> tuple[int, int, History]:
        """Epoch and position in it to continue from. Restores the parts of `state` to that point."""
        if self._unfinished.exists():
            saved = torch.load(self._unfinished, map_location="cpu", weights_only=True)
            if saved["settings"] == self._settings:
                for name, part in state.items():
                    part.load_state_dict(saved[name])
                return *saved["at"], History(**saved["history"])
        return 0, 0, History()

    def save(self, state: dict[str, Any], at: tuple[int, int], history: History) -> None:
        """Saves the state of the training, unless that was done a moment ago."""
        began = time.monotonic()
        if began < self._next:
            return
        whole = {name: part.state_dict() for name, part in state.items()}
        whole |= {"settings": self._settings, "at": at, "history": asdict(history)}
        write_atomic(self._unfinished, lambda path: torch.save(whole, path))
        now = time.monotonic()
        self._next = now + max(self._every_s, (now - began) * (1 / self._share - 1))

    def keep(self, model: torch.nn.Module, history: History) -> None:
        """Writes the history, and the weights if no earlier epoch was better."""
        if history.held_out[-1] == min(history.held_out):
            weights = {name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}
            write_atomic(self._folder / "critic.safetensors", lambda path: save_file(weights, path))
        write_text(self._folder / "critic.json", dump_json({"settings": self._settings, **asdict(history)}))
        write_text(self._folder / "critic.svg", loss_curve(history.losses, history.held_out))

    def finish(self, model: torch.nn.Module) -> None:
        """Loads the weights of the best epoch into the model and deletes the unfinished state."""
        load_weights(self._folder, model)
        self._unfinished.unlink(missing_ok=True)

    @property
    def _unfinished(self) -> Path:
        return self._folder / "unfinished.pt"


def read_history(folder: Path) -> tuple[dict[str, Any], History]:
    """Settings and history of the critic in `folder`. Raises SvebError if there is no critic."""
    saved = read_json(folder / "critic.json", "a trained critic, as `sveb eval critic` leaves it in its run's scratch/")
    try:
        return dict(saved["settings"]), History(list(saved["losses"]), list(saved["held_out"]))
    except (TypeError, KeyError, ValueError):
        raise SvebError(f"{folder / 'critic.json'} is not the history of a critic's training") from None


def load_weights(folder: Path, model: torch.nn.Module) -> None:
    """Loads the weights in `folder` into the model. Raises SvebError if they do not fit this policy's critic."""
    path = folder / "critic.safetensors"
    try:
        model.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise SvebError(f"{path} does not exist: expected a trained critic's weights") from None
    except (SafetensorError, RuntimeError) as error:
        said = str(error).splitlines()[-1].strip()
        raise SvebError(f"{path} is not a critic of this suite's policy: {said}") from None
