"""Many take cover environments in one process, stepped together.

A rank has one such batch: every row is an environment of its own, which may be reset at any time.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from doomrnn.env import TakeCoverGame
from rollouts.games import Steps


class TakeCoverGames:
    """A fixed number of environments, numbered from 0; an engine is started at its first reset.

    Each plays as it would alone: what the others do, and `threads`, change nothing.

    Args:
        count: number of environments.
        threads: environments stepped at a time. ViZDoom works outside Python's lock, so they overlap where
            the process has more than one core; a rank has one, and is fastest with one thread (measured).
        settings: see `TakeCoverGame`.
    Raises:
        ValueError: a setting is out of range.
    """

    game = TakeCoverGame  # what it makes of each environment

    def __init__(self, count: int, *, threads: int = 1, **settings: Any) -> None:
        if count < 1 or threads < 1:
            raise ValueError(f"count and threads must be at least 1, not {count} and {threads}")
        self._games = [self.game(**settings) for _ in range(count)]
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "take-cover") if threads > 1 else None

    def __len__(self) -> int:
        return len(self._games)

    def reset(self, index: int, seed: int) -> np.ndarray:
        """Reset an environment, whatever it was doing; return `TakeCoverGame.reset`'s observation."""
        return self._games[self._checked(index)].reset(seed)

    def step(self, indices: Sequence[int], actions: Sequence[float]) -> Steps:
        """Play one tic of the environments named; the others wait.

        Args:
            indices: int [n], none twice.
            actions: float [n] or [n, 1], see `doomrnn.env.buttons`.
        Raises:
            ValueError: an index or action is out of range; then none has moved.
            RuntimeError: an episode is over, or its engine cannot be started again.
        """
        actions = np.asarray(actions, np.float64)
        if actions.shape == (len(indices), 1):
            actions = actions[:, 0]
        if actions.shape != (len(indices),) or len(set(indices)) != len(indices):
            raise ValueError(f"{len(indices)} indices, each once, need as many actions, not {actions.shape}")
        if not (np.abs(actions) <= 1).all():  # nor is NaN
            raise ValueError(f"actions must be finite numbers in [-1, 1], not {actions}")
        games = [self._games[self._checked(index)] for index in indices]
        n, size = len(games), self._games[0].observation_size
        observations = np.empty((n, size, size, 3), np.uint8)
        steps = Steps(observations, np.ones(n, np.float32), np.empty(n, bool), np.empty(n, bool))
        chosen = actions.tolist()

        def play(rows: range) -> None:
            screens = []
            for row in rows:
                screen, steps.terminated[row], steps.truncated[row] = games[row].advance(chosen[row])
                screens.append(screen)
            for row, screen in zip(rows, screens, strict=True):  # apart: after an engine the caches are cold (measured)
                observations[row] = games[row].observation_of(screen)

        shares = [range(first, n, self._threads) for first in range(self._threads)]
        list((self._pool.map if self._pool else map)(play, shares))
        return steps

    def close(self) -> None:
        """End all engine processes. Closing twice does no harm."""
        for game in self._games:
            game.close()
        if self._pool:
            self._pool.shutdown()
            self._pool = None

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self._games):
            raise ValueError(f"there is no environment {index}: they are numbered 0 to {len(self._games) - 1}")
        return index
