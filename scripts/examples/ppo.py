"""PPO of Stable-Baselines3 in a run's dream, then its scores there and in the real game: another learner than CMA-ES.

    pip install "torch==2.13.0" "stable-baselines3>=2.6,<3"
    python scripts/examples/ppo.py doomrnn --run results/doomrnn --to runs/ppo --steps 1000000

It writes ppo.zip, the policy as Stable-Baselines3 saves it, and ppo.json, its settings and scores.
`DreamVecEnv` is all that Stable-Baselines3 needs to train in the dream.
"""

import argparse
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import cli
import gymnasium
import numpy as np
import tensorflow as tf
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecMonitor, VecNormalize

from controller.agent import AgentActor
from controller.policy_spec import PolicyShape
from controller.statistics import bootstrap_interval
from controller.task import Task
from experiment.arrays import FRAME_SHAPE
from experiment.files import write_json
from experiment.provenance import commit
from experiment.random_streams import Purpose
from experiment.runs import load_run
from rnn.model import MDNRNN
from rnn.training import load_rnn
from rollouts.game_player import GamePlayer
from rollouts.rollout import Rollout
from vae.model import VAE, to_unit
from vae.training import load_vae

SETTINGS = {  # those of Stable-Baselines3 but for the first three: longer episodes than its defaults are made for
    "n_steps": 256,
    "batch_size": 1024,
    "gamma": 0.995,
    "gae_lambda": 0.95,
    "n_epochs": 10,
    "learning_rate": 3e-4,
    "clip_range": 0.2,
    "ent_coef": 0.0,
    "device": "cpu",
}


