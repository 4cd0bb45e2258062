"""Episodes on disk: one compressed `.npz` each, with the authors' keys and the results.

An episode of T steps holds ``obs`` uint8 [T, 64, 64, 3], ``action`` float32 [T, A] taken on it, and its result:
``reward`` float32, ``terminated`` and ``truncated`` bool [T]. The frame after the last step is not stored.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiment.arrays import FRAME_SHAPE
from experiment.errors import InputError
from experiment.npz import ArraySpec, check_finite, npz_bytes, npz_shape, read_npz
from experiment.random_streams import Purpose

FRAME_BYTES = math.prod(FRAME_SHAPE)
HELD_OUT = 20  # one episode in so many is held out of training
AGAIN = "delete it and done.json beside it, and run scripts/collect_rollouts.py again for the same episode"


@dataclass(frozen=True)
class Episode:
    """One episode: obs uint8 [T,64,64,3], action float32 [T,A], reward float32 [T], terminated, truncated bool [T]."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray

    def __len__(self) -> int:
        return len(self.obs)


def episode_bytes(episode: Episode) -> bytes:
    """Return the file of an episode, deflated at level 1 (lossless; about 4.6 KB a Doom frame)."""
    return npz_bytes(vars(episode))


def episode_path(folder: Path, index: int) -> Path:
    """Return where the episode with this attempt number is stored."""
    return folder / f"episode-{index:06d}.npz"


def list_episodes(folder: Path) -> list[Path]:
    """Return the episode files of a folder in order; InputError where there is none."""
    paths = sorted(Path(folder).glob("episode-*.npz"))
    if not paths:
        raise InputError(f"{folder}: no episodes in it; run scripts/collect_rollouts.py first")
    return paths


def read_episode(path: Path, action_size: int) -> Episode:
    """Return an episode, its names, types, shapes, sizes and finiteness checked; InputError where one is wrong."""
    arrays = read_npz(
        path,
        {
            "obs": ArraySpec("uint8", ("T", *FRAME_SHAPE)),
            "action": ArraySpec("float32", ("T", action_size)),
            "reward": ArraySpec("float32", ("T",)),
            "terminated": ArraySpec("bool", ("T",)),
            "truncated": ArraySpec("bool", ("T",)),
        },
        AGAIN,
    )
    check_finite(arrays["action"], "action", path, AGAIN)
    check_finite(arrays["reward"], "reward", path, AGAIN)
    if len(arrays["obs"]) == 0:
        raise InputError(f"{path}: an episode without frames; {AGAIN}")
    return Episode(**arrays)


def episode_length(path: Path) -> int:
    """Return T of an episode file in steps, from its header alone; `read_episode` checks the whole file."""
    shape = npz_shape(path, "obs", AGAIN)
    if len(shape) != 4 or shape[1:] != FRAME_SHAPE or shape[0] == 0:
        raise InputError(f"{path}: obs has shape {shape}, not (T, 64, 64, 3); {AGAIN}")
    return shape[0]


def split_episodes(paths: list[Path], seed: int) -> tuple[list[Path], list[Path]]:
    """Return (training, held-out) episodes: a twentieth, at least one, drawn by the seed, is held out (source: ours).

    Raises InputError for fewer than two episodes.
    """
    if len(paths) < 2:
        raise InputError(f"{paths[0].parent}: one episode cannot be split into training and held-out; collect more")
    count = max(1, len(paths) // HELD_OUT)
    held = set(Purpose.SPLIT.stream(seed).generator().permutation(len(paths))[:count].tolist())
    return [p for i, p in enumerate(paths) if i not in held], [paths[i] for i in sorted(held)]
