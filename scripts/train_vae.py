"""Train V on the collected frames.

python scripts/train_vae.py doomrnn --run runs/demo
"""

import cli

from experiment.errors import command
from experiment.stages import need, run_stage


def main() -> None:
    """Parse and train."""
    arguments = cli.parser(__doc__).parse_args()
    with cli.ending_well():
        from vae.episodes import list_episodes, split_episodes

        run, task = cli.resolve(arguments), cli.task(arguments.task)
        need(run, "collect", "collect_rollouts.py")
        config = run.stages.vae

        def produce(folder):
            cli.load_tensorflow()
            from vae.frames import FrameStream, sample_frames
            from vae.training import train_vae

            training, held_out = split_episodes(list_episodes(run.folder("collect")), run.seed)
            data = FrameStream(
                training,
                task.action_size,
                batch_size=config.batch_size,
                seed=run.seed,
                megabytes=config.shuffle_megabytes,
                max_frames=config.max_frames,
            )
            tests = sample_frames(held_out, task.action_size, config.validation_frames, run.seed)
            return train_vae(folder, data, tests, config, run.seed)

        following = command("python", "scripts/encode_series.py", task.name, "--run", run.path)
        run_stage(run, "vae", produce, following)


if __name__ == "__main__":
    main()
