"""Encode the collected episodes with V into series of latents.

python scripts/encode_series.py doomrnn --run runs/demo
"""

import cli

from experiment.errors import command
from experiment.stages import need, run_stage


def main() -> None:
    """Parse and encode."""
    arguments = cli.parser(__doc__).parse_args()
    with cli.ending_well():
        run, task = cli.resolve(arguments), cli.task(arguments.task)
        need(run, "vae", "train_vae.py")
        need_episodes(run)

        def produce(folder):
            cli.load_tensorflow()
            from rnn.encoding import encode_episodes
            from vae.training import load_vae

            model, config = load_vae(run.folder("vae")), run.stages.series
            return encode_episodes(folder, run.folder("collect"), model, task.action_size, config, run.seed)

        following = command("python", "scripts/train_rnn.py", task.name, "--run", run.path)
        run_stage(run, "series", produce, following)


def need_episodes(run) -> None:
    """InputError where not all episodes are collected yet."""
    from controller.iteration import is_iteration

    script = ("iterate.py", "--to") if is_iteration(run.path) else ("collect_rollouts.py",)
    need(run, "collect", *script)


if __name__ == "__main__":
    main()
