"""The dream of a task as a Gymnasium environment: M in place of the real task, rendered with V's decoder.

Observations are [z, c, h] (Z + 2 H numbers), actions what M is fed. A dream is the one that the batch engine dreams for
the same stream of noise, but for rounding (source: paper, section 4; authors' code).
"""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from rnn.dream import Dream, DreamState, Noise
from rnn.series import load_initial
from rnn.training import load_rnn
from vae.model import to_uint8
from vae.training import load_vae

ROWS = 2  # one row alone is slower than two (measured)


class DreamEnv(gymnasium.Env):
    """M dreaming a task.

    Args:
        run: a run's folder with trained V and M.
        action_space: of the task.
        temperature: of the dream, above 0.
        time_limit: steps after which a dream is truncated.
        render_mode: None, or "rgb_array": `render` gives V's decoding of z, uint8 [64, 64, 3].

    Raises:
        InputError: a file of the run is missing or damaged, or the temperature is not above 0.
    """

    def __init__(
        self,
        run: str | Path,
        action_space: gymnasium.spaces.Box,
        temperature: float,
        time_limit: int,
        render_mode: str | None,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', not {render_mode!r}")
        self.render_mode, self.time_limit, self.action_space = render_mode, time_limit, action_space
        self._vae, rnn = load_vae(Path(run) / "vae"), load_rnn(Path(run) / "rnn")
        self.dream = Dream(rnn, load_initial(Path(run) / "series", rnn.z_size), temperature)
        self._block = self.dream.compile(lambda inputs, z, c, h, step: inputs, (rnn.action_size,))
        self._decode = tf.function(self._vae.decode)
        size = rnn.z_size + 2 * rnn.hidden_size
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self._state: DreamState | None = None
        self._last: DreamState | None = None  # what `render` shows, also after the end
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Begin a dream at the z of a stored first frame, or at options["z"], float32 [Z]."""
        super().reset(seed=seed)
        start = self.dream.start(self.np_random)
        if options and "z" in options:
            start = start._replace(z=np.asarray(options["z"], np.float32).reshape(start.z.shape))
        self._state = self._last = DreamState(*(np.repeat(part[None], ROWS, axis=0) for part in start))
        self._steps = 0
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Dream one step: the reward that M expects (1 without a reward head), terminated where it says so.

        Raises:
            ValueError: the action is not one of the action space.
            RuntimeError: no dream is under way.
        """
        action = np.asarray(action, np.float32)
        if not self.action_space.contains(action):
            raise ValueError(f"action must be one of {self.action_space}, not {action}")
        if self._state is None:
            raise RuntimeError("no dream is under way: call reset() first")
        noise = np.zeros((2, 1, self.dream.model.z_size), np.float32)
        self.dream.fill_noise(self.np_random, *noise)
        rows = Noise(*(np.repeat(part[None], ROWS, axis=0) for part in noise))
        state, lived, rewards = self._block(self._state, np.repeat(action[None], ROWS, axis=0), rows)
        self._state = self._last = DreamState(*(np.asarray(part) for part in state))
        self._steps += 1
        terminated = bool(lived[0] == 1)
        observation, truncated = self._observation(), not terminated and self._steps >= self.time_limit
        if terminated or truncated:
            self._state = None
        return observation, float(rewards[0, 0]), terminated, truncated, {}

    def render(self) -> np.ndarray | None:
        """V's decoding of the current z, uint8 [64, 64, 3], or None without a render_mode."""
        if self.render_mode is None or self._last is None:
            return None
        return to_uint8(self._decode(self._last.z))[0]

    def _observation(self) -> np.ndarray:
        """[z, c, h] float32."""
        return np.concatenate([self._state.z[0], self._state.c[0], self._state.h[0]])
