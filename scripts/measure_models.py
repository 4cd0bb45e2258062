"""Measure V and M where they are used: their held-out costs on new episodes of the collecting policy and of agents.

    python scripts/measure_models.py --run runs/car
    python scripts/measure_models.py --run runs/car --controller real-zh-s0 real-z-s0 --episodes 20

The costs are those that training prints as held out: V's squared error of a frame, and M's negative log-likelihood of
the next z, in nats a latent dimension; mean ± standard error over episodes.
"""

from __future__ import annotations

import argparse
import contextlib
from typing import TYPE_CHECKING

import cli

cli.one_thread_a_rank()

from running import played

if TYPE_CHECKING:
    import numpy as np

    from controller.task import Task
    from controller.trajectories import Trajectory
    from experiment.runs import Run
    from rnn.model import MDNRNN
    from vae.model import VAE


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = played.parser(__doc__)
    parser.add_argument("--controller", nargs="+", default=[], metavar="NAME", help="folders in controller/, too")
    return parser.parse_args()


def main() -> None:
    """Parse, play, measure and print."""
    arguments = parse()
    with cli.ending_well():
        from controller.checkpoints import find_controller, load_fitting
        from experiment.files import check_file_writable, write_json

        check_file_writable(arguments.json, "name another file")
        run = cli.open_existing(arguments.run, arguments.overrides, played.READ)
        task = cli.task(run.task)
        cli.need_models(run)
        for name in arguments.controller:
            load_fitting(run.path, find_controller(run.path, name))
        cli.load_tensorflow()
        found = measured(run, task, arguments)
        if arguments.json:
            write_json(arguments.json, found)
            print(f"wrote {arguments.json}")


PARTS = (("V", 2), ("M", 4))  # and the digits of their costs


def measured(run: Run, task: Task, arguments: argparse.Namespace) -> dict[str, dict]:
    """Play, and print a row for each who plays; returns the rows by who plays, as `summary` has them."""
    import numpy as np

    from rnn.training import load_rnn
    from vae.training import load_vae

    vae, rnn, rows = load_vae(run.folder("vae")), load_rnn(run.folder("rnn")), {}
    print("| who plays | frames | V's squared error of a frame | M's cost of the next z |")
    print("| --- | --- | --- | --- |")
    for controller in (None, *arguments.controller):
        who, rng = (controller, arguments.episodes, arguments.seed), np.random.default_rng(arguments.seed)
        recording = controller is None  # collecting may go on after an end, an agent's episode never does
        with contextlib.closing(task.games(1, run.stages.env, recording)) as games:
            played_costs = [
                (len(trajectory.frames), *costs(vae, rnn, trajectory, rng))
                for trajectory in played.trajectories(run, task, games, vae, *who)
            ]
        name = controller or "collecting policy"
        rows[name] = summary(np.array(played_costs))
        print(row(name, rows[name]), flush=True)
    return rows


def summary(found: np.ndarray) -> dict:
    """Return the number of frames, and of V and M the mean cost over episodes with its standard error.

    found: [n, 3], frames and the costs of V and M of each episode. A single episode has no error: None.
    """
    import numpy as np

    means = found[:, 1:].mean(axis=0)
    errors = found[:, 1:].std(axis=0, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else [None, None]
    parts = {
        part: {"mean": float(mean), "error": error if error is None else float(error)}
        for (part, _), mean, error in zip(PARTS, means, errors, strict=True)
    }
    return {"frames": int(found[:, 0].sum()), **parts}


def row(name: str, values: dict) -> str:
    """Return a row of the table."""
    cells = [f"{values[part]['mean']:.{digits}f}" for part, digits in PARTS]
    if values["V"]["error"] is not None:
        cells = [f"{c} ± {values[part]['error']:.{digits}f}" for c, (part, digits) in zip(cells, PARTS, strict=True)]
    return f"| {name} | {values['frames']:,} | {' | '.join(cells)} |"


def costs(vae: VAE, rnn: MDNRNN, trajectory: Trajectory, rng: np.random.Generator) -> tuple[float, float]:
    """Return V's and M's cost on an episode; z is sampled, as in training."""
    import numpy as np

    from rnn.mdn import negative_log_likelihood
    from vae.model import to_unit

    zs, error = [], 0.0
    for first in range(0, len(trajectory.frames), 64):
        frames = to_unit(trajectory.frames[first : first + 64])
        mu, logvar = vae.encode(frames)
        zs.append(vae.sample(mu, logvar, rng.standard_normal(mu.shape, np.float32)))
        error += float(np.square(np.asarray(vae.decode(zs[-1])) - np.asarray(frames)).sum())
    z = np.concatenate(zs)[None]
    restart = np.eye(1, z.shape[1] - 1, dtype=np.float32) if rnn.done_head else None
    predicted, _, _ = rnn.sequence(z[:, :-1], trajectory.actions[None, :-1], restart, *rnn.zero_state(1))
    return error / z.shape[1], float(np.mean(negative_log_likelihood(predicted, z[:, 1:])))


if __name__ == "__main__":
    main()
