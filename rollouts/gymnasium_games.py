"""Any Gymnasium environment that renders to an array, as the `Games` of a task."""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np

from experiment.arrays import FRAME_SHAPE
from rollouts.games import Steps
from vae.preprocessing import shrink


class GymnasiumGames:
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
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        self._envs, self._crop, self._time_limit = [make() for _ in range(count)], crop, time_limit
        self._steps = [0] * count

    def __len__(self) -> int:
        return len(self._envs)

    def reset(self, index: int, seed: int) -> np.ndarray:
        """Start an episode of one game from a seed; its first observation uint8 [64, 64, 3]."""
        self._envs[index].reset(seed=seed)
        self._steps[index] = 0
        return self._observation(index)

    def step(self, indices: Sequence[int], actions: np.ndarray) -> Steps:
        """Play one step of the games named, with actions float32 [n, A] (see `to_space`)."""
        n = len(indices)
        steps = Steps(np.empty((n, *FRAME_SHAPE), np.uint8), np.empty(n, np.float32), *np.empty((2, n), bool))
        for row, (index, action) in enumerate(zip(indices, actions, strict=True)):
            env = self._envs[index]
            _, reward, terminated, truncated, _ = env.step(to_space(action, env.action_space))
            self._steps[index] += 1
            steps.rewards[row], steps.terminated[row] = reward, terminated
            steps.truncated[row] = not terminated and (truncated or self._steps[index] >= self._time_limit)
            steps.observations[row] = self._observation(index)
        return steps

    def close(self) -> None:
        """End all environments."""
        for env in self._envs:
            env.close()

    def _observation(self, index: int) -> np.ndarray:
        return shrink(self._crop(self._envs[index].render()))


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
