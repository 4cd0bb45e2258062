"""What is known of a task: the `TASK` of `doomrnn.task`, `carracing.task`, `pendulum.task`, or of one's own module.

A task names its environment, its settings and its scripted policies; V, M, C and all scripts are the same for every
task. `Task` documents each of its fields. A task of one's own needs `games` and `action_size`; all else has defaults
(`controller.gymnasium_task` makes one of any Gymnasium environment; docs/your_task.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from controller.config import Preset, Variant, World
from controller.default_presets import default_presets
from controller.policy_spec import PolicyShape
from experiment.errors import InputError
from rollouts.config import CollectConfig, EnvConfig
from rollouts.games import Games
from rollouts.scripted import BOX_SCRIPTS, BoxScript, Script

Tensor = Any


class MakeGames(Protocol):
    """Makes the real environment."""

    def __call__(self, count: int, env: EnvConfig, recording: bool, /) -> Games:
        """Return `count` games with the settings `env`, which are of the task's own type.

        recording: their episodes are collected. A task whose recorded episodes all have the same length (CarRacing's)
        then plays past termination, up to `env.time_limit`.
        """


class MakeScript(Protocol):
    """Makes a scripted policy."""

    def __call__(self, name: str, period: int | None, /) -> Script:
        """Return the policy of this name, one of `Task.policies`; `period` is the steps a sweep holds each side.

        InputError for a name or period that the task does not know; None is the default period.
        """


class MakeCollector(Protocol):
    """Makes the policy that collects episodes."""

    def __call__(self, collect: CollectConfig, /) -> Script:
        """Return the collecting policy for the settings `collect`, which are of the task's own type."""


class PublishedRow(NamedTuple):
    """A row of a published table: method, and mean ± std of its score in the dream and in the real task, or ""."""

    method: str
    dream: str
    real: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task; every field says what it is for."""

    name: str = ""
    """The TASK of the command line, stored with every run; of one's own task, what the command line says."""

    presets: Mapping[str, Preset] = field(default_factory=default_presets)
    """Settings by preset name; "paper" must be there, and all presets have the same types of settings."""

    action_size: int
    """A, the length of an action as it is recorded, fed to M and given to `Games.step`: float32 [A]."""

    low: tuple[float, ...] | float = -1.0
    """The least value of each number of an action, or of all; of the default scripts, squashing and dream."""

    high: tuple[float, ...] | float = 1.0
    """The largest one."""

    bias: bool = True
    """Whether C's layers have a bias, which comes first in the flat weights (authors' code: CarRacing's do)."""

    variant: Variant = "zh"
    """What C sees by default; see `PolicyShape`."""

    world: World = "dream"
    """Where C is trained by default."""

    score: str = "return"
    """What a return counts, as tables and axes show it: "steps survived", "return"."""

    games: MakeGames
    """The real environment."""

    policies: tuple[str, ...] = BOX_SCRIPTS
    """The names of the scripted policies, which `evaluate.py --policy` takes and the dream is probed with."""

    baselines: tuple[str, ...] = ("random", "stay")
    """Those of `policies` in the final table of `reproduce.py`; each agent is tested against them."""

    script: MakeScript | None = None
    """The scripted policy of a name; None: `rollouts.scripted.BoxScript`."""

    collector: MakeCollector | None = None
    """The scripted policy that collects the episodes of V and M; None: random_hold, up to collect.max_hold steps."""

    frame_bytes: int = 4700
    """Bytes that a recorded frame takes on disk, on average, for the forecast of the disk space."""

    episode_length: Callable[[EnvConfig], int] = lambda env: env.time_limit
    """Steps of an episode that is kept, on average, for the same forecast."""

    dream_env: str | None = None
    """The dream's name in Gymnasium's registry, which importing the task's package registers; None: it has none."""

    engine: bool = False
    """Whether a real game runs in a process of its own, so that more ranks than cores collect faster."""

    frames_per_second: int = 30
    """Of videos, in both worlds."""

    squash: Callable[[Tensor], Tensor] | None = None
    """Turns C's outputs [B, A], tanh's in [-1, 1], into actions [B, A] by `keras.ops`; None: linearly, to low..high."""

    published: tuple[PublishedRow, ...] = ()
    """The paper's rows, printed below those of a run."""

    def __post_init__(self) -> None:
        if "paper" not in self.presets:
            raise InputError(f"task {self.name}: its presets need one named 'paper', the one that others differ from")
        low, high = self.bounds
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
            raise InputError(f"task {self.name}: low {self.low} and high {self.high} do not bound an action")
        defaults = {"script": self._script, "collector": self._collector}
        if (low != -1).any() or (high != 1).any():
            defaults["squash"] = lambda outputs: low + (outputs + 1) / 2 * (high - low)
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the largest action, both float32 [A]."""
        ends = (np.broadcast_to(np.float32(end), self.action_size) for end in (self.low, self.high))
        return next(ends), next(ends)

    def _script(self, name: str, period: int | None, /, max_hold: int = 10) -> Script:
        """Return the default scripted policies."""
        low, high = (tuple(end.tolist()) for end in self.bounds)
        return BoxScript(name, low, high, max_hold)

    def _collector(self, collect: CollectConfig, /) -> Script:
        """Return the default collecting policy."""
        return self._script("random_hold", None, getattr(collect, "max_hold", 10))

    @property
    def usual_controller(self) -> str:
        """The name of the controller that the paper's settings make, with seed 0."""
        return controller_name(self.world, self.variant, self.presets["paper"].stages.controller.temperature, 0)

    def policy_shape(self, variant: Variant, z_size: int, state_size: int, hidden_units: int) -> PolicyShape:
        """Return the shape of this task's controller in a variant, for Z, H and the units of a hidden layer."""
        return PolicyShape(variant, z_size, state_size, self.action_size, self.bias, hidden_units)


def temperature_text(temperature: float) -> str:
    """Return the temperature as names have it: two decimals, or all of them where it has more."""
    short = f"{temperature:.2f}"
    return short if float(short) == temperature else repr(float(temperature))


def controller_name(world: World, variant: Variant, temperature: float, seed: int) -> str:
    """Return the name of a controller's folder: ``<world>-<variant>[-tau<T>]-s<seed>``."""
    tau = f"-tau{temperature_text(temperature)}" if world == "dream" else ""
    return f"{world}-{variant}{tau}-s{seed}"
