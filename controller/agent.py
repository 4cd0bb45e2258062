"""The agent: V, M and C together, acting on batches of real observations.

At every step V encodes the frame into a sampled z, C acts on z and M's state, and M is fed (z, action) to reach its
next state; h and c are those before that (source: paper, section 2; authors' code).
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from controller.checkpoints import find_controller, load_fitting
from controller.policies import Policy
from controller.task import Task
from experiment.arrays import FRAME_SHAPE, checked_frame, described
from experiment.config import check_precision
from experiment.errors import NumericalError
from experiment.random_streams import Purpose, Stream
from experiment.runs import check_task, existing_run
from rnn.model import MDNRNN
from rnn.training import load_rnn
from rollouts.rollout import BLOCK, Rollout, advice_for_large_weights
from rollouts.tiles import Tiles
from vae.model import VAE, to_unit
from vae.training import load_vae

ROWS = 16  # games of a tile: within a fifth of the speed of larger ones (measured), and few in vain as games end
FEWER = 4, 8, 12  # as they do; 8 games still go at 0.8 times the speed of 16 (measured)
MORE = 32, 64  # where rounding is alike: 32 are 1.15 times as fast as 16 in CarRacing; 64 1.16 times as 32, with AMX
KEPT = 0.9  # of the exploring noise from one step to the next (ours)


class Agent:
    """The compiled step of V, M and a policy for a batch of games.

    noise: standard deviation of what is added to C's outputs while it explores (see `AgentActor`); 0: nothing is.
    """

    def __init__(self, vae: VAE, rnn: MDNRNN, policy: Policy, noise: float = 0.0):
        self.vae, self.rnn, self.policy, self.noise = vae, rnn, policy, noise
        z, p, state = vae.z_size, policy.shape.size, policy.shape.state_size
        signature = [tf.TensorSpec((None, *FRAME_SHAPE), tf.uint8)]
        widths = (z, p, state, state, 1, *([policy.shape.outputs] if noise else []))
        signature += [tf.TensorSpec((None, width), tf.float32) for width in widths]
        self.step = tf.function(self._step, input_signature=signature, autograph=False)

    def _step(
        self,
        frames: tf.Tensor,
        eps: tf.Tensor,
        weights: tf.Tensor,
        c: tf.Tensor,
        h: tf.Tensor,
        restart: tf.Tensor,
        noise: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Act: (action, c, h) of frames uint8 [B, 64, 64, 3], eps [B, Z], weights [B, P], c, h [B, H], restart [B, 1].

        noise: [B, A] where the agent explores.
        """
        mu, logvar = self.vae.encode(to_unit(frames))
        z = self.vae.sample(mu, logvar, eps)
        action = self.policy.act(weights, z, c, h, noise)
        if not self.policy.shape.sees_state:
            return action, c, h  # M would change nothing that C sees
        _, h, c = self.rnn.step(z, action, restart if self.rnn.done_head else None, h, c)
        return action, c, h


