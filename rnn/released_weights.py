"""M's weights between the layout of the authors' released files and ours.

Letters: Z latent size, A action size, H hidden size, K mixtures. The authors publish four arrays of integers, in units
of 1e-4: the head's kernel [H, W] and bias [W], the LSTM's kernel [I + H, 4H] (the rows of the input z, action[,
restart] above those of the state) and bias [4H]. What differs from ours:

- gates: i, g, f, o (ours i, f, g, o), with a forget bias of 1 added when the network runs and not stored (ours is);
- head: the done logit, where there is one, is the first column, then [Z, (logmix, mean, logstd), K] (ours
  [(logmix, mean, logstd), K, Z], then the done logit).
"""

from collections.abc import Sequence

import numpy as np

from rnn.mdn import head_size
from rnn.model import MDNRNN
from vae.released_weights import UNIT, to_units

FORGET_BIAS = 1.0
GATES = [0, 2, 1, 3]  # i, g, f, o to i, f, g, o, and back: a swap is its own inverse


def mdnrnn_from_authors(arrays: Sequence[np.ndarray], z_size: int, action_size: int) -> MDNRNN:
    """Return the authors' M as ours; H, K and the done head follow from the shapes.

    arrays: head kernel, head bias, LSTM kernel, LSTM bias, as published (integers, units of 1e-4).
    Raises ValueError where their number or shapes do not fit z_size, action_size and one another.
    """
    if len(arrays) != 4:
        raise ValueError(f"expected 4 arrays (head kernel and bias, LSTM kernel and bias), not {len(arrays)}")
    head, head_bias, kernel, bias = (np.asarray(array, np.float64) * UNIT for array in arrays)
    if head.ndim != 2:
        raise ValueError(f"the head's kernel has shape {head.shape}, expected [H, W]")
    (hidden, width), inputs = head.shape, z_size + action_size
    mixtures, done = divmod(width, 3 * z_size)
    rows = inputs + done + hidden
    expected = [(hidden, width), (width,), (rows, 4 * hidden), (4 * hidden,)]
    shapes = [array.shape for array in (head, head_bias, kernel, bias)]
    if done > 1 or mixtures < 1 or shapes != expected:
        raise ValueError(f"shapes {shapes} do not fit Z = {z_size}, A = {action_size}")
    model = MDNRNN(z_size, action_size, hidden, mixtures, done_head=bool(done))
    kernel = _swap_gates(kernel)
    forget = np.repeat([0.0, FORGET_BIAS, 0.0, 0.0], hidden)
    model.lstm.kernel.assign(kernel[: inputs + done])
    model.lstm.recurrent_kernel.assign(kernel[inputs + done :])
    model.lstm.bias.assign(_swap_gates(bias) + forget)
    order = _head_order(z_size, mixtures, bool(done))
    model.head.kernel.assign(head[:, order])
    model.head.bias.assign(head_bias[order])
    return model


def mdnrnn_to_authors(model: MDNRNN) -> list[np.ndarray]:
    """Return our M as the authors publish theirs: four arrays of int64 in units of 1e-4, rounded to the nearest."""
    head, head_bias = np.asarray(model.head.kernel), np.asarray(model.head.bias)
    order = np.argsort(_head_order(model.z_size, model.mixtures, model.done_head))
    kernel = np.concatenate([np.asarray(model.lstm.kernel), np.asarray(model.lstm.recurrent_kernel)])
    bias = np.asarray(model.lstm.bias, np.float64) - np.repeat([0.0, FORGET_BIAS, 0.0, 0.0], model.hidden_size)
    arrays = [head[:, order], head_bias[order], _swap_gates(kernel), _swap_gates(bias)]
    return [to_units(array) for array in arrays]


def _swap_gates(weights: np.ndarray) -> np.ndarray:
    """Exchange the second and third of the four gates in the last axis [..., 4H]."""
    gates = weights.reshape(*weights.shape[:-1], 4, -1)
    return gates[..., GATES, :].reshape(weights.shape)


def _head_order(z_size: int, mixtures: int, done_head: bool) -> np.ndarray:
    """Return for each column of our head the authors' column it comes from."""
    columns = np.arange(head_size(z_size, mixtures, done_head))
    mixture = columns[int(done_head) :].reshape(z_size, 3, mixtures).transpose(1, 2, 0).reshape(-1)
    return np.concatenate([mixture, columns[: int(done_head)]])
