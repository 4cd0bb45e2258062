"""Bring episodes recorded by other programs into a run, for V and M to be trained on (docs/recordings.md).

    python scripts/import_episodes.py carracing --source recordings --run runs/mine --preset quick --resize
    python scripts/train_vae.py carracing --run runs/mine

Every .npz file in --source is an episode: frames uint8 [T, 64, 64, 3], actions [T, A] in the task's own range, and
where they are known rewards and terminals [T]. All are checked before one is written; the source is left as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import cli

from experiment.errors import InputError, command
from experiment.files import atomic_write
from experiment.jsonl import write_journal
from experiment.stages import run_stage
from rollouts.collecting import IMPORTED, is_import
from vae.episodes import episode_bytes, episode_path

if TYPE_CHECKING:
    from controller.task import Task
    from experiment.runs import Run


def main() -> None:
    """Parse and import."""
    parser = cli.parser(__doc__)
    parser.add_argument("--source", type=Path, required=True, metavar="DIR", help="the folder of .npz files")
    parser.add_argument("--resize", action="store_true", help="average frames larger than 64x64 down")
    taken = "action t was taken on frame t (frame), or led to it (result; default frame)"
    parser.add_argument("--actions", choices=("frame", "result"), default="frame", help=taken)
    arguments = parser.parse_args()
    with cli.ending_well():
        run, task = cli.resolve(arguments), cli.task(arguments.task)
        refuse_collected(run.folder("collect"))
        following = command("python", "scripts/train_vae.py", task.name, "--run", run.path)
        run_stage(run, "collect", lambda folder: bring(folder, arguments, task, run), following, {IMPORTED: True})


def refuse_collected(folder: Path) -> None:
    """Raise InputError where a folder holds episodes that were collected, or are being collected."""
    if (folder / "attempts.jsonl").exists() and not is_import(folder):
        raise InputError(f"{folder}: collecting has begun there; name another --run for recordings")


def bring(folder: Path, arguments: argparse.Namespace, task: Task, run: Run) -> dict[str, int]:
    """Check all recordings, then write them as episodes; the summary of the stage."""
    from vae.recordings import read_recording

    paths = sorted(arguments.source.glob("[!.]*.npz"))
    if len(paths) < 2:
        raise InputError(f"{arguments.source}: holds {len(paths)} .npz files, and V and M need two episodes or more")

    def read(path: Path):
        return read_recording(path, task.action_size, arguments.resize, arguments.actions == "frame", task.bounds)

    lengths, deaths, paid = [], 0, 0
    for path in paths:
        episode = read(path)
        lengths.append(len(episode))
        deaths, paid = deaths + int(episode.terminated.any()), paid + int(episode.reward.any())
    if run.stages.rnn.reward_head and not paid:
        raise InputError(f"{arguments.source}: no rewards in it; add --set rnn.reward_head=false")
    for path in folder.glob("episode-*.npz"):
        path.unlink()  # of an import that was stopped, maybe of another source
    for number, path in enumerate(paths):  # a second time, since all of them may not fit into memory
        atomic_write(episode_path(folder, number), episode_bytes(read(path)))
    write_journal(folder / "attempts.jsonl", [{"attempt": n, "length": k} for n, k in enumerate(lengths)])
    print(f"import: {deaths} of {len(paths)} episodes end by termination, {paid} have rewards")
    return {"episodes": len(paths), "frames": sum(lengths), "attempts": len(paths)}


if __name__ == "__main__":
    main()
