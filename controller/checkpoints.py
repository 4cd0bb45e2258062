"""The files of a controller: flat weights and what rebuilds their policy."""

from pathlib import Path
from typing import Any

import numpy as np

from controller.config import ControllerConfig, Stages
from controller.policy_spec import PolicyShape, rounded
from experiment.checkpoints import load_config
from experiment.config import from_values
from experiment.errors import InputError
from experiment.files import read_json, read_sealed, then, write_json
from experiment.jsonl import read_journal
from experiment.npz import ArraySpec, check_finite, read_npz, write_npz
from experiment.runs import Run
from experiment.stages import refuse_other_networks
from rnn.config import ADVICE as RNN_ADVICE
from vae.config import ADVICE as VAE_ADVICE

CHECKPOINTS = ("best", "last")
CANDIDATES, MEANS = "candidates.npz", "means.npz"
SETTINGS = "controller"  # in the record of a controller that was trained here; one of imported weights has none
ADVICE = "run scripts/train_controller.py first, or again after deleting the folder"


def save_controller(
    folder: Path, checkpoint: str, shape: PolicyShape, weights: np.ndarray, labels: dict[str, Any]
) -> None:
    """Write flat weights [P], as rollouts use them, and what rebuilds their policy; `labels` stand beside it."""
    write_npz(folder / f"{checkpoint}.npz", {"weights": rounded(weights)})
    write_json(folder / f"{checkpoint}.json", {**shape.config(), **labels})


def save_candidates(folder: Path, candidates: np.ndarray, fitness: np.ndarray) -> None:
    """Write a generation's candidates [n, P], as rollouts use them, in the order of their fitness [n], best first."""
    write_npz(folder / CANDIDATES, {"weights": rounded(candidates[np.argsort(-fitness, kind="stable")])})


def load_candidates(folder: Path, size: int, advice: str = ADVICE) -> np.ndarray:
    """Return the last generation's candidates float32 [n, P = size], best first.

    Raises InputError, ending in `advice`, where they are missing, damaged or of another size.
    """
    path = folder / CANDIDATES
    weights = read_npz(path, {"weights": ArraySpec("float32", ("n", size))}, advice)["weights"]
    check_finite(weights, "weights", path, advice)
    return weights


def save_mean(folder: Path, generation: int, mean: np.ndarray) -> None:
    """Add CMA-ES's mean [P] at a generation to those that are kept, as rollouts use it."""
    kept = dict(zip(*load_means(folder, len(mean)), strict=True)) if (folder / MEANS).exists() else {}
    kept[generation] = rounded(mean)
    numbers = sorted(kept)
    write_npz(folder / MEANS, {"generation": np.array(numbers), "weights": np.stack([kept[n] for n in numbers])})


def load_means(folder: Path, size: int, advice: str = ADVICE) -> tuple[list[int], np.ndarray]:
    """Return the generations at which CMA-ES's mean was evaluated, and its weights float32 [n, P = size] there.

    Raises InputError, ending in `advice`, where they are missing, damaged or of another size.
    """
    path = folder / MEANS
    specs = {"generation": ArraySpec("int64", ("n",)), "weights": ArraySpec("float32", ("n", size))}
    arrays = read_npz(path, specs, advice)
    check_finite(arrays["weights"], "weights", path, advice)
    return arrays["generation"].tolist(), arrays["weights"]


def load_controller(folder: Path, checkpoint: str) -> tuple[PolicyShape, np.ndarray]:
    """Return the shape and flat weights float32 [P] of a trained controller's "best" or "last" checkpoint.

    Raises InputError where there is no such checkpoint, or it is missing or damaged.
    """
    if checkpoint not in CHECKPOINTS:
        raise InputError(f"checkpoint {checkpoint!r}: one of {', '.join(CHECKPOINTS)}")
    folder = Path(folder)
    path = folder / f"{checkpoint}.json"
    config = read_json(path, ADVICE)
    try:
        shape = PolicyShape(**{key: config[key] for key in PolicyShape.__dataclass_fields__})
        specs = {"weights": ArraySpec("float32", (shape.size,))}
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: not a controller's configuration ({error!r}){then(ADVICE, path)}") from None
    weights = read_npz(folder / f"{checkpoint}.npz", specs, ADVICE)["weights"]
    check_finite(weights, "weights", folder / f"{checkpoint}.npz", ADVICE)
    return shape, weights


