"""What is known of a task: the `TASK` of `doomrnn.task`, `carracing.task`, or of a module of one's own.

A task names its environment, its settings and its scripted policies; V, M, C and all scripts are the same for every
task. `Task` documents each of its fields.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from controller.config import Preset, Variant, World
from controller.policy_spec import PolicyShape
from rollouts.config import CollectConfig, EnvConfig
from rollouts.games import Games
from rollouts.scripted import Script

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


@dataclass(frozen=True)
class Task:
    """A task; every field says what it is for."""

    name: str
    """The TASK of the command line, stored with every run."""

    presets: Mapping[str, Preset]
    """Settings by preset name; "paper" must be there, and all presets have the same types of settings."""

    action_size: int
    """A, the length of an action as it is recorded, fed to M and given to `Games.step`: float32 [A]."""

    bias: bool
    """Whether C's layers have a bias, which comes first in the flat weights (authors' code: CarRacing's do)."""

    variant: Variant
    """What C sees by default; see `PolicyShape`."""

    world: World
    """Where C is trained by default."""

    score: str
    """What a return counts, as tables and axes show it: "steps survived", "return"."""

    games: MakeGames
    """The real environment."""

    policies: tuple[str, ...]
    """The names of the scripted policies, which `evaluate.py --policy` takes and the dream is probed with."""

    baselines: tuple[str, ...]
    """Those of `policies` in the final table of `reproduce.py`; each agent is tested against them."""

    script: MakeScript
    """The scripted policy of a name."""

    collector: MakeCollector
    """The scripted policy that collects the episodes of V and M."""

    frame_bytes: int
    """Bytes that a recorded frame takes on disk, on average, for the forecast of the disk space."""

    episode_length: Callable[[EnvConfig], int]
    """Steps of an episode that is kept, on average, for the same forecast."""

    dream_env: str
    """The dream's name in Gymnasium's registry; importing the task's package registers it."""

    engine: bool
    """Whether a real game runs in a process of its own, so that more ranks than cores collect faster."""

    frames_per_second: int
    """Of videos, in both worlds."""

    squash: Callable[[Tensor], Tensor] | None = None
    """Turns C's outputs [B, A], tanh's in [-1, 1], into actions [B, A] by `keras.ops`; None: they are the actions."""

    published: tuple[PublishedRow, ...] = ()
    """The paper's rows, printed below those of a run."""

    @property
    def usual_controller(self) -> str:
        """The name of the controller that the paper's settings make, with seed 0."""
        return controller_name(self.world, self.variant, self.presets["paper"].stages.controller.temperature, 0)

    def policy_shape(self, variant: Variant, z_size: int, state_size: int, hidden_units: int) -> PolicyShape:
        """Return the shape of this task's controller in a variant, for Z, H and the units of a hidden layer."""
        return PolicyShape(variant, z_size, state_size, self.action_size, self.bias, hidden_units)


def controller_name(world: World, variant: Variant, temperature: float, seed: int) -> str:
    """Return the name of a controller's folder: ``<world>-<variant>[-tau<T>]-s<seed>``."""
    return f"{world}-{variant}{f'-tau{temperature:.2f}' if world == 'dream' else ''}-s{seed}"
