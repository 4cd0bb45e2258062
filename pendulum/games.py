"""Many games of the pendulum in one process; a rank carries one such batch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pendulum.env import PendulumGame
from pendulum.render import SIZE
from rollouts.games import Steps


class PendulumGames:
    """A fixed number of games, numbered from 0; a game runs as it would alone. `settings`: see `PendulumGame`."""

    def __init__(self, count: int, **settings: Any) -> None:
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        self._games = [PendulumGame(**settings) for _ in range(count)]

    def __len__(self) -> int:
        return len(self._games)

    def reset(self, index: int, seed: int) -> np.ndarray:
        """Begin a game anew, whatever it was doing; its first observation uint8 [64, 64, 3]."""
        return self._games[index].reset(seed)

    def step(self, indices: Sequence[int], actions: np.ndarray) -> Steps:
        """Play one step of the games named, with actions float32 [n, 1]; see `PendulumGame.step`."""
        n = len(indices)
        observations = np.empty((n, SIZE, SIZE, 3), np.uint8)
        steps = Steps(observations, np.empty(n, np.float32), np.empty(n, bool), np.empty(n, bool))
        for row, (index, action) in enumerate(zip(indices, actions, strict=True)):
            for column, result in zip(steps, self._games[index].step(action), strict=True):
                column[row] = result
        return steps

    def close(self) -> None:
        """End all games. Closing twice does no harm."""
        for game in self._games:
            game.close()