def check_fits(run: Path, shape: PolicyShape, controller: Path, action_size: int | None = None) -> None:
    """Raise InputError where a C is of other sizes than the V and M of a run, or than a task's actions.

    controller: its folder, which the error names. A C that does not see M's state fits an M of any number of units.
    Without V, as a dream can do, M's sizes count alone.
    """
    m = load_config(run / "rnn", "weights", {"z_size": int, "action_size": int, "hidden_size": int}, RNN_ADVICE)
    sizes = {"M's z": (m["z_size"], shape.z_size), "M's actions": (m["action_size"], shape.outputs)}
    if shape.sees_state:
        sizes["M's units"] = m["hidden_size"], shape.state_size
    if (run / "vae" / "weights.json").exists():
        sizes["V's z"] = load_config(run / "vae", "weights", {"z_size": int}, VAE_ADVICE)["z_size"], shape.z_size
    if action_size is not None:
        sizes["the task's actions"] = action_size, shape.outputs
    odd = [f"{name}: {there} there, {needed} here" for name, (there, needed) in sizes.items() if there != needed]
    if odd:
        raise InputError(f"{controller}: does not fit {run} ({'; '.join(odd)}); name another one, or train it there")


def load_fitting(
    run: Path, controller: Path, checkpoint: str = "best", action_size: int | None = None
) -> tuple[PolicyShape, np.ndarray]:
    """Return the shape and flat weights float32 [P] of the C in a folder, to play with the V and M of a run.

    Raises InputError where it is missing or damaged (`load_controller`), or does not fit (`check_fits`).
    """
    shape, weights = load_controller(controller, checkpoint)
    check_fits(run, shape, controller, action_size)
    return shape, weights


def list_controllers(run: Path, holding: str = "best.json") -> list[Path]:
    """Return the folders of a run's controllers that hold this file; hidden ones are other programs'."""
    return sorted(path.parent for path in run.glob(f"controller/[!.]*/{holding}"))


def find_controller(run: Path, name: str | None = None, usual: str | None = None) -> Path:
    """Return the folder of a run's controller: the one named, else the only one there, else the `usual` one.

    InputError where there is none, it is not there, none of several is meant, or it is of another V or M than the
    run's.
    """
    run = Path(run)
    folder = _found(run, name, usual)
    refuse_other_networks(run, folder, f"delete {folder} and run scripts/train_controller.py again")
    return folder


def _found(run: Path, name: str | None, usual: str | None) -> Path:
    found = list_controllers(run)
    if name is not None:
        folder = run / "controller" / name
        if not (name and folder.is_dir()):
            there = ", ".join(path.name for path in found) or "none"
            raise InputError(f"{run / 'controller'}: holds no controller {name!r}; there are: {there}")
        return folder
    if not found:
        raise InputError(f"{run / 'controller'}: no controller in it; {ADVICE}")
    if len(found) > 1:
        if usual is not None and run / "controller" / usual in found:
            return run / "controller" / usual
        raise InputError(f"{run / 'controller'}: holds {', '.join(p.name for p in found)}; name one with --controller")
    return found[0]


def training_config(folder: Path, otherwise: ControllerConfig) -> ControllerConfig:
    """Return what a controller was trained with: its own ``begun.json``, at its own temperature, and the generations
    it got to; `otherwise` where it has no such record (imported weights).

    A run's configuration holds the settings of the command run last, which may have trained another controller. Raises
    InputError where the record or the fitness journal is damaged.
    """
    settings = training_settings(folder)
    return from_values(ControllerConfig, settings, str(folder / "begun.json")) if settings else otherwise


def training_settings(folder: Path) -> dict[str, Any]:
    """Return the values behind `training_config`, as whatever version stored them; empty where there is no record.

    Raises InputError where the record or the fitness journal is damaged.
    """
    begun = read_sealed(folder / "begun.json", ADVICE) if (folder / "begun.json").exists() else {}
    if SETTINGS not in begun:
        return {}
    rows = read_journal(folder / "fitness.jsonl", {"generation": int}, ADVICE)
    generations = {"generations": rows[-1]["generation"]} if rows else {}
    temperature = {"temperature": float(begun["temperature"])} if begun["world"] == "dream" else {}
    return begun[SETTINGS] | generations | temperature


def training_temperature(run: Run[Stages], name: str | None) -> float:
    """Return the temperature that a controller was trained at, or the run's own where there is no controller."""
    begun = run.path / "controller" / (name or "-") / "begun.json"
    return float(read_sealed(begun)["temperature"]) if begun.exists() else run.stages.controller.temperature
