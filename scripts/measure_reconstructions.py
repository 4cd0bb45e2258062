"""Measure what V of a take cover run keeps of the game: its error on monsters, on fireballs and elsewhere.

    python scripts/measure_reconstructions.py --run runs/doom
    python scripts/measure_reconstructions.py --run runs/doom --controller dream-zch-tau1.15-s0 --episodes 5

New games are played by the collecting policy, or with --controller by an agent, and ViZDoom's labels buffer says what
each pixel shows. V encodes to the mean of z and decodes it.
"""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

import cli

cli.one_thread_a_rank()

from running import played

if TYPE_CHECKING:
    from controller.task import Task
    from experiment.runs import Run


TASK = "doomrnn"
KEPT = ("monsters", "fireballs", "elsewhere")  # rows of the table


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = played.parser(__doc__)
    parser.add_argument("--controller", metavar="NAME", help="its agent plays (default: the collecting policy)")
    return parser.parse_args()


def main() -> None:
    """Parse, play, reconstruct, and print the figures."""
    arguments = parse()
    with cli.ending_well():
        from experiment.files import check_file_writable, write_json
        from experiment.runs import check_task
        from experiment.stages import need

        check_file_writable(arguments.json, "name another file")
        run, task = cli.open_existing(arguments.run, arguments.overrides, played.READ), cli.task(TASK)
        check_task(run.path, task.name)
        if arguments.controller:
            cli.need_models(run)
        need(run, "vae")
        cli.load_tensorflow()
        found = measured(run, task, arguments)
        print(table(found, arguments.episodes))
        if arguments.json:
            known = {
                who: {name: None if math.isnan(value) else value for name, value in figures.items()}
                for who, figures in found.items()
            }
            write_json(arguments.json, known)  # JSON has no NaN
            print(f"wrote {arguments.json}")


def measured(run: Run, task: Task, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the figures of `doomrnn.labels.covered_errors` of V, and of the mean frame in its place."""
    import numpy as np

    from controller.trajectories import encode
    from doomrnn.labels import LabelledGames, covered_errors
    from vae.model import to_unit
    from vae.training import load_vae

    vae, games = load_vae(run.folder("vae")), LabelledGames(**run.stages.env.of_game())
    frames, decoded, coverage = [], [], []
    try:
        who = arguments.controller, arguments.episodes, arguments.seed
        for trajectory in played.trajectories(run, task, games, vae, *who):
            z = encode(vae, trajectory.frames)
            frames.append(np.asarray(to_unit(trajectory.frames)))
            decoded += [np.asarray(vae.decode(z[i : i + 64])) for i in range(0, len(z), 64)]
            coverage.append(np.stack(games.coverage[: len(z)]))
    finally:
        games.close()
    seen, drawn, covered = (np.concatenate(parts) for parts in (frames, decoded, coverage))
    return {"V": covered_errors(seen, drawn, covered), "mean frame": covered_errors(seen, seen.mean(0), covered)}


def table(found: dict[str, dict[str, float]], episodes: int) -> str:
    """Return the figures as a table."""
    v, mean = found["V"], found["mean frame"]
    rows = [
        f"{episodes} episodes, {v['frames']:,} frames; squared error of a frame {v['frame']:.2f}",
        "| pixels | share of all | V's mean squared error of a channel | of the mean frame in its place |",
        "| --- | --- | --- | --- |",
    ]
    rows += [f"| {name} | {v[f'{name} share']:.2%} | {v[name]:.5f} | {mean[name]:.5f} |" for name in KEPT]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