class AgentActor:
    """The agent as the player of a batch of games, each with weights, noise and M state of its own.

    An exploring agent adds to C's outputs a noise that wanders: each step keeps `KEPT` of the last one, so that it
    pushes to one side for several steps at a time, as white noise does not.
    """

    def __init__(self, agent: Agent, slots: int):
        self._tiles = Tiles(agent.step, ROWS, FEWER, MORE)
        shape = agent.policy.shape
        self._weights = np.zeros((slots, shape.size), np.float32)
        self._c, self._h = np.zeros((2, slots, shape.state_size), np.float32)
        self._restart = np.zeros((slots, 1), np.float32)
        self._rngs: list[np.random.Generator | None] = [None] * slots
        self._eps = np.zeros((slots, BLOCK, shape.z_size), np.float32)
        self._step = np.zeros(slots, np.int64)
        self._streams: list[Stream | None] = [None] * slots
        self._amplitude, self._wander = agent.noise, np.zeros((slots, shape.outputs), np.float32)

    def start(self, slot: int, rollout: Rollout, rng: np.random.Generator) -> None:
        """Start a rollout in a slot: M's state is zero, and its first input says restart."""
        self._weights[slot], self._c[slot], self._h[slot], self._restart[slot] = rollout.policy, 0, 0, 1
        self._rngs[slot], self._step[slot], self._streams[slot] = rng, 0, rollout.stream
        self._wander[slot] = 0

    def act(self, slots: list[int], observations: np.ndarray) -> np.ndarray:
        """Return the actions float32 [n, A]; NumericalError where one is not a number."""
        eps = np.stack([self._noise(slot) for slot in slots])
        states = self._weights[slots], self._c[slots], self._h[slots], self._restart[slots]
        if self._amplitude:
            states = *states, np.stack([self._wandered(slot) for slot in slots])
        action, c, h = self._tiles(observations, eps, *states)
        self._c[slots], self._h[slots], self._restart[slots] = c, h, 0
        self._step[slots] += 1
        for row in np.flatnonzero(~np.isfinite(action).all(1)):
            stream, step = self._streams[slots[row]], int(self._step[slots[row]])
            advice = advice_for_large_weights(self._weights[slots[row]]) or "train V and M again"
            raise NumericalError(f"agent: the action is NaN in rollout {stream} at step {step}; {advice}")
        return action

    def _wandered(self, slot: int) -> np.ndarray:
        """Return the exploring noise [A] of a slot's next step, of standard deviation `noise` in the long run."""
        fresh = self._rngs[slot].standard_normal(self._wander.shape[1], dtype=np.float32)
        self._wander[slot] = KEPT * self._wander[slot] + np.sqrt(1 - KEPT**2) * self._amplitude * fresh
        return self._wander[slot]

    def _noise(self, slot: int) -> np.ndarray:
        """Return the standard normals [Z] of a slot's next step, drawn a block at a time."""
        place = int(self._step[slot] % BLOCK)
        if place == 0:
            self._rngs[slot].standard_normal(out=self._eps[slot], dtype=np.float32)
        return self._eps[slot, place]


class PlayingAgent:
    """V, M and C acting on one game's frames; one seed always gives the same z."""

    def __init__(self, agent: Agent, weights: np.ndarray):
        self._actor, self._weights = AgentActor(agent, slots=1), weights

    def reset(self, seed: int = 0) -> None:
        """Start a rollout: M's state is zero."""
        rollout = Rollout(0, "real", Purpose.LOADED_AGENT.stream(seed), self._weights)
        self._actor.start(0, rollout, rollout.rng())

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Return the action float32 [A] on a frame uint8 [64, 64, 3]; ValueError where it is anything else.

        The frame has to be made as V's were, see `load_agent`: nothing here can tell.
        """
        return self._actor.act([0], checked_frame("observation", observation)[None])[0]


def load_agent(
    task: Task,
    run: str | Path,
    controller: str | None = None,
    checkpoint: str = "best",
    precision: str = "float32",
) -> PlayingAgent:
    """Return the agent of a run of a task, with the controller named, its only one, or the task's usual one.

    precision: of V's and M's products, "float32", in which released scores are played, or "bfloat16".

    It knows only frames that are made as V's were: with the settings `env` in the run's config.json (the view, the
    preprocessing, the width of the screen), which the environment it plays in has to be made with.

    Raises:
        TypeError: `task` is none.
        ValueError: there is no such precision.
        InputError: a file is missing or damaged, the run is of another task, its parts do not fit together, or it has
            no controller, or several, none of which is meant.
    """
    if not isinstance(task, Task):
        raise TypeError(f"task must be a Task, such as doomrnn.task.TASK, not {described(task)}")
    check_precision(precision)
    run = existing_run(run)
    check_task(run, task.name)
    folder = find_controller(run, controller, task.usual_controller)
    shape, weights = load_fitting(run, folder, checkpoint, task.action_size)
    vae, rnn = load_vae(run / "vae", precision), load_rnn(run / "rnn", precision)
    playing = PlayingAgent(Agent(vae, rnn, Policy(shape, task.squash)), weights)
    playing.reset()
    return playing
