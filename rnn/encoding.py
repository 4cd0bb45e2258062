"""Encoding episodes with V into series of latents."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from experiment.arrays import FRAME_SHAPE
from experiment.errors import NumericalError
from experiment.progress import Progress
from rnn.config import SeriesConfig
from rnn.series import FIRST_FRAMES, InitialLatents, Series, read_shard, shard_path, write_initial, write_shard
from vae.episodes import Episode, episode_length, list_episodes, read_episode, split_episodes
from vae.model import VAE, to_unit

Encode = Callable[[np.ndarray], tuple[tf.Tensor, tf.Tensor]]


def encode_episodes(
    folder: Path,
    rollouts: Path,
    model: VAE,
    action_size: int,
    config: SeriesConfig,
    seed: int,
    held_out: set[Path] | None = None,
) -> dict[str, float]:
    """Encode all episodes of `rollouts` into shards in `folder`, resuming after the shards already written.

    First frames that are there stay: those of a release are what its searches dream from.
    held_out: the episodes that are not for training; None: those that the seed holds out.
    Raises InputError for a damaged episode, NumericalError where V gives NaN or infinity.
    """
    paths = list_episodes(rollouts)
    held_out = set(split_episodes(paths, seed)[1]) if held_out is None else held_out
    groups = [paths[i : i + config.shard_episodes] for i in range(0, len(paths), config.shard_episodes)]
    missing = [(n, group) for n, group in enumerate(groups) if not shard_path(folder, n).exists()]
    frames = sum(episode_length(path) for _, group in missing for path in group)
    encode = compile_encoder(model)
    with Progress("series", frames, "frames") as progress:
        for number, group in missing:
            write_shard(shard_path(folder, number), _encode(encode, group, held_out, action_size, config, progress))
    if not (folder / FIRST_FRAMES).exists():
        _write_initial(folder, len(groups), model.z_size, action_size, config.initial_frames)
    return {"episodes": len(paths), "frames_per_second": round(progress.rate, 1)}


def _read_ahead(paths: list[Path], action_size: int) -> Iterator[Episode]:
    """Yield episodes in order, reading the next one ahead."""
    with ThreadPoolExecutor(1) as reader:
        pending = reader.submit(read_episode, paths[0], action_size)
        for following in [*paths[1:], None]:
            episode = pending.result()
            if following is not None:
                pending = reader.submit(read_episode, following, action_size)
            yield episode


def compile_encoder(model: VAE) -> Encode:
    """Return V's encoder of uint8 frames [B, 64, 64, 3], compiled for any B, to (mu, logvar) [B, Z]."""

    @tf.function(input_signature=[tf.TensorSpec((None, *FRAME_SHAPE), tf.uint8)], autograph=False)
    def encode(frames: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return model.encode(to_unit(frames))

    return encode


def _encode(
    encode: Encode, paths: list[Path], held_out: set[Path], action_size: int, config: SeriesConfig, progress: Progress
) -> list[Series]:
    """Return the latents of a shard's episodes, encoded in batches that run across episode boundaries."""
    columns: list[dict[str, np.ndarray]] = []  # of each episode, without its frames
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    waiting = np.empty((0, *FRAME_SHAPE), np.uint8)
    for episode in _read_ahead(paths, action_size):
        waiting = np.concatenate([waiting, episode.obs])
        columns.append({key: getattr(episode, key) for key in ("action", "reward", "terminated")})
        whole = len(waiting) // config.batch_size * config.batch_size
        for start in range(0, whole, config.batch_size):
            parts.append(_halves(encode, waiting[start : start + config.batch_size]))
        waiting = waiting[whole:]
        progress.update(whole)
    if len(waiting):
        filled = np.concatenate([waiting, np.zeros((config.batch_size - len(waiting), *FRAME_SHAPE), np.uint8)])
        parts.append(tuple(part[: len(waiting)] for part in _halves(encode, filled)))
        progress.update(len(waiting))
    mu, logvar = (np.concatenate(column) for column in zip(*parts, strict=True))
    lengths = [len(column["action"]) for column in columns]
    series = []
    for path, column, length, stop in zip(paths, columns, lengths, np.cumsum(lengths), strict=True):
        rows = slice(stop - length, stop)
        if not (np.isfinite(mu[rows]).all() and np.isfinite(logvar[rows]).all()):
            raise NumericalError(f"series: V gives NaN or infinity for {path}; train V again")
        series.append(Series(mu=mu[rows], logvar=logvar[rows], **column, held_out=path in held_out))
    return series


def _halves(encode: Encode, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mu and logvar float16 [n, Z] of frames uint8 [n, 64, 64, 3]."""
    mu, logvar = (np.asarray(part).astype(np.float16) for part in encode(frames))
    return mu, logvar


def _write_initial(folder: Path, shards: int, z_size: int, action_size: int, count: int) -> None:
    """Write the latents of the first frame of the first `count` training episodes."""
    first: list[Series] = []
    for number in range(shards):
        if len(first) < count:
            first += [s for s in read_shard(shard_path(folder, number), z_size, action_size) if not s.held_out]
    mu, logvar = (np.stack([getattr(s, key)[0] for s in first[:count]]).astype(np.float32) for key in ("mu", "logvar"))
    write_initial(folder, InitialLatents(mu, logvar))
