"""Encode the collected episodes with V into series of latents.

python scripts/encode_series.py doomrnn --run runs/demo
"""

import cli

from controller.iteration import BEFORE, earlier_episodes, previous, vae_goes_on
from experiment.errors import command
from experiment.files import MANIFEST, write_manifest
from experiment.stages import need, run_stage


def main() -> None:
    """Parse and encode."""
    arguments = cli.parser(__doc__).parse_args()
    with cli.ending_well():
        run, task = cli.resolve(arguments), cli.task(arguments.task)
        need(run, "vae")
        cli.need_episodes(run)

        def produce(folder):
            cli.load_tensorflow()
            from rnn.encoding import encode_episodes
            from vae.training import load_vae

            model, config = load_vae(run.folder("vae")), run.stages.series
            if vae_goes_on(run.path):
                encode_earlier(run, task, model)
            return encode_episodes(folder, run.folder("collect"), model, task.action_size, config, run.seed)

        following = command("python", "scripts/train_rnn.py", task.name, "--run", run.path)
        run_stage(run, "series", produce, following)


def encode_earlier(run, task, model) -> None:
    """Encode the episodes of all iterations before with this one's V, into the run's before/series."""
    from rnn.encoding import encode_episodes

    folder, (_, held_out) = run.path / BEFORE / "series", earlier_episodes(run.path)
    folder.mkdir(exist_ok=True)
    if not (folder / MANIFEST).exists():
        rollouts = previous(run.path, "rollouts")
        encode_episodes(folder, rollouts, model, task.action_size, run.stages.series, run.seed, set(held_out))
        write_manifest(folder)


if __name__ == "__main__":
    main()
