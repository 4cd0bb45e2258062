"""A dozen real frames of a run with what V makes of them: ``frames.npz``, a few kB that a release keeps.

``obs`` uint8 [n, 64, 64, 3], ``mu`` and ``logvar`` float32 [n, Z], and ``vae`` uint8 [32], the SHA-256 of the weights
that encoded them: a retrained V makes the file again.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiment.arrays import FRAME_SHAPE
from experiment.files import read_file
from experiment.npz import ArraySpec, check_finite, read_npz, write_npz
from vae.episodes import list_episodes, read_episode, split_episodes

FILE, COUNT = "frames.npz", 12
CANDIDATES, GAMES, SEED = 3000, 8, 11  # frames to choose from; games to play where none are kept, and their seed


class RealFrames(NamedTuple):
    """Frames uint8 [n, 64, 64, 3] of the real task, V's mu and logvar float32 [n, Z]."""

    obs: np.ndarray
    mu: np.ndarray
    logvar: np.ndarray


def real_frames(run: Any, task: Any, vae: Any, episodes: Path | None = None) -> RealFrames:
    """Return the frames of a run, chosen and written to its folder where it has none of its V's.

    episodes: the folder of recorded ones to choose from, by default the run's own; without any, a few games of the
    collecting policy are played. Raises InputError for a damaged file.
    """
    path, digest = run.path / FILE, _digest(run.folder("vae") / "weights.npz")
    if path.exists() and (found := _read(path, vae.z_size, digest)) is not None:
        return found

    frames = _chosen(_candidates(run, task, episodes or run.folder("collect")), vae)
    write_npz(path, {**frames._asdict(), "vae": digest}, level=6)
    return frames


def _digest(path: Path) -> np.ndarray:
    return np.frombuffer(hashlib.sha256(read_file(path)).digest(), np.uint8)


def _read(path: Path, z_size: int, digest: np.ndarray) -> RealFrames | None:
    """Return the frames stored in `path`, or None where another V encoded them."""
    advice = "delete it, and run the command again"
    specs = {key: ArraySpec("float32", ("n", z_size)) for key in ("mu", "logvar")}
    specs |= {"obs": ArraySpec("uint8", ("n", *FRAME_SHAPE)), "vae": ArraySpec("uint8", (32,))}
    arrays = read_npz(path, specs, advice)
    for key in ("mu", "logvar"):
        check_finite(arrays[key], key, path, advice)
    return RealFrames(*(arrays[key] for key in RealFrames._fields)) if (arrays["vae"] == digest).all() else None


def _candidates(run: Any, task: Any, folder: Path) -> np.ndarray:
    """Frames uint8 [n, 64, 64, 3] of the held-out episodes, or of a few new games where none are kept."""
    if any(folder.glob("episode-*.npz")):
        held_out = split_episodes(list_episodes(folder), run.seed)[1][:GAMES]
        frames = np.concatenate([read_episode(path, task.action_size).obs for path in held_out])
    else:
        frames = _played(run, task)
    return frames[:: max(1, len(frames) // CANDIDATES)]


def _played(run: Any, task: Any) -> np.ndarray:
    """Frames of a few games of the collecting policy."""
    from controller.trajectories import script_trajectory

    env, script = run.stages.env, task.collector(run.stages.collect)
    games = task.games(1, env, True)
    try:
        played = [script_trajectory(games, script, task.action_size, SEED + n, env.time_limit, 1) for n in range(GAMES)]
    finally:
        games.close()
    return np.concatenate([trajectory.frames for trajectory in played])


def _chosen(candidates: np.ndarray, vae: Any) -> RealFrames:
    """Return those most unlike one another to V: each the farthest in mu from those chosen before."""
    from vae.model import to_unit

    parts = [vae.encode(to_unit(candidates[n : n + 64])) for n in range(0, len(candidates), 64)]
    mu, logvar = (np.concatenate([np.asarray(part) for part in column]) for column in zip(*parts, strict=True))
    chosen, distance = [0], np.full(len(mu), np.inf)
    while len(chosen) < min(COUNT, len(mu)):
        distance = np.minimum(distance, np.square(mu - mu[chosen[-1]]).sum(1))
        chosen.append(int(distance.argmax()))
    return RealFrames(candidates[chosen], mu[chosen], logvar[chosen])
