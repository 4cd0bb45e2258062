"""What a run has learned, made visible: episodes, reconstructions, predictions and dreams as arrays of frames.

Letters: T steps, Z, A, H as elsewhere. Frames are uint8 [64, 64, 3].
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from controller.agent import Agent, AgentActor
from controller.dream_env import DreamEnv
from controller.policies import Policy
from experiment.random_streams import Purpose
from rnn.mdn import MDNParameters
from rnn.model import MDNRNN
from rollouts.game_player import Actor, ScriptActor
from rollouts.rollout import Rollout
from rollouts.scripted import Script
from vae.model import VAE, to_uint8, to_unit


class Trajectory(NamedTuple):
    """A stretch of a game or of a dream: frames uint8 [T, 64, 64, 3], actions float32 [T, A] taken on them."""

    frames: np.ndarray
    actions: np.ndarray


class Prediction(NamedTuple):
    """M's predictions along a trajectory, of each step from the ones before it.

    frames: V's decoding of the expected next z, uint8 [T - 1, 64, 64, 3]. done: probability of the end [T] or None.
    density: of one latent dimension's next value, float [T - 1, n] at `grid` [n]; values: what came [T - 1].
    """

    frames: np.ndarray
    done: np.ndarray | None
    density: np.ndarray
    grid: np.ndarray
    values: np.ndarray


def agent_trajectory(games: Any, agent: Agent, weights: np.ndarray, seed: int, steps: int) -> Trajectory:
    """Return the agent in the real task's game of a seed, for at most `steps` steps."""
    rollout = Rollout(0, "real", Purpose.REPORT_AGENT.stream(seed), weights)
    return _play(games, AgentActor(agent, 1), rollout, steps)


def script_trajectory(
    games: Any, script: Script, action_size: int, seed: int, limit: int, count: int = 8
) -> Trajectory:
    """Return the longest of a few real games of a scripted policy, each of at most `limit` steps."""
    played = []
    for number in range(count):
        rollout = Rollout(number, "real", Purpose.REPORT_SCRIPT.stream(seed, number=number), script)
        played.append(_play(games, ScriptActor(1, limit, action_size), rollout, limit))
    return max(played, key=lambda trajectory: len(trajectory.frames))


def _play(games: Any, actor: Actor, rollout: Rollout, steps: int) -> Trajectory:
    """Play one game of at most `steps` steps, of the seed that belongs to the rollout."""
    actor.start(0, rollout, rollout.rng())
    frame, frames, actions, over = games.reset(0, rollout.stream.engine_seed()), [], [], False
    while not over and len(frames) < steps:
        frames.append(frame)
        actions.append(actor.act([0], frame[None])[0])
        result = games.step([0], actions[-1][None])
        frame, over = result.observations[0], bool(result.terminated[0] or result.truncated[0])
    return Trajectory(np.stack(frames), np.stack(actions).astype(np.float32))


def dream_trajectory(
    env: DreamEnv, policy: Policy, weights: np.ndarray, z: np.ndarray, seed: int, steps: int
) -> Trajectory:
    """Return the controller inside the dream, from the first z [Z], for at most `steps` steps."""
    observation, _ = env.reset(seed=seed, options={"z": z})
    frames, actions, over = [], [], False
    while not over and len(frames) < steps:
        parts = np.split(observation[None], [env.sizes.z, env.sizes.z + env.sizes.hidden], axis=1)
        frames.append(env.render())
        actions.append(np.asarray(policy.act(weights[None], *parts))[0])
        observation, _, terminated, truncated, _ = env.step(actions[-1])
        over = terminated or truncated
    return Trajectory(np.stack(frames), np.stack(actions))


def replay_in_dream(env: DreamEnv, actions: np.ndarray, z: np.ndarray, seed: int) -> np.ndarray:
    """Return the frames of the dream under given actions [T, A] from the first z; shorter where the dream ends."""
    env.reset(seed=seed, options={"z": z})
    frames = []
    for action in actions:
        frames.append(env.render())
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            break
    return np.stack(frames)


def encode(vae: VAE, frames: np.ndarray) -> np.ndarray:
    """Return V's mean z float32 [T, Z] of frames [T, 64, 64, 3]."""
    parts = [vae.encode(to_unit(frames[i : i + 64]))[0] for i in range(0, len(frames), 64)]
    return np.concatenate(parts)


def decode(vae: VAE, z: np.ndarray) -> np.ndarray:
    """Return V's decoding uint8 [T, 64, 64, 3] of z [T, Z]."""
    return np.concatenate([to_uint8(vae.decode(z[i : i + 64])) for i in range(0, len(z), 64)])


def predict(vae: VAE, rnn: MDNRNN, trajectory: Trajectory, points: int = 120) -> Prediction:
    """Return M's predictions along a trajectory, fed the true z of every step."""
    z = encode(vae, trajectory.frames)
    restart = np.eye(1, len(z), dtype=np.float32) if rnn.done_head else None
    state = rnn.zero_state(1)
    parameters, _, _ = rnn.sequence(z[None], trajectory.actions[None], restart, *state)
    done = None if parameters.done_logit is None else np.asarray(tf.sigmoid(parameters.done_logit[0]))
    parameters = MDNParameters(*(None if part is None else part[0, :-1] for part in parameters))
    weights = tf.nn.softmax(parameters.logmix, axis=1)
    expected = tf.reduce_sum(weights * parameters.mean, axis=1)
    liveliest = int(z.std(axis=0).argmax())
    grid = np.linspace(z[:, liveliest].min() - 1, z[:, liveliest].max() + 1, points)
    share, mean, std = (
        np.asarray(part)[:, :, liveliest, None] for part in (weights, parameters.mean, tf.exp(parameters.logstd))
    )
    density = np.sum(share * np.exp(-0.5 * ((grid - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi)), axis=1)
    return Prediction(decode(vae, np.asarray(expected)), done, density, grid, z[1:, liveliest])


def prediction_errors(vae: VAE, rnn: MDNRNN, trajectory: Trajectory) -> np.ndarray:
    """Return how far V's decoding of M's expected next z is from the frame that came, float [T - 1].

    Squared differences of pixels in [0, 1], summed over a frame as in V's loss, so that pairs of V and M whose latents
    have nothing in common can be compared.
    """
    predicted, came = predict(vae, rnn, trajectory).frames, trajectory.frames[1:]
    return np.square((predicted.astype(np.float32) - came) / 255.0).sum(axis=(1, 2, 3))


def dream_on(vae: VAE, rnn: MDNRNN, trajectory: Trajectory, start: int, steps: int) -> np.ndarray:
    """Return V's frames uint8 [steps, 64, 64, 3] of what M expects after the first `start` steps, at least 1.

    Up to there M is fed what came; from there on its own most likely z, and its actions.
    """
    z = encode(vae, trajectory.frames[: start + 1])
    restart = np.eye(1, start, dtype=np.float32) if rnn.done_head else None
    _, h, c = rnn.sequence(z[None, :start], trajectory.actions[None, :start], restart, *rnn.zero_state(1))
    now, zs = z[start:], []
    for action in trajectory.actions[start : start + steps]:
        parameters, h, c = rnn.step(now, action[None], np.zeros((1, 1), np.float32) if rnn.done_head else None, h, c)
        likeliest = tf.argmax(parameters.logmix, axis=1)[:, None]
        now = np.take_along_axis(np.asarray(parameters.mean), np.asarray(likeliest), axis=1)[:, 0]
        zs.append(now[0])
    return decode(vae, np.stack(zs))
