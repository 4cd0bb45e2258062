"""A long short-term memory layer whose state can be restarted in the middle of a sequence.

Letters: B batch, T time, H hidden size, I input width. Gate order i, f, g, o, as in Keras.

The cell and its gradient are written out here (`cell`, `cell_gradient`): the sequence keeps what the gradient needs,
and computes the T small products of the recurrent kernel's gradient as a single large one. Letting TensorFlow
differentiate the loop instead adds a matrix of the kernel's size at every step, and takes two to three times as long.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from experiment.config import check_precision

Tensor = Any


def product(x: Tensor, weights: Tensor, precision: str) -> Tensor:
    """Return x [B, I] times weights [I, O], as float32 [B, O].

    precision "bfloat16" rounds both factors, and the product once it is summed, to bfloat16.
    """
    if precision == "float32":
        return ops.matmul(x, weights)
    return ops.cast(ops.matmul(ops.cast(x, precision), ops.cast(weights, precision)), "float32")


class Gates(NamedTuple):
    """The gates i, f, g, o after their nonlinearities, and tanh of the new cell state; all [B, H]."""

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    tanh_c: Tensor


def cell(pre: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Gates]:
    """Map pre-activations pre [B, 4H] and cell state c [B, H] to the new h, c [B, H], and the gates."""
    i, f, g, o = ops.split(pre, 4, axis=-1)
    i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
    c = f * c + i * g
    tanh_c = ops.tanh(c)
    return o * tanh_c, c, Gates(i, f, g, o, tanh_c)


def cell_gradient(gates: Gates, c: Tensor, dh: Tensor, dc: Tensor) -> tuple[Tensor, Tensor]:
    """Map the gradients of the new h and c [B, H] to those of pre [B, 4H] and of the old c [B, H].

    c: the old cell state [B, H].
    """
    i, f, g, o, tanh_c = gates
    dc = dc + dh * o * (1.0 - tanh_c * tanh_c)
    pre = [
        dc * g * (i * (1.0 - i)),
        dc * c * (f * (1.0 - f)),
        dc * i * (1.0 - g * g),
        dh * tanh_c * (o * (1.0 - o)),
    ]
    return ops.concatenate(pre, axis=-1), dc * f


class JointWeights(NamedTuple):
    """A layer's weights, concatenated and cast once for many steps."""

    kernel: Tensor  # [I + H, 4H], or of a layer without state [I, O]; in the precision of the products
    bias: Tensor  # [4H] or [O]


