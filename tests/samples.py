"""Small data in the project's real formats, made without a game or a network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiment.checkpoints import save_model
from experiment.files import atomic_write
from experiment.stage_folder import finish, working
from rnn.config import RNNConfig
from rnn.series import InitialLatents, Series, write_initial
from vae.episodes import Episode, episode_bytes, episode_path

CPU = Path("/proc/cpuinfo")
_OLDER = not CPU.exists() or "avx512f" not in CPU.read_text()
PRECISIONS_OF_ROWS = [
    "float32",
    pytest.param("bfloat16", marks=pytest.mark.skipif(_OLDER, reason="promised with AVX-512 only")),
]


@dataclass(frozen=True)
class OnlyM:
    """The settings of a run that has no stage but M's."""

    rnn: RNNConfig = RNNConfig()


def numbered_frames(episode: int, length: int) -> np.ndarray:
    """Frames uint8 [length, 64, 64, 3] that say who they are; see `frame_names`."""
    obs = np.zeros((length, 64, 64, 3), np.uint8)
    obs[:, 0, 0, 0] = episode
    obs[:, 0, 0, 1], obs[:, 0, 0, 2] = np.divmod(np.arange(length), 256)
    return obs


def frame_names(frames: np.ndarray) -> list[tuple[int, int]]:
    """(episode, time) of numbered frames [n, 64, 64, 3]."""
    corner = frames[:, 0, 0].astype(int)
    return [(int(e), int(high * 256 + low)) for e, high, low in corner]


def striped_frames(rng: np.random.Generator, length: int) -> np.ndarray:
    """Frames that V can learn: a bar of one colour, wandering."""
    obs = np.full((length, 64, 64, 3), 40, np.uint8)
    for frame, x in zip(obs, rng.integers(0, 56, length), strict=True):
        frame[:, x : x + 8] = (200, 120, 30)
    return obs


def make_episode(obs: np.ndarray, rng: np.random.Generator, dies: bool = True) -> Episode:
    """An episode around these frames; it ends by death or at its step limit."""
    length = len(obs)
    last = np.arange(length) == length - 1
    action = rng.uniform(-1, 1, (length, 1)).astype(np.float32)
    return Episode(obs, action, np.ones(length, np.float32), last & dies, last & (not dies))


def write_episodes(folder: Path, lengths: list[int], striped: bool = False) -> list[Path]:
    """Episode files of these lengths; every third one is cut at its step limit."""
    paths = []
    for number, length in enumerate(lengths):
        rng = np.random.default_rng(number)
        obs = striped_frames(rng, length) if striped else numbered_frames(number, length)
        paths.append(episode_path(folder, number))
        atomic_write(paths[-1], episode_bytes(make_episode(obs, rng, dies=number % 3 != 2)))
    return paths


def make_series(
    lengths: list[int], z_size: int = 2, held_out: bool = False, noise: bool = True, cut: int = 3
) -> list[Series]:
    """Encoded episodes; mu[t] = (episode, time, 0, ...). Without `noise` a z drawn from them is mu.

    One game in `cut` ends at its step limit, the others by death.
    """
    series = []
    for number, length in enumerate(lengths):
        mu = np.zeros((length, z_size), np.float16)
        mu[:, 0], mu[:, 1] = number, np.arange(length)
        logvar = np.full((length, z_size), -1.0 if noise else -300.0, np.float16)
        action = (np.arange(length, dtype=np.float32) / 10 + number)[:, None]
        terminated = (np.arange(length) == length - 1) & (number % cut != cut - 1)
        reward = np.float32(number) - np.arange(length, dtype=np.float32) / 8
        series.append(Series(mu, logvar, action, reward, terminated, held_out))
    return series


def write_run(path: Path, vae: Any, rnn: Any, initial: InitialLatents, dtype: str = "float32") -> Path:
    """What a dream reads of a run: V, M and first frames, of stages that are not finished."""
    save_model(path / "vae", "weights", vae, dtype)
    save_model(path / "rnn", "weights", rnn, dtype)
    write_initial(path / "series", initial)
    return path


def finish_stage(folder: Path, summary: dict | None = None) -> None:
    """Mark a stage begun and finished, as its script does."""
    with working(folder, {}):
        finish(folder, summary or {"episodes": 1})


def leftovers(folder: Path) -> list[Path]:
    """Temporary files that an atomic write should have taken away."""
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]
