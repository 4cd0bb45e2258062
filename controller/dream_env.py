"""The dream of a task as Gymnasium environments: M in place of the game, V's decoder for its frames.

Observations are [z, c, h] (Z + 2 H numbers), actions what M is fed. A dream is the one that the batch engine dreams for
the same stream of random numbers, but for rounding (source: paper, section 4; authors' code). Spaces come from the
run's small files: TensorFlow, V and M are loaded at the first reset, by the process that resets.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import gymnasium
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from controller.config import ControllerConfig, death_weight
from experiment.arrays import checked_numbers, checked_options, checked_whole
from experiment.checkpoints import load_config
from experiment.config import from_values
from experiment.errors import InputError
from experiment.files import read_sealed
from experiment.runs import check_task, existing_run
from rnn.config import ADVICE as RNN_ADVICE
from rnn.config import RNNConfig, checked_temperature
from rnn.series import load_initial
from vae.config import ADVICE as VAE_ADVICE

if TYPE_CHECKING:
    from controller.dream_batch import Decoder, DreamBatch


ENDING = {"controller": ControllerConfig, "rnn": RNNConfig}  # the settings that say how a dream ends


class DreamSizes(NamedTuple):
    """Z, H and A of a run's M."""

    z: int
    hidden: int
    action: int


