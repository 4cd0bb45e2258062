"""A unit of M's LSTM that counts the steps of an episode, so that M can tell a late one from an early one.

Ours, not the paper's. The game gets harder with time, and what does it (more monsters, small and far) hardly shows in
z; a state learned over rows of a hundred steps does not tell a thousandth step from a hundredth. The unit is nothing
but weights that training leaves as they are: its forget and output gates are open, its candidate is 1, its input gate
1 / `STEPS`, whatever is seen. So its cell state is the number of steps since the restart over `STEPS`, its output the
tanh of that. (Rows of training that begin within an episode count from there.)
"""

import math

import numpy as np

from rnn.model import MDNRNN

STEPS = 1000  # in which the cell state grows by 1
SATURATED = 20.0  # sigmoid and tanh of it are 1 in float32


def counter(model: MDNRNN) -> int | None:
    """Return which unit of M's LSTM counts steps, or None."""
    _, f, g, o = np.split(np.asarray(model.lstm.bias), 4)
    found = np.flatnonzero((f >= SATURATED) & (g >= SATURATED) & (o >= SATURATED))
    return int(found[0]) if len(found) else None


def trained_share(model: MDNRNN) -> dict[str, np.ndarray]:
    """Return by path of a weight of M's LSTM, 1 where it is trained and 0 where it makes the counter; empty without."""
    unit, lstm = counter(model), model.lstm
    if unit is None:
        return {}
    gates = np.isin(np.arange(4 * lstm.hidden_size), _gates(lstm.hidden_size, unit))
    share = np.float32(~gates)  # of the last axis of each
    return {variable.path: share for variable in (lstm.kernel, lstm.recurrent_kernel, lstm.bias)}


def _gates(hidden_size: int, unit: int) -> np.ndarray:
    """Return the columns of a unit's gates i, f, g, o."""
    return unit + hidden_size * np.arange(4)


def count_steps(model: MDNRNN) -> int:
    """Make the unit of M's LSTM with the smallest outgoing weights a counter of steps; return its number.

    Nothing in M reads it yet: what went out of the unit is set to 0.
    """
    lstm, head = model.lstm, np.array(model.head.kernel)
    kernel, recurrent, bias = (np.array(v) for v in (lstm.kernel, lstm.recurrent_kernel, lstm.bias))
    unit = int(np.argmin((recurrent**2).sum(axis=1) + (head**2).sum(axis=1)))
    recurrent[unit], head[unit] = 0.0, 0.0
    gates = _gates(lstm.hidden_size, unit)
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
