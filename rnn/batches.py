"""Batches of series for M, in the authors' two regimes, as plain arrays of a (seed, epoch)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from experiment.errors import InputError
from experiment.random_streams import Purpose
from rnn.series import Series
from vae.latents import sample_z


class Batch(NamedTuple):
    """The input of one update of M. Letters: B rows, T steps.

    z: float32 [B, T + 1, Z], freshly drawn from mu and logvar; z[:, 1:] are the targets.
    action: float32 [B, T, A], taken at each step.
    restart: float32 [B, T], 1 where an episode starts.
    done: float32 [B, T], 1 where the episode terminates with the action; truncation is not termination.
    reward: float32 [B, T], that of each step.
    mask: float32 [B, T], 0 for steps after the end of the data.
    z_mask: float32 [B, T], 0 where the next z belongs to another episode, or is not known.
    """

    z: np.ndarray
    action: np.ndarray
    restart: np.ndarray
    done: np.ndarray
    reward: np.ndarray
    mask: np.ndarray
    z_mask: np.ndarray


class Joined(NamedTuple):
    """Episodes end to end: mu, logvar [n, Z], action [n, A], reward, restart, done, seam float32 [n]."""

    mu: np.ndarray
    logvar: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    restart: np.ndarray
    done: np.ndarray
    seam: np.ndarray


def join(series: list[Series]) -> Joined:
    """Concatenate episodes; `restart` marks each one's first step, `seam` its last."""
    starts = np.cumsum([0, *(len(s) for s in series)])
    restart, seam = np.zeros((2, starts[-1]), np.float32)
    restart[starts[:-1]] = 1.0
    seam[starts[1:] - 1] = 1.0
    columns = {key: np.concatenate([getattr(s, key) for s in series]) for key in ("mu", "logvar", "action", "reward")}
    done = np.concatenate([s.terminated for s in series]).astype(np.float32)
    return Joined(**columns, restart=restart, done=done, seam=seam)


def draw_z(mu: np.ndarray, logvar: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a newly drawn z float32 [..., Z] from stored mu, logvar [..., Z] of any float type."""
    eps = rng.standard_normal(mu.shape, np.float32)
    return sample_z(mu.astype(np.float32), logvar.astype(np.float32), eps)


def draw_episodes(sizes: list[int], new: int, new_share: float, rng: np.random.Generator) -> list[int]:
    """Return which episodes an epoch reads, in a random order; their sizes sum to at least those of all.

    sizes: of each episode, the first `new` of which are the newest. new_share: the share of the epoch that these make
    up, by size, each part in shuffled rounds of its own; 0 reads every episode once.
    """
    if not new_share or not 0 < new < len(sizes):
        return rng.permutation(len(sizes)).tolist()
    wanted, drawn = np.ceil(new_share * sum(sizes)), []
    for part, enough in ((range(new), wanted), (range(new, len(sizes)), sum(sizes) - wanted)):
        read = 0
        while read < enough:
            for episode in rng.permutation(part).tolist():
                if read < enough:
                    drawn.append(episode)
                    read += sizes[episode]
    return [drawn[i] for i in rng.permutation(len(drawn))]


class ConcatenatedBatches:
    """The authors' Doom regime: each epoch joins the shuffled episodes and cuts them into B rows.

    The rows are read T steps at a time, so that batch n + 1 continues where batch n ended and the state is carried.

    batch_size: B, rows of a batch. length: T, steps of a row that a batch reads. across_seam: the z after an episode's
    last one, which is another episode's first, is to be predicted, too (authors' code). new, new_share: so many of
    `series`, the first ones, are the newest, and make up this share of an epoch; see `draw_episodes`.

    Raises InputError where the series have too few frames for one batch and the z after it.
    """

    carries_state = True

    def __init__(
        self,
        series: list[Series],
        batch_size: int,
        length: int,
        seed: int,
        across_seam: bool = False,
        new: int = 0,
        new_share: float = 0.0,
    ):
        self.batch_size, self.length, self.seed = batch_size, length, seed
        self.across_seam, self.new, self.new_share = across_seam, new, new_share
        self.sizes = [len(s) for s in series]
        self.per_epoch = (sum(self.sizes) - 1) // (batch_size * length)
        if self.per_epoch < 1:
            raise InputError(
                f"series: fewer frames than a batch of {batch_size} rows of {length} steps; collect more "
                "episodes, or lower rnn.batch_size or rnn.sequence_length"
            )
        self.data, self.starts = join(series), np.cumsum([0, *self.sizes])

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of epoch `number`, from the `first` on."""
        rng = Purpose.RNN_EPISODE_ORDER.stream(self.seed, epoch=number).generator()
        order = draw_episodes(self.sizes, self.new, self.new_share, rng)
        frames = np.concatenate([np.arange(self.starts[i], self.starts[i + 1]) for i in order])
        rows = np.arange(self.batch_size)[:, None] * (self.per_epoch * self.length)
        for index in range(first, self.per_epoch):
            at = frames[rows + index * self.length + np.arange(self.length + 1)]
            latents = Purpose.RNN_LATENTS.stream(self.seed, epoch=number, batch=index)
            yield self._batch(at, latents.generator())

    def _batch(self, at: np.ndarray, rng: np.random.Generator) -> Batch:
        """Return the batch of these frames [B, T + 1] of `data`."""
        data, now = self.data, at[:, :-1]
        ones = np.ones(now.shape, np.float32)
        return Batch(
            z=draw_z(data.mu[at], data.logvar[at], rng),
            action=data.action[now],
            restart=data.restart[now],
            done=data.done[now],
            reward=data.reward[now],
            mask=ones,
            z_mask=ones if self.across_seam else 1.0 - data.seam[now],
        )


