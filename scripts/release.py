"""Copy what is worth publishing of a finished run: weights, scores, curves and a dozen frames, without its episodes
and series.

    python scripts/release.py --run runs/paper --to results/doomrnn [--float16] [--precision float32]

The copy is a run folder: scripts/evaluate.py plays its controllers, scripts/report.py makes its page. With --float16
the weights of V and M take half the space; evaluate the copy before you publish scores of it. Its agents play in the
run's controller.precision, or in that of --precision: where a search was played in bfloat16, its scores need not be.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cli

from controller.checkpoints import (
    ADVICE,
    CANDIDATES,
    MEANS,
    find_controller,
    list_controllers,
    load_candidates,
    load_controller,
    load_means,
    training_config,
)
from controller.score_files import load_evaluations, save_evaluation
from experiment.checkpoints import save_model
from experiment.config import PRECISIONS
from experiment.errors import InputError, command
from experiment.files import check_manifest, copy_files, read_sealed, write_manifest, write_sealed
from experiment.stage_folder import made_beside
from experiment.stages import DIGESTS_KEY, FIRST_FRAMES, network_digests

if TYPE_CHECKING:
    from experiment.runs import Run


FILES = {  # what is copied of a stage as it is
    "vae": ("metrics.jsonl", "timing.jsonl", "begun.json", "done.json"),
    "series": (FIRST_FRAMES, "begun.json", "done.json"),
    "rnn": ("metrics.jsonl", "timing.jsonl", "begun.json", "done.json"),
}
# of each controller; not its done.json: its rows tell how far the search came, and it may go on from a release
CONTROLLER = ("best.*", "last.*", CANDIDATES, MEANS, "fitness.jsonl", "evaluations.jsonl", "metrics.jsonl")
CONTROLLER += ("timing.jsonl", "begun.json")


def main() -> None:
    """Parse and copy."""
    parser = cli.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="a folder that is not there yet")
    parser.add_argument("--float16", action="store_true", help="store the weights of V and M in half precision")
    parser.add_argument("--precision", choices=PRECISIONS, help="of the copy's rollouts (the run's)")
    arguments = parser.parse_args()
    with cli.ending_well():
        release(arguments.run, arguments.to, "float16" if arguments.float16 else "float32", arguments.precision)


def release(source: Path, target: Path, dtype: str, precision: str | None) -> None:
    """Copy the stages, then list each copied folder's files in a manifest."""
    run = cli.open_existing(source)
    cli.need_models(run)
    for folder in list_controllers(run.path):
        check_controller(find_controller(run.path, folder.name))  # one of another V or M is refused
    if target.exists() and target.samefile(source):
        raise InputError(f"{target}: is the run itself; name another folder with --to")
    if target.exists():
        raise InputError(f"{target}: already exists; delete it, or name another folder with --to")
    cli.load_tensorflow()
    from rnn.training import load_rnn
    from vae.training import load_vae

    models = {"vae": load_vae(source / "vae"), "rnn": load_rnn(source / "rnn")}
    with made_beside(target) as half:  # half a release looks like a whole one
        copy_all(run, half, models, dtype, precision)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"release: wrote {target}, {size / 1e6:.1f} MB")
    following = ("python", "scripts/evaluate.py", run.task, "--run", target, "--world", "real")
    print("next:", command(*following, "--episodes", 100, "--seed", 7))


def copy_all(run: Run, target: Path, models: dict, dtype: str, precision: str | None) -> None:
    """Write the whole release of a run: weights of V and M in this type, rollouts in this precision (the run's)."""
    write_sealed(target / "config.json", configuration(run, precision))
    for stage, names in FILES.items():
        copy(run.path / stage, target / stage, names)
        if stage in models:
            save_model(target / stage, "weights", models[stage], dtype)
        finish_copy(target, stage, target / stage)
    for folder in list_controllers(run.path):
        copy(folder, target / "controller" / folder.name, CONTROLLER)
        finish_copy(target, "controller", target / "controller" / folder.name)
    for folder in (run.path / "evaluation", *sorted(run.path.glob("measures/[!.]*/"))):
        copy_evaluations(folder, target / folder.relative_to(run.path))
    keep_frames(run, target)


def check_controller(folder: Path) -> None:
    """Raise InputError where a controller lacks a file of its manifest, or its weights are damaged."""
    check_manifest(folder, ADVICE)
    size = load_controller(folder, "best")[0].size
    if any(folder.glob("last.*")):
        load_controller(folder, "last")
    for name, load in ((CANDIDATES, load_candidates), (MEANS, load_means)):
        if (folder / name).exists():  # older ones lack them
            load(folder, size)


def configuration(run: Run, precision: str | None) -> dict:
    """Return the run's configuration, with C's settings of the controller that plays by default.

    The run's own are those of the command run last, which may have trained another one. What ends its dreams stays, and
    so does its precision unless another one is given: scores are of these, whatever a controller was trained in.
    """
    values, own = read_sealed(run.path / "config.json"), run.stages.controller
    try:
        folder = find_controller(run.path, usual=cli.task(run.task).usual_controller)
    except InputError:  # there is none, or several of which none is the usual one
        config = own
    else:
        config = training_config(folder, own)
    config = replace(config, precision=precision or own.precision, death=own.death)
    told = {f"controller.{name}": value for name, value in vars(config).items()}
    overrides = {name: told.get(name, value) for name, value in values.get("overrides", {}).items()}
    return values | {"overrides": overrides, "stages": values["stages"] | {"controller": vars(config)}}


def copy(source: Path, target: Path, names: tuple[str, ...]) -> None:
    """Copy the files of these patterns; InputError where one is not what its manifest lists."""
    copy_files(sorted({path for name in names for path in source.glob(name)}), target)


def finish_copy(target: Path, stage: str, folder: Path) -> None:
    """List a copied folder's files; its record tells the V and M of this release, which may be rounded, if it told any.

    So what belongs together does so here too, and an older record that tells none is not made to.
    """
    record = folder / "begun.json"
    if record.exists() and DIGESTS_KEY in (told := read_sealed(record)):
        write_sealed(record, told | network_digests(target, stage))
    write_manifest(folder)


def keep_frames(run: Run, target: Path) -> None:
    """Keep a dozen real frames with what the released V makes of them, for the page of `scripts/dream_page.py`."""
    from reporting.real_frames import real_frames

    from vae.training import load_vae

    released = replace(run, path=target)
    real_frames(released, cli.task(run.task), load_vae(target / "vae"), episodes=run.folder("collect"))


def copy_evaluations(source: Path, target: Path) -> None:
    """Copy the scores without the mark by which the run knows them as its own, so that they are played when asked."""
    for evaluation in load_evaluations(source):
        save_evaluation(target, replace(evaluation, made_with=""))


if __name__ == "__main__":
    main()
