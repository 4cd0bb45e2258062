"""The dream of the pendulum as a Gymnasium environment.

    env = gymnasium.make("WorldModels/PendulumDream-v0", run="runs/pendulum", temperature=0.3)

Observations are [z, c, h] (Z + 2 H numbers), actions float32 [1], a torque in [-2, 2].
"""

from pathlib import Path

import gymnasium
import numpy as np

from controller.dream_env import DreamEnv
from pendulum.actions import MAX_TORQUE
from pendulum.config import FRAMES_PER_SECOND, PendulumEnvConfig


class PendulumDream(DreamEnv):
    """M dreaming the pendulum: the reward is what M expects, and it never ends but by `time_limit`.

    temperature: of the dream, above 0. For the rest see `DreamEnv`.
    """

    task = "pendulum"
    metadata = {"render_modes": ["rgb_array"], "render_fps": FRAMES_PER_SECOND}

    def __init__(
        self,
        run: str | Path,
        temperature: float = 0.3,
        time_limit: int = PendulumEnvConfig.time_limit,
        render_mode: str | None = None,
    ) -> None:
        space = gymnasium.spaces.Box(-MAX_TORQUE, MAX_TORQUE, (1,), np.float32)
        super().__init__(run, space, temperature, time_limit, render_mode)
