"""What the scripts need to know of a task; `doomrnn.task` and `carracing.task` each provide one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from controller.config import Preset
from controller.policy_spec import PolicyShape
from experiment.config import Settings
from rollouts.config import CollectConfig
from rollouts.scripted import Script


def controller_name(world: str, variant: str, temperature: float, seed: int) -> str:
    """The name of a controller's folder: ``<world>-<variant>[-tau<T>]-s<seed>``."""
    return f"{world}-{variant}{f'-tau{temperature:.2f}' if world == 'dream' else ''}-s{seed}"


@dataclass(frozen=True)
class Task:
    """A task.

    action_size: A. bias: whether C's layers have one. variant, world: what C is trained as by default.
    games: makes a batch of n real games from the env settings, for recording where the third argument says so.
    policies: the names of its scripted policies, of which `script` makes one (with a period, which only a sweep has);
    baselines: those of its final table. collector: makes the policy that collects. frame_bytes: a stored frame on
    disk, for the forecast. episode_length: mean steps of a kept episode in the env settings. squash: makes actions of
    C's outputs, which are tanh's. score: what a return counts. published: rows (method, score in the dream, in the
    real task) of the paper to print beside ours. dream_env: Gymnasium's name of its dream. engine: whether a real game
    runs in a process of its own. frames_per_second: of both worlds.
    """

    name: str
    presets: dict[str, Preset]
    action_size: int
    bias: bool
    variant: str
    world: str
    score: str
    games: Callable[[int, Settings, bool], Any]
    policies: tuple[str, ...]
    baselines: tuple[str, ...]
    script: Callable[[str, int | None], Script]
    collector: Callable[[CollectConfig], Script]
    frame_bytes: int
    episode_length: Callable[[Settings], int]
    dream_env: str
    engine: bool
    frames_per_second: int
    squash: Callable[[Any], Any] | None = None
    published: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def usual_controller(self) -> str:
        """The name of the controller that the paper's settings make, with seed 0."""
        return controller_name(self.world, self.variant, self.presets["paper"].stages.controller.temperature, 0)

    def policy_shape(self, variant: str, z_size: int, state_size: int, hidden_units: int) -> PolicyShape:
        """The controller of this task in a variant."""
        return PolicyShape(variant, z_size, state_size, self.action_size, self.bias, hidden_units)
