"""A dream beside the real task: policies that act alike in both, before C is trained in it or after."""

from collections.abc import Sequence

from launch import Launcher
from reporting import tables
from running import searches

from controller.task import Task

SEED = str(searches.SEED)  # of the evaluations


def probe(
    launcher: Launcher,
    task: Task,
    temperature: float,
    episodes: int | None = None,
    controllers: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> None:
    """Evaluate the scripted policies, and these controllers, in both worlds, and print what came of it.

    episodes: of each policy and world; None: as many as the run's evaluate.probe_episodes. overrides: words of --set
    that the launcher's run has in it.
    """
    run = launcher.run
    count = episodes or run.stages.evaluate.probe_episodes
    sets = [part for word in overrides for part in ("--set", word)]
    common = ["--seed", SEED, "--temperature", str(temperature), "--world", "real", "dream"]
    common += ["--episodes", str(count), *sets]
    launcher.ranked("evaluate.py", "--policy", *task.policies, "collector", *common)
    for name in controllers:
        launcher.ranked("evaluate.py", "--controller", name, *common)
    before = "" if controllers else " before C is trained in it"
    print(f"\nThe dream, probed{before}: {'agents and ' * bool(controllers)}scripted policies in both worlds\n")
    tables.print_table(run, task, list(controllers), temperature, count)
    tables.print_survival(run, [*controllers, *tables.scripts(run, task)], temperature, count)
