"""A unit of M that counts steps: it does so whatever it sees, and training leaves it a counter."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from samples import make_series

from experiment.errors import InputError
from experiment.files import read_json
from rnn.config import RNNConfig
from rnn.model import MDNRNN
from rnn.step_counter import STEPS, count_steps, counter
from rnn.training import build_rnn, load_rnn, train_rnn

M = RNNConfig(
    hidden_size=8, batch_size=4, sequence_length=8, epochs=4.0, learning_rate=1e-2, validate_every=8, count_steps=True
)


def model(seed: int = 0) -> MDNRNN:
    """Return a small M with a done head."""
    return MDNRNN(z_size=3, action_size=1, hidden_size=8, mixtures=2, done_head=True, seed=seed)


def test_it_counts_from_each_restart_on():
    """300 steps, a restart after the first 100: the cell state is their number over 1,000, its output the tanh."""
    counting, rng = model(), np.random.default_rng(0)
    unit = count_steps(counting)
    z, action = (tf.constant(rng.normal(0, 3, (2, 300, n)), tf.float32) for n in (3, 1))
    restart = np.zeros((2, 300), np.float32)
    restart[:, 0] = restart[1, 100] = 1
    _, h, c = counting.sequence(z, action, restart, *counting.zero_state(2))
    assert np.allclose(c.numpy()[:, unit], [300 / STEPS, 200 / STEPS], rtol=1e-4)
    assert np.allclose(h.numpy()[:, unit], np.tanh([300 / STEPS, 200 / STEPS]), rtol=1e-4)
    _, _, c = counting.step(z[:, 0], action[:, 0], restart[:, :1], h, c)
    assert np.allclose(c.numpy()[:, unit], 1 / STEPS, rtol=1e-4)


def test_it_is_the_unit_that_is_read_least():
    """One that is not read at all: the prediction does not change, until what is learned reads it."""
    counting, rng = model(), np.random.default_rng(1)
    for kernel in (counting.lstm.recurrent_kernel, counting.head.kernel):
        kernel.assign(np.where(np.arange(8)[:, None] == 5, 0.0, np.asarray(kernel)))
    inputs = tf.constant(rng.normal(size=(2, 9, 3)), tf.float32), tf.zeros((2, 9, 1)), tf.zeros((2, 9))
    before, _, _ = counting.sequence(*inputs, *counting.zero_state(2))
    assert counter(counting) is None
    assert count_steps(counting) == counter(counting) == 5
    after, _, _ = counting.sequence(*inputs, *counting.zero_state(2))
    for a, b in zip(before, after, strict=True):
        assert a is b is None or np.allclose(a, b, atol=1e-6)


def test_training_leaves_it_a_counter(tmp_path):
    """After large updates it counts as before; what M makes of it is learned."""
    first = build_rnn(M, 2, 1, seed=0)
    unit = counter(first)
    train_rnn(tmp_path, make_series([60] * 6), make_series([60], held_out=True), M, seed=0)
    trained, rng = load_rnn(tmp_path), np.random.default_rng(0)
    assert counter(trained) == unit and "count_steps" not in read_json(tmp_path / "weights.json")
    assert not np.array_equal(first.lstm.kernel, trained.lstm.kernel)
    z, action = (tf.constant(rng.normal(0, 3, (2, 300, n)), tf.float32) for n in (2, 1))
    _, _, c = trained.sequence(z, action, tf.zeros((2, 300)), *trained.zero_state(2))
    assert np.allclose(c.numpy()[:, unit], 300 / STEPS, rtol=1e-4)
    assert not np.asarray(first.head.kernel)[unit].any() and np.asarray(trained.head.kernel)[unit].all()


@pytest.mark.parametrize("counts", [False, True])
def test_an_m_that_goes_on_gets_one_counter(tmp_path, counts):
    """One where it had none, and no second one."""
    start = build_rnn(RNNConfig(hidden_size=8, count_steps=counts), 2, 1, seed=1)
    series = make_series([60] * 6), make_series([60], held_out=True)
    train_rnn(tmp_path, *series, M, seed=0, start=start)
    assert (np.split(np.asarray(load_rnn(tmp_path).lstm.bias), 4)[2] >= 20).sum() == 1
    with pytest.raises(InputError, match=r"count_steps=false: the M that goes on counts"):
        train_rnn(tmp_path / "no", *series, replace(M, count_steps=False), seed=0, start=load_rnn(tmp_path))
