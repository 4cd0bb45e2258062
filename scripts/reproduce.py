"""Every stage in order, from random play to the table of results.

    python scripts/reproduce.py doomrnn --preset quick --run runs/demo
    python scripts/reproduce.py doomrnn --preset paper --run runs/paper --ranks 2 --seeds 3
    python scripts/reproduce.py pendulum --preset release --run runs/pendulum --iterations 20 --seeds 3 --ranks 1

With --iterations, the paper's iterative procedure: the agent acts, V and M learn from what it saw too, C is trained
again in the new dream, and so on; then a table and figures by iteration. With --ranks 1 all stages run in one process
with one thread, and all seeds at once, which suits a small task; a large one takes its seeds one after the other.

Stages that are finished are passed over, so the same command goes on where it was stopped.
"""

import time

import cli
from launch import Launcher
from reporting import tables
from reporting.stage_times import stage_times, times_table

from controller.task import controller_name
from experiment.runs import save_run

SEED = str(tables.SEED)  # of the evaluations


def parse():
    """Return the arguments."""
    parser = cli.parser(__doc__)
    ranks = "MPI ranks (default: one a core; half as many again collect where a game has an engine of its own)"
    parser.add_argument("--ranks", type=cli.positive, help=ranks)
    parser.add_argument("--seeds", type=cli.positive, default=1, help="controllers, with seeds 0 to K-1 (default 1)")
    parser.add_argument("--temperature", type=cli.temperature, help="of the dream (default: controller.temperature)")
    parser.add_argument("--iterations", type=cli.positive, metavar="K", help="of the iterative procedure, in all")
    parser.add_argument("--no_report", action="store_true", help="with --iterations: no table and figures at the end")
    return parser.parse_args()


def main() -> None:
    """Parse and run the stages."""
    arguments = parse()
    with cli.ending_well():
        if arguments.iterations:
            from running.procedure import iterate

            iterate(arguments)
            return
        run, task = cli.resolve(arguments), cli.task(arguments.task)
        launcher = Launcher(run, task, arguments.ranks)
        save_run(run)  # the stages are started without --preset
        started = time.monotonic()
        temperature = arguments.temperature or run.stages.controller.temperature
        names = stages(launcher, run, task, temperature, arguments.seeds)
        tables.print_results(run, task, names, temperature)
        print(f"\nWhere the time went\n\n{times_table(stage_times(run.path))}\n")
        print(f"everything took {(time.monotonic() - started) / 60:.1f} minutes on {launcher.ranks} ranks")


def stages(launcher, run, task, temperature: float, seeds: int) -> list[str]:
    """Run every stage; returns the names of the controllers."""
    config = run.stages.evaluate
    launcher.ranked("collect_rollouts.py", ranks=launcher.collectors)
    launcher.alone("train_vae.py")
    launcher.alone("encode_series.py")
    launcher.alone("train_rnn.py")
    if task.world == "dream":
        probes = ["--policy", *task.policies, "collector", "--seed", SEED, "--temperature", str(temperature)]
        launcher.ranked("evaluate.py", *probes, "--world", "real", "dream", "--episodes", str(config.probe_episodes))
        print("\nThe dream, probed before C is trained in it: scripted policies in both worlds\n")
        tables.print_table(run, task, [], temperature)
        tables.print_survival(run, tables.scripts(run, task), temperature)
    variants = task.presets[run.preset].variants
    names = [controller(launcher, run, task, v, temperature, seed) for v in variants for seed in range(seeds)]
    launcher.ranked("evaluate.py", "--policy", *task.baselines, "--seed", SEED, "--episodes", str(config.episodes))
    return names


def controller(launcher, run, task, variant: str, temperature: float, seed: int) -> str:
    """Train one controller and evaluate it; returns its name."""
    config, name = run.stages.evaluate, controller_name(task.world, variant, temperature, seed)
    tau = ["--temperature", str(temperature)]
    launcher.ranked("train_controller.py", "--variant", variant, "--seed", str(seed), *tau)
    agent = ["--controller", name, "--seed", SEED]
    launcher.ranked("evaluate.py", *agent, "--world", "real", "--episodes", str(config.episodes))
    if task.world == "dream":
        launcher.ranked("evaluate.py", *agent, "--world", "dream", "--episodes", str(config.dream_episodes))
    return name


if __name__ == "__main__":
    main()
