"""Encode the collected episodes with V into series of latents.

python scripts/encode_series.py doomrnn --run runs/demo

In a copy of a release whose episodes were collected again, as before an iteration of its agent, the series are made
again; V, M, first frames and agents stay those of the release.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cli

from controller.iteration import BEFORE, earlier_episodes, previous, vae_goes_on
from experiment.errors import command
from experiment.files import MANIFEST, read_sealed, write_manifest, write_sealed
from experiment.stages import need, network_digests, run_stage
from rnn.series import shard_paths

if TYPE_CHECKING:
    from controller.task import Task
    from experiment.runs import Run
    from vae.model import VAE


def main() -> None:
    """Parse and encode."""
    arguments = cli.parser(__doc__).parse_args()
    with cli.ending_well():
        run, task = cli.resolve(arguments), cli.task(arguments.task)
        need(run, "vae")
        cli.need_episodes(run)
        if not shard_paths(run.folder("series")):  # a release's, which are finished
            (run.folder("series") / "done.json").unlink(missing_ok=True)

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


def encode_earlier(run: Run, task: Task, model: VAE) -> None:
    """Encode the episodes of all iterations before with this one's V, into the run's before/series.

    What another V, or other settings, encoded there before is encoded anew.
    """
    from rnn.encoding import encode_episodes

    folder, (_, held_out) = run.path / BEFORE / "series", earlier_episodes(run.path)
    record = run.pinned("series") | network_digests(run.path, "series")
    if not encoded_as(folder, record):
        rollouts = previous(run.path, "rollouts")
        encode_episodes(folder, rollouts, model, task.action_size, run.stages.series, run.seed, set(held_out))
        write_manifest(folder)


def encoded_as(folder: Path, record: dict) -> bool:
    """Return whether a folder holds all series of this record; what it holds of another one is removed.

    One that was whole before there were such records is taken as it is.
    """
    begun, whole = folder / "begun.json", (folder / MANIFEST).exists()
    if (read_sealed(begun) == record) if begun.exists() else whole:
        return whole
    for path in (folder / MANIFEST, *folder.glob("*.npz")):
        path.unlink(missing_ok=True)
    write_sealed(begun, record)
    return False


if __name__ == "__main__":
    main()
