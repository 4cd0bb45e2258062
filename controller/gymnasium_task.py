"""Any Gymnasium environment as a task.

    from controller.gymnasium_task import gymnasium_task

    TASK = gymnasium_task("CartPole-v1")

in a file ``polecart.py`` makes ``polecart:TASK`` a TASK of every command started in its folder. For an environment that
is not Gymnasium's build a `controller.task.Task`: only its environment has no default (see docs/your_task.md).
"""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from controller.default_presets import LONGEST, OwnEnvConfig, default_presets
from controller.task import Task
from experiment.arrays import described
from experiment.errors import InputError
from experiment.files import first_line
from rollouts.gymnasium_games import GymnasiumGames, action_size


def gymnasium_task(
    environment: str | Callable[[], Any],
    *,
    crop: Callable[[np.ndarray], np.ndarray] = lambda frame: frame,
    ends: bool = True,
    pays: bool = True,
    **changes: Any,
) -> Task:
    """Return a Gymnasium environment as a task, seen as its rendered frames shrunk to 64 x 64.

    environment: a registered id, or a function that makes one which renders to "rgb_array".
    crop: what of a frame is kept before it is shrunk, uint8 [height, width, 3].
    ends, pays: see `default_presets`. changes: fields of `Task` to set otherwise.

    Actions: those of a Box are its numbers, in its own range; of a Discrete(n), the largest of n numbers in [-1, 1]
    chooses. Raises InputError where the environment cannot be made, or acts or renders otherwise: one is made, and
    rendered once after a reset.
    """
    make = _maker(environment)
    try:
        probe = make()
    except Exception as error:  # whatever an environment of somebody else's raises
        raise InputError(f"environment {environment}: cannot be made ({first_line(error)})") from None
    space, spec = probe.action_space, gymnasium.spec(environment) if isinstance(environment, str) else probe.spec
    limit = getattr(spec, "max_episode_steps", None) or LONGEST
    try:
        _check(probe, environment, crop)
    finally:
        probe.close()
    ones = np.ones(action_size(space))
    low, high = np.ravel(getattr(space, "low", -ones)), np.ravel(getattr(space, "high", ones))
    fields = {
        "action_size": action_size(space),
        "low": tuple(low.tolist()),
        "high": tuple(high.tolist()),
        "presets": default_presets(OwnEnvConfig(time_limit=limit), ends=ends, pays=pays),
        "frames_per_second": int(probe.metadata.get("render_fps") or 30),
        "games": lambda count, env, recording: GymnasiumGames(count, make, env.time_limit, crop),
    }
    return Task(**{**fields, **changes})


def _maker(environment: str | Callable[[], Any]) -> Callable[[], Any]:
    """Return what makes one environment without a time limit around it."""
    if not isinstance(environment, str):
        return environment
    try:
        gymnasium.spec(environment)
    except gymnasium.error.Error as error:
        raise InputError(f"environment {environment}: {first_line(error)}") from None
    return lambda: gymnasium.make(environment, render_mode="rgb_array", max_episode_steps=-1).unwrapped


def _check(env: Any, name: Any, crop: Callable[[np.ndarray], np.ndarray]) -> None:
    """Raise InputError where an environment, or what is kept of its frames, does not fit."""
    try:
        action_size(env.action_space)
    except ValueError as error:
        raise InputError(f"environment {name}: {error}") from None
    if env.render_mode != "rgb_array":
        raise InputError(f"environment {name}: its render_mode is {env.render_mode!r}, and must be 'rgb_array'")
    try:
        env.reset(seed=0)
        frame = env.render()
    except Exception as error:  # whatever an environment of somebody else's raises
        raise InputError(f"environment {name}: cannot be reset and rendered ({first_line(error)})") from None
    _check_frame(frame, f"environment {name}: its render()")
    _check_frame(crop(frame), f"environment {name}: crop, of a frame {described(frame)},")


def _check_frame(frame: Any, whose: str) -> None:
    """Raise InputError where a frame is not uint8 [height, width, 3], or empty."""
    array = isinstance(frame, np.ndarray) and frame.dtype == np.uint8
    if not (array and frame.ndim == 3 and frame.shape[2] == 3 and frame.size):
        raise InputError(f"{whose} returns {described(frame)}, and must return uint8 [height, width, 3]")
