"""The real environment of a task, many copies of it in one process: what each task provides."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np


class Steps(NamedTuple):
    """The result of one step of n games, in the order in which they were named."""

    observations: np.ndarray  # uint8 [n, 64, 64, 3]
    rewards: np.ndarray  # float32 [n]
    terminated: np.ndarray  # bool [n]
    truncated: np.ndarray  # bool [n]: cut at the time limit, which is not termination


class Games(Protocol):
    """A fixed number of real games in one process, numbered from 0; each plays as it would alone."""

    def __len__(self) -> int:
        """Return the number of games."""

    def reset(self, index: int, seed: int) -> np.ndarray:
        """Start an episode of one game from a seed below 2**31, and return its first observation uint8 [64, 64, 3]."""

    def step(self, indices: Sequence[int], actions: np.ndarray) -> Steps:
        """Play one step of the games named, no game twice, with actions float32 [n, A]; the others wait."""

    def close(self) -> None:
        """End all engines; closing twice does no harm."""
