"""Weights on disk: named arrays in an `.npz` beside a JSON of the configuration that rebuilds their model."""

from pathlib import Path
from typing import Any

import numpy as np

from experiment.errors import InputError, NumericalError
from experiment.files import CHECKPOINT, read_json, then, write_json
from experiment.forks import refuse_dead_tensorflow, refuse_graphs
from experiment.npz import ArraySpec, check_finite, read_npz, write_npz


def weight_names(variables: list[Any]) -> list[str]:
    """Return stable array names of Keras variables: ``layer.weight``, without the model's own name."""
    return [".".join(variable.path.split("/")[-2:]) for variable in variables]


def model_arguments(model: Any) -> dict[str, Any]:
    """Return the arguments that rebuild a model, as its class lists them in ``ARGUMENTS`` (name: type)."""
    return {name: getattr(model, name) for name in model.ARGUMENTS}


def save_model(folder: Path, name: str, model: Any, dtype: str = "float32") -> None:
    """Write ``name.npz`` (arrays of `dtype`, float32 or float16) and ``name.json``, which rebuilds the model.

    Raises NumericalError where a weight is NaN, infinite, or overflows float16.
    """
    names = weight_names(model.variables)
    arrays = {key: np.asarray(v).astype(dtype) for key, v in zip(names, model.variables, strict=True)}
    bad = [key for key, array in arrays.items() if not np.isfinite(array).all()]
    if bad:
        raise NumericalError(f"{folder / name}.npz: {bad[0]} holds NaN, infinity or a number beyond {dtype}")
    write_npz(folder / f"{name}.npz", arrays)
    write_json(folder / f"{name}.json", model_arguments(model))


def load_model(kind: type, folder: Path, name: str, advice: str, precision: str | None = None) -> Any:
    """Return the saved model of class `kind`, in its own or another `precision`.

    Raises InputError, ending in `advice`, where a file is missing, damaged, or does not fit, or where TensorFlow cannot
    run in this forked process.
    """
    folder = Path(folder)
    config = load_config(folder, name, kind.ARGUMENTS, advice)
    refuse_dead_tensorflow()
    refuse_graphs()
    try:
        model = kind(**config | ({"precision": precision} if precision else {}))
    except ValueError as error:
        raise InputError(
            f"{folder / name}.json: not a model's configuration ({_line(error)}){then(advice, folder / name)}"
        ) from None
    load_arrays(folder, name, model.variables, advice)
    return model


def load_config(folder: Path, name: str, kinds: dict[str, type], advice: str) -> dict[str, Any]:
    """Return the fields of `kinds` from the JSON beside the weights; InputError where one is missing or mistyped."""
    config = read_json(folder / f"{name}.json", advice)
    if not isinstance(config, dict) or any(type(config.get(key)) is not kind for key, kind in kinds.items()):
        raise InputError(f"{folder / name}.json: not a model's configuration{then(advice, folder / name)}")
    return {key: config[key] for key in kinds}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def load_arrays(folder: Path, name: str, variables: list[Any], advice: str) -> None:
    """Assign the arrays of ``name.npz`` to `variables` by name; InputError for a wrong dtype or shape, or NaN."""
    names = weight_names(variables)
    specs = {k: ArraySpec("float32|float16", tuple(v.shape)) for k, v in zip(names, variables, strict=True)}
    path = folder / f"{name}.npz"
    arrays = read_npz(path, specs, advice)
    for key, variable in zip(names, variables, strict=True):
        check_finite(arrays[key], key, path, advice)
        variable.assign(arrays[key])


def begin_again(folder: Path, change: str) -> str:
    """Return the advice for a training that went wrong: with the `change`, from the start."""
    if (folder / CHECKPOINT).exists():
        return f"{folder} keeps the last good checkpoint; delete it and {change}"
    return f"nothing was saved yet; delete {folder} and {change}" if folder.exists() else change


def save_checkpoint(folder: Path, variables: list[Any], counters: dict[str, float]) -> None:
    """Write what an interrupted training resumes from: all variables by position, and its counters.

    Raises NumericalError, and keeps the previous checkpoint, where a variable is NaN or infinite.
    """
    arrays = {f"variable-{i:03d}": np.asarray(v) for i, v in enumerate(variables)}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        advice = begin_again(folder, "try a smaller learning_rate")
        raise NumericalError(f"{folder}: weights are NaN or infinite; {advice}")
    counts = {f"counter-{key}": np.float64(value).reshape(1) for key, value in counters.items()}
    write_npz(folder / CHECKPOINT, {**arrays, **counts}, level=0)  # weights hardly shrink


def load_checkpoint(folder: Path, variables: list[Any], counters: list[str]) -> dict[str, float] | None:
    """Assign the variables of ``checkpoint.npz`` and return its counters; None where there is no file.

    Raises InputError where it is damaged or of another model."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    known = {f"variable-{i:03d}": np.asarray(v) for i, v in enumerate(variables)}
    specs = {name: ArraySpec(array.dtype.name, array.shape) for name, array in known.items()}
    specs.update({f"counter-{key}": ArraySpec("float64", (1,)) for key in counters})
    arrays = read_npz(path, specs, f"delete {folder} to train again from the start")
    for i, variable in enumerate(variables):
        variable.assign(arrays[f"variable-{i:03d}"])
    return {key: float(arrays[f"counter-{key}"][0]) for key in counters}
