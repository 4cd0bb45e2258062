"""What every rank plays with: a picklable `Setup` that rank 0 sends, and the players made of it."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from controller.checkpoints import check_fits
from controller.config import Stages, World, death_weight
from controller.policy_spec import PolicyShape
from controller.task import Task
from experiment.checkpoints import model_arguments
from experiment.runs import Run
from rnn.series import InitialLatents, load_initial
from rollouts.config import EnvConfig
from rollouts.game_player import GamePlayer, ScriptActor
from rollouts.rollout import Kind, Player


@dataclass(frozen=True)
class PackedModel:
    """A V or an M as plain data: the arguments that build it, and its arrays in the order of its variables."""

    arguments: dict[str, Any]
    arrays: list[np.ndarray]

    @classmethod
    def of(cls, model: Any) -> "PackedModel":
        """Return the copy of a V or an M."""
        return cls(model_arguments(model), [variable.numpy() for variable in model.variables])

    def build(self, kind: Any) -> Any:
        """Return the model again, made by its class."""
        model = kind(**self.arguments)
        for variable, array in zip(model.variables, self.arrays, strict=True):
            variable.assign(array)
        return model


@dataclass(frozen=True)
class Setup:
    """What the rollouts of a job are played with; parts that they do not need are None.

    env: the settings of the real environment. games_per_rank: real games of a kind side by side. minimum_length: steps
    of the shortest episode that is recorded. initial, temperature, death_weight, time_limit: of the dream, which counts
    its own steps. batch_size: dreams side by side. policy: the shape of C. stall_limit: see `GamePlayer`. noise: of the
    agent in world "explore".
    """

    env: EnvConfig
    games_per_rank: int
    minimum_length: int = 1
    vae: PackedModel | None = None
    rnn: PackedModel | None = None
    initial: InitialLatents | None = None
    temperature: float = 1.0
    death_weight: float | None = None
    time_limit: int = 2100
    batch_size: int = 512
    policy: PolicyShape | None = None
    noise: float = 0.0
    stall_limit: int = 0


class TaskPlayers:
    """Makes the players of a task (a `rollouts.rollout.PlayerFactory`); models are built when first needed."""

    def __init__(self, task: Task, setup: Setup):
        self.task, self.setup = task, setup
        self._models: dict[str, Any] = {}

    def capacity(self, kind: Kind) -> int:
        """Return how many rollouts of a kind a rank keeps alive at once."""
        return self.setup.batch_size if kind[0] == "dream" else self.setup.games_per_rank

    def make(self, kind: Kind) -> Player:
        """Return a player of this kind."""
        world, scripted = kind
        if world == "dream":
            from rollouts.dream_player import DreamPlayer

            dream = self._dream()
            return DreamPlayer(dream, None if scripted else self._policy(), self.capacity(kind), self.setup.time_limit)
        recording = world in ("record", "explore")
        games = self.task.games(self.capacity(kind), self.setup.env, recording)
        if scripted:
            actor = ScriptActor(len(games), self.setup.env.time_limit, self.task.action_size)
        else:
            from controller.agent import Agent, AgentActor

            noise = self.setup.noise if world == "explore" else 0.0
            actor = AgentActor(Agent(self._vae(), self._rnn(), self._policy(), noise), len(games))
        recorded = self.setup.minimum_length if recording else None
        return GamePlayer(games, actor, recorded, self.setup.stall_limit, self.setup.env.time_limit)

    def _dream(self) -> Any:
        from rnn.dream import Dream

        return Dream(self._rnn(), self.setup.initial, self.setup.temperature, self.setup.death_weight)

    def _policy(self) -> Any:
        from controller.policies import Policy

        return Policy(self.setup.policy, self.task.squash)

    def _vae(self) -> Any:
        from vae.model import VAE

        return self._model("vae", VAE, self.setup.vae)

    def _rnn(self) -> Any:
        from rnn.model import MDNRNN

        return self._model("rnn", MDNRNN, self.setup.rnn)

    def _model(self, name: str, kind: Any, packed: PackedModel) -> Any:
        if name not in self._models:
            self._models[name] = packed.build(kind)
        return self._models[name]


def play_setup(
    run: Run[Stages],
    worlds: Collection[World],
    policy: PolicyShape | None,
    temperature: float,
    *,
    env: EnvConfig | None = None,
    dream_limit: int | None = None,
    games_per_rank: int | None = None,
    minimum_length: int = 1,
    noise: float = 0.0,
    controller: Path | None = None,
) -> Setup:
    """Return what the ranks need to play in these worlds, with what a run has trained.

    policy: the shape of C, or None where only scripts play. temperature: of the dream. env, dream_limit (steps) and
    games_per_rank: instead of the run's own settings. noise: of an exploring agent.
    controller: the folder of C, which an error names.

    Raises InputError where V, M or the series is needed and missing or damaged, or C does not fit them.
    """
    config, env = run.stages.controller, env or run.stages.env
    dreams, agents = "dream" in worlds, policy is not None and "real" in worlds
    if policy is not None:
        check_fits(run.path, policy, controller or run.path / "controller")
    return Setup(
        env=env,
        games_per_rank=games_per_rank or run.stages.evaluate.games_per_rank,
        minimum_length=minimum_length,
        vae=_packed_vae(run, config.precision) if agents else None,
        rnn=_packed_rnn(run, config.precision) if dreams or agents else None,
        initial=load_initial(run.folder("series"), run.stages.vae.z_size) if dreams else None,
        temperature=temperature,
        death_weight=death_weight(config, run.stages.rnn),
        time_limit=dream_limit or run.stages.env.time_limit,
        batch_size=config.batch_size,
        policy=policy,
        stall_limit=config.stall_limit,
        noise=noise,
    )


def _packed_vae(run: Run, precision: str) -> PackedModel:
    from vae.training import load_vae

    return PackedModel.of(load_vae(run.folder("vae"), precision))


def _packed_rnn(run: Run, precision: str) -> PackedModel:
    from rnn.training import load_rnn

    return PackedModel.of(load_rnn(run.folder("rnn"), precision))
