"""Measure a dream beside the real task: scripted policies, and agents, in both, before C is trained or after.

    python scripts/measure_dream.py --run runs/doom --episodes 256
    python scripts/measure_dream.py --run runs/doom --controller dream-zch-tau1.15-s0 --set controller.death=sampled

V and M must be trained. Prints the scores, deaths by window of steps, and the distance of the dream's hazards from the
real task's (docs/doom_rules.md, rule 1); scores are kept as those of scripts/evaluate.py. reproduce.py does the same
with scripted policies alone. An agent made with another V and M plays here once its best.npz and best.json, without the
record of what it was made with, are copied into a folder in controller/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cli
from launch import Launcher
from running.probes import probe

from controller.checkpoints import find_controller, load_fitting

PROBES = "evaluate.probe_episodes"
READ = (*cli.PLAYING, PROBES)  # settings that count here


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = cli.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--controller", nargs="+", default=[], metavar="NAME", help="folders in controller/, too")
    parser.add_argument("--temperature", type=cli.temperature, help="of the dream (controller.temperature)")
    parser.add_argument("--episodes", type=cli.positive, help="of each policy and world (evaluate.probe_episodes)")
    parser.add_argument("--ranks", type=cli.positive, help="MPI ranks (one a core)")
    cli.add_set(parser, "with this one setting changed, such as controller.death=sampled (repeatable)")
    return parser.parse_args()


def main() -> None:
    """Parse, play and print."""
    arguments = parse()
    with cli.ending_well():
        run = cli.open_existing(arguments.run, arguments.overrides, READ)
        task = cli.task(run.task)
        cli.need_models(run)
        cli.need_done_or_reward_head(run)
        for name in arguments.controller:
            load_fitting(run.path, find_controller(run.path, name))
        temperature = arguments.temperature or run.stages.controller.temperature
        launcher = Launcher(run, task, arguments.ranks)
        sets = [word for word in arguments.overrides if not word.startswith(f"{PROBES}=")]  # of this script alone
        probe(launcher, task, temperature, arguments.episodes, arguments.controller, sets)


if __name__ == "__main__":
    main()
