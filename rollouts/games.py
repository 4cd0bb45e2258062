"""The real environment of a task, many copies of it in one process: what each task provides."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from experiment.arrays import FRAME_SHAPE


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


class Game(Protocol):
    """One real game."""

    def reset(self, seed: int) -> np.ndarray:
        """Start the episode of a seed; return its first observation uint8 [64, 64, 3]."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        """Play one step with an action float32 [A]; return observation, reward, terminated, truncated."""

    def close(self) -> None:
        """End the game; closing twice does no harm."""


class SeparateGames:
    """The `Games` of a task that steps one game after the other. `make` makes one of the `count`, at least 1."""

    def __init__(self, count: int, make: Callable[[], Game]) -> None:
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        self._games = [make() for _ in range(count)]

    def __len__(self) -> int:
        return len(self._games)

    def reset(self, index: int, seed: int) -> np.ndarray:
        """Start an episode of one game, whatever it was doing; return its first observation uint8 [64, 64, 3]."""
        return self._games[index].reset(seed)

    def step(self, indices: Sequence[int], actions: np.ndarray) -> Steps:
        """Play one step of the games named, with actions float32 [n, A]."""
        n = len(indices)
        steps = Steps(np.empty((n, *FRAME_SHAPE), np.uint8), np.empty(n, np.float32), *np.empty((2, n), bool))
        for row, (index, action) in enumerate(zip(indices, actions, strict=True)):
            for column, result in zip(steps, self._games[index].step(action), strict=True):
                column[row] = result
        return steps

    def close(self) -> None:
        """End all games. Closing twice does no harm."""
        for game in self._games:
            game.close()
