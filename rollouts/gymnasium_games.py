"""Any Gymnasium environment that renders to an array, as the `Games` of a task."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from rollouts.games import SeparateGames
from vae.preprocessing import shrink


class GymnasiumGames(SeparateGames):
    """A fixed number of copies of an environment, seen as its rendered frames shrunk to 64 x 64.

    Args:
        count: of games, at least 1.
        make: makes one environment whose `render` returns uint8 [height, width, 3], without a time limit of its own.
        time_limit: steps after which an episode is truncated.
        crop: what of a frame is kept, before it is shrunk.
    """

    def __init__(
        self,
        count: int,
        make: Callable[[], gymnasium.Env],
        time_limit: int,
        crop: Callable[[np.ndarray], np.ndarray] = lambda frame: frame,
    ):
        super().__init__(count, lambda: GymnasiumGame(make(), time_limit, crop))


class GymnasiumGame:
    """One environment as a game; see `GymnasiumGames`."""

    def __init__(self, env: gymnasium.Env, time_limit: int, crop: Callable[[np.ndarray], np.ndarray]):
        self._env, self._time_limit, self._crop, self._steps = env, time_limit, crop, 0

    def reset(self, seed: int) -> np.ndarray:
        """Start the episode of a seed; return its first observation uint8 [64, 64, 3]."""
        self._env.reset(seed=seed)
        self._steps = 0
        return self._observation()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        """Play one step with an action float32 [A] (see `to_space`); return observation, reward and both ends."""
        _, reward, terminated, truncated, _ = self._env.step(to_space(action, self._env.action_space))
        self._steps += 1
        truncated = not terminated and (truncated or self._steps >= self._time_limit)
        return self._observation(), float(reward), bool(terminated), bool(truncated)

    def close(self) -> None:
        """End the environment."""
        self._env.close()

    def _observation(self) -> np.ndarray:
        return shrink(self._crop(self._env.render()))


def action_size(space: gymnasium.Space) -> int:
    """Return A: the numbers of a box, or one for each choice of a discrete space; ValueError for other spaces."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return int(space.n)
    if isinstance(space, gymnasium.spaces.Box) and space.is_bounded():
        return int(np.prod(space.shape))
    raise ValueError(f"actions must be of a Discrete or a bounded Box space, not {space}")


def to_space(action: np.ndarray, space: gymnasium.Space) -> Any:
    """Return an action float32 [A] as the environment takes it: the largest number's choice, or the box's own shape.

    Numbers for a box of whole ones are rounded.
    """
    if isinstance(space, gymnasium.spaces.Discrete):
        return int(space.start + np.argmax(action))
    inside = np.clip(action.reshape(space.shape), space.low, space.high)
    return (np.rint(inside) if np.issubdtype(space.dtype, np.integer) else inside).astype(space.dtype)
