"""What training rollouts offer as states."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sveb.estimate.api import Group


def unfinished_ends(group: Group, rollout: int) -> npt.NDArray[np.int64]:
    """Token offsets of a rollout's states: 0 and every step's end but that of the finished response.

    A finished response is no state: its value is known.
    """
    ends = group.step_ends[rollout]
    return np.concatenate([[0], ends[ends < len(group.token_ids[rollout])]]).astype(np.int64)
