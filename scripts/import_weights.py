"""Bring the authors' released JSON weights into a run folder that every script accepts, or write a run's so.

--export writes V and M as Keras's .weights.h5 files beside them, too.

    python scripts/import_weights.py carracing --source WorldModelsExperiments/carracing --run runs/authors
    python scripts/import_weights.py doomrnn --source exported --run runs/demo --export

The source is laid out as their repository's folder of the task. What it does not hold is named and left out. An
imported run is fed observations as theirs were (env.preprocess=authors); for weights that --export wrote it says
what to add, so that they are fed what they were trained on.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cli
import numpy as np

from controller.checkpoints import find_controller, list_controllers, load_controller, save_controller
from experiment.checkpoints import save_model
from experiment.errors import InputError, command
from experiment.files import atomic_write, read_json
from experiment.planning import open_run
from experiment.runs import Run, check_task
from experiment.stage_folder import IMPORTED_FROM, finish, finished, working
from experiment.stages import network_digests
from rnn.series import InitialLatents, load_initial, write_initial

if TYPE_CHECKING:
    from controller.config import Stages
    from controller.policy_spec import PolicyShape
    from controller.task import Task
    from rnn.model import MDNRNN
    from vae.model import VAE


LAYOUT = {  # where their repository keeps things
    "carracing": {
        "vae": "vae/vae.json",
        "rnn": "rnn/rnn.json",
        "series": "initial_z/initial_z.json",
        "controller": "log/carracing.cma.16.64.best.json",
    },
    "doomrnn": {
        "vae": "tf_models/vae.json",
        "rnn": "tf_models/rnn.json",
        "series": "tf_models/initial_z.json",
        "controller": "log/doomrnn.cma.16.64.best.json",
    },
}
LARGEST_NUMBER = 1e12  # of their units
LARGEST_FILE = 200_000_000  # bytes; their largest holds 27 MB


def main() -> None:
    """Parse, then import or export."""
    parser = cli.Parser(description=__doc__, formatter_class=cli.Formatter)
    parser.add_argument("task", choices=LAYOUT, metavar="TASK", help=f"one of: {', '.join(LAYOUT)}")
    parser.add_argument("--source", type=Path, required=True, metavar="DIR", help="the folder in the authors' format")
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--controller", metavar="NAME", help="which to export (default: the only or usual one)")
    parser.add_argument(
        "--preprocess",
        choices=("authors", "plain", "stretched"),
        default="authors",
        help="how V's frames were made: plain for weights that --export wrote (default authors)",
    )
    words = "another setting of the environment that V was trained in (repeatable)"
    cli.add_set(parser, words, "env.FIELD=VALUE")
    parser.add_argument("--export", action="store_true", help="write the run's weights into --source instead")
    arguments = parser.parse_args()
    if arguments.export and arguments.overrides:
        parser.error("--set: of an import; --export writes the run as it is")
    with cli.ending_well():
        if arguments.export:
            export_run(arguments)
        else:
            import_run(arguments)


# --- from their format ---


def import_run(arguments: argparse.Namespace) -> None:
    """Make a finished stage of every part that the source holds."""
    files = {part: arguments.source / path for part, path in LAYOUT[arguments.task].items()}
    there = {part: path for part, path in files.items() if path.exists()}
    if not there:
        known = ", ".join(LAYOUT[arguments.task].values())
        raise InputError(f"{arguments.source}: holds none of {known}; name the authors' folder of {arguments.task}")
    if (arguments.run / "config.json").exists():
        raise InputError(f"{arguments.run}: there is a run already; name another --run")
    task, contents = cli.task(arguments.task), {part: read_numbers(path) for part, path in there.items()}
    stages = imported_stages(task, arguments.preprocess, arguments.overrides)
    cli.load_tensorflow()
    models = {}
    for part, content in contents.items():  # everything is checked before anything is written
        try:
            models[part] = PARTS[part](task, content)
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise InputError(f"{there[part]}: not what it should be ({str(error)[:300]})") from None
    store(arguments, task, stages, models)
    print(f"import: {', '.join(models)} from {arguments.source}; wrote {arguments.run}")
    for part in set(files) - set(there):
        print(f"import: no {part} ({files[part]} is not there)")
    if {"vae", "rnn", "controller"} <= set(models):
        words = ("--run", arguments.run, "--world", "real", "--episodes", 100, "--seed", 7)
        print("next:", command("python", "scripts/evaluate.py", task.name, *words))


def read_numbers(path: Path) -> list:
    """Return the JSON of a file of their format: a list; InputError where it is not one."""
    if path.stat().st_size > LARGEST_FILE:
        raise InputError(f"{path}: larger than {LARGEST_FILE:,} bytes, so not one of the authors' files")
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise InputError(f"{path}: not a list of weights")
    return content


def arrays(content: list) -> list:
    """Return nested lists as arrays; ValueError where one is ragged, or holds anything but finite numbers."""
    made = [np.asarray(part, np.float64) for part in content]
    if not all((np.abs(array) < LARGEST_NUMBER).all() for array in made):  # nor is NaN
        raise ValueError("holds NaN, infinity or an implausibly large number")
    return made


def vae_of(task: Task, content: list) -> VAE:
    """Return V."""
    from vae.released_weights import vae_from_authors

    return vae_from_authors(arrays(content), paper(task, "vae").z_size)


def rnn_of(task: Task, content: list) -> MDNRNN:
    """Return M, of the paper's sizes."""
    from rnn.released_weights import mdnrnn_from_authors

    model, config = (
        mdnrnn_from_authors(arrays(content), paper(task, "vae").z_size, task.action_size),
        paper(task, "rnn"),
    )
    found = model.hidden_size, model.mixtures, model.done_head
    if found != (config.hidden_size, config.mixtures, config.done_head):
        raise ValueError(f"hidden size, mixtures and done head are {found}, not the paper's")
    return model


