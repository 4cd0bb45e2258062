"""The dream: M run on its own samples, as a compiled step loop over a batch of rollouts.

Letters: B rows, L steps of a block, Z, A, H as elsewhere. Source: paper, sections 4.1 to 4.3; authors' code for the
start (a stored first frame's z, zero state, restart 1 on the first input) and the end (done logit above 0, never
sampled). That the end may be sampled instead is ours.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rnn.config import checked_temperature
from rnn.mdn import MDNParameters, sample
from rnn.model import MDNRNN, StepWeights
from rnn.series import InitialLatents

Act = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
Step = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]
Block = Callable[["DreamState", tf.Tensor, "Noise"], tuple["DreamState", tf.Tensor, tf.Tensor]]


class DreamState(NamedTuple):
    """The state of B dreams: z float32 [B, Z], M's state c, h [B, H], restart [B, 1] (1 before the first step)."""

    z: np.ndarray | tf.Tensor
    c: np.ndarray | tf.Tensor
    h: np.ndarray | tf.Tensor
    restart: np.ndarray | tf.Tensor


class Noise(NamedTuple):
    """The noise of a block: uniforms in [0, 1) and standard normals, float32 [B, L, Z]; deaths: uniforms [B, L]."""

    uniforms: np.ndarray | tf.Tensor
    normals: np.ndarray | tf.Tensor
    deaths: np.ndarray | tf.Tensor

    @classmethod
    def empty(cls, rows: int, steps: int, z_size: int) -> "Noise":
        """Return zeros to be filled."""
        both = np.zeros((2, rows, steps, z_size), np.float32)
        return cls(*both, np.zeros((rows, steps), np.float32))


