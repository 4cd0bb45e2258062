"""One real game as a Gymnasium environment: what the tasks' environments have in common."""

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np

from experiment.arrays import FRAME_SHAPE, checked_options


class GameEnv(gymnasium.Env):
    """A game that starts from a seed, as a Gymnasium environment; a task adds its actions and what is rendered.

    Observations are uint8 [64, 64, 3], unless a task says otherwise. `reset(seed=s)` starts the episode of seed s, and
    without a seed that of one drawn from `np_random`; its info names it: {"seed": int}.

    make: makes the game, see `rollouts.games.Game`; its `step` takes what the task's `step` hands it.
    Raises ValueError for a render_mode that is neither None nor "rgb_array".
    """

    metadata: ClassVar = {"render_modes": ["rgb_array"]}  # and the task's render_fps

    def __init__(self, make: Callable[[], Any], action_space: gymnasium.Space, render_mode: str | None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', not {render_mode!r}")
        self.render_mode = render_mode
        self.game = make()
        self.observation_space = gymnasium.spaces.Box(0, 255, FRAME_SHAPE, np.uint8)
        self.action_space = action_space

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Start an episode; return its first observation and {"seed": int}. There are no options."""
        checked_options(options)
        super().reset(seed=seed)
        game_seed = int(self.np_random.integers(2**32)) if seed is None else seed
        return self.game.reset(game_seed), {"seed": game_seed}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Play one step; see the game's own."""
        return *self.game.step(action), {}

    def render(self) -> np.ndarray | None:
        """Return the whole picture, uint8 [height, width, 3], or None without a render_mode."""
        return self.picture() if self.render_mode == "rgb_array" else None

    def picture(self) -> np.ndarray:
        """Return what `render` shows, uint8 [height, width, 3]."""
        raise NotImplementedError

    def close(self) -> None:
        """End the game."""
        self.game.close()
