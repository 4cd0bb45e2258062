"""The dream of take cover as Gymnasium environments, one dream or many at once.

    env = gymnasium.make("WorldModels/DoomDream-v0", run="runs/demo", temperature=1.15)
    envs = gymnasium.make_vec("WorldModels/DoomDream-v0", num_envs=64, run="runs/demo", temperature=1.15)

Observations are [z, c, h] (64 + 512 + 512 numbers), actions float32 [1] in [-1, 1].
"""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from controller.dream_env import DreamEnv, DreamVectorEnv
from doomrnn.config import FRAMES_PER_SECOND, DoomEnvConfig

METADATA = {"render_modes": ["rgb_array"], "render_fps": FRAMES_PER_SECOND}


def actions() -> gymnasium.spaces.Box:
    """Return the space of what M is fed."""
    return gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)


class DoomDream(DreamEnv):
    """M dreaming take cover: reward 1 a step, terminated where M says that the player is dead.

    temperature: of the dream, above 0 (paper, table 2: 1.15 carries over best). For the rest see `DreamEnv`.
    """

    task = "doomrnn"
    metadata: dict[str, Any] = METADATA

    def __init__(
        self,
        run: str | Path,
        temperature: float = 1.15,
        time_limit: int = DoomEnvConfig.time_limit,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(run, actions(), temperature, time_limit, render_mode)


class DoomDreams(DreamVectorEnv):
    """M dreaming take cover many times at once; see `DoomDream` and `DreamVectorEnv`."""

    task = "doomrnn"
    metadata: dict[str, Any] = METADATA

    def __init__(
        self,
        num_envs: int,
        run: str | Path,
        temperature: float = 1.15,
        time_limit: int = DoomEnvConfig.time_limit,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        super().__init__(num_envs, run, actions(), temperature, time_limit, render_mode, autoreset_mode)