def initial_of(task: Task, content: list) -> InitialLatents:
    """Return the first z of episodes."""
    from vae.released_weights import UNIT

    mu, logvar = (np.float32(array * UNIT) for array in arrays(content))
    if mu.shape != logvar.shape or mu.ndim != 2 or mu.shape[1] != paper(task, "vae").z_size:
        raise ValueError(f"shapes {mu.shape} and {logvar.shape}")
    return InitialLatents(mu, logvar)


def controller_of(task: Task, content: list) -> tuple[PolicyShape, np.ndarray, float]:
    """Return (shape, weights, evaluated mean) of C."""
    weights, score = arrays(content)
    shape = paper_shape(task)
    if weights.shape != (shape.size,):
        raise ValueError(f"{weights.shape} weights, not ({shape.size},)")
    if score.shape != ():
        raise ValueError("the second entry is not an evaluated mean")
    return shape, weights, float(score)


PARTS = {"vae": vae_of, "rnn": rnn_of, "series": initial_of, "controller": controller_of}


def paper(task: Task, stage: str) -> Any:
    """Return the paper's settings of a stage."""
    return getattr(task.presets["paper"].stages, stage)


def paper_shape(task: Task) -> PolicyShape:
    """Return the controller of the paper."""
    sizes = paper(task, "vae").z_size, paper(task, "rnn").hidden_size
    return task.policy_shape(task.variant, *sizes, paper(task, "controller").hidden_size)


def imported_stages(task: Task, preprocess: str, words: list[str]) -> Stages:
    """Return the settings of an imported run: the paper's, and the environment of --preprocess and --set."""
    for word in words:
        if not word.startswith("env."):
            raise InputError(f"--set {word}: only settings of env are a choice of the import's")
    env = task.presets["paper" if preprocess == "authors" else "quick"].stages.env  # whose screen fits
    stages = replace(task.presets["paper"].stages, env=replace(env, preprocess=preprocess))
    return cli.overridden(stages, words)[0]


