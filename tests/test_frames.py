"""Frames from disk: each once an epoch, shuffled across episodes, the same again after a stop, and in little memory."""

import itertools
import tracemalloc

import numpy as np
import pytest
from samples import frame_names, numbered_frames, write_episodes

import vae.frames
from experiment.errors import InputError
from vae.episodes import FRAME_BYTES, Episode, list_episodes, read_episode, split_episodes
from vae.frames import FrameStream, sample_frames

LENGTHS = [37, 5, 60, 11, 23, 1, 48, 30]  # 215 frames
EVERY = {(episode, time) for episode, length in enumerate(LENGTHS) for time in range(length)}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Episodes whose frames say who they are."""
    return write_episodes(tmp_path_factory.mktemp("rollouts"), LENGTHS)


def make(paths, batch_size: int = 10, seed: int = 0, megabytes: int = 2, max_frames: int = 0) -> FrameStream:
    """A stream in chunks of about 81 frames, so that an epoch has three or more."""
    return FrameStream(paths, 1, batch_size, seed, megabytes, max_frames)


def names(stream: FrameStream, first: int, count: int) -> list[list[tuple[int, int]]]:
    """Who is in `count` batches from the `first` on."""
    return [frame_names(batch) for batch in itertools.islice(stream.batches(first), count)]


@pytest.mark.parametrize("batch_size", [1, 7, 10, 43, 100, 215])
def test_every_frame_once_an_epoch(paths, batch_size):
    """All frames but a remainder below a batch, none twice, in batches of the right size, whatever the chunks are."""
    stream = make(paths, batch_size)
    assert stream.frames == 215 and stream.batches_per_epoch == 215 // batch_size
    for epoch in range(2):
        batches = names(stream, epoch * stream.batches_per_epoch, stream.batches_per_epoch)
        assert {len(batch) for batch in batches} == {batch_size}
        seen = [name for batch in batches for name in batch]
        assert len(seen) == len(set(seen)) == 215 // batch_size * batch_size
        assert set(seen) <= EVERY


def test_batches_mix_episodes(paths):
    """The order is shuffled within and across episodes, and again in each epoch."""
    stream = make(paths)
    first, second = names(stream, 0, 21), names(stream, 21, 21)
    assert first != second
    one_chunk = names(make(paths, megabytes=10), 0, 21)
    assert np.mean([len({episode for episode, _ in batch}) for batch in one_chunk]) > 4
    times = [time for batch in first for _, time in batch]
    assert np.abs(np.diff(times)).mean() > 10


def test_the_order_is_the_seeds(paths):
    """The same seed gives the same batches, another seed others."""
    assert names(make(paths, seed=4), 0, 50) == names(make(paths, seed=4), 0, 50)
    assert names(make(paths, seed=4), 0, 21) != names(make(paths, seed=5), 0, 21)


@pytest.mark.parametrize("batch_size", [7, 10, 43])
def test_a_resumed_stream_goes_on_where_it_was(paths, batch_size):
    """From any batch on, across chunks and epochs, it is the stream that was never stopped."""
    stream = make(paths, batch_size)
    count = 2 * stream.batches_per_epoch + 3
    whole = names(stream, 0, count)
    for first in range(count):
        assert names(make(paths, batch_size), first, count - first) == whole[first:]


def test_a_share_of_the_frames(paths):
    """`max_frames` takes the same share of every episode, at least one frame, and others in each epoch."""
    stream = make(paths, 1, max_frames=86)  # 0.4 of each
    assert stream.counts.tolist() == [14, 2, 24, 4, 9, 1, 19, 12]
    epochs = [[name for batch in names(stream, e * stream.frames, stream.frames) for name in batch] for e in range(2)]
    for seen in epochs:
        assert len(set(seen)) == len(seen) == 85
        assert np.bincount([episode for episode, _ in seen]).tolist() == stream.counts.tolist()
    assert set(epochs[0]) != set(epochs[1])
    assert make(paths, 1, max_frames=1000).frames == 215


def test_memory_is_bounded(tmp_path):
    """Two chunks and a batch are held, however many frames there are."""
    paths = write_episodes(tmp_path, [50] * 40)  # 24.6 MB
    next(make(paths, 20).batches())
    tracemalloc.start()
    for _ in itertools.islice(make(paths, 20, megabytes=4).batches(), 99):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000 + 60 * 4 * FRAME_BYTES


def test_chunks_hold_what_fits(paths):
    """An episode goes into the chunk under way if it fits and into the next if not; none is left out."""
    stream = make(paths)
    for epoch in range(5):
        chunks = stream._plan(epoch)
        assert sorted(itertools.chain(*chunks)) == list(range(8))
        assert all(stream._size(chunk) <= 1_000_000 // FRAME_BYTES for chunk in chunks)
        assert len(chunks) >= 3


def test_too_few_frames(paths):
    """Fewer than a batch cannot be trained on, and are said to be."""
    with pytest.raises(InputError, match="215 frames are fewer than a batch of 216"):
        make(paths, 216)


def test_a_damaged_file_in_the_middle(tmp_path):
    """It is found when its chunk is read, named, and ends the stream: no batch is made up."""
    paths = write_episodes(tmp_path, LENGTHS)
    data = paths[2].read_bytes()
    paths[2].write_bytes(data[:60] + b"damaged!" + data[68:])
    with pytest.raises(InputError, match="episode-000002.npz"):
        names(make(paths), 0, 21)


def test_one_reader_works_ahead(paths, monkeypatch):
    """While a chunk is used, the next one alone is read."""
    reads = []
    monkeypatch.setattr(vae.frames, "read_episode", lambda path, size: reads.append(path) or read_episode(path, size))
    stream = make(paths)
    batches = stream.batches()
    next(batches)
    ahead = len(reads)
    chunks = stream._plan(0)
    batches.close()
    assert len(chunks[0]) <= ahead <= len(reads) <= len(chunks[0]) + len(chunks[1])


def test_held_out_episodes(tmp_path):
    """One in twenty, at least one, drawn by the seed; the rest trains; nothing is in both."""
    paths = write_episodes(tmp_path, [1] * 45)
    training, held_out = split_episodes(paths, 0)
    assert len(held_out) == 2 and sorted(training + held_out) == paths
    assert split_episodes(paths, 0) == (training, held_out)
    assert any(split_episodes(paths, seed)[1] != held_out for seed in range(1, 4))
    assert len(split_episodes(paths[:2], 0)[1]) == 1
    with pytest.raises(InputError, match="collect more"):
        split_episodes(paths[:1], 0)


def test_sampled_frames_are_an_even_share(paths):
    """As many from each episode as it has, up to its share; the same for the same seed."""
    frames = sample_frames(paths, 1, 40, 0)
    shares = np.bincount([episode for episode, _ in frame_names(frames)], minlength=8)
    assert shares.tolist() == [5, 5, 5, 5, 5, 1, 5, 5]
    assert len(set(frame_names(frames))) == len(frames)
    assert np.array_equal(frames, sample_frames(paths, 1, 40, 0))
    assert not np.array_equal(frames, sample_frames(paths, 1, 40, 1))
    few = np.bincount([episode for episode, _ in frame_names(sample_frames(paths, 1, 12, 0))], minlength=8)
    assert few.tolist() == [1, 2, 1, 2, 1, 1, 1, 2]  # of 12, not two of six and none of the others


def test_no_episodes(tmp_path):
    """An empty folder is said to be one, with what to run."""
    with pytest.raises(InputError, match="no episodes in it; run scripts/collect_rollouts.py first"):
        list_episodes(tmp_path)
    assert len(Episode(numbered_frames(0, 3), *[np.zeros(3)] * 4)) == 3
