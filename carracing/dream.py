"""The dream of CarRacing as Gymnasium environments: the agent acts inside M (paper, section 3.4).

    env = gymnasium.make("WorldModels/CarRacingDream-v0", run="runs/car", temperature=0.7)
    envs = gymnasium.make_vec("WorldModels/CarRacingDream-v0", num_envs=64, run="runs/car", temperature=0.7)

Observations are [z, c, h] (32 + 256 + 256 numbers), actions float32 [3]: steer in [-1, 1], gas and brake in [0, 1].
"""

from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode

from carracing.config import FRAMES_PER_SECOND
from carracing.env import HIGH, LOW
from controller.dream_env import DreamEnv, DreamVectorEnv

METADATA = {"render_modes": ["rgb_array"], "render_fps": FRAMES_PER_SECOND}


class CarRacingDream(DreamEnv):
    """M dreaming CarRacing; it never ends but by `time_limit`.

    temperature: of the dream, above 0 (authors' code: 0.7). The reward is what M expects, where it has a reward head.
    For the rest see `DreamEnv`.
    """

    task = "carracing"
    metadata: dict[str, Any] = METADATA

    def __init__(
        self, run: str | Path, temperature: float = 0.7, time_limit: int = 1200, render_mode: str | None = None
    ) -> None:
        super().__init__(run, gymnasium.spaces.Box(LOW, HIGH), temperature, time_limit, render_mode)


class CarRacingDreams(DreamVectorEnv):
    """M dreaming CarRacing many times at once; see `CarRacingDream` and `DreamVectorEnv`."""

    task = "carracing"
    metadata: dict[str, Any] = METADATA

    def __init__(
        self,
        num_envs: int,
        run: str | Path,
        temperature: float = 0.7,
        time_limit: int = 1200,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        space = gymnasium.spaces.Box(LOW, HIGH)
        super().__init__(num_envs, run, space, temperature, time_limit, render_mode, autoreset_mode)
