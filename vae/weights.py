"""Weights on disk: named arrays in an `.npz` beside a JSON of the configuration that rebuilds their model."""

from pathlib import Path
from typing import Any

import numpy as np

from vae.errors import InputError
from vae.storage import ArraySpec, check_finite, read_json, read_npz, write_json, write_npz


def weight_names(variables: list[Any]) -> list[str]:
    """Stable array names of Keras variables: ``layer.weight``, without the model's own name."""
    return [".".join(variable.path.split("/")[-2:]) for variable in variables]


def save_model(folder: Path, name: str, variables: list[Any], config: dict[str, Any]) -> None:
    """Write ``name.npz`` (float32 arrays) and ``name.json``."""
    arrays = {key: np.asarray(v, np.float32) for key, v in zip(weight_names(variables), variables, strict=True)}
    write_npz(folder / f"{name}.npz", arrays)
    write_json(folder / f"{name}.json", config)


def load_config(folder: Path, name: str, advice: str) -> dict[str, Any]:
    """The configuration beside the weights; InputError where it is missing or no JSON object."""
    config = read_json(folder / f"{name}.json", advice)
    if not isinstance(config, dict):
        raise InputError(f"{folder / name}.json: not a model's configuration; {advice}")
    return config


def load_arrays(folder: Path, name: str, variables: list[Any], advice: str) -> None:
    """Assign the arrays of ``name.npz`` to `variables`, by name, with dtypes, shapes and finiteness checked."""
    names = weight_names(variables)
    specs = {k: ArraySpec("float32", tuple(v.shape)) for k, v in zip(names, variables, strict=True)}
    path = folder / f"{name}.npz"
    arrays = read_npz(path, specs, advice)
    for key, variable in zip(names, variables, strict=True):
        check_finite(arrays[key], key, path, advice)
        variable.assign(arrays[key])


def save_checkpoint(folder: Path, variables: list[Any], counters: dict[str, float]) -> None:
    """Write everything an interrupted training goes on from: all variables by position, and its counters."""
    arrays = {f"variable-{i:03d}": np.asarray(v) for i, v in enumerate(variables)}
    counts = {f"counter-{key}": np.float64(value).reshape(1) for key, value in counters.items()}
    write_npz(folder / "checkpoint.npz", {**arrays, **counts})


def load_checkpoint(folder: Path, variables: list[Any], counters: list[str]) -> dict[str, float] | None:
    """Assign the variables of ``checkpoint.npz`` and return its counters; None where there is none."""
    path = folder / "checkpoint.npz"
    if not path.exists():
        return None
    specs = {f"variable-{i:03d}": ArraySpec(np.dtype(v.dtype).name, tuple(v.shape)) for i, v in enumerate(variables)}
    specs.update({f"counter-{key}": ArraySpec("float64", (1,)) for key in counters})
    arrays = read_npz(path, specs, f"delete {folder} to train again from the start")
    for i, variable in enumerate(variables):
        variable.assign(arrays[f"variable-{i:03d}"])
    return {key: float(arrays[f"counter-{key}"][0]) for key in counters}
