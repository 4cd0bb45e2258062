"""Real episodes of a run's agent, or of its task's collecting policy, for the scripts that measure V and M on them."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cli

from controller.task import Task
from experiment.runs import Run
from rollouts.games import Games

SEED_HELP = "episodes are of seed, seed + 1, ...: seeds nearer to one another than --episodes share some (7)"

READ = cli.GAMES  # settings that count here


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of what these scripts share; who plays is each one's own option."""
    made = cli.Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run's folder")
    made.add_argument("--episodes", type=cli.positive, default=20, help="episodes, of each who plays (20)")
    made.add_argument("--seed", type=cli.seed, default=7, help=SEED_HELP)
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    cli.add_set(made, "with this one setting changed, such as collect.max_hold=10 (repeatable)")
    return made


def trajectories(
    run: Run, task: Task, games: Games, vae: Any, controller: str | None, episodes: int, seed: int
) -> Iterator[Any]:
    """Yield a `controller.trajectories.Trajectory` of each episode, the first of `seed`, the next of `seed` + 1, ...

    So two seeds that are nearer to one another than `episodes` share episodes, and are no two independent samples; the
    published measurements were made of these episodes.

    controller: whose agent plays, a folder in controller/; None: the collecting policy. vae: the run's V, loaded.
    """
    from controller.agent import Agent
    from controller.checkpoints import find_controller, load_fitting
    from controller.policies import Policy
    from controller.trajectories import agent_trajectory, script_trajectory
    from rnn.training import load_rnn

    limit, seeds = run.stages.env.time_limit, range(seed, seed + episodes)
    if controller is None:
        script = task.collector(run.stages.collect)
        yield from (script_trajectory(games, script, task.action_size, seed, limit, 1) for seed in seeds)
        return
    shape, weights = load_fitting(run.path, find_controller(run.path, controller))
    agent = Agent(vae, load_rnn(run.folder("rnn")), Policy(shape, task.squash))
    yield from (agent_trajectory(games, agent, weights, seed, limit) for seed in seeds)
