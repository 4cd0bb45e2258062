"""A trained agent for one game, for people who do not want scripts."""

from pathlib import Path

import numpy as np

from controller.agent import Agent, AgentChooser
from controller.policies import Policy
from controller.rollouts import Rollout
from controller.task import Task
from controller.training import find_controller, load_controller
from rnn.training import load_rnn
from vae.streams import Purpose
from vae.training import load_vae


class PlayingAgent:
    """V, M and C acting on one game's frames; one seed always draws the same z."""

    def __init__(self, agent: Agent, weights: np.ndarray):
        self._chooser, self._weights = AgentChooser(agent, slots=1), weights

    def reset(self, seed: int = 0) -> None:
        """A new game begins: M's state is zero."""
        rollout = Rollout(0, "real", (seed, int(Purpose.EVALUATE), 2), self._weights)
        self._chooser.start(0, rollout, rollout.rng())

    def act(self, observation: np.ndarray) -> np.ndarray:
        """The action float32 [A] on a frame uint8 [64, 64, 3]."""
        return self._chooser.act([0], observation[None])[0]


def load_agent(task: Task, run: str | Path, controller: str | None = None, checkpoint: str = "best") -> PlayingAgent:
    """The agent of a run of a task, with the controller named, its only one, or the task's usual one.

    Raises:
        InputError: a file is missing or damaged, or the run has no controller, or several, none of which is meant.
    """
    run = Path(run)
    shape, weights = load_controller(find_controller(run, controller, task.usual_controller), checkpoint)
    playing = PlayingAgent(Agent(load_vae(run / "vae"), load_rnn(run / "rnn"), Policy(shape, task.squash)), weights)
    playing.reset()
    return playing
