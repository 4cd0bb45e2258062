"""The real task: Gymnasium's Pendulum-v1 as 64 x 64 frames, as a game and as a Gymnasium environment.

Physics and rewards are Gymnasium's, untouched; the frames are of `pendulum.render`. A frame shows the angle and not the
velocity, which an agent must carry in its own state.
"""

import contextlib
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.pendulum import PendulumEnv

from experiment.arrays import checked_whole
from pendulum.actions import MAX_TORQUE
from pendulum.config import FRAMES_PER_SECOND, STARTS, PendulumEnvConfig
from pendulum.render import PALETTES, VIEWS, Renderer
from rollouts.game_env import GameEnv

HANGING = np.array([np.pi, 0.0])  # angle in radians from upright, velocity in radians/s


class PendulumGame:
    """One game of Pendulum-v1.

    The same seed and actions give the same observations and rewards, whatever was played before.

    Args:
        time_limit: steps after which an episode is truncated; nothing else ends one.
        start: "hanging" at rest (paper, section 5), or "random" as Gymnasium's, drawn from the seed.
        view, palette: see `pendulum.render.Renderer`.
    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        *,
        time_limit: int = PendulumEnvConfig.time_limit,
        start: str = PendulumEnvConfig.start,
        view: str = PendulumEnvConfig.view,
        palette: str = PendulumEnvConfig.palette,
    ) -> None:
        checked_whole("time_limit", time_limit, 1)
        if start not in STARTS or view not in VIEWS:
            raise ValueError(f"start must be one of {', '.join(STARTS)} and view one of {', '.join(VIEWS)}")
        if palette not in PALETTES:
            raise ValueError(f"palette must be one of {', '.join(PALETTES)}, not {palette!r}")
        self.time_limit, self.start = time_limit, start
        self.physics, self._render = PendulumEnv(render_mode="rgb_array"), Renderer(view, palette)
        self._steps, self._over = 0, True

    def reset(self, seed: int) -> np.ndarray:
        """Begin the game of this seed (0 to 2**32 - 1); returns the first observation, uint8 [64, 64, 3]."""
        self._steps, self._over = 0, False
        self.physics.reset(seed=int(seed))
        if self.start == "hanging":
            self.physics.state = HANGING.copy()
        return self._observation()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        """Apply a torque for one step (1/20 s).

        Args:
            action: float [1], torque in [-2, 2].
        Returns:
            observation: uint8 [64, 64, 3]; the reward, -16.3 to 0 (0 upright and at rest); terminated: never;
            truncated: `time_limit` steps are done.
        Raises:
            ValueError: the action is out of range or not finite.
            RuntimeError: no episode is under way.
        """
        action = checked(action)
        if self._over:
            raise RuntimeError("no episode is under way: call reset(seed) first")
        _, reward, _, _, _ = self.physics.step(action)
        self._steps += 1
        self._over = self._steps >= self.time_limit
        return self._observation(), float(reward), False, self._over

    def _observation(self) -> np.ndarray:
        return self._render(self.physics.state[0])

    def close(self) -> None:
        """End the game. Closing twice does no harm."""
        self._over = True
        self.physics.close()


def checked(action: Any) -> np.ndarray:
    """Return an action as float32 [1]; ValueError where it is not one."""
    with contextlib.suppress(ValueError, TypeError):  # words, ragged lists
        numbers = np.asarray(action, np.float32)
        if numbers.shape == (1,) and -MAX_TORQUE <= numbers[0] <= MAX_TORQUE:
            return numbers
    raise ValueError(f"action must be one number, a torque in [-2, 2], not {action}")


class Pendulum64(GameEnv):
    """The pendulum as V sees it, as a Gymnasium environment (`WorldModels/Pendulum-v0`).

    Observations are uint8 [64, 64, 3]; actions float32 [1], a torque in [-2, 2]. `reset(seed=s)` plays the game of
    seed s; see `GameEnv.reset`.

    Args:
        render_mode: None, or "rgb_array": `render` returns Gymnasium's frame, uint8 [500, 500, 3].
        settings: see `PendulumGame`.
    """

    metadata: ClassVar = GameEnv.metadata | {"render_fps": FRAMES_PER_SECOND}

    def __init__(self, *, render_mode: str | None = None, **settings: Any) -> None:
        torques = gymnasium.spaces.Box(-MAX_TORQUE, MAX_TORQUE, (1,), np.float32)
        super().__init__(lambda: PendulumGame(**settings), torques, render_mode)

    def picture(self) -> np.ndarray:
        """Return Gymnasium's frame uint8 [500, 500, 3]."""
        return self.game.physics.render()
