"""Measure V and M where they are used: their held-out costs on new episodes of the collecting policy and of agents.

    python scripts/measure_models.py --run runs/car
    python scripts/measure_models.py --run runs/car --controller real-zh-s0 real-z-s0 --episodes 20

The costs are those that training prints as held out: V's squared error of a frame, and M's negative log-likelihood of
the next z, in nats a latent dimension; mean ± standard error over episodes.
"""

import argparse
from pathlib import Path

import cli

cli.one_thread_a_rank()


def parse():
    """Return the arguments."""
    parser = cli.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--controller", nargs="+", default=[], metavar="NAME", help="folders in controller/, too")
    parser.add_argument("--episodes", type=cli.positive, default=20, help="of each who plays (20)")
    parser.add_argument("--seed", type=cli.seed, default=7, help="seed of the episodes (7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return parser.parse_args()


def main() -> None:
    """Parse, play, measure and print."""
    arguments = parse()
    with cli.ending_well():
        from controller.checkpoints import find_controller, load_controller
        from experiment.files import check_file_writable, write_json

        check_file_writable(arguments.json, "name another file")
        run = cli.open_existing(arguments.run)
        task = cli.task(run.task)
        cli.need_models(run)
        for name in arguments.controller:
            load_controller(find_controller(run.path, name), "best")
        cli.load_tensorflow()
        found = {}
        print(
            "| who plays | frames | V's squared error of a frame | M's cost of the next z |\n| --- | --- | --- | --- |"
        )
        for name in (None, *arguments.controller):
            found[name or "collecting policy"] = costs = measured(run, task, name, arguments.episodes, arguments.seed)
            words = (f"{costs[part]['mean']:.{digits}f} ± {costs[part]['error']:.{digits}f}" for part, digits in PARTS)
            print(f"| {name or 'collecting policy'} | {costs['frames']:,} | {' | '.join(words)} |", flush=True)
        if arguments.json:
            write_json(arguments.json, found)
            print(f"wrote {arguments.json}")


PARTS = (("V", 2), ("M", 4))  # and the digits of their costs


def measured(run, task, controller: str | None, episodes: int, seed: int) -> dict:
    """Return the number of frames, and of V and M the mean cost over episodes with its standard error."""
    import numpy as np
    from running.played import trajectories

    from rnn.training import load_rnn
    from vae.training import load_vae

    vae, rnn, frames, found = load_vae(run.folder("vae")), load_rnn(run.folder("rnn")), 0, []
    games, rng = task.games(1, run.stages.env, True), np.random.default_rng(seed)
    try:
        for trajectory in trajectories(run, task, games, vae, controller, episodes, seed):
            frames += len(trajectory.frames)
            found.append(costs(vae, rnn, trajectory, rng))
    finally:
        games.close()
    means = np.mean(found, axis=0)
    errors = np.std(found, axis=0, ddof=1) / np.sqrt(episodes) if episodes > 1 else np.full(2, np.nan)
    parts = {part: {"mean": float(means[n]), "error": float(errors[n])} for n, (part, _) in enumerate(PARTS)}
    return {"frames": frames, **parts}


def costs(vae, rnn, trajectory, rng) -> tuple[float, float]:
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