class Dream:
    """M at a temperature, with the first frames it starts from.

    death_weight: None, and a dream ends where done is likelier than not as M says, which has learned deaths
        `rnn.done_weight` times as often as they are; or that weight, and it ends by chance, as likely as M holds done
        for once deaths are counted as often as they are.
    Raises InputError for a temperature that is not above 0.
    """

    def __init__(self, model: MDNRNN, initial: InitialLatents, temperature: float, death_weight: float | None = None):
        self.model, self.initial, self.temperature = model, initial, checked_temperature(temperature)
        self.death_weight = death_weight

    def start(self, rng: np.random.Generator) -> DreamState:
        """Return the state of one new dream, without a batch axis; its first z is drawn from `rng`."""
        zero = np.zeros(self.model.hidden_size, np.float32)
        return DreamState(self.initial.draw(rng), zero, zero, np.ones(1, np.float32))

    def fill_noise(
        self, rng: np.random.Generator, uniforms: np.ndarray, normals: np.ndarray, deaths: np.ndarray
    ) -> None:
        """Fill one row's noise of a block, float32 [L, Z], [L, Z] and [L], from its rollout's own stream.

        Numbers for deaths are drawn only where deaths are sampled.
        """
        rng.random(out=uniforms, dtype=np.float32)
        rng.standard_normal(out=normals, dtype=np.float32)
        if self.death_weight is not None:
            rng.random(out=deaths, dtype=np.float32)

    def compile(self, act: Act, inputs: tuple[int | None, ...]) -> Block:
        """Return a function that runs L steps of the dream with a policy `act(inputs, z, c, h, step) -> action [B, A]`.

        inputs: the shape of one row of the policy's inputs. All numbers of rows and steps share one graph, so that
        nothing depends on which came first.

        It takes the state, the policy's inputs [B, ...] and the noise, and returns the state after the block, the
        number of steps each row survived in it, int32 [B], and the reward of each step, float32 [B, L]. The step that
        ends a dream counts, and L + 1 says that the row is still alive. Steps of a row after its end are
        ignored. The reward is M's expectation of it, or 1 where M has no reward head (paper, section 4.1).
        M's weights are those of now.
        """
        advance = functools.partial(self._step, act, self.model.step_weights())
        z_size, hidden = self.model.z_size, self.model.hidden_size
        rows = DreamState(*(tf.TensorSpec((None, width)) for width in (z_size, hidden, hidden, 1)))
        noises = Noise(*[tf.TensorSpec((None, None, z_size))] * 2, tf.TensorSpec((None, None)))

        @tf.function(input_signature=[rows, tf.TensorSpec((None, *inputs)), noises], autograph=False)
        def block(state: DreamState, inputs: tf.Tensor, noise: Noise) -> tuple[DreamState, tf.Tensor, tf.Tensor]:
            steps = tf.shape(noise.uniforms)[1]

            def body(step: tf.Tensor, state: DreamState, lived: tf.Tensor, rewards: tf.TensorArray) -> tuple:
                state, done, reward = advance(state, inputs, noise, step)
                return step + 1, state, tf.where(done, tf.minimum(lived, step + 1), lived), rewards.write(step, reward)

            state = DreamState(*(tf.convert_to_tensor(part) for part in state))
            lived = tf.fill([tf.shape(state.z)[0]], steps + 1)
            start = (tf.constant(0), state, lived, tf.TensorArray(tf.float32, steps))
            _, state, lived, rewards = tf.while_loop(lambda step, *_: step < steps, body, start)
            return state, lived, tf.transpose(rewards.stack())

        return block

    def compile_step(self, alone: bool = False) -> Step:
        """Return the function that dreams one step of actions from outside, with one call and one array.

        It takes float32 [B, Z + 2 H + 1 + A + 2 Z + 1]: z, c, h, restart, action, uniforms, normals and the number for
        death side by side; five arrays would take four times as long to hand over (measured). It returns z, c, h after
        the step, float32 [B, Z + 2 H], the rewards float32 [B], and whether the dream ends, bool [B]. M's weights are
        those of now.
        alone: B is 1, and all is one program of XLA: less than half the time (measured), and otherwise rounded. Of
            more rows that program would let each depend on its neighbours.
        """
        z_size, hidden = self.model.z_size, self.model.hidden_size
        widths = [z_size, hidden, hidden, 1, self.model.action_size, z_size, z_size, 1]
        advance = functools.partial(self._step, lambda action, *_: action, self.model.step_weights())
        signature = [tf.TensorSpec((1 if alone else None, sum(widths)))]

        @tf.function(input_signature=signature, jit_compile=alone or None, autograph=False)
        def step(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            z, c, h, restart, action, uniforms, normals, deaths = tf.split(rows, widths, axis=1)
            noise = Noise(uniforms[:, None], normals[:, None], deaths)
            state, done, reward = advance(DreamState(z, c, h, restart), action, noise, 0)
            return tf.concat(state[:3], axis=1), reward, done

        return step.get_concrete_function()

    def _step(
        self, act: Act, weights: StepWeights, state: DreamState, inputs: tf.Tensor, noise: Noise, step: tf.Tensor
    ) -> tuple[DreamState, tf.Tensor, tf.Tensor]:
        """Return the state after one step, whether each row ended with it, bool [B], and its reward [B]."""
        action = act(inputs, state.z, state.c, state.h, step)
        restart = state.restart if self.model.done_head else None
        params, h, c = self.model.step(state.z, action, restart, state.h, state.c, weights)
        z, done = self._draw(params, *(part[:, step] for part in noise))
        reward = tf.ones(tf.shape(z)[:1]) if params.reward is None else params.reward
        following = DreamState(z, c, h, tf.zeros_like(state.restart))
        for part, before in zip(following, state, strict=True):
            part.set_shape(before.shape)
        return following, done, reward

    @tf.function(jit_compile=True, autograph=False)  # some 60 small operations as one
    def _draw(
        self, params: MDNParameters, uniforms: tf.Tensor, normals: tf.Tensor, deaths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the next z [B, Z], and whether the dream ends with it, bool [B]; uniforms, normals [B, Z], deaths [B].

        A weight w on positives adds log w to the logit that fits best.
        """
        z = sample(params, self.temperature, uniforms, normals)
        if params.done_logit is None:
            return z, tf.zeros(tf.shape(z)[:1], tf.bool)
        z = z + 0.0 * params.done_logit[:, None]  # so that a NaN or infinite logit shows in z
        over = params.done_logit > 0
        if self.death_weight is not None:
            over = deaths < tf.sigmoid(params.done_logit - math.log(self.death_weight))
        return z, tf.logical_and(over, tf.math.is_finite(params.done_logit))
