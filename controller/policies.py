"""C: the small networks that act on what V and M tell them, for a whole batch of flat weight vectors at once.

Letters: B rows, P weights, Z, H, A. Source: paper, sections 2.3, 3.3 and 4.2; authors' code for the layout of the flat
weights (bias first, then the kernel [inputs, outputs] row by row).
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from controller.policy_spec import PolicyShape

Tensor = Any


class Policy:
    """A controller's arithmetic; `squash` turns its tanh outputs [B, A] into the task's actions."""

    def __init__(self, shape: PolicyShape, squash: Callable[[Tensor], Tensor] | None = None):
        self.shape, self.size, self.squash = shape, shape.size, squash or (lambda action: action)

    def act(self, weights: Tensor, z: Tensor, c: Tensor, h: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return the actions [B, A] of B controllers weights [B, P], each on its own z [B, Z] and state c, h [B, H].

        noise: [B, A], added to the outputs, which stay in [-1, 1], before they are squashed.
        """
        parts = {"z": [z], "z_hidden": [z], "zh": [z, h], "zch": [z, c, h]}[self.shape.variant]
        signal, used = ops.concatenate(parts, axis=-1), 0
        for inputs, outputs in self.shape.layers:
            bias = weights[:, used : used + outputs] if self.shape.bias else 0.0
            used += outputs if self.shape.bias else 0
            kernel = weights[:, used : used + inputs * outputs]
            used += inputs * outputs
            signal = ops.tanh(rowwise_product(signal, kernel, outputs) + bias)
        return self.squash(signal if noise is None else ops.clip(signal + noise, -1.0, 1.0))


def rowwise_product(x: Tensor, kernel: Tensor, outputs: int) -> Tensor:
    """Return the product [B, outputs] of x [B, I] and each row's own kernel [B, I * outputs]."""
    if outputs == 1:
        return ops.sum(x * kernel, axis=-1, keepdims=True)
    return ops.sum(x[:, :, None] * ops.reshape(kernel, (-1, x.shape[-1], outputs)), axis=1)
