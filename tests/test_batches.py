"""What M is trained on: both of the authors' regimes, worked out by hand on series that number themselves."""

import numpy as np
import pytest
from samples import make_series

from experiment.errors import InputError
from rnn.batches import ConcatenatedBatches, EpisodeBatches, join
from rnn.config import RNNConfig
from rnn.training import held_out_batches

LENGTHS = [5, 3, 4, 7, 6]  # 25 steps; the third game is cut at its limit


def concatenated(lengths=LENGTHS, rows: int = 2, steps: int = 4, seed: int = 0, **options) -> ConcatenatedBatches:
    """Batches of z that are (episode, time) exactly."""
    return ConcatenatedBatches(make_series(lengths, noise=False), rows, steps, seed, **options)


def whole(lengths=LENGTHS, rows: int = 2, steps: int = 6, seed: int = 0) -> EpisodeBatches:
    """The same of whole episodes."""
    return EpisodeBatches(make_series(lengths, noise=False), rows, steps, seed)


def rows_of(batches: ConcatenatedBatches, epoch: int) -> np.ndarray:
    """(episode, time) of all inputs of an epoch, each row end to end: [rows, all steps, 2]."""
    return np.concatenate([batch.z[:, :-1] for batch in batches.epoch(epoch)], axis=1).astype(int)


# --- joined episodes ----------------------------------------------------------------------------------------


def test_joined_by_hand():
    """restart marks first steps, seam last ones, done a death and not the step limit."""
    joined = join(make_series([2, 1, 3], noise=False))
    assert joined.mu[:, 0].tolist() == [0, 0, 1, 2, 2, 2] and joined.mu[:, 1].tolist() == [0, 1, 0, 0, 1, 2]
    assert joined.restart.tolist() == [1, 0, 1, 1, 0, 0]
    assert joined.seam.tolist() == [0, 1, 1, 0, 0, 1]
    assert joined.done.tolist() == [0, 1, 1, 0, 0, 0]
    assert np.allclose(joined.action[:, 0], [0, 0.1, 1, 2, 2.1, 2.2])
    assert joined.reward.tolist() == [0, -0.125, 1, 2, 1.875, 1.75]


def test_rows_by_hand():
    """25 steps are three batches of two rows of four; every row goes on from batch to batch."""
    batches = concatenated()
    assert batches.per_epoch == 3 and batches.carries_state
    rows = rows_of(batches, 0)
    order = [e for i, e in enumerate(rows[0, :, 0]) if i == 0 or rows[0, i - 1, 0] != e]
    joined = [(e, t) for e in [*order, *(set(range(5)) - set(order))] for t in range(LENGTHS[e])]
    assert [tuple(step) for step in rows[0].tolist()] == joined[:12]
    for row in rows.reshape(2, 12, 2):
        for (episode, time), (following, next_time) in zip(row[:-1], row[1:], strict=True):
            ends = time == LENGTHS[episode] - 1
            assert next_time == 0 and following != episode if ends else (following, next_time) == (episode, time + 1)
    assert len({tuple(step) for step in rows.reshape(-1, 2).tolist()}) == 24


def test_flags_by_hand():
    """In every batch: targets are the next z, restart is at first steps, done at deaths, no z across a seam."""
    for batch in concatenated().epoch(1):
        episode, time = batch.z[:, :-1, 0].astype(int), batch.z[:, :-1, 1].astype(int)
        length = np.array(LENGTHS)[episode]
        last = time == length - 1
        assert np.array_equal(batch.restart, time == 0)
        assert np.array_equal(batch.done, last & (episode % 3 != 2))
        assert np.array_equal(batch.z_mask, ~last)
        assert np.array_equal(batch.mask, np.ones((2, 4)))
        assert np.allclose(batch.action[..., 0], time / 10 + episode)
        following = batch.z[:, 1:]
        assert np.array_equal(following[..., 0][~last], episode[~last])
        assert np.array_equal(following[..., 1][~last], time[~last] + 1)
        assert np.array_equal(following[..., 1][last], np.zeros(last.sum()))
        assert {part.dtype for part in batch} == {np.dtype(np.float32)}


def test_across_the_seam_as_the_authors():
    """On request the z after an episode's last is to be predicted too."""
    (*_, batch) = concatenated(across_seam=True).epoch(0)
    assert batch.z_mask.all() and (batch.z[:, :-1, 1] < batch.z[:, 1:, 1]).sum() < batch.z_mask.size


