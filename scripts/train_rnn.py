"""Train M on the series of latents.

python scripts/train_rnn.py doomrnn --run runs/demo
"""

import cli

from controller.iteration import is_iteration, previous
from experiment.errors import command
from experiment.stages import need, run_stage
from rnn.series import load_series


def main() -> None:
    """Parse and train."""
    arguments = cli.parser(__doc__).parse_args()
    with cli.ending_well():
        run, task = cli.resolve(arguments), cli.task(arguments.task)
        need(run, "series")

        def produce(folder):
            cli.load_tensorflow()
            from rnn.training import load_rnn, train_rnn

            sizes, config = (run.stages.vae.z_size, task.action_size), run.stages.rnn
            training, held_out = load_series(run.folder("series"), *sizes)
            if not is_iteration(run.path):
                return train_rnn(folder, training, held_out, config, run.seed)
            earlier, start = load_series(previous(run.path, "series"), *sizes), load_rnn(previous(run.path, "rnn"))
            both, share = (training + earlier[0], held_out + earlier[1]), run.stages.iterate.new_share
            sources = {"new": held_out, "earlier": earlier[1]}
            return train_rnn(folder, *both, config, run.seed, start, len(training), share, sources)

        mpirun = ("mpirun", "-n", 2, "python", "-m", "mpi4py")
        following = command(*mpirun, "scripts/train_controller.py", task.name, "--run", run.path)
        run_stage(run, "rnn", produce, following)


if __name__ == "__main__":
    main()