class EpisodeBatches:
    """The authors' CarRacing regime: whole episodes from a zero state, padded to the longest allowed.

    batch_size: B, episodes of a batch, one a row. length: T, steps of a row; a longer episode is cut there.
    across_seam: is not read, as no row holds two episodes. new, new_share: see `draw_episodes`.

    Raises InputError where there are fewer episodes than a batch has rows.
    """

    carries_state = False

    def __init__(
        self,
        series: list[Series],
        batch_size: int,
        length: int,
        seed: int,
        across_seam: bool = False,
        new: int = 0,
        new_share: float = 0.0,
    ):
        self.series, self.batch_size, self.length, self.seed = series, batch_size, length, seed
        self.new, self.new_share = new, new_share
        self.per_epoch = len(series) // batch_size
        if self.per_epoch < 1:
            raise InputError(
                f"series: {len(series)} episodes are fewer than a batch of {batch_size}; collect more, or "
                "lower rnn.batch_size"
            )

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of epoch `number`, from the `first` on."""
        rng = Purpose.RNN_EPISODE_ORDER.stream(self.seed, epoch=number).generator()
        order = draw_episodes([1] * len(self.series), self.new, self.new_share, rng)
        for index in range(first, self.per_epoch):
            chosen = order[index * self.batch_size : (index + 1) * self.batch_size]
            rng = Purpose.RNN_LATENTS.stream(self.seed, epoch=number, batch=index).generator()
            yield stack([_pad(self.series[i], self.length, rng) for i in chosen])


def _pad(series: Series, length: int, rng: np.random.Generator) -> Batch:
    """Return one episode as a Batch without its first axis."""
    steps = min(len(series), length)
    z = draw_z(series.mu[: length + 1], series.logvar[: length + 1], rng)
    ends = {key: np.zeros(length, np.float32) for key in ("restart", "done", "reward", "mask", "z_mask")}
    ends["restart"][0] = 1.0
    ends["done"][:steps] = series.terminated[:steps]
    ends["reward"][:steps] = series.reward[:steps]
    ends["mask"][:steps] = 1.0
    ends["z_mask"][: min(len(series) - 1, length)] = 1.0
    action = np.zeros((length, series.action.shape[1]), np.float32)
    action[:steps] = series.action[:steps]
    full = np.zeros((length + 1, z.shape[1]), np.float32)
    full[: len(z)] = z
    return Batch(z=full, action=action, **ends)


def stack(rows: list[Batch]) -> Batch:
    """Return rows without a batch axis as one batch."""
    return Batch(*(np.stack(column) for column in zip(*rows, strict=True)))
