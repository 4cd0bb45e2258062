"""Frames from disk as an endless shuffled stream with bounded memory.

Each epoch permutes the episodes, joins them into chunks of a fixed size in memory, and shuffles all frames of a chunk
together; the next chunk is read in the background. The order is a function of (seed, epoch), so a resumed training
seeks to its place in it.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from experiment.arrays import FRAME_SHAPE
from experiment.errors import InputError
from experiment.random_streams import Purpose
from vae.episodes import FRAME_BYTES, episode_length, read_episode


class FrameStream:
    """Batches of frames from episode files, shuffled across episodes.

    Args:
        paths: episode files.
        action_size: A, to check the files by.
        batch_size: frames a batch.
        seed: of the order.
        megabytes: memory for shuffling; half of it holds the chunk in use, half the one being read.
        max_frames: use at most so many frames an epoch, the same share of every episode; 0 uses all.
        new, new_share: the first `new` of the files are the newest, and of an epoch's frames this share is theirs, as
            far as there are so many; 0 makes no difference between files.

    Raises:
        InputError: a file is missing or damaged, or there are fewer frames than one batch.
    """

    def __init__(
        self,
        paths: list[Path],
        action_size: int,
        batch_size: int,
        seed: int,
        megabytes: int,
        max_frames: int = 0,
        new: int = 0,
        new_share: float = 0.0,
    ):
        self.paths, self.action_size, self.batch_size, self.seed = paths, action_size, batch_size, seed
        lengths = np.array([episode_length(path) for path in paths])
        shares = _shares(lengths, max_frames or int(lengths.sum()), new, new_share)
        self.counts = np.maximum(1, np.floor(lengths * shares)).astype(np.int64)
        self.frames = int(self.counts.sum())
        self.batches_per_epoch = self.frames // batch_size
        self.chunk_frames = max(batch_size, megabytes * 500_000 // FRAME_BYTES)
        if self.batches_per_epoch == 0:
            raise InputError(f"{paths[0].parent}: {self.frames} frames are fewer than a batch of {batch_size}")

    def batches(self, first: int = 0) -> Iterator[np.ndarray]:
        """Yield batches uint8 [batch_size, 64, 64, 3] without end, from batch number `first` on."""
        epoch, skip = divmod(first, self.batches_per_epoch)
        while True:
            yield from self._epoch(epoch, skip)
            epoch, skip = epoch + 1, 0

    def _epoch(self, epoch: int, skip: int) -> Iterator[np.ndarray]:
        """Yield the batches of one epoch after the first `skip`; a remainder smaller than a batch is dropped."""
        chunks, skip_frames = self._plan(epoch), skip * self.batch_size
        while chunks and skip_frames >= self._size(chunks[0]):  # a resumed epoch reads only what it still needs
            skip_frames -= self._size(chunks.pop(0))
        rest = np.empty((0, *FRAME_SHAPE), np.uint8)
        with ThreadPoolExecutor(1) as reader:
            pending = [reader.submit(self._read_chunk, epoch, chunk) for chunk in chunks[:1]]
            for following in [*chunks[1:], None]:
                pool, order = pending.pop().result()
                if following is not None:
                    pending.append(reader.submit(self._read_chunk, epoch, following))
                order, skip_frames = order[skip_frames:], 0
                whole = (len(order) + len(rest)) // self.batch_size
                for number in range(whole):
                    stop = (number + 1) * self.batch_size - len(rest)
                    start = max(0, stop - self.batch_size)
                    take = pool[order[start:stop]]
                    yield np.concatenate([rest, take]) if number == 0 and len(rest) else take
                used = max(0, whole * self.batch_size - len(rest))
                left = pool[order[used:]]
                rest = left if whole else np.concatenate([rest, left])

    def _plan(self, epoch: int) -> list[list[int]]:
        """Return the epoch's episodes, permuted and joined into chunks of about `chunk_frames`."""
        chunks: list[list[int]] = [[]]
        order = Purpose.VAE_EPISODE_ORDER.stream(self.seed, epoch=epoch).generator()
        for episode in order.permutation(len(self.paths)).tolist():
            if chunks[-1] and self._size(chunks[-1]) + self.counts[episode] > self.chunk_frames:
                chunks.append([])
            chunks[-1].append(episode)
        return chunks

    def _size(self, chunk: list[int]) -> int:
        return int(self.counts[chunk].sum())

    def _read_chunk(self, epoch: int, chunk: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return (frames uint8 [n, 64, 64, 3], the order to use them in [n])."""
        pool = np.empty((self._size(chunk), *FRAME_SHAPE), np.uint8)
        filled = 0
        for episode in chunk:
            obs = read_episode(self.paths[episode], self.action_size).obs
            count = int(self.counts[episode])
            if count < len(obs):
                choice = Purpose.VAE_FRAME_CHOICE.stream(self.seed, epoch=epoch, episode=episode)
                picks = choice.generator().choice(len(obs), count, replace=False)
                obs = obs[np.sort(picks)]
            pool[filled : filled + count] = obs
            filled += count
        order = Purpose.VAE_FRAME_ORDER.stream(self.seed, epoch=epoch, first_episode=chunk[0])
        return pool, order.generator().permutation(len(pool))


def _shares(lengths: np.ndarray, frames: int, new: int, new_share: float) -> np.ndarray:
    """Return the share of each episode's frames [n] that an epoch of at most so many frames uses."""
    parts = [slice(0, new), slice(new, None)] if new_share and 0 < new < len(lengths) else [slice(None)]
    wanted = [new_share * frames, (1 - new_share) * frames] if len(parts) == 2 else [frames]
    shares = np.empty(len(lengths))
    for part, count in zip(parts, wanted, strict=True):
        shares[part] = min(1.0, count / lengths[part].sum())
    return shares


def sample_frames(paths: list[Path], action_size: int, count: int, seed: int) -> np.ndarray:
    """Return frames uint8 [at most `count`, 64, 64, 3]: an even share of every episode, the same for a seed."""
    ends = np.arange(len(paths) + 1) * count // len(paths)
    frames = []
    for episode, share in enumerate(np.diff(ends).tolist()):
        if not share:
            continue
        obs = read_episode(paths[episode], action_size).obs
        choice = Purpose.VAE_HELD_OUT_FRAMES.stream(seed, episode=episode)
        picks = choice.generator().choice(len(obs), min(share, len(obs)), replace=False)
        frames.append(obs[np.sort(picks)])
    return np.concatenate(frames)