class DreamVecEnv(VecEnv):
    """Gymnasium's vector environments, in autoreset mode SAME_STEP, as Stable-Baselines3 wants them."""

    def __init__(self, envs: VectorEnv):
        if envs.metadata["autoreset_mode"] != AutoresetMode.SAME_STEP:
            raise ValueError("Stable-Baselines3 begins an episode in the step that ends one: autoreset_mode='SameStep'")
        self.envs = envs
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> np.ndarray:
        """Begin all episodes, with the seeds of `seed` if it was called."""
        observations, _ = self.envs.reset(seed=None if self._seeds[0] is None else self._seeds)
        self._reset_seeds()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions [N, A] for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Observations [N, S], rewards [N], ends [N] and infos; an end's observation is in its info."""
        observations, rewards, terminated, truncated, packed = self.envs.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(terminated | truncated):
            infos[row]["terminal_observation"] = packed["final_obs"][row]
            infos[row]["TimeLimit.truncated"] = bool(truncated[row])
        return observations, rewards, terminated | truncated, infos

    def close(self) -> None:
        """End all."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute, once for each environment asked for."""
        return [getattr(self.envs, attr_name)] * len(self._get_indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: the environments are one."""
        raise NotImplementedError("dreams side by side share their attributes")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refuse: the environments are one."""
        raise NotImplementedError("dreams side by side have no methods of their own")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """None is."""
        return [False] * len(self._get_indices(indices))


class PolicyAgent:
    """V, M and a Stable-Baselines3 policy on real frames, for `AgentActor`; it sees [z, c, h], as in the dream."""

    noise = 0.0  # it does not explore

    def __init__(self, vae: VAE, rnn: MDNRNN, model: PPO):
        shape = PolicyShape("zch", vae.z_size, rnn.hidden_size, rnn.action_size, bias=False)
        self.vae, self.rnn, self.model, self.policy = vae, rnn, model, SimpleNamespace(shape=shape)
        widths = vae.z_size, rnn.action_size, rnn.hidden_size, rnn.hidden_size, 1
        rows = [tf.TensorSpec((None, width), tf.float32) for width in widths]
        self._see = tf.function(self._z, input_signature=[tf.TensorSpec((None, *FRAME_SHAPE), tf.uint8), rows[0]])
        self._advance = tf.function(self._next, input_signature=rows)

    def step(self, frames: Any, eps: Any, unused: Any, c: Any, h: Any, restart: Any) -> tuple[Any, Any, Any]:
        """frames uint8 [B, 64, 64, 3], eps [B, Z], c, h [B, H], restart [B, 1] -> (action [B, A], c, h)."""
        z = self._see(frames, eps)
        action, _ = self.model.predict(np.concatenate([z, c, h], axis=1), deterministic=True)
        return action, *self._advance(z, action, c, h, restart)

    def _z(self, frames: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
        return self.vae.sample(*self.vae.encode(to_unit(frames)), eps)

    def _next(
        self, z: tf.Tensor, action: tf.Tensor, c: tf.Tensor, h: tf.Tensor, restart: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        _, h, c = self.rnn.step(z, action, restart if self.rnn.done_head else None, h, c)
        return c, h


class Progress(BaseCallback):
    """A line a rollout phase: steps, rate and the mean length of the last hundred dreams."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = time.perf_counter()
        self.curve: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        lengths = [episode["l"] for episode in self.model.ep_info_buffer]
        mean = float(np.mean(lengths)) if lengths else float("nan")
        self.curve.append((self.num_timesteps, mean))
        rate = self.num_timesteps / (time.perf_counter() - self._begun)
        print(f"{self.num_timesteps:,} dream steps, {rate:,.0f} a second: mean length {mean:.0f}", flush=True)


def dreams(arguments: argparse.Namespace, task: Task, count: int) -> DreamVecEnv:
    """So many dreams of the run."""
    return DreamVecEnv(
        gymnasium.make_vec(
            task.dream_env, count, run=arguments.run, temperature=arguments.temperature, autoreset_mode="SameStep"
        )
    )


def dream_scores(model: PPO, envs: DreamVecEnv, seed: int) -> tuple[list[float], list[int]]:
    """Return and length of one dream of every environment, the policy's mean action taken throughout."""
    envs.seed(seed)
    observations, alive = envs.reset(), np.ones(envs.num_envs, bool)
    scores, lengths = np.zeros(envs.num_envs), np.zeros(envs.num_envs, int)
    while alive.any():
        actions, _ = model.predict(observations, deterministic=True)
        observations, rewards, over, _ = envs.step(actions)
        scores[alive] += rewards[alive]
        lengths[alive] += 1
        alive &= ~over
    return scores.tolist(), lengths.tolist()


def real_scores(model: PPO, arguments: argparse.Namespace, task: Task) -> tuple[list[float], list[int]]:
    """Return and length of real games, those of the same seeds as `evaluate.py --episodes N --seed S` plays."""
    config = load_run(arguments.run, task.presets["paper"].stages).stages
    games = task.games(config.evaluate.games_per_rank, config.env, False)
    agent = PolicyAgent(load_vae(arguments.run / "vae"), load_rnn(arguments.run / "rnn"), model)
    player = GamePlayer(games, AgentActor(agent, len(games)))
    weights, seed = np.zeros(agent.policy.shape.size, np.float32), arguments.evaluation_seed
    waiting = [
        Rollout(number, "real", Purpose.EVALUATE.stream(seed, episode=number), weights)
        for number in range(arguments.games)
    ]
    outcomes = []
    while waiting or player.live():
        room = player.room()
        player.add(waiting[:room])
        waiting = waiting[room:]
        outcomes += player.advance()
    games.close()
    outcomes.sort(key=lambda outcome: outcome.id)
    return [outcome.score for outcome in outcomes], [outcome.length for outcome in outcomes]


def summary(world: str, scores: list[float], lengths: list[int]) -> dict[str, Any]:
    """Print and return the mean, standard deviation (ddof 0) and 95 % interval of scores, with the scores."""
    mean, std, (low, high) = float(np.mean(scores)), float(np.std(scores)), bootstrap_interval(np.array(scores))
    print(f"{world}: {mean:,.0f} ± {std:,.0f} [{low:,.0f}, {high:,.0f}] ({len(scores):,})", flush=True)
    return {"mean": mean, "std": std, "ci95": [low, high], "scores": scores, "lengths": lengths}


def train(arguments: argparse.Namespace, task: Task) -> tuple[PPO, dict[str, Any]]:
    """PPO after so many dream steps, saved, and how it was trained."""
    envs = VecNormalize(VecMonitor(dreams(arguments, task, arguments.envs)), norm_obs=False, gamma=SETTINGS["gamma"])
    model, progress, begun = (
        PPO("MlpPolicy", envs, seed=arguments.seed or 0, **SETTINGS),
        Progress(),
        time.perf_counter(),
    )
    model.learn(arguments.steps, callback=progress)
    seconds = time.perf_counter() - begun
    model.save(arguments.to / "ppo.zip")
    print(f"{model.num_timesteps:,} dream steps in {seconds:,.0f} s; wrote {arguments.to / 'ppo.zip'}", flush=True)
    names = ("temperature", "seed", "envs", "dreams", "games", "evaluation_seed")
    record = {
        "task": task.name,
        **{name: getattr(arguments, name) for name in names},
        "seed": arguments.seed or 0,
        "ppo": SETTINGS,
    }
    return model, record | {"steps": model.num_timesteps, "seconds": seconds, "curve": progress.curve}


def parse() -> argparse.Namespace:
    """Return the flags."""
    parser = cli.parser(__doc__, preset=False, fields=False, seed_help="of PPO and its dreams (default 0)")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="where ppo.zip and ppo.json go")
    for name, default, what in (
        ("steps", 1_000_000, "dream steps to train for"),
        ("envs", 64, "dreams side by side"),
        ("dreams", 1024, "dreams of the evaluation"),
        ("games", 100, "real games of the evaluation"),
        ("evaluation-seed", 7, "of the games and dreams of the evaluation"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{what} (default {default:,})")
    parser.add_argument("--temperature", type=float, default=1.15, help="of the dream (default 1.15)")
    arguments = parser.parse_args()
    if arguments.overrides:
        parser.error("--set: has no effect here; PPO's settings are SETTINGS in this file")
    return arguments


def main() -> None:
    """Train, save, evaluate in both worlds, save the scores."""
    arguments = parse()
    with cli.ending_well(None):
        task = cli.task(arguments.task)
        arguments.to.mkdir(parents=True, exist_ok=True)
        cli.load_tensorflow()
        model, record = train(arguments, task)
        envs = dreams(arguments, task, arguments.dreams)
        record["dream"] = summary("dream", *dream_scores(model, envs, arguments.evaluation_seed))
        record["real"] = summary("real", *real_scores(model, arguments, task))
        write_json(arguments.to / "ppo.json", record | {"commit": commit()})
        print(f"wrote {arguments.to / 'ppo.json'}")


if __name__ == "__main__":
    main()
