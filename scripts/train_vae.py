"""Train V on the collected frames.

python scripts/train_vae.py doomrnn --run runs/demo
"""

from pathlib import Path

import cli

from controller.iteration import earlier_episodes, previous, refuse_frozen_vae, refuse_start, vae_goes_on
from experiment.errors import command
from experiment.runs import FOLDERS
from experiment.stages import run_stage
from vae.config import NEW
from vae.episodes import list_episodes, split_episodes
from vae.frames import FrameStream, sample_frames


def main() -> None:
    """Parse and train."""
    arguments = cli.parser(__doc__).parse_args()
    with cli.ending_well():
        run, task = cli.resolve(arguments), cli.task(arguments.task)
        cli.need_episodes(run)
        refuse_frozen_vae(run)
        config = run.stages.vae

        def produce(folder):
            cli.load_tensorflow()
            from vae.training import load_vae, starting_vae, train_vae

            training, held_out = split_episodes(list_episodes(run.folder("collect")), run.seed)
            new, start = len(training), None
            if vae_goes_on(run.path):
                refuse_start(run)
                earlier, start = earlier_episodes(run.path), load_vae(previous(run.path, "vae"))
                training, held_out = training + earlier[0], held_out + earlier[1]
            elif config.start != NEW:
                start = starting_vae(folder, Path(config.start).expanduser() / FOLDERS["vae"], config)
            data = FrameStream(
                training,
                task.action_size,
                batch_size=config.batch_size,
                seed=run.seed,
                megabytes=config.shuffle_megabytes,
                max_frames=config.max_frames,
                new=new,
                new_share=run.stages.iterate.new_share,
            )
            tests = sample_frames(held_out, task.action_size, config.validation_frames, run.seed)
            return train_vae(folder, data, tests, config, run.seed, start)

        following = command("python", "scripts/encode_series.py", task.name, "--run", run.path)
        run_stage(run, "vae", produce, following)


if __name__ == "__main__":
    main()
