"""The dream of a task as a Gymnasium environment: M in place of the game, V's decoder for its pictures.

Observations are [z, c, h] (Z + 2 H numbers), actions what M is fed. A dream is the one that the batch engine dreams for
the same stream of noise, but for rounding (source: paper, section 4; authors' code).
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from experiment.arrays import checked_numbers, checked_options
from experiment.checkpoints import load_config
from experiment.errors import InputError
from experiment.runs import check_task
from rnn import training as rnn_training
from rnn.dream import Block, Dream, DreamState, Noise, check_temperature
from rnn.model import MDNRNN
from rnn.series import load_initial
from rnn.training import load_rnn
from vae import training as vae_training
from vae.model import VAE, to_uint8
from vae.training import load_vae

ROWS = 2  # one row alone is slower than two (measured)


class DreamEnv(gymnasium.Env):
    """M dreaming a task.

    V and M are loaded at the first `reset`, in whatever process that is: TensorFlow hangs in a forked child where it
    has run in the parent, so an environment that is made there for its spaces must not run it.

    Args:
        task: the name of the task that the run must be of.
        run: a run's folder with trained V and M.
        action_space: of the task.
        temperature: of the dream, above 0.
        time_limit: steps after which a dream is truncated.
        render_mode: None, or "rgb_array": `render` gives V's picture of z, uint8 [64, 64, 3].

    Raises:
        InputError: a file of the run is missing or damaged, it is of another task, or the temperature is not above 0.
        ValueError: the time limit or the render mode cannot be.
    """

    def __init__(
        self,
        task: str,
        run: str | Path,
        action_space: gymnasium.spaces.Box,
        temperature: float,
        time_limit: int,
        render_mode: str | None,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', not {render_mode!r}")
        if not isinstance(time_limit, int | np.integer) or time_limit < 1:
            raise ValueError(f"time_limit must be a whole number of at least 1, not {time_limit!r}")
        self.run, self.temperature = Path(run), check_temperature(temperature)
        check_task(self.run, task)
        vae = load_config(self.run / "vae", "weights", VAE.ARGUMENTS, vae_training.ADVICE)
        rnn = load_config(self.run / "rnn", "weights", MDNRNN.ARGUMENTS, rnn_training.ADVICE)
        found, wanted = (rnn["action_size"], rnn["z_size"]), (*action_space.shape, vae["z_size"])
        if found != wanted:
            raise InputError(f"{self.run}: its M is of other sizes, {found} where the task and V have {wanted}")
        self.render_mode, self.time_limit, self.action_space = render_mode, time_limit, action_space
        size = rnn["z_size"] + 2 * rnn["hidden_size"]
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self._state: DreamState | None = None
        self._last: DreamState | None = None  # what `render` shows, also after the end
        self._steps = 0

    @functools.cached_property
    def dream(self) -> Dream:
        """M at the temperature, with the first frames it starts from."""
        rnn = load_rnn(self.run / "rnn")
        return Dream(rnn, load_initial(self.run / "series", rnn.z_size), self.temperature)

    @functools.cached_property
    def _block(self) -> Block:
        return self.dream.compile(lambda inputs, z, c, h, step: inputs, (self.dream.model.action_size,))

    @functools.cached_property
    def _decode(self) -> Callable:
        return tf.function(load_vae(self.run / "vae").decode)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Begin a dream at the z of a stored first frame, or at options["z"], Z finite numbers.

        Raises ValueError for any other z or option.
        """
        options = checked_options(options, ("z",))
        super().reset(seed=seed)
        start = self.dream.start(self.np_random)
        if "z" in options:
            start = start._replace(z=checked_numbers('options["z"]', options["z"], self.dream.model.z_size))
        self._state = self._last = DreamState(*(np.repeat(part[None], ROWS, axis=0) for part in start))
        self._steps = 0
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Dream one step: the reward that M expects (1 without a reward head), terminated where it says so.

        Raises:
            ValueError: the action is not one of the action space.
            RuntimeError: no dream is under way.
        """
        action = self._checked(action)
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

    def _checked(self, action: Any) -> np.ndarray:
        numbers = checked_numbers("action", action, self.action_space.shape[0])
        if not self.action_space.contains(numbers):
            raise ValueError(f"action must be one of {self.action_space}, not {numbers}")
        return numbers

    def render(self) -> np.ndarray | None:
        """V's picture of the current z, uint8 [64, 64, 3], or None without a render_mode."""
        if self.render_mode is None or self._last is None:
            return None
        return to_uint8(self._decode(self._last.z))[0]

    def _observation(self) -> np.ndarray:
        """[z, c, h] float32."""
        return np.concatenate([self._state.z[0], self._state.c[0], self._state.h[0]])
