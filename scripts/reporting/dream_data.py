"""What the browser's page holds of a run: V's decoder, M, controllers, first frames, real frames and scores.

Letters: Z, A, H, K as elsewhere.
"""

from dataclasses import dataclass
from typing import Any

import cli
import numpy as np
from reporting.claims import PAPER
from reporting.dream_words import as_values, words_of
from reporting.real_frames import RealFrames, real_frames

from controller.checkpoints import find_controller, list_controllers, load_fitting, training_temperature
from controller.config import death_weight
from controller.evaluation import Evaluation, largest
from controller.policy_spec import PolicyShape
from controller.score_files import evaluations_of
from experiment.errors import InputError
from experiment.files import read_json

POINTS = 257  # of C's outputs in [-1, 1], between which an action is a straight line
LOWEST, HIGHEST = 0.10, 2.00  # temperatures of the page's slider


@dataclass(frozen=True)
class PageData:
    """A page's content: what it says (JSON), and arrays of float16 (weights of V and M), float32 and uint8."""

    spec: dict[str, Any]
    arrays: dict[str, np.ndarray]


def page_data(run: Any, task: Any, controller: str | None) -> PageData:
    """Return what the page of a run holds.

    controller: who plays first, by default the task's usual one, or else the best evaluated.

    Raises InputError where a stage is missing, a file is damaged, or nothing in the task's dream counts.
    """
    from rnn.series import load_initial
    from rnn.training import load_rnn
    from vae.training import load_vae

    vae, rnn = load_vae(run.folder("vae")), load_rnn(run.folder("rnn"))
    _check(run, task, vae, rnn)
    initial = load_initial(run.folder("series"), rnn.z_size)
    evaluations = evaluations_of(run)
    players, weights = _controllers(run, task, evaluations, controller)
    frames = real_frames(run, task, vae)
    rows, counts = np.unique(np.concatenate([initial.mu, initial.logvar], axis=1), axis=0, return_counts=True)
    arrays = {
        **model_arrays(vae, rnn),
        "initial_mu": rows[:, : rnn.z_size],
        "initial_logvar": rows[:, rnn.z_size :],
        **{f"controller_{n}": flat for n, flat in enumerate(weights)},
        "frame_mu": frames.mu,
        "frame_logvar": frames.logvar,
        "frame_pixels": frames.obs,
    }
    spec = {
        **_about(run, task, rnn),
        "controllers": players,
        "initial": np.cumsum(counts).tolist(),
        "active": _most_active(frames),
        "baselines": _baselines(evaluations),
    }
    return PageData(spec, arrays)


def _check(run: Any, task: Any, vae: Any, rnn: Any) -> None:
    """Raise InputError where V, M and the task do not belong together, or nothing in the dream counts."""
    folder = run.folder("rnn")
    if rnn.z_size != vae.z_size:
        raise InputError(f"{folder}: M's z has {rnn.z_size} numbers, V's {vae.z_size}; run scripts/train_rnn.py again")
    if rnn.action_size != task.action_size:
        raise InputError(f"{folder}: M takes {rnn.action_size} actions, {task.name} has {task.action_size}")
    if task.world == "dream":
        cli.need_done_or_reward_head(run, rnn)


def _about(run: Any, task: Any, rnn: Any) -> dict[str, Any]:
    """Return what the run is, and what its dream needs."""
    config = run.stages.controller
    return {
        "task": task.name,
        "run": run.path.resolve().name,
        "preset": run.preset,
        "commit": str(read_json(run.path / "config.json").get("commit", "unknown"))[:12],
        "words": as_values(words_of(task.name, task.action_size)),
        "unit": task.score,
        "model": {
            "z": rnn.z_size,
            "action": rnn.action_size,
            "hidden": rnn.hidden_size,
            "mixtures": rnn.mixtures,
            "done": rnn.done_head,
            "reward": rnn.reward_head,
            "deathWeight": death_weight(config, run.stages.rnn),
        },
        "squash": squash_points(task),
        "temperature": config.temperature,
        "temperatures": [LOWEST, HIGHEST],
        "time_limit": run.stages.env.time_limit,
        "frames_per_second": task.frames_per_second,
    }


# --- weights ---


def model_arrays(vae: Any, rnn: Any) -> dict[str, np.ndarray]:
    """Return the weights of M and of V's decoder in half precision, laid out as the page reads them.

    lstm_kernel [Z + A (+ 1) + H, 4H], head_kernel [H, 3KZ (+ 1) (+ 1)]; decoder_dense_kernel [Z, 1024], and of the
    transposed convolutions deconv1_kernel [in, size, size, out] to deconv4_kernel. Raises InputError where one is
    beyond half precision.
    """
    lstm = [np.asarray(rnn.lstm.kernel), np.asarray(rnn.lstm.recurrent_kernel)]
    arrays = {"lstm_kernel": np.concatenate(lstm), "lstm_bias": rnn.lstm.bias}
    arrays |= {"head_kernel": rnn.head.kernel, "head_bias": rnn.head.bias}
    arrays |= {"decoder_dense_kernel": vae.decoder_dense.kernel, "decoder_dense_bias": vae.decoder_dense.bias}
    for number, layer in enumerate(vae.decoder_layers, 1):
        arrays[f"deconv{number}_kernel"] = np.asarray(layer.kernel).transpose(3, 0, 1, 2)  # Keras has in last
        arrays[f"deconv{number}_bias"] = layer.bias
    return {name: _half(name, np.asarray(array)) for name, array in arrays.items()}