class DreamSource:
    """What dreams of a run are made from, checked before TensorFlow is loaded.

    Raises InputError: the run is of another task than `task`, a file is missing or damaged, M takes other actions, or
    the temperature is not above 0.
    """

    def __init__(self, run: str | Path, action_space: gymnasium.spaces.Box, temperature: float, task: str):
        self.temperature, self.run = checked_temperature(temperature), existing_run(run)
        if task:
            check_task(self.run, task)
        z_size = load_config(self.run / "vae", "weights", {"z_size": int}, VAE_ADVICE)["z_size"]
        fields = {"z_size": int, "hidden_size": int, "action_size": int}
        self.sizes = DreamSizes(*load_config(self.run / "rnn", "weights", fields, RNN_ADVICE).values())
        if self.sizes.z != z_size or self.sizes.action != action_space.shape[0]:
            file, (z, _, action) = self.run / "rnn" / "weights.json", self.sizes
            wanted = f"z of {z_size} numbers as V's and actions of {action_space.shape[0]}"
            raise InputError(f"{file}: M has z of {z} numbers and actions of {action}, not {wanted}; name another run")
        self.initial = load_initial(self.run / "series", z_size)
        self.death_weight = _death_weight(self.run / "config.json")

    def observation_space(self) -> gymnasium.spaces.Box:
        """Return the space of [z, c, h]."""
        return gymnasium.spaces.Box(-np.inf, np.inf, (self.sizes.z + 2 * self.sizes.hidden,), np.float32)

    def load(self, count: int, render_mode: str | None) -> "tuple[DreamBatch, Decoder | None]":
        """Return so many dreams, none of them begun, and V's decoder where there is something to render."""
        from controller.dream_batch import DreamBatch, decoder  # TensorFlow, which must not run before a fork

        batch = DreamBatch(self.run, self.initial, self.temperature, count, self.death_weight)
        return batch, decoder(self.run) if render_mode else None

    def first_z(self, options: dict[str, Any] | None, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return options["z"], which must be finite numbers [..., Z] that fill `shape`, or None without it."""
        options = checked_options(options, ("z", "reset_mask") if len(shape) > 1 else ("z",))
        if "z" not in options:
            return None
        whole = shape if np.shape(options["z"]) == shape else shape[-1:]
        return np.broadcast_to(checked_numbers('options["z"]', options["z"], whole), shape)


class DreamEnv(gymnasium.Env):
    """M dreaming a task.

    Args:
        run: a run's folder with trained V and M; a dream ends as its settings say (controller.death).
        action_space: of the task.
        temperature: of the dream, above 0.
        time_limit: steps after which a dream is truncated.
        render_mode: None, or "rgb_array": `render` returns V's frame of z, uint8 [64, 64, 3].

    Raises:
        InputError: see `DreamSource`; at the first reset, for weights that are damaged.
    """

    task: ClassVar[str] = ""  # that a run must be of

    def __init__(
        self,
        run: str | Path,
        action_space: gymnasium.spaces.Box,
        temperature: float,
        time_limit: int,
        render_mode: str | None,
    ) -> None:
        self.render_mode, self.action_space = _checked(render_mode), action_space
        self.time_limit = checked_whole("time_limit", time_limit, 1)
        self._source = DreamSource(run, action_space, temperature, self.task)
        self.sizes, self.observation_space = self._source.sizes, self._source.observation_space()
        self._batch: DreamBatch | None = None
        self._decoder: Decoder | None = None
        self._steps, self._over = 0, True

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Begin a dream at the z of a stored first frame, or at options["z"], float32 [Z]."""
        super().reset(seed=seed)
        z = self._source.first_z(options, (self.sizes.z,))
        if self._batch is None:
            self._batch, self._decoder = self._source.load(1, self.render_mode)
        self._batch.begin(0, self.np_random, z)
        self._steps, self._over = 0, False
        return self._batch.state[0].copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Dream one step: the reward that M expects (1 without a reward head), terminated where it says so.

        Raises:
            ValueError: the action is not one of the action space.
            RuntimeError: no dream is under way.
            NumericalError: a z is no longer a number.
        """
        action = checked_numbers("action", action, self.action_space.shape)
        if not self.action_space.contains(action):
            raise ValueError(f"action must be one of {self.action_space}, not {action}")
        if self._over:
            raise RuntimeError("no dream is under way: call reset() first")
        rewards, done = self._batch.step([0], action[None])
        self._steps += 1
        terminated = bool(done[0])
        truncated = not terminated and self._steps >= self.time_limit
        self._over = terminated or truncated
        return self._batch.state[0].copy(), float(rewards[0]), terminated, truncated, {}

    def render(self) -> np.ndarray | None:
        """Return V's frame of the current z, uint8 [64, 64, 3], or None without a render_mode or a dream."""
        return None if self._decoder is None else self._decoder(self._batch.state[:, : self.sizes.z])[0]


class DreamVectorEnv(VectorEnv):
    """M dreaming a task `num_envs` times at once; each dream is that of a `DreamEnv` with its seed, but for rounding.

    Args:
        num_envs: dreams, at least 1.
        autoreset_mode: one of Gymnasium's `AutoresetMode`, or its value, "NextStep" say.
        the others: see `DreamEnv`.
    """

    task: ClassVar[str] = ""  # that a run must be of

    def __init__(
        self,
        num_envs: int,
        run: str | Path,
        action_space: gymnasium.spaces.Box,
        temperature: float,
        time_limit: int,
        render_mode: str | None,
        autoreset_mode: str | AutoresetMode,
    ) -> None:
        self.num_envs, self.render_mode = checked_whole("num_envs", num_envs, 1), _checked(render_mode)
        self.time_limit = checked_whole("time_limit", time_limit, 1)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self._source = DreamSource(run, action_space, temperature, self.task)
        self.single_action_space, self.single_observation_space = action_space, self._source.observation_space()
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._seeds: list[int | None] = [None] * num_envs
        self._batch: DreamBatch | None = None
        self._decoder: Decoder | None = None
        self._steps, self._over = np.zeros(num_envs, np.int64), np.ones(num_envs, bool)

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:
        """Return the generators of all dreams, as `SyncVectorEnv` does."""
        return tuple(map(self._rng, range(self.num_envs)))

    @property
    def np_random_seed(self) -> tuple[int, ...]:
        """Return the seeds of all dreams' generators."""
        return tuple(self._seeds[row] for row in range(self.num_envs) if self._rng(row))

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin all dreams; return their observations float32 [N, Z + 2 H].

        seed: one for each dream, or an int s for s, s + 1, ...; without it a dream's generator goes on.
        options: "z", float32 [Z] or [N, Z], where they begin; "reset_mask", bool [N], those that restart while the
            others stay.
        """
        rows = self._masked(options)
        z = self._source.first_z(options, (self.num_envs, self._source.sizes.z))
        self._reseed(seed, rows)
        if self._batch is None:
            self._batch, self._decoder = self._source.load(self.num_envs, self.render_mode)
        self._begin(rows, z)
        return self._batch.state.copy(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Dream one step of all; a dream that is over restarts as the autoreset mode says.

        Returns:
            observations float32 [N, Z + 2 H], rewards float64 [N], terminated bool [N], truncated bool [N], infos: in
            mode "SameStep" with `final_obs` and `final_info` of dreams that ended.
        Raises:
            ValueError: the actions are not of the action space.
            RuntimeError: not all dreams are under way.
            NumericalError: a z is no longer a number.
        """
        actions = np.asarray(actions, np.float32)
        if not self.action_space.contains(actions):
            raise ValueError(f"actions must be one of {self.action_space}, not {actions}")
        rows = np.flatnonzero(~self._over)
        if self._batch is None or (len(rows) < self.num_envs and self.autoreset_mode != AutoresetMode.NEXT_STEP):
            raise RuntimeError("not all dreams are under way: call reset() first")
        rewards, terminated = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        ended = np.flatnonzero(self._over)
        if len(rows):
            rewards[rows], terminated[rows] = self._batch.step(rows, actions[rows])
            self._steps[rows] += 1
        self._begin(ended)  # those of the step before
        truncated = ~terminated & (self._steps >= self.time_limit)
        self._over = terminated | truncated
        infos = self._final() if self.autoreset_mode == AutoresetMode.SAME_STEP else {}
        return self._batch.state.copy(), rewards, terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return V's frame of every z, uint8 [64, 64, 3] each, or None without a render_mode or dreams."""
        return None if self._decoder is None else tuple(self._decoder(self._batch.state[:, : self._source.sizes.z]))

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of the weights."""
        self._batch = self._decoder = None
        self._over[:] = True

    def _final(self) -> dict[str, Any]:
        """Begin the dreams that just ended; return their last observations as Gymnasium packs them."""
        infos: dict[str, Any] = {}
        ended = np.flatnonzero(self._over)
        for row in ended:
            infos = self._add_info(infos, {"final_obs": self._batch.state[row].copy(), "final_info": {}}, row)
        self._begin(ended)
        return infos

    def _begin(self, rows: np.ndarray, z: np.ndarray | None = None) -> None:
        for row in rows:
            self._batch.begin(row, self._rng(row), None if z is None else z[row])
        self._steps[rows], self._over[rows] = 0, False

    def _rng(self, row: int) -> np.random.Generator:
        """Return a dream's generator, seeded by chance where it was never seeded."""
        if self._rngs[row] is None:
            self._rngs[row], self._seeds[row] = seeding.np_random()
        return self._rngs[row]

    def _reseed(self, seed: int | Sequence[int | None] | None, rows: np.ndarray) -> None:
        whole = isinstance(seed, (int, np.integer))
        seeds = [seed + row if whole else None for row in range(self.num_envs)] if whole or seed is None else list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"seed must be one number or {self.num_envs} of them, not {len(seeds)}")
        for row in rows:
            if seeds[row] is not None:
                self._rngs[row], self._seeds[row] = seeding.np_random(int(seeds[row]))

    def _masked(self, options: dict[str, Any] | None) -> np.ndarray:
        """Return the rows that options["reset_mask"] names, all without it."""
        if not options or "reset_mask" not in options:
            return np.arange(self.num_envs)
        mask = np.asarray(options["reset_mask"])
        if mask.dtype != bool or mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(f'options["reset_mask"] must be bool [{self.num_envs}], not all False; it is {mask}')
        if self._batch is None and not mask.all():
            raise RuntimeError("the first reset begins all dreams: leave options['reset_mask'] out")
        return np.flatnonzero(mask)


def _death_weight(file: Path) -> float | None:
    """Return how a run's dreams end, as `rnn.dream.Dream` takes it; None where the folder has no configuration."""
    if not file.exists():
        return None
    try:
        stages = read_sealed(file)["stages"]
        settings = (from_values(kind, stages[name], f"{file} [{name}]") for name, kind in ENDING.items())
        return death_weight(*settings)
    except (KeyError, TypeError) as error:
        raise InputError(f"{file}: not a run's configuration ({error!r})") from None


def _checked(render_mode: str | None) -> str | None:
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode must be None or 'rgb_array', not {render_mode!r}")
    return render_mode
