"""Series of latents on disk: every episode as V sees it, joined into a few files that M trains from in memory.

A shard holds n frames of several episodes: ``mu`` and ``logvar`` float16 [n, Z] (as the authors store them), ``action``
float32 [n, A], ``reward`` float32 [n], ``terminated`` bool [n], ``lengths`` int64 and ``held_out`` bool [episodes].
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiment.errors import InputError
from experiment.npz import ArraySpec, check_finite, read_npz, write_npz
from experiment.stages import FIRST_FRAMES
from vae.latents import sample_z

KEYS = ("mu", "logvar", "action", "reward", "terminated")  # of each step of a series
ADVICE = "run scripts/encode_series.py first"
AGAIN = "delete it and done.json beside it, and run scripts/encode_series.py again"


@dataclass(frozen=True)
class Series:
    """One encoded episode: mu, logvar float16 [T, Z], action float32 [T, A], reward float32, terminated bool [T]."""

    mu: np.ndarray
    logvar: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    held_out: bool

    def __len__(self) -> int:
        return len(self.mu)


@dataclass(frozen=True)
class InitialLatents:
    """First frames that dreams start from: mu, logvar float32 [n, Z]."""

    mu: np.ndarray
    logvar: np.ndarray

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return a z float32 [Z], drawn from the posterior of a uniformly chosen first frame."""
        row = int(rng.integers(len(self.mu)))
        eps = rng.standard_normal(self.mu.shape[1], np.float32)
        return sample_z(self.mu[row], self.logvar[row], eps)


def shard_path(folder: Path, number: int) -> Path:
    """Return where a shard is stored."""
    return folder / f"series-{number:04d}.npz"


def shard_paths(folder: Path) -> list[Path]:
    """Return the shards that a folder holds, in their order; a release holds none."""
    return sorted(Path(folder).glob("series-*.npz"))


def write_shard(path: Path, series: list[Series]) -> None:
    """Write the episodes of a shard, atomically."""
    arrays = {key: np.concatenate([getattr(s, key) for s in series]) for key in KEYS}
    lengths = np.array([len(s) for s in series], np.int64)
    write_npz(path, {**arrays, "lengths": lengths, "held_out": np.array([s.held_out for s in series])})


def write_initial(folder: Path, initial: InitialLatents) -> None:
    """Write the first frames that dreams start from."""
    write_npz(folder / FIRST_FRAMES, {"mu": initial.mu, "logvar": initial.logvar})


def read_shard(path: Path, z_size: int, action_size: int) -> list[Series]:
    """Return the episodes of a shard, checked; InputError where it is missing or damaged."""
    arrays = read_npz(
        path,
        {
            "mu": ArraySpec("float16", ("n", z_size)),
            "logvar": ArraySpec("float16", ("n", z_size)),
            "action": ArraySpec("float32", ("n", action_size)),
            "reward": ArraySpec("float32", ("n",)),
            "terminated": ArraySpec("bool", ("n",)),
            "lengths": ArraySpec("int64", ("episodes",)),
            "held_out": ArraySpec("bool", ("episodes",)),
        },
        AGAIN,
    )
    for key in ("mu", "logvar", "action", "reward"):
        check_finite(arrays[key], key, path, AGAIN)
    lengths = arrays["lengths"]
    if (lengths < 1).any() or lengths.sum() != len(arrays["mu"]):
        raise InputError(f"{path}: the lengths of its episodes do not add up; {AGAIN}")
    stops = np.cumsum(lengths)
    return [
        Series(**{key: arrays[key][stop - n : stop] for key in KEYS}, held_out=bool(held))
        for stop, n, held in zip(stops, lengths, arrays["held_out"], strict=True)
    ]


def shard_episodes(path: Path) -> list[tuple[int, bool]]:
    """Return (steps, whether held out) of each episode of a shard; InputError where it is missing or damaged."""
    specs = {"lengths": ArraySpec("int64", ("episodes",)), "held_out": ArraySpec("bool", ("episodes",))}
    arrays = read_npz(path, specs, AGAIN, others=True)
    return list(zip(arrays["lengths"].tolist(), arrays["held_out"].tolist(), strict=True))


def load_series(folder: Path, z_size: int, action_size: int) -> tuple[list[Series], list[Series]]:
    """Return (training, held-out) series of a folder; InputError where there is none."""
    paths = shard_paths(folder)
    if not paths:
        raise InputError(f"{folder}: no series in it; {ADVICE}")
    series = [s for path in paths for s in read_shard(path, z_size, action_size)]
    return [s for s in series if not s.held_out], [s for s in series if s.held_out]


def load_initial(folder: Path, z_size: int) -> InitialLatents:
    """Return the first frames that dreams start from; InputError where they are missing or damaged."""
    path = Path(folder) / FIRST_FRAMES
    arrays = read_npz(path, {k: ArraySpec("float32", ("n", z_size)) for k in ("mu", "logvar")}, ADVICE)
    for key, array in arrays.items():
        check_finite(array, key, path, AGAIN)
    if len(arrays["mu"]) == 0:
        raise InputError(f"{path}: no first frames in it; {AGAIN}")
    return InitialLatents(**arrays)