def test_a_game_cut_at_its_limit_teaches_no_death():
    """Truncated episodes have no done anywhere, in either regime; without any, each full episode has one."""
    for cut, deaths in ((1, 0), (100, 6)):
        series = make_series([6] * 6 + [1], cut=cut)  # the last one-step game falls to the remainder or is a row
        joined, episodes = ConcatenatedBatches(series, 1, 36, 0), EpisodeBatches(series[:6], 1, 6, 0)
        assert sum(batch.done.sum() for batch in episodes.epoch(0)) == deaths
        assert sum(batch.done.sum() for batch in joined.epoch(0)) in ((0,) if cut == 1 else (6, 7))


def test_epochs_shuffle_anew_and_repeat():
    """The order is the seed's and the epoch's."""
    assert not np.array_equal(rows_of(concatenated(), 0), rows_of(concatenated(), 1))
    assert np.array_equal(rows_of(concatenated(), 1), rows_of(concatenated(), 1))
    assert not np.array_equal(rows_of(concatenated(), 0), rows_of(concatenated(seed=1), 0))


@pytest.mark.parametrize("regime", [ConcatenatedBatches, EpisodeBatches])
def test_z_is_drawn_afresh(regime):
    """The same frame has another z in another batch or epoch, mu and logvar decide its spread, and resumes agree."""
    series = make_series([400, 400, 400, 400], z_size=4)
    batches = regime(series, 2, 100, 0)
    first, second = list(batches.epoch(0)), list(batches.epoch(1))
    z = np.concatenate([batch.z[:, :-1].reshape(-1, 4) for batch in (*first, *second)])
    noise = z[:, 2:]  # mu is 0 there
    assert abs(noise.mean()) < 0.1 and abs(noise.std() - np.exp(-0.5)) < 0.05
    assert len(np.unique(noise)) > 0.99 * noise.size
    for start in range(len(first)):
        for batch, again in zip(first[start:], batches.epoch(0, start), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(batch, again, strict=True))


def test_joined_rows_meet():
    """The last target of a batch is the first input of the next: no step is lost in between."""
    batches = list(concatenated().epoch(0))
    for batch, following in zip(batches[:-1], batches[1:], strict=True):
        assert np.array_equal(batch.z[:, -1], following.z[:, 0])


# --- whole episodes -----------------------------------------------------------------------------------------


def test_episodes_by_hand():
    """Each row is an episode from its start, padded; what is not there counts for nothing."""
    batches = whole()
    assert batches.per_epoch == 2 and not batches.carries_state
    seen = []
    for batch in batches.epoch(0):
        for row in range(2):
            z, *others = (part[row] for part in batch)
            action, restart, done, reward, mask, z_mask = others
            episode = int(round(float(action[0, 0])))
            length = LENGTHS[episode]
            steps = min(length, 6)
            seen.append(episode)
            assert restart.tolist() == [1, 0, 0, 0, 0, 0]
            assert mask.tolist() == [1] * steps + [0] * (6 - steps)
            assert z_mask.tolist() == [1] * min(length - 1, 6) + [0] * (6 - min(length - 1, 6))
            dies = episode % 3 != 2 and length <= 6
            assert done.tolist() == [float(dies and t == length - 1) for t in range(6)]
            assert z[: min(length, 7), 1].tolist() == list(range(min(length, 7)))
            assert not z[length:].any() and not action[length:].any() and not reward[length:].any()
            assert reward[:steps].tolist() == [episode - t / 8 for t in range(steps)]
    assert len(set(seen)) == 4


def test_too_little_to_train_on():
    """Both regimes say what to lower, and no frames at all are too few too."""
    for make in (lambda: concatenated([5, 3]), lambda: concatenated([]), lambda: whole([5]), lambda: whole([])):
        with pytest.raises(InputError, match="fewer"):
            make()
    assert concatenated([5, 4]).per_epoch == 1  # the z after the last input is needed too
    with pytest.raises(InputError, match="fewer"):
        concatenated([5, 3])


@pytest.mark.parametrize(
    ("regime", "frames", "rows", "length", "count"),
    [
        ("concatenated", 10_000, 4, 16, 3),  # 200 steps: three batches of 64
        ("concatenated", 60, 4, 16, 1),  # two episodes, 80 steps
        ("concatenated", 30, 2, 16, 1),  # one episode
        ("episodes", 10_000, 2, 16, 2),
        ("episodes", 60, 2, 16, 1),
        ("episodes", 10_000, 3, 16, 2),  # six episodes
    ],
)
def test_held_out_batches(regime, frames, rows, length, count):
    """At most so many frames, in as many rows as they fill, of whole episodes hardly one left over."""
    config = RNNConfig(regime=regime, batch_size=4, sequence_length=16, validation_frames=frames)
    batches = held_out_batches(make_series([40] * (6 if rows == 3 else 5)), config, 0)
    first, *others = batches.epoch(0)
    assert first.z.shape == (rows, length + 1, 2) and 1 + len(others) == count