def _half(name: str, array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not np.isfinite(half).all():
        raise InputError(f"{name}: holds a number beyond half precision, which the page cannot store")
    return half


def squash_points(task: Any) -> list[list[list[float]]]:
    """Return of each action [A] the points (C's output, action) that straight lines join, as few as give the same.

    Raises InputError for a squash that mixes the outputs of a row, or bends too much between the points.
    """
    if task.squash is None:
        return [[[-1.0, -1.0], [1.0, 1.0]]] * task.action_size
    grid = np.linspace(-1, 1, POINTS)
    actions = _squashed(task, np.repeat(grid[:, None], task.action_size, axis=1))
    trial = np.random.default_rng(0).uniform(-1, 1, (64, task.action_size))
    lines = [np.interp(trial[:, a], grid, actions[:, a]) for a in range(task.action_size)]
    if np.abs(np.stack(lines, axis=1) - _squashed(task, trial)).max() > 1e-3:
        raise InputError(f"{task.name}: its squash mixes C's outputs, which the page cannot follow")
    return [_corners(grid, actions[:, a]) for a in range(task.action_size)]


def _squashed(task: Any, outputs: np.ndarray) -> np.ndarray:
    return np.asarray(task.squash(outputs.astype(np.float32)), np.float64)


def _corners(xs: np.ndarray, ys: np.ndarray) -> list[list[float]]:
    """Return the first and last point, and those at which the line through all of them bends."""
    bends = np.abs(np.diff(ys, 2)) > 1e-6
    keep = np.concatenate([[True], bends, [True]])
    return [[float(x), round(float(y), 6)] for x, y in zip(xs[keep], ys[keep], strict=True)]


def _most_active(frames: RealFrames) -> list[int]:
    """Return the dimensions of z, those that differ most between the real frames first."""
    return np.argsort(-frames.mu.std(axis=0), kind="stable").tolist()


# --- controllers and scores ---


def _controllers(
    run: Any, task: Any, evaluations: list[Evaluation], named: str | None
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """Return the controllers that fit M, that to play first in front: what the page says of each, and weights [P]."""
    folders = list_controllers(run.path)
    if named is not None:
        first = find_controller(run.path, named)
    else:
        first = max(folders, key=lambda folder: _merit(folder.name, task, evaluations), default=None)
    order = [] if first is None else [first, *(folder for folder in folders if folder != first)]
    players, weights = [], []
    for folder in order:
        shape, flat = load_fitting(run.path, folder)
        players.append(_player(run, folder.name, shape, evaluations))
        weights.append(flat)
    return players, weights


def _merit(name: str, task: Any, evaluations: list[Evaluation]) -> tuple[bool, float]:
    """Return whether the paper's settings make it, and its mean in the real task."""
    real = _scores(evaluations, "real", name, None)
    return (name == task.usual_controller, real["mean"] if real else -np.inf)


def _player(run: Any, name: str, shape: PolicyShape, evaluations: list[Evaluation]) -> dict[str, Any]:
    temperature = training_temperature(run, name)
    return {
        "name": name,
        "variant": shape.variant,
        "bias": shape.bias,
        "layers": shape.layers,
        "size": shape.size,
        "temperature": temperature,
        "trained_in": name.partition("-")[0],
        "real": _scores(evaluations, "real", name, None),
        "dream": _scores(evaluations, "dream", name, temperature),
        "paper": _published(run.task, shape.variant, temperature),
    }


def _scores(evaluations: list[Evaluation], world: str, who: str, temperature: float | None) -> dict[str, Any] | None:
    """Return the largest evaluation of a player in a world, at any temperature where None is given."""
    found = [
        e
        for e in evaluations
        if e.world == world and e.who == who and (temperature is None or e.temperature == temperature)
    ]
    best = largest(found, lambda e: e.who).get(who)
    if best is None:
        return None
    return {
        "mean": best.mean,
        "std": best.std,
        "ci95": best.ci95,
        "episodes": best.episodes,
        "scores": sorted(round(score, 1) for score in best.scores),
    }


def _baselines(evaluations: list[Evaluation]) -> list[dict[str, Any]]:
    """Scripted policies in the real task."""
    names = sorted({e.who for e in evaluations if e.world == "real" and e.controller is None})
    return [{"name": name, **(_scores(evaluations, "real", name, None) or {})} for name in names]


def _published(task: str, variant: str, temperature: float) -> dict[str, Any] | None:
    """Return the paper's score in the real task of a controller like this one."""
    for row in read_json(PAPER).get(task, {}).get("table", []):
        if row.get("temperature") == temperature or ("temperature" not in row and row.get("method") == variant):
            found = row.get("real", row)
            return {"mean": found["mean"], "std": found["std"], "episodes": row["episodes"], "source": row["source"]}
    return None
