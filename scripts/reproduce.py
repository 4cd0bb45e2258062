"""Every stage in order, from random play to the table of results.

    python scripts/reproduce.py doomrnn --preset quick --run runs/demo
    python scripts/reproduce.py doomrnn --preset paper --run runs/paper --ranks 2 --seeds 3
    python scripts/reproduce.py doomrnn --preset paper --run runs/paper --temperature 0.10 0.50 1.00 1.15 1.30
    python scripts/reproduce.py pendulum --preset release --run runs/pendulum --iterations 20 --seeds 3 --ranks 1

--seed is that of the episodes, V and M (with --iterations, of C too).

With several temperatures, one search each and seed: every dream is probed before C is trained in it, the agent of the
run's own temperature plays in the others' dreams too, and a table with a row a temperature comes last.

With --iterations, the paper's iterative procedure: the agent acts, V and M learn from what it saw too, C is trained
again in the new dream, and so on; then a table and figures by iteration. With --ranks 1 all stages run in one process
with one thread, and all seeds at once, which suits a small task; a large one takes its seeds one after the other.

Stages that are finished are passed over, so the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import time

import cli
from launch import Launcher
from reporting import tables
from reporting.stage_times import stage_times, times_table
from running.probes import SEED, probe

from controller.task import Task, controller_name
from experiment.errors import InputError, command
from experiment.runs import Run, save_run


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = cli.parser(__doc__)
    ranks = "MPI ranks (default: one a core; half as many again collect where a game has an engine of its own)"
    parser.add_argument("--ranks", type=cli.positive, help=ranks)
    seeds = "searches for C, their seeds 0 to K-1; with --iterations whole procedures, 1,000 apart (default 1)"
    parser.add_argument("--seeds", type=cli.positive, default=1, metavar="K", help=seeds)
    tau = "of the dream, one or several (default: controller.temperature)"
    parser.add_argument("--temperature", type=cli.temperature, nargs="+", metavar="TAU", help=tau)
    parser.add_argument("--iterations", type=cli.positive, metavar="K", help="of the iterative procedure, in all")
    parser.add_argument("--no_report", action="store_true", help="with --iterations: no table and figures at the end")
    parser.add_argument("--lane", action="store_true", help=argparse.SUPPRESS)  # one of several seeds side by side
    arguments = parser.parse_args()
    if arguments.no_report and not arguments.iterations:
        parser.error("argument --no_report: is of --iterations; add it, or leave it out")
    return arguments


def main() -> None:
    """Parse and run the stages."""
    arguments = parse()
    with cli.ending_well():
        several = len(set(arguments.temperature or [])) > 1
        if arguments.temperature and cli.task(arguments.task).world != "dream":
            raise InputError(f"--temperature: {arguments.task}'s C is trained in no dream; leave it out")
        cli.refuse_validation(arguments.overrides, cli.task(arguments.task).world)
        if several and arguments.iterations:
            raise InputError("--temperature: several are named, and --iterations takes only one")
        if arguments.iterations:
            from running.procedure import iterate

            iterate(arguments)
            return
        run, task = cli.resolve(arguments), cli.task(arguments.task)
        if run.preset not in task.presets:
            there = ", ".join(task.presets)
            raise InputError(f"{run.path}: made with preset {run.preset}, which {task.name} no longer has ({there})")
        launcher = Launcher(run, task, arguments.ranks)
        save_run(run)  # the stages are started without --preset
        started = time.monotonic()
        own = run.stages.controller.temperature
        temperatures = list(dict.fromkeys(arguments.temperature or [own]))
        names = stages(launcher, run, task, temperatures, arguments.seeds)
        if several:
            tables.print_temperatures(run, task, names, own)
        else:
            tables.print_results(run, task, names[temperatures[0]], temperatures[0])
        print(f"\nWhere the time went\n\n{times_table(stage_times(run.path))}\n")
        print(f"everything took {(time.monotonic() - started) / 60:.1f} minutes on {launcher.ranks} ranks")
        print("next:", command("python", "scripts/report.py", "--run", run.path))


def stages(launcher: Launcher, run: Run, task: Task, temperatures: list[float], seeds: int) -> dict[float, list[str]]:
    """Run every stage; returns the names of the controllers of each temperature."""
    launcher.ranked("collect_rollouts.py", ranks=launcher.collectors)
    launcher.alone("train_vae.py")
    launcher.alone("encode_series.py")
    launcher.alone("train_rnn.py")
    if task.world == "dream":
        for temperature in temperatures:
            probe(launcher, task, temperature)
    variants = task.presets[run.preset].variants
    names = {
        temperature: [controller(launcher, run, task, v, temperature, seed) for v in variants for seed in range(seeds)]
        for temperature in temperatures
    }
    if own := names.get(run.stages.controller.temperature):
        for temperature in temperatures:
            if temperature != run.stages.controller.temperature:
                in_dream(launcher, run, own[0], "--temperature", str(temperature))
    episodes = str(run.stages.evaluate.episodes)
    launcher.ranked("evaluate.py", "--policy", *task.baselines, "--seed", SEED, "--episodes", episodes)
    return names


def controller(launcher: Launcher, run: Run, task: Task, variant: str, temperature: float, seed: int) -> str:
    """Train one controller and evaluate it; returns its name."""
    name = controller_name(task.world, variant, temperature, seed)
    tau = cli.temperature_words(task, temperature)
    launcher.ranked("train_controller.py", "--variant", variant, "--seed", str(seed), *tau)
    episodes = str(run.stages.evaluate.episodes)
    launcher.ranked("evaluate.py", "--controller", name, "--seed", SEED, "--world", "real", "--episodes", episodes)
    if task.world == "dream":
        in_dream(launcher, run, name)
    return name


def in_dream(launcher: Launcher, run: Run, name: str, *flags: str) -> None:
    """Evaluate a controller in its own dream, or in that of the flags."""
    words = ("--controller", name, "--seed", SEED, "--world", "dream", *flags)
    launcher.ranked("evaluate.py", *words, "--episodes", str(run.stages.evaluate.dream_episodes))


if __name__ == "__main__":
    main()
