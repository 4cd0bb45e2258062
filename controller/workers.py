"""Everything a rank needs to play: one picklable `Setup` sent by rank 0, and the players made from it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from controller.config import ControllerConfig
from controller.policy_spec import PolicyShape
from controller.task import Task
from experiment.checkpoints import model_arguments
from experiment.config import Settings
from experiment.runs import Run
from rnn.series import InitialLatents, load_initial
from rollouts.game_player import GamePlayer, ScriptChooser
from rollouts.rollout import Kind, Player


@dataclass(frozen=True)
class Weights:
    """A model as plain data: the arguments that build it, and its arrays in order."""

    arguments: dict[str, Any]
    arrays: list[np.ndarray]

    @classmethod
    def of(cls, model: Any) -> "Weights":
        """Those of a V or an M."""
        return cls(model_arguments(model), [variable.numpy() for variable in model.variables])


@dataclass(frozen=True)
class Setup:
    """What a job plays with; parts that its worlds do not need are None.

    games_per_rank: real games side by side. minimum_length: of a recorded episode. batch_size: dreams alive at once.
    time_limit: of a dream; the real game has its own in `env`.
    """

    env: Settings
    games_per_rank: int
    minimum_length: int = 1
    vae: Weights | None = None
    rnn: Weights | None = None
    initial: InitialLatents | None = None
    temperature: float = 1.0
    time_limit: int = 2100
    batch_size: int = 512
    policy: PolicyShape | None = None
    stall_limit: int = 0


class TaskCast:
    """The players of a task (see `rollouts.rollout.Cast`); models are loaded when a player first needs them."""

    def __init__(self, task: Task, setup: Setup):
        self.task, self.setup = task, setup
        self._models: dict[str, Any] = {}

    def capacity(self, kind: Kind) -> int:
        """How many rollouts of a kind a rank keeps alive at once."""
        return self.setup.batch_size if kind[0] == "dream" else self.setup.games_per_rank

    def make(self, kind: Kind) -> Player:
        """A player of this kind."""
        world, scripted = kind
        if world == "dream":
            from rollouts.dream_player import DreamPlayer

            dream = self._dream()
            return DreamPlayer(dream, None if scripted else self._policy(), self.capacity(kind), self.setup.time_limit)
        games = self.task.games(self.capacity(kind), self.setup.env, world == "record")
        if scripted:
            chooser = ScriptChooser(len(games), self.setup.env.time_limit, self.task.action_size)
        else:
            from controller.agent import Agent, AgentChooser

            chooser = AgentChooser(Agent(self._vae(), self._rnn(), self._policy()), len(games))
        recorded = self.setup.minimum_length if world == "record" else None
        return GamePlayer(games, chooser, recorded, self.setup.stall_limit, self.setup.env.time_limit)

    def _dream(self) -> Any:
        from rnn.dream import Dream

        return Dream(self._rnn(), self.setup.initial, self.setup.temperature)

    def _policy(self) -> Any:
        from controller.policies import Policy

        return Policy(self.setup.policy, self.task.squash)

    def _vae(self) -> Any:
        from vae.model import VAE

        return self._model("vae", VAE, self.setup.vae)

    def _rnn(self) -> Any:
        from rnn.model import MDNRNN

        return self._model("rnn", MDNRNN, self.setup.rnn)

    def _model(self, name: str, kind: Any, weights: Weights) -> Any:
        if name not in self._models:
            model = kind(**weights.arguments)
            for variable, array in zip(model.variables, weights.arrays, strict=True):
                variable.assign(array)
            self._models[name] = model
        return self._models[name]


def play_setup(run: Run, worlds: set[str], learned: bool, temperature: float, policy: PolicyShape | None) -> Setup:
    """What the ranks need to play in these worlds; `learned` says that C acts too, and so needs V and M.

    Raises InputError where a stage that is needed is not there.
    """
    config: ControllerConfig = run.stages.controller
    dreams, agents = "dream" in worlds, learned and "real" in worlds
    return Setup(
        env=run.stages.env,
        games_per_rank=run.stages.evaluate.games_per_rank,
        vae=_vae_weights(run, config.precision) if agents else None,
        rnn=_rnn_weights(run, config.precision) if dreams or agents else None,
        initial=load_initial(run.folder("series"), run.stages.vae.z_size) if dreams else None,
        temperature=temperature,
        time_limit=run.stages.env.time_limit,
        batch_size=config.batch_size,
        policy=policy,
        stall_limit=config.stall_limit,
    )


def _vae_weights(run: Run, precision: str) -> Weights:
    from vae.training import load_vae

    return Weights.of(load_vae(run.folder("vae"), precision))


def _rnn_weights(run: Run, precision: str) -> Weights:
    from rnn.training import load_rnn

    return Weights.of(load_rnn(run.folder("rnn"), precision))