class RestartLSTM(keras.layers.Layer):
    """LSTM with weights kernel [I, 4H], recurrent_kernel [H, 4H] and bias [4H].

    The kernel starts Glorot uniform, the recurrent kernel orthogonal, the bias 0 with 1 for the forget gate, from
    the seed alone. precision: see `product`; weights, states and gates are float32 in any case.
    Raises ValueError for another precision.
    """

    def __init__(
        self, input_size: int, hidden_size: int, seed: int = 0, precision: str = "float32", name: str = "lstm"
    ) -> None:
        super().__init__(name=name, dtype="float32")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.precision = check_precision(precision)
        seeds = [int(word) for word in np.random.SeedSequence(seed).generate_state(2) % (2**31)]
        width = 4 * hidden_size
        glorot = keras.initializers.GlorotUniform(seed=seeds[0])
        orthogonal = keras.initializers.Orthogonal(seed=seeds[1])
        self.kernel = self.add_weight(shape=(input_size, width), initializer=glorot, name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(hidden_size, width), initializer=orthogonal, name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")
        self.bias.assign(np.repeat(np.float32([0, 1, 0, 0]), hidden_size))
        self.built = True

    def zero_state(self, rows: int) -> tuple[Tensor, Tensor]:
        """Return the zero state (h, c), both [rows, H], of an episode's start."""
        return tf.zeros((rows, self.hidden_size)), tf.zeros((rows, self.hidden_size))

    def joint(self) -> "JointWeights":
        """Return a copy of the current weights, for many calls of `step`."""
        kernels = [ops.convert_to_tensor(kernel) for kernel in (self.kernel, self.recurrent_kernel)]
        return JointWeights(ops.cast(ops.concatenate(kernels), self.precision), ops.copy(self.bias))

    def step(self, x: Tensor, h: Tensor, c: Tensor, joint: "JointWeights | None" = None) -> tuple[Tensor, Tensor]:
        """Map x [B, I] and state h, c [B, H] to the new (h, c): one step, for acting and dreaming.

        joint: made once for many steps, since one product is faster than two. TensorFlow may fuse the bias into a
        single product, depending on whether it knows the number of rows, and then rounds differently; it never fuses
        it into a sum of two products. So without `joint` a row is bit-identical in every graph at the same number of
        rows, and with it in every call of one graph.
        """
        if joint is None:
            pre = (
                product(x, self.kernel, self.precision) + product(h, self.recurrent_kernel, self.precision) + self.bias
            )
        else:
            pre = product(ops.concatenate([x, h], axis=-1), joint.kernel, self.precision) + joint.bias
        h, c, _ = cell(pre, c)
        return h, c

    def sequence(self, x: Tensor, keep: Tensor, h0: Tensor, c0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run all steps of x [B, T, I] from the state h0, c0 [B, H]; return (hs [B, T, H], last h, last c [B, H]).

        keep [B, T]: the state is multiplied by keep[:, t] before step t; 0 starts an episode, 1 continues. Neither
        gradients with respect to keep nor second derivatives are defined.
        """
        x, keep = tf.transpose(x, [1, 0, 2]), tf.transpose(keep)[:, :, None]
        steps, rows = tf.shape(x)[0], tf.shape(x)[1]
        pre = product(tf.reshape(x, [-1, self.input_size]), self.kernel, self.precision) + self.bias
        pre = tf.reshape(pre, [steps, rows, 4 * self.hidden_size])
        weights = tf.convert_to_tensor(self.recurrent_kernel)
        hs, h, c = _recurrence(pre, keep, weights, h0, c0, self.precision)
        return tf.transpose(hs, [1, 0, 2]), h, c

    def call(self, x: Tensor, keep: Tensor, h0: Tensor, c0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run `sequence`."""
        return self.sequence(x, keep, h0, c0)


class _Tape(NamedTuple):
    """What the recurrence stores for its gradient, over T: the state that enters a step, and the step's gates."""

    h: tf.TensorArray  # [B, H], after keep
    c: tf.TensorArray  # [B, H], after keep
    gates: Gates  # [B, H] each


def _recurrence(
    pre: tf.Tensor, keep: tf.Tensor, weights: tf.Tensor, h0: tf.Tensor, c0: tf.Tensor, precision: str
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Run the steps, time first: pre [T, B, 4H] without the recurrent part, keep [T, B, 1], weights [H, 4H]."""

    @tf.custom_gradient
    def differentiable(pre, weights, h0, c0):  # type: ignore[no-untyped-def]
        factor = tf.cast(weights, precision)  # rounded once, not at every step
        hs, h, c, tape = _forward(pre, keep, factor, h0, c0, precision)

        def gradient(dhs: tf.Tensor, dh: tf.Tensor, dc: tf.Tensor) -> tuple[tf.Tensor, ...]:
            dpre, dh, dc = _backward(tape, keep, tf.transpose(factor), dhs, dh, dc, precision)
            entered = tf.reshape(tape.h.stack(), [-1, h0.shape[-1]])
            flat = tf.reshape(dpre, [-1, pre.shape[-1]])
            return dpre, product(tf.transpose(entered), flat, precision), dh, dc

        return (hs, h, c), gradient

    return differentiable(pre, weights, h0, c0)


def _forward(
    pre: tf.Tensor, keep: tf.Tensor, weights: tf.Tensor, h0: tf.Tensor, c0: tf.Tensor, precision: str
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, _Tape]:
    """Return every h [T, B, H], the last h and c [B, H], and the tape."""
    steps, array = tf.shape(pre)[0], _arrays(tf.shape(pre)[0], h0.shape)
    tape = _Tape(array(), array(), Gates(*(array() for _ in Gates._fields)))

    def body(t, h, c, hs, tape):  # type: ignore[no-untyped-def]
        h, c = keep[t] * h, keep[t] * c
        new_h, new_c, gates = cell(pre[t] + product(h, weights, precision), c)
        kept = Gates(*(each.write(t, value) for each, value in zip(tape.gates, gates, strict=True)))
        tape = _Tape(tape.h.write(t, h), tape.c.write(t, c), kept)
        return (
            t + 1,
            tf.ensure_shape(new_h, h0.shape),
            tf.ensure_shape(new_c, c0.shape),
            hs.write(t, new_h),
            tape,
        )

    start = (tf.constant(0), h0, c0, array(), tape)
    _, h, c, hs, tape = tf.while_loop(lambda t, *_: t < steps, body, start, maximum_iterations=steps)
    return hs.stack(), h, c, tape


def _backward(
    tape: _Tape,
    keep: tf.Tensor,
    weights: tf.Tensor,
    dhs: tf.Tensor,
    dh: tf.Tensor,
    dc: tf.Tensor,
    precision: str,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the gradients dpre [T, B, 4H], dh0 and dc0 [B, H], from those of every h and of the last h and c.

    weights: the recurrent kernel transposed, [4H, H].
    """
    steps, width = tf.shape(dhs)[0], weights.shape[0]
    array = _arrays(steps, tf.TensorShape([dhs.shape[1], width]))

    def body(t, dh, dc, dpre):  # type: ignore[no-untyped-def]
        gates = Gates(*(each.read(t) for each in tape.gates))
        step, old_dc = cell_gradient(gates, tape.c.read(t), dh + dhs[t], dc)
        old_dh = product(step, weights, precision)
        shaped = (tf.ensure_shape(keep[t] * old, dh.shape) for old in (old_dh, old_dc))
        return t - 1, *shaped, dpre.write(t, step)

    start = (steps - 1, dh, dc, array())
    _, dh, dc, dpre = tf.while_loop(lambda t, *_: t >= 0, body, start, maximum_iterations=steps)
    return dpre.stack(), dh, dc


def _arrays(steps: tf.Tensor, shape: tf.TensorShape) -> Callable[[], tf.TensorArray]:
    """Return a function that makes arrays of `steps` tensors of one shape."""
    return lambda: tf.TensorArray(tf.float32, steps, element_shape=shape, clear_after_read=False)
