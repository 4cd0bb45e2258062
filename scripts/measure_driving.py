"""Measure how a policy drives CarRacing: steering reversals, sharp corners, spins, and the road under the car.

    python scripts/measure_driving.py --run runs/car --controller real-zh-s0 --episodes 100 --seed 7
    python scripts/measure_driving.py --run runs/car --policy agent random --world dream --episodes 100 --seed 7

Writes measures/<measure>/*.json, each like an evaluation whose scores are the measure of each episode; the games are
those of scripts/evaluate.py with the same seed. In the dream, which tells no reward, the decoded frames are all there
is: the share of steps with the road under the car. M and V's decoder compute in their own precision there, not in
controller.precision, and the file is named by M's. scripts/verify_claims.py reads them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cli

if TYPE_CHECKING:
    from controller.evaluation import Subject
    from controller.policy_spec import PolicyShape
    from controller.task import Task
    from experiment.runs import Run


cli.one_thread_a_rank()

DREAM_STEPS = 1000


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = cli.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--controller", metavar="NAME", help="a folder in controller/ (default: the usual one)")
    parser.add_argument(
        "--policy", nargs="+", choices=("agent", "random"), default=["agent"], help="who drives (agent)"
    )
    parser.add_argument("--world", choices=("real", "dream"), default="real", help="where (real)")
    parser.add_argument("--temperature", type=cli.temperature, help="of the dream (controller.temperature)")
    parser.add_argument("--episodes", type=cli.positive, default=100, help="episodes (100)")
    parser.add_argument("--seed", type=cli.seed, default=7, help="seed of the episodes (7)")
    arguments = parser.parse_args()
    parser.refuse_temperature_of_no_dream(arguments)
    return arguments


def main() -> None:
    """Parse, drive, measure and write."""
    arguments = parse()
    with cli.ending_well():
        from controller.checkpoints import find_controller, load_fitting
        from controller.evaluation import Subject, conditions, summarise
        from controller.score_files import save_evaluation
        from experiment.files import check_writable
        from experiment.runs import check_task
        from rollouts.rollout import Outcome

        run, task = cli.open_existing(arguments.run), cli.task("carracing")
        check_task(run.path, task.name)
        cli.need_models(run)
        cli.load_tensorflow()
        folder = find_controller(run.path, arguments.controller, task.usual_controller)
        shape, weights = load_fitting(run.path, folder)
        temperature = arguments.temperature or run.stages.controller.temperature
        measure: Callable = in_the_game if arguments.world == "real" else in_the_dream
        check_writable(run.path / "measures", "copy the run to where it can be written")
        for policy in arguments.policy:
            agent = Subject("agent", weights, folder.name, "best")
            subject = agent if policy == "agent" else Subject(policy, task.script(policy, None))
            played = arguments.world, temperature, arguments.episodes, arguments.seed
            known = conditions(run, subject, *played, precision=own_precision(run, arguments.world))
            found, lengths = measure(run, task, subject, shape, temperature, arguments.episodes, arguments.seed)
            for name, values in found.items():
                outcomes = [Outcome(n, v, k) for n, (v, k) in enumerate(zip(values, lengths, strict=True))]
                evaluation = summarise(outcomes, known)
                print(f"{policy}, {name}: {evaluation.mean:.2f} ± {evaluation.std:.2f}", flush=True)
                print(f"wrote {save_evaluation(run.path / 'measures' / name, evaluation)}", flush=True)


def own_precision(run: Run, world: str) -> str | None:
    """Return the precision that M was stored with, in which `DreamEnv` dreams; None in the real task."""
    from experiment.checkpoints import load_config
    from rnn.config import ADVICE

    return (
        load_config(run.folder("rnn"), "weights", {"precision": str}, ADVICE)["precision"] if world == "dream" else None
    )


def in_the_game(
    run: Run, task: Task, subject: Subject, shape: PolicyShape, temperature: float, episodes: int, seed: int
) -> tuple[dict[str, list[float]], list[int]]:
    """Return (measures [episodes] by name, lengths [episodes]) of a subject in the real task."""
    from carracing.driving import MeasuredGames
    from controller.evaluation import play
    from controller.workers import TaskPlayers, play_setup
    from experiment.random_streams import Purpose
    from rollouts.farm import Farm

    setup = play_setup(run, {"real"}, shape if subject.controller else None, temperature)
    games = MeasuredGames(setup.games_per_rank, **vars(run.stages.env))
    measured = replace(task, games=lambda count, env, recording: games)
    with Farm(TaskPlayers(measured, setup), None, setup) as farm:
        (outcomes,) = play(farm, "real", [subject.acts], episodes, seed)
    each = [games.measures[Purpose.EVALUATE.stream(seed, episode=n).engine_seed()] for n in range(episodes)]
    found = {name: [one[name] for one in each] for name in each[0]}
    return found, [outcome.length for outcome in outcomes]


def in_the_dream(
    run: Run, task: Task, subject: Subject, shape: PolicyShape, temperature: float, episodes: int, seed: int
) -> tuple[dict[str, list[float]], list[int]]:
    """Return (share of steps on the road [episodes], lengths [episodes]) of a subject in the dream, as decoded."""
    import gymnasium
    import numpy as np

    from carracing.driving import LEAD, ROAD, road_share
    from controller.policies import Policy
    from controller.trajectories import decode
    from experiment.random_streams import Purpose
    from vae.training import load_vae

    env = gymnasium.make(task.dream_env, run=run.path, temperature=temperature, time_limit=DREAM_STEPS).unwrapped
    vae, policy = load_vae(run.folder("vae")), Policy(shape, task.squash)
    shares, lengths = [], []
    for episode in range(episodes):
        stream = Purpose.EVALUATE.stream(seed, episode=episode)
        script = None if subject.controller else subject.acts.actions(stream.generator(), DREAM_STEPS)
        observation, _ = env.reset(seed=stream.engine_seed())
        latents, over = [], False
        while not over:
            latents.append(observation[: env.sizes.z])
            parts = np.split(observation[None], [env.sizes.z, env.sizes.z + env.sizes.hidden], axis=1)
            acts = np.asarray(policy.act(subject.acts[None], *parts))[0] if script is None else script[len(latents) - 1]
            observation, _, terminated, truncated, _ = env.step(acts)
            over = terminated or truncated
        frames = decode(vae, np.stack(latents))
        shares.append(road_share(frames[LEAD:] if len(frames) > LEAD else frames))
        lengths.append(len(frames))
    return {ROAD: shares}, lengths


if __name__ == "__main__":
    main()
