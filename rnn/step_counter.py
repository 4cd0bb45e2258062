"""A unit of M's LSTM that counts the steps of an episode, so that M can tell a late one from an early one.

Ours, not the paper's. The game gets harder with time, and what does it (more monsters, small and far) hardly shows in
z; a state learned over rows of a hundred steps does not tell a thousandth step from a hundredth. The unit is nothing
but initial weights: forget gate and output gate are open and its candidate is 1, for good, since a saturated gate has
no gradient; its input gate begins at 1 / `STEPS`, whatever is seen. So its cell state is the number of steps since the
restart over `STEPS`, its output the tanh of that, and training may change no more than how fast it counts, and when.
"""

import math

import numpy as np

from rnn.model import MDNRNN

STEPS = 1000  # in which the cell state grows by 1
SATURATED = 20.0  # sigmoid and tanh of it are 1 in float32


def counts_steps(model: MDNRNN) -> bool:
    """Return whether a unit of M's LSTM is a counter of steps."""
    _, f, g, o = np.split(np.asarray(model.lstm.bias), 4)
    return bool(np.any((f >= SATURATED) & (g >= SATURATED) & (o >= SATURATED)))


def count_steps(model: MDNRNN) -> int:
    """Make the unit of M's LSTM with the smallest outgoing weights a counter of steps; return its number.

    Nothing in M reads it yet: what went out of the unit is set to 0.
    """
    lstm, head = model.lstm, np.array(model.head.kernel)
    kernel, recurrent, bias = (np.array(v) for v in (lstm.kernel, lstm.recurrent_kernel, lstm.bias))
    unit = int(np.argmin((recurrent**2).sum(axis=1) + (head**2).sum(axis=1)))
    recurrent[unit], head[unit] = 0.0, 0.0
    gates = unit + lstm.hidden_size * np.arange(4)  # i, f, g, o
    kernel[:, gates], recurrent[:, gates] = 0.0, 0.0
    bias[gates] = -math.log(STEPS - 1), SATURATED, SATURATED, SATURATED
    for variable, values in (
        (lstm.kernel, kernel),
        (lstm.recurrent_kernel, recurrent),
        (lstm.bias, bias),
        (model.head.kernel, head),
    ):
        variable.assign(values)
    return unit
