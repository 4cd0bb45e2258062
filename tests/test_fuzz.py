"""Files from elsewhere: whatever they hold, they are read right or refused in one line.

``pytest --hypothesis-profile torture tests/test_fuzz.py`` tries 500 cases of every kind of file and change (see
scripts/torture.py); FUZZ_REPORT names a file for the count of cases, the slowest one and the highest memory.
"""

import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import OnlyM, make_episode, make_series, numbered_frames

from controller.checkpoints import load_controller, save_controller
from controller.config import ControllerConfig
from controller.evaluation import Evaluation
from controller.outcomes import OUTCOME
from controller.policy_spec import PolicyShape
from controller.score_files import load_evaluations, save_evaluation
from controller.training import EVALUATION, FITNESS, ControllerTrainer, RolloutTable
from doomrnn.task import TASK
from experiment.checkpoints import (
    load_arrays,
    load_checkpoint,
    load_model,
    model_arguments,
    save_checkpoint,
    save_model,
)
from experiment.errors import InputError
from experiment.files import read_file, read_sealed, seal, write_manifest, write_sealed
from experiment.interrupts import Interrupt
from experiment.jsonl import append_row, read_journal
from experiment.metrics import read_metrics
from experiment.random_streams import Purpose
from experiment.runs import Run, load_run
from experiment.stage_folder import finished
from rnn.config import RNNConfig
from rnn.series import InitialLatents, load_initial, read_shard, write_initial, write_shard
from rollouts.collecting import Attempts
from rollouts.rollout import Outcome
from vae.episodes import episode_bytes, read_episode
from vae.recordings import read_recording

SHAPE = PolicyShape("z", 3, 0, 1, 40, False)
FEW = settings(deadline=None, suppress_health_check=list(HealthCheck))
ADVICE = "make it again"
SLOW = 20.0  # seconds in which a case counts as hung
tally = {"cases": 0, "slowest_seconds": 0.0}