def needed_flags(run: Run, task: Task) -> str:
    """Return what an import of a run's weights has to be told of its environment, as flags."""
    preprocess, env = run.stages.env.preprocess, vars(run.stages.env)
    imported = vars(imported_stages(task, preprocess, []).env)
    flags = [f"--preprocess {preprocess}"] if preprocess != "authors" else []
    return " ".join([*flags, *(f"--set env.{key}={env[key]}" for key in env if env[key] != imported[key])])


def store(arguments: argparse.Namespace, task: Task, stages: Stages, models: dict[str, Any]) -> None:
    """Write the run: its configuration, and a finished stage for each part."""
    run = Run(arguments.run, task.name, "paper", 0, stages)
    for part, model in models.items():
        if part == "controller":
            folder = run.path / "controller" / task.usual_controller
            record = {"world": task.world, "temperature": stages.controller.temperature, "seed": 0}
        else:
            folder, record = run.folder(part), {part: vars(getattr(stages, part))}
        with working(folder, record | network_digests(run.path, part)):
            store_part(part, model, folder, task)
            if part != "series" or "rnn" in models:  # else the series are still to be encoded
                finish(folder, {IMPORTED_FROM: str(arguments.source)})
    open_run(arguments.run, run, set(), preset_given=True)  # last: without it there is no run yet


def store_part(part: str, model: Any, folder: Path, task: Task) -> None:
    """Write the files of a part."""
    if part == "controller":
        shape, weights, score = model
        for checkpoint in ("best", "last"):
            save_controller(folder, checkpoint, shape, weights, {"world": task.world, "score": score})
    elif part == "series":
        write_initial(folder, model)
    else:
        save_model(folder, "weights", model)


# --- to their format ---


def export_run(arguments: argparse.Namespace) -> None:
    """Write every part that the run has as the authors would have."""
    run = cli.open_existing(arguments.run)
    check_task(run.path, arguments.task)
    models = trained_models(run)
    contents = exported(run, models, arguments.controller)
    if not contents:
        raise InputError(f"{run.path}: nothing to export yet; train V first")
    for part, content in contents.items():
        path = arguments.source / LAYOUT[arguments.task][part]
        atomic_write(path, (json.dumps(content) + "\n").encode())
        print(f"export: wrote {path}")
    for part, model in models.items():
        path = arguments.source / f"{part}.weights.h5"
        half = path.with_name(f".{os.getpid()}.{path.name}")
        model.save_weights(half)
        half.replace(path)
        print(f"export: wrote {path}, for Keras's load_weights")
    if flags := needed_flags(run, cli.task(run.task)):
        print(f"export: V's frames were not the authors'; an import of it needs {flags}")
    if run.stages.rnn.reward_head and "rnn" in contents:
        print("export: M's reward head is left out; their format has none")


def trained_models(run: Run) -> dict[str, Any]:
    """Return the V and the M that a run has, by "vae" and "rnn"."""
    cli.load_tensorflow()
    from rnn.training import load_rnn
    from vae.training import load_vae

    loaders = {"vae": load_vae, "rnn": load_rnn}
    return {part: load(run.folder(part)) for part, load in loaders.items() if finished(run.folder(part))}


def exported(run: Run, models: dict[str, Any], controller: str | None) -> dict[str, list]:
    """Return the parts that a run has in the authors' format: numbers in their units, by part; its V and M `models`."""
    from rnn.released_weights import mdnrnn_to_authors
    from vae.released_weights import to_units, vae_to_authors

    theirs = {"vae": vae_to_authors, "rnn": mdnrnn_to_authors}
    contents: dict[str, list] = {
        part: [array.tolist() for array in theirs[part](model)] for part, model in models.items()
    }
    if finished(run.folder("series")):
        initial = load_initial(run.folder("series"), run.stages.vae.z_size)
        contents["series"] = [to_units(part).tolist() for part in (initial.mu, initial.logvar)]
    if controller or list_controllers(run.path):
        folder = find_controller(run.path, controller, cli.task(run.task).usual_controller)
        _, weights = load_controller(folder, "best")
        contents["controller"] = [[round(float(w), 4) for w in weights], read_json(folder / "best.json")["score"]]
    return contents


if __name__ == "__main__":
    main()
