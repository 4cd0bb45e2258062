"""M, the recurrent network with a mixture density head (MDN-RNN).

Letters: B batch, T time, Z latent size, A action size, H hidden size, K mixtures. Source: World Models (Ha &
Schmidhuber 2018), appendix A.2, and the authors' code.
"""

from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
from keras import ops

from rnn import mdn
from rnn.lstm import JointWeights, RestartLSTM, product
from rnn.mdn import MDNParameters

Tensor = Any


class StepWeights(NamedTuple):
    """M's weights, concatenated and cast once for many steps."""

    lstm: JointWeights
    head: JointWeights


class MDNRNN(keras.Model):
    """M: from (z, action[, restart]) and a state to the distribution of the next z [and the done logit].

    Its loss is `rnn.losses.mdnrnn_loss`. A row of `step` depends neither on its place in a batch of 16, 64 or 512 rows
    nor on the others, bit for bit; on their number it may depend (see `rollouts.tiles`).

    z_size, action_size, hidden_size, mixtures: Z, A, H, K. Doom has 64, 1, 512, 5 and a done head (1,678,785
        parameters); CarRacing 32, 3, 256, 5 and none (422,368).
    done_head: a done logit is predicted too, and `restart` is one more input column, which also clears the state.
    reward_head: the reward of each step is predicted too (ours; off in the paper's presets).
    seed: the initial weights depend on it alone; no global seed is read or set.
    precision: "float32" or "bfloat16" for the products (see `rnn.lstm.product`); all else is float32.
    """

    ARGUMENTS: ClassVar = {  # that rebuild it, beside its weights
        "z_size": int,
        "action_size": int,
        "hidden_size": int,
        "mixtures": int,
        "done_head": bool,
        "reward_head": bool,
        "precision": str,
    }

    def __init__(
        self,
        z_size: int,
        action_size: int,
        hidden_size: int,
        mixtures: int = 5,
        done_head: bool = False,
        seed: int = 0,
        precision: str = "float32",
        reward_head: bool = False,
        name: str = "mdnrnn",
    ) -> None:
        super().__init__(name=name, dtype="float32")
        self.z_size = z_size
        self.action_size = action_size
        self.hidden_size = hidden_size
        self.mixtures = mixtures
        self.done_head = done_head
        self.reward_head = reward_head
        self.precision = precision
        seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(2) % (2**31)]
        input_size = z_size + action_size + int(done_head)
        self.lstm = RestartLSTM(input_size, hidden_size, seed=seeds[0], precision=precision)
        self.head = keras.layers.Dense(
            mdn.head_size(z_size, mixtures, done_head, reward_head),
            kernel_initializer=keras.initializers.GlorotUniform(seed=seeds[1]),
            dtype="float32",
            name="head",
        )
        self.head.build((None, hidden_size))
        self.built = True

    def zero_state(self, rows: int) -> tuple[Tensor, Tensor]:
        """Return the zero state (h, c), both [rows, H], of an episode's start."""
        return self.lstm.zero_state(rows)

    def step_weights(self) -> StepWeights:
        """Return copies of the current weights."""
        kernel = ops.cast(ops.copy(self.head.kernel), self.precision)
        return StepWeights(self.lstm.joint(), JointWeights(kernel, ops.copy(self.head.bias)))

    def step(
        self,
        z: Tensor,
        action: Tensor,
        restart: Tensor | None,
        h: Tensor,
        c: Tensor,
        weights: StepWeights | None = None,
    ) -> tuple[MDNParameters, Tensor, Tensor]:
        """Run one step: z [B, Z], action [B, A], restart [B, 1] or None, state h, c [B, H].

        Return the prediction of the next z [B, ...] and the new state (h, c). Where restart is 1 the state is cleared
        before the step, as in `sequence`; a model with a done head also reads it, and needs it.
        weights: `step_weights`; the same to rounding, and faster (see `rnn.lstm.RestartLSTM.step`).
        """
        x = self._inputs(z, action, restart)
        if restart is not None:
            h, c = (1.0 - restart) * h, (1.0 - restart) * c
        lstm, head = weights or (None, None)
        h, c = self.lstm.step(x, h, c, lstm)
        return self._predict(h, head), h, c

    def sequence(
        self, z: Tensor, action: Tensor, restart: Tensor | None, h0: Tensor, c0: Tensor
    ) -> tuple[MDNParameters, Tensor, Tensor]:
        """Run all steps: z [B, T, Z], action [B, T, A], restart [B, T] or None as in `step`, state h0, c0 [B, H].

        Return the predictions [B, T, ...] of the z after each step, and the state (h, c) after the last.
        """
        keep = ops.ones_like(z[..., 0]) if restart is None else 1.0 - restart
        x = self._inputs(z, action, None if restart is None else restart[..., None])
        hs, h, c = self.lstm.sequence(x, keep, h0, c0)
        return self._predict(hs), h, c

    def call(
        self, z: Tensor, action: Tensor, restart: Tensor | None, h0: Tensor, c0: Tensor
    ) -> tuple[MDNParameters, Tensor, Tensor]:
        """Run `sequence`."""
        return self.sequence(z, action, restart, h0, c0)

    def _inputs(self, z: Tensor, action: Tensor, restart: Tensor | None) -> Tensor:
        if self.done_head and restart is None:
            raise ValueError("restart is an input of a model with a done head")
        return ops.concatenate([z, action, restart] if self.done_head else [z, action], axis=-1)

    def _predict(self, h: Tensor, head: JointWeights | None = None) -> MDNParameters:
        """Return the head's prediction from h [..., H], by one product over all rows."""
        kernel, bias = head or (self.head.kernel, self.head.bias)
        raw = product(ops.reshape(h, (-1, self.hidden_size)), kernel, self.precision) + bias
        raw = ops.reshape(raw, (*ops.shape(h)[:-1], raw.shape[-1]))
        return mdn.split_head(raw, self.z_size, self.mixtures, self.reward_head)
