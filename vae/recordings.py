"""Episodes recorded by other programs, as `.npz` files with other names, sizes and types, made into this project's.

Letters: T steps, A action size. See docs/recordings.md for what a file must hold.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiment.arrays import FRAME_SHAPE
from experiment.errors import InputError
from experiment.files import first_line
from experiment.npz import DAMAGED, LARGEST_ARRAY
from vae.episodes import Episode
from vae.preprocessing import shrink

NAMES = {  # of the arrays, as they are found in other projects' files
    "obs": ("obs", "observations", "observation", "frames", "images"),
    "action": ("action", "actions"),
    "reward": ("reward", "rewards"),
    "terminated": ("terminated", "terminals", "terminal", "dones", "done"),
    "truncated": ("truncated", "truncations"),
}
NEEDED = ("obs", "action")


def read_recording(
    path: Path,
    action_size: int,
    resize: bool = False,
    frame_first: bool = True,
    bounds: tuple[np.ndarray | float, np.ndarray | float] = (-1.0, 1.0),
) -> Episode:
    """Return the episode of a file.

    action_size: A. resize: frames larger than 64x64 are averaged down. frame_first: action t was taken on frame t;
    else frame t is what action t led to, and the first action, whose frame was not kept, is left out. bounds: the
    least and the largest action of the task, numbers or [A].

    Raises InputError with one line where the file is not one, or does not hold such an episode.
    """
    arrays = _read(path)
    obs, action = _frames(path, arrays["obs"], resize), _actions(path, arrays["action"], action_size, bounds)
    steps = len(obs)
    reward = _column(path, arrays, "reward", steps, np.float32)
    terminated = _column(path, arrays, "terminated", steps, bool)
    truncated = _column(path, arrays, "truncated", steps, bool)
    if len(action) != steps:
        raise InputError(f"{path}: {steps} frames and {len(action)} actions; an episode has one for each")
    if not frame_first:
        obs, action = obs[:-1], action[1:]
        reward, terminated, truncated = reward[1:], terminated[1:], truncated[1:]
    if len(obs) < 2:
        raise InputError(f"{path}: an episode of {len(obs)} steps teaches nothing")
    if (terminated | truncated)[:-1].any():
        raise InputError(f"{path}: says that it ended before its last step; split it into episodes")
    last = np.arange(len(obs)) == len(obs) - 1
    return Episode(obs, action, reward, terminated, last & ~terminated)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays by our names; nothing is unpickled."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, Mapping):
            raise ValueError("a single array, not an .npz")
        with loaded as file:
            found = {ours: name for ours, names in NAMES.items() for name in names[::-1] if name in file.files}
            missing = [name for name in NEEDED if name not in found]
            if missing:
                raise ValueError(f"holds {', '.join(file.files)[:100]}, and no {' or '.join(NAMES[missing[0]])}")
            for name in found.values():
                size = file.zip.getinfo(name if name in file.zip.namelist() else f"{name}.npy").file_size
                if size > LARGEST_ARRAY:  # unpacked, whatever the size of the file is
                    raise ValueError(f"{name} says that it holds {size:,} bytes; the most is {LARGEST_ARRAY:,}")
            return {ours: file[name] for ours, name in found.items()}
    except DAMAGED as error:
        raise InputError(f"{path}: not an episode ({first_line(error)})") from None


def _frames(path: Path, obs: np.ndarray, resize: bool) -> np.ndarray:
    """Frames uint8 [T, 64, 64, 3]."""
    if obs.dtype != np.uint8 or obs.ndim != 4 or obs.shape[3] != 3 or len(obs) == 0:
        raise InputError(f"{path}: frames must be uint8 [T, 64, 64, 3], not {obs.dtype} {list(obs.shape)}")
    if obs.shape[1:] == FRAME_SHAPE:
        return obs
    if not resize or min(obs.shape[1:3]) < FRAME_SHAPE[0]:
        advice = "; --resize averages larger ones down" if min(obs.shape[1:3]) >= FRAME_SHAPE[0] else ""
        raise InputError(f"{path}: frames must be 64x64, not {obs.shape[1]}x{obs.shape[2]}{advice}")
    return np.stack([shrink(frame) for frame in obs])


def _actions(path: Path, action: np.ndarray, size: int, bounds: tuple) -> np.ndarray:
    """Actions float32 [T, A], numbers within the bounds as M is fed them."""
    action = action[:, None] if action.ndim == 1 else action
    if action.dtype.kind not in "fiu" or action.ndim != 2 or action.shape[1] != size:
        raise InputError(f"{path}: actions must be numbers [T, {size}], not {action.dtype} {list(action.shape)}")
    low, high = (np.broadcast_to(np.float32(bound), size) for bound in bounds)
    if not ((low <= action) & (action <= high)).all():  # nor is NaN
        ranges = ", ".join(f"[{one:g}, {other:g}]" for one, other in dict.fromkeys(zip(low, high, strict=True)))
        raise InputError(f"{path}: actions must be in {ranges}, as the task's environment takes them")
    return action.astype(np.float32)


def _column(path: Path, arrays: dict[str, np.ndarray], name: str, steps: int, kind: type) -> np.ndarray:
    """One number a step; zeros where the file has none."""
    column = arrays.get(name, np.zeros(steps)).reshape(-1)
    if len(column) != steps or column.dtype.kind not in "fiub":
        raise InputError(f"{path}: {name} must be {steps} numbers, not {column.dtype} {list(column.shape)}")
    with np.errstate(over="ignore"):
        stored = column.astype(np.float32)
    if not np.isfinite(stored).all():
        raise InputError(
            f"{path}: {name} must be {steps} numbers that float32 can hold; one is {column[~np.isfinite(stored)][0]}"
        )
    return stored.astype(kind)