class Variable:
    """What `load_arrays` needs of a Keras variable."""

    def __init__(self, shape: tuple[int, ...]):
        self.path, self.shape, self.value = (
            f"model/dense/{'x'.join(map(str, shape))}",
            shape,
            np.ones(shape, np.float32),
        )

    def assign(self, value: np.ndarray) -> None:
        """Take a value."""
        self.value = np.asarray(value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.value.astype(dtype or np.float32)


def variables() -> list[Variable]:
    """Those of a small model."""
    return [Variable((2, 3)), Variable((3,))]


class SmallModel:
    """What `save_model` and `load_model` need of a model."""

    ARGUMENTS: ClassVar = {"z_size": int, "done_head": bool, "precision": str}

    def __init__(self, z_size: int = 2, done_head: bool = True, precision: str = "float32"):
        self.z_size, self.done_head, self.precision, self.variables = z_size, done_head, precision, variables()


def loaded(folder: Path) -> list[np.ndarray]:
    """The weights of a model."""
    made = variables()
    load_arrays(folder, "weights", made, ADVICE)
    return [np.asarray(v) for v in made]


def resumed(folder: Path) -> Any:
    """A checkpoint."""
    made = variables()
    return load_checkpoint(folder, made, ["update"]), [np.asarray(v) for v in made]


def trainer(folder: Path) -> ControllerTrainer:
    """One that has not begun."""
    return ControllerTrainer(folder, None, ControllerConfig(popsize=4), SHAPE, "dream", 0)


EVALUATED = Evaluation(
    task="doomrnn",
    world="real",
    policy="random",
    controller=None,
    temperature=None,
    seed=7,
    config_sha256="",
    commit="",
    episodes=2,
    mean=2.0,
    std=1.0,
    ci95=[1.0, 3.0],
    scores=[1.0, 3.0],
    lengths=[1, 3],
)
RUN = Run(Path(), "doomrnn", "paper", 0, OnlyM())
KINDS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {  # file: (make it in a folder, read it)
    "episode-000000.npz": (
        lambda f: (f / "episode-000000.npz").write_bytes(
            episode_bytes(make_episode(numbered_frames(0, 3), np.random.default_rng(0)))
        ),
        lambda f: vars(read_episode(f / "episode-000000.npz", 1)),
    ),
    "series-0000.npz": (
        lambda f: write_shard(f / "series-0000.npz", make_series([3, 4], 2)),
        lambda f: [vars(s) for s in read_shard(f / "series-0000.npz", 2, 1)],
    ),
    "initial_z.npz": (
        lambda f: write_initial(f, InitialLatents(*np.ones((2, 3, 2), np.float32))),
        lambda f: vars(load_initial(f, 2)),
    ),
    "weights.npz": (lambda f: save_model(f, "weights", SmallModel()), loaded),
    "checkpoint.npz": (lambda f: save_checkpoint(f, variables(), {"update": 3}), resumed),
    "best.npz": (
        lambda f: save_controller(f, "best", SHAPE, np.ones(SHAPE.size), {}),
        lambda f: load_controller(f, "best"),
    ),
    "best.json": (
        lambda f: save_controller(f, "best", SHAPE, np.ones(SHAPE.size), {}),
        lambda f: load_controller(f, "best"),
    ),
    "weights.json": (
        lambda f: save_model(f, "weights", SmallModel()),
        lambda f: model_arguments(load_model(SmallModel, f, "weights", ADVICE)),
    ),
    "config.json": (
        lambda f: write_sealed(
            f / "config.json", {"task": "doomrnn", "preset": "paper", "seed": 0, "stages": {"rnn": vars(RNNConfig())}}
        ),
        lambda f: load_run(f, OnlyM()).stages,
    ),
    "begun.json": (lambda f: write_sealed(f / "begun.json", {"a": 1}), lambda f: read_sealed(f / "begun.json")),
    "done.json": (lambda f: write_sealed(f / "done.json", {"updates": 1}), finished),
    "manifest.json": (
        lambda f: ((f / "x").write_bytes(b"1"), write_manifest(f)),
        lambda f: read_file(f / "x"),
    ),
    "evaluation.json": (
        lambda f: save_evaluation(f, EVALUATED).rename(f / "evaluation.json"),
        lambda f: [vars(e) for e in load_evaluations(f)],
    ),
}
ROWS: dict[str, tuple[dict[str, Any], Callable[[Path], Any]]] = {  # journal: (a row of it, what reads it)
    "attempts.jsonl": ({"attempt": 0, "length": 5}, lambda f: Attempts.load(f, 101).lengths),
    "outcomes.jsonl": (
        {"table": "fitness 1", "id": 0, "score": 1.0, "length": 1},
        lambda f: RolloutTable(OneFarm(), f, Interrupt()).play("fitness 1", "dream", np.zeros((2, 3)), STREAMS),
    ),
    "fitness.jsonl": (
        {"generation": 1, "candidates": "0", "fitness": [1.0, 2.0, 3.0, 4.0]},
        lambda f: trainer(f)._replay(lambda line: None),
    ),
    "evaluations.jsonl": (
        {"generation": 1, "score": 2.0},
        lambda f: max(row["score"] for row in [*trainer(f)._evaluations(), {"score": 0.0}]),
    ),
    "metrics.jsonl": ({"step": 1, "loss": 2.0}, lambda f: [row["step"] + 0 for row in read_metrics(f)]),
}
STREAMS = [[Purpose.MEAN.stream(0, rollout=n) for n in (1, 2)]] * 2
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
EDITS = st.lists(
    st.tuples(st.sampled_from(["overwrite", "insert", "delete", "cut"]), st.floats(0, 1), st.binary(max_size=12)),
    min_size=1,
    max_size=4,
)


def peak_megabytes() -> float:
    """The highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


class OneFarm:
    """Plays by returning 1."""

    def play(self, rollouts: list) -> list[Outcome]:
        """An outcome for each."""
        return [Outcome(rollout.id, 1.0, 1) for rollout in rollouts]


@pytest.fixture(scope="module", autouse=True)
def report():
    """Write the tally where FUZZ_REPORT says."""
    before = peak_megabytes()  # TensorFlow and the rest, imported
    yield
    path = os.environ.get("FUZZ_REPORT")
    if path:
        Path(path).write_text(json.dumps({**tally, "megabytes_grown": peak_megabytes() - before}))


def attempt(read: Callable[[Path], Any], folder: Path) -> Any:
    """What a reader makes of a folder, or None where it refuses in one line; anything else it raises is a defect."""
    started = time.monotonic()
    try:
        return read(folder)
    except InputError as error:
        assert "\n" not in str(error)
        return None
    finally:
        seconds = time.monotonic() - started
        tally["cases"] += 1
        tally["slowest_seconds"] = max(tally["slowest_seconds"], seconds)
        assert seconds < SLOW


def edited(data: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    """The bytes after a few edits at places from 0 (the start) to 1 (the end)."""
    for kind, where, words in edits:
        place = int(where * len(data))
        after = {"overwrite": place + len(words), "insert": place, "delete": place + 1 + len(words), "cut": len(data)}
        data = data[:place] + (b"" if kind in ("delete", "cut") else words) + data[after[kind] :]
    return data


def before_and_after(folder: Path, name: str, edits: list[tuple[str, float, bytes]]) -> tuple[Any, Any]:
    """What a reader makes of a good file, and what of it after the edits."""
    make, read = KINDS[name]
    make(folder)
    good = attempt(read, folder)
    assert good is not None
    (folder / name).write_bytes(edited((folder / name).read_bytes(), edits))
    return good, attempt(read, folder)


def alike(found: Any, good: Any) -> bool:
    """Whether two nested values hold the same arrays and numbers."""
    if isinstance(good, dict):
        return set(found) == set(good) and all(alike(found[key], good[key]) for key in good)
    if isinstance(good, (list, tuple)):
        return len(found) == len(good) and all(alike(a, b) for a, b in zip(found, good, strict=True))
    return np.array_equal(found, good) if isinstance(good, np.ndarray) else found == good


@pytest.mark.parametrize("name", [name for name in KINDS if name.endswith(".npz")])
@FEW
@given(edits=EDITS)
def test_arrays_edited_anywhere(tmp_path, name, edits):
    """No manifest beside it: the file itself tells, or the edit changed nothing that counts."""
    good, found = before_and_after(tmp_path, name, edits)
    assert found is None or alike(found, good)


@FEW
@given(edits=EDITS, compressed=st.booleans())
def test_recordings_edited_anywhere(tmp_path, edits, compressed):
    """Those of other programs: refused in one line, or read as an episode."""
    path, frames = tmp_path / "recording.npz", numbered_frames(0, 3)
    save = np.savez_compressed if compressed else np.savez
    save(path, obs=frames, action=np.zeros((3, 1)), reward=np.ones(3), done=np.array([0, 0, 1]))
    path.write_bytes(edited(path.read_bytes(), edits))
    attempt(lambda folder: len(read_recording(folder / "recording.npz", 1)), tmp_path)


@pytest.mark.parametrize("name", [name for name in KINDS if name.endswith(".json")])
@FEW
@given(edits=EDITS)
def test_json_edited_anywhere(tmp_path, name, edits):
    """Refused, or read as something of the right kind; what is sealed is the same as before or refused."""
    good, found = before_and_after(tmp_path, name, edits)
    if name in ("config.json", "begun.json", "done.json"):
        assert found is None or alike(found, good)


@pytest.mark.parametrize("name", [name for name in KINDS if name.endswith(".json")])
@FEW
@given(place=st.lists(st.integers(0, 9), max_size=3), value=JSON)
def test_json_with_another_value(tmp_path, name, place, value):
    """Any value in any place, well sealed: refused in one line or read."""
    make, read = KINDS[name]
    make(tmp_path)
    content = json.loads((tmp_path / name).read_text())
    content.pop("crc", None)
    content = replaced(content, place, value)
    sealed = seal(content) if isinstance(content, dict) else content
    (tmp_path / name).write_text(json.dumps(sealed))
    attempt(read, tmp_path)


def replaced(content: Any, place: list[int], value: Any) -> Any:
    """The content with `value` at a place, counted within objects and lists."""
    if not place or not isinstance(content, (dict, list)) or not content:
        return value
    keys = list(content) if isinstance(content, dict) else range(len(content))
    key = keys[place[0] % len(keys)]
    made = dict(content) if isinstance(content, dict) else list(content)
    made[key] = replaced(content[key], place[1:], value)
    return made


@pytest.mark.parametrize("name", list(ROWS))
@FEW
@given(edits=EDITS)
def test_journals_edited_anywhere(tmp_path, name, edits):
    """Rows are those that were written, or refused."""
    row, read = ROWS[name]
    path = tmp_path / name
    path.unlink(missing_ok=True)
    for _ in range(3):
        append_row(path, row)
    path.write_bytes(edited(path.read_bytes(), edits))
    try:
        assert all(found == row for found in read_journal(path, {}))
    except InputError:
        attempt(read, tmp_path)
    tally["cases"] += 1


@pytest.mark.parametrize("name", list(ROWS))
@FEW
@given(values=st.lists(st.tuples(st.integers(0, 5), JSON), min_size=1, max_size=3), extra=JSON)
def test_journals_of_other_values(tmp_path, name, values, extra):
    """Rows with any value in any field, well sealed: refused in one line or read."""
    row, read = ROWS[name]
    path = tmp_path / name
    path.unlink(missing_ok=True)
    for place, value in values:
        changed = {**row, list(row)[place % len(row)]: value, "extra": extra}
        path.open("a").write(json.dumps(seal(changed)) + "\n")
    attempt(read, tmp_path)


@pytest.mark.parametrize("part", ["vae", "rnn", "series", "controller"])
@FEW
@given(content=JSON | st.lists(st.lists(st.floats() | st.integers(), max_size=4) | JSON, max_size=4))
def test_weights_in_the_authors_format(tmp_path, part, content):
    """Anything but their lists of numbers is refused before a model is made of it."""
    import import_weights

    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))

    def read(folder: Path) -> Any:
        numbers = import_weights.read_numbers(path)
        try:
            return import_weights.PARTS[part](TASK, numbers)
        except (ValueError, TypeError, IndexError, OverflowError) as error:  # as the script does
            raise InputError(str(error).splitlines()[0]) from None

    attempt(read, tmp_path)


def test_the_fields_checked_are_those_used():
    """Each row that the tests above begin with has the fields its reader asks for."""
    for name, fields in (("outcomes", OUTCOME), ("fitness", FITNESS), ("evaluations", EVALUATION)):
        assert set(fields) <= set(ROWS[f"{name}.jsonl"][0])
