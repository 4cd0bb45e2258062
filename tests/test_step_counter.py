"""A unit of M that counts steps: it does so whatever it sees, and training leaves it a counter."""

import numpy as np
import pytest
import tensorflow as tf
from samples import make_series

from experiment.files import read_json
from rnn.config import RNNConfig
from rnn.model import MDNRNN
from rnn.step_counter import STEPS, count_steps, counts_steps
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
    assert not counts_steps(counting)
    assert count_steps(counting) == 5 and counts_steps(counting)
    after, _, _ = counting.sequence(*inputs, *counting.zero_state(2))
    for a, b in zip(before, after, strict=True):
        assert a is b is None or np.allclose(a, b, atol=1e-6)


def test_training_leaves_it_a_counter(tmp_path):
    """The weights of its other gates have no gradient; what M makes of it is learned."""
    first = build_rnn(M, 2, 1, seed=0)
    unit = int(np.argmax(np.split(np.asarray(first.lstm.bias), 4)[2]))
    train_rnn(tmp_path, make_series([60] * 6), make_series([60], held_out=True), M, seed=0)
    trained = load_rnn(tmp_path)
    assert counts_steps(first) and counts_steps(trained)
    for name in ("kernel", "recurrent_kernel", "bias"):
        was, now = (np.split(np.asarray(getattr(m.lstm, name)), 4, axis=-1) for m in (first, trained))
        assert all((was[gate][..., unit] == now[gate][..., unit]).all() for gate in (1, 2, 3))
    assert not np.asarray(first.head.kernel)[unit].any() and np.asarray(trained.head.kernel)[unit].all()
    assert (tmp_path / "weights.json").exists() and "count_steps" not in read_json(tmp_path / "weights.json")


@pytest.mark.parametrize("counts", [False, True])
def test_an_m_that_goes_on_gets_one_counter(tmp_path, counts):
    """One where it had none, and no second one."""
    start = build_rnn(RNNConfig(hidden_size=8, count_steps=counts), 2, 1, seed=1)
    series = make_series([60] * 6), make_series([60], held_out=True)
    train_rnn(tmp_path, *series, M, seed=0, start=start)
    biases = np.split(np.asarray(load_rnn(tmp_path).lstm.bias), 4)
    assert (biases[2] >= 20).sum() == 1
