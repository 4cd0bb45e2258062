"""Training V and M on tiny data: they learn, a stop changes nothing, and a loss that is no number spoils nothing."""

import dataclasses
import itertools
import json
import os
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from samples import OnlyM, leftovers, make_series, write_episodes

import rnn.training
import vae.training
from experiment import stages, training_loop
from experiment.checkpoints import save_checkpoint
from experiment.errors import InputError, NumericalError
from experiment.files import check_manifest
from experiment.metrics import read_metrics
from experiment.progress import Progress
from experiment.runs import Run
from experiment.stages import run_stage
from experiment.training_loop import updates_of
from rnn.config import RNNConfig
from rnn.series import Series
from rnn.training import (
    RNNTrainer,
    build_rnn,
    held_out_batches,
    learning_rate,
    load_rnn,
    make_batches,
    taken_evenly,
    train_rnn,
)
from vae.config import VAEConfig
from vae.frames import FrameStream, sample_frames
from vae.training import learning_rate as v_learning_rate
from vae.training import load_vae, train_vae

V = VAEConfig(z_size=4, batch_size=16, epochs=3.0, learning_rate=2e-3, validate_every=8, checkpoint_seconds=1e9)
M = RNNConfig(
    hidden_size=8,
    batch_size=4,
    sequence_length=8,
    epochs=3.0,
    learning_rate=1e-2,
    validate_every=8,
    checkpoint_seconds=1e9,
)
UPDATES_V, UPDATES_M = 21, 27
ONE_UPDATE = 0.05  # passes


class Killed(Exception):
    """In place of a kill."""


def stopping(monkeypatch, at: int, kill: bool) -> None:
    """Progress that stops the training after so many updates: by a kill, or by Ctrl-C, after which one more is done."""
    count = itertools.count(1)

    class Stopping(Progress):
        def update(self, amount: int, note: str = "") -> None:
            if next(count) == at:
                if kill:
                    raise Killed
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training_loop, "Progress", Stopping)


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> list[Path]:
    """Episodes of a wandering bar; 112 frames and a few."""
    return write_episodes(tmp_path_factory.mktemp("rollouts"), [40, 40, 35], striped=True)


def v_trains(folder: Path, frames: list[Path], config: VAEConfig = V) -> dict[str, float]:
    """Train V, recording often."""
    data = FrameStream(frames, 1, config.batch_size, 0, 10)
    return train_vae(folder, data, sample_frames(frames, 1, 20, 0), config, seed=0)


def z_series(lengths: list[int]) -> list[Series]:
    """Episodes whose z rises evenly, so that it can be foreseen."""
    series = []
    for made in make_series(lengths, z_size=4):
        mu = (np.linspace(-1, 1, len(made))[:, None] * np.ones(4)).astype(np.float16)
        series.append(dataclasses.replace(made, mu=mu, logvar=np.full_like(mu, -3)))
    return series


TRAINING, HELD_OUT = z_series([30, 50, 41, 60, 33, 77]), z_series([45, 38])


def m_trains(folder: Path, config: RNNConfig = M, held_out: list[Series] = HELD_OUT, **more) -> dict[str, float]:
    """Train M, recording often."""
    return train_rnn(folder, TRAINING, held_out, config, seed=0, **more)


class Trained(NamedTuple):
    """A folder and what its training returned."""

    folder: Path
    summary: dict[str, float]


@pytest.fixture(autouse=True, scope="module")
def often():
    """Losses are recorded at every fourth update."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vae.training, "LOG_EVERY", 4)
        patch.setattr(rnn.training, "LOG_EVERY", 4)
        yield


@pytest.fixture(scope="module")
def trained_v(tmp_path_factory, frames) -> Trained:
    """V, never stopped."""
    folder = tmp_path_factory.mktemp("v")
    return Trained(folder, v_trains(folder, frames))


@pytest.fixture(scope="module")
def trained_m(tmp_path_factory) -> Trained:
    """M, never stopped."""
    folder = tmp_path_factory.mktemp("m")
    return Trained(folder, m_trains(folder))


# --- they learn ---------------------------------------------------------------------------------------------


def test_v_learns(trained_v):
    """The loss falls, on held-out frames too, and is recorded where it should be."""
    rows = read_metrics(trained_v.folder)
    assert [row["step"] for row in rows] == [4, 8, 12, 16, 20, 21]
    assert [row["step"] for row in rows if "validation_total" in row] == [8, 16, 21]
    assert rows[-1]["reconstruction"] < 0.6 * rows[0]["reconstruction"]
    assert rows[-1]["validation_reconstruction"] < 0.6 * rows[0]["reconstruction"]
    assert rows[-1]["validation_kl"] >= 0.5 * 4 - 1e-5
    assert trained_v.summary["validation_total"] == rows[-1]["validation_total"]
    assert trained_v.summary["updates"] == UPDATES_V


def test_m_learns(trained_m):
    """Both costs fall on held-out episodes."""
    rows = read_metrics(trained_m.folder)
    assert [row["step"] for row in rows if "validation_total" in row] == [8, 16, 24, 27]
    assert rows[-1]["validation_z"] < rows[1]["validation_z"] < 1.6
    assert rows[-1]["validation_done"] < rows[1]["validation_done"]
    for row in rows:
        assert row["total"] == pytest.approx(row["z"] + row["done"], rel=1e-5)
    assert trained_m.summary["validation_total"] == rows[-1]["validation_total"]


def test_m_learns_from_whole_episodes(tmp_path):
    """The other regime, without a done head, learns too."""
    config = dataclasses.replace(M, regime="episodes", done_head=False, sequence_length=40, batch_size=2, epochs=8.0)
    m_trains(tmp_path, config)
    rows = read_metrics(tmp_path)
    assert rows[-1]["step"] == 24 and rows[-1]["z"] < rows[0]["z"] and rows[-1]["done"] == 0
    assert load_rnn(tmp_path).done_head is False


def test_learning_rates_by_hand():
    """V's a straight line, constant in the paper's preset; M's (first - last) · decay^update + last."""
    line = VAEConfig(learning_rate=1e-3, final_learning_rate=2e-4)
    assert [v_learning_rate(line, update, 5) for update in range(1, 6)] == pytest.approx([1e-3, 8e-4, 6e-4, 4e-4, 2e-4])
    assert {v_learning_rate(VAEConfig(), update, 30_000) for update in (1, 15_000, 30_000)} == {1e-4}
    assert v_learning_rate(line, 1, 1) == 1e-3
    config = RNNConfig()
    assert learning_rate(config, 0) == pytest.approx(1e-3)
    assert learning_rate(config, 10_000) == pytest.approx((1e-3 - 1e-5) * 0.99999**10_000 + 1e-5)
    assert learning_rate(config, 10**7) == pytest.approx(1e-5)


# --- a stop changes nothing ---------------------------------------------------------------------------------


def assert_the_same(folder: Path, whole: Path) -> None:
    """Weights and metrics are equal byte for byte."""
    assert (folder / "weights.npz").read_bytes() == (whole / "weights.npz").read_bytes()
    assert (folder / "weights.json").read_bytes() == (whole / "weights.json").read_bytes()
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert leftovers(folder) == []


@pytest.mark.parametrize("model", ["v", "m"])
def test_stopped_and_resumed_is_never_stopped(model, request, tmp_path, frames, monkeypatch):
    """Interrupted once, killed once a little after a checkpoint, and taken up again: the same weights and records."""
    whole = request.getfixturevalue(f"trained_{model}")

    def train(**changes) -> dict[str, float]:
        if model == "v":
            return v_trains(tmp_path, frames, dataclasses.replace(V, **changes))
        return m_trains(tmp_path, dataclasses.replace(M, **changes))

    with monkeypatch.context() as patch:
        stopping(patch, at=9, kill=False)
        with pytest.raises(KeyboardInterrupt):
            train()
        assert (tmp_path / "checkpoint.npz").exists() and not (tmp_path / "weights.npz").exists()
        assert read_metrics(tmp_path)[-1]["step"] == 8
    with monkeypatch.context() as patch:
        stopping(patch, at=3, kill=True)
        with pytest.raises(Killed):
            train(checkpoint_seconds=1e-9)  # a checkpoint at every update
    kept = (tmp_path / "checkpoint.npz").read_bytes()
    with monkeypatch.context() as patch:
        stopping(patch, at=3, kill=True)
        with pytest.raises(Killed):
            train()  # these updates are lost and done again
    assert (tmp_path / "checkpoint.npz").read_bytes() == kept
    summary = train()
    assert_the_same(tmp_path, whole.folder)
    assert {k: v for k, v in summary.items() if k != "seconds"} == {
        k: v for k, v in whole.summary.items() if k != "seconds"
    }


def test_killed_before_it_is_marked_finished(tmp_path, trained_m, monkeypatch, capfd):
    """The checkpoint is there until the stage is finished, so that nothing is trained again; then it goes."""
    run, updates = Run(tmp_path, "doomrnn", "smoke", 0, OnlyM(M)), []
    folder, update = run.folder("rnn"), training_loop._Loop._update
    monkeypatch.setattr(training_loop._Loop, "_update", lambda *batch: (updates.append(1), update(*batch))[1])

    def train() -> None:
        run_stage(run, "rnn", lambda place: m_trains(place, dataclasses.replace(M, checkpoint_seconds=1e-9)), "nothing")

    with monkeypatch.context() as patch:
        patch.setattr(stages, "finish", lambda *unused: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train()
    assert len(updates) == UPDATES_M and (folder / "checkpoint.npz").exists()
    kept = (folder / "checkpoint.npz").read_bytes()
    train()
    assert len(updates) == UPDATES_M and not (folder / "checkpoint.npz").exists()
    assert_the_same(folder, trained_m.folder)
    (folder / "checkpoint.npz").write_bytes(kept)  # a kill between the two
    check_manifest(folder)
    train()
    assert not (folder / "checkpoint.npz").exists() and "already finished" in capfd.readouterr().out
    check_manifest(folder)


# --- losses that are no numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["v", "m"])
def test_a_loss_that_is_no_number(model, tmp_path, frames):
    """It ends the training with what to do; the last checkpoint that was good stays, and no weights are written."""
    with pytest.raises(NumericalError) as caught:
        if model == "v":
            v_trains(tmp_path, frames, dataclasses.replace(V, learning_rate=1e30, checkpoint_seconds=1e-9))
        else:
            m_trains(tmp_path, dataclasses.replace(M, learning_rate=1e30, checkpoint_seconds=1e-9))
    line = str(caught.value)
    assert f"{model.upper()}, update 2" in line and "keeps the last good checkpoint" in line and "\n" not in line
    assert "learning_rate" in line and str(tmp_path) in line
    with np.load(tmp_path / "checkpoint.npz") as kept:
        assert kept["counter-update"].tolist() == [1]
        assert all(np.isfinite(kept[name]).all() for name in kept if not name.startswith("counter"))
    assert not (tmp_path / "weights.npz").exists() and leftovers(tmp_path) == []


@pytest.mark.parametrize("model", ["v", "m"])
def test_weights_spoilt_by_the_very_last_update(model, tmp_path, frames):
    """Its loss was still a number; the validation after it is not, and so nothing is kept."""
    with pytest.raises(NumericalError, match="validation"):
        if model == "v":
            v_trains(tmp_path, frames, dataclasses.replace(V, epochs=1 / 7, learning_rate=1e38))
        else:
            m_trains(tmp_path, dataclasses.replace(M, epochs=1 / 9, learning_rate=1e38))
    assert not (tmp_path / "weights.npz").exists()


def test_spoilt_weights_are_never_saved(tmp_path):
    """A checkpoint is of numbers alone; the last good one is named where there is one, and only there."""
    with pytest.raises(NumericalError, match="nothing was saved yet"):
        save_checkpoint(tmp_path, [np.array([np.nan], np.float32)], {})
    save_checkpoint(tmp_path, [np.ones(3, np.float32)], {"update": 1})
    kept = (tmp_path / "checkpoint.npz").read_bytes()
    with pytest.raises(NumericalError, match="keeps the last good checkpoint"):
        save_checkpoint(tmp_path, [np.array([1, np.nan, 3], np.float32)], {"update": 2})
    assert (tmp_path / "checkpoint.npz").read_bytes() == kept


# --- validation ---------------------------------------------------------------------------------------------


def test_validation_is_of_held_out_episodes_alone(trained_m, tmp_path):
    """Other held-out episodes leave the weights as they are and the validation not; it is the same every time."""
    model = load_rnn(trained_m.folder)
    trainer = RNNTrainer(model, M)
    costs = [trainer.validate(held_out_batches(series, M, 0)) for series in (HELD_OUT, HELD_OUT, TRAINING)]
    assert costs[0] == costs[1] != costs[2]
    assert {f"validation_{name}": cost for name, cost in costs[0].items()}.items() <= trained_m.summary.items()
    other = m_trains(tmp_path, held_out=TRAINING[:2])
    assert (tmp_path / "weights.npz").read_bytes() == (trained_m.folder / "weights.npz").read_bytes()
    assert other["validation_total"] != trained_m.summary["validation_total"]


def test_patience_keeps_the_best(tmp_path):
    """Training stops after two validations that are no better, and the weights of the best one are kept."""
    config = dataclasses.replace(M, patience=2, validate_every=1, learning_rate=0.3, epochs=20.0)
    summary = m_trains(tmp_path, config)
    validations = [row["validation_total"] for row in read_metrics(tmp_path)]
    best = int(np.argmin(validations))
    assert len(validations) == summary["updates"] == best + 3 < 180
    assert summary["validation_total"] == validations[best]


def test_an_m_that_goes_on_is_never_worse(trained_m, tmp_path, monkeypatch):
    """With patience the weights it begins with count, too; a kill before the first checkpoint changes nothing."""
    config = dataclasses.replace(M, patience=2, validate_every=1, learning_rate=3.0)
    with monkeypatch.context() as patch:
        patch.setattr(training_loop._Loop, "_updates", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            m_trains(tmp_path, config, start=load_rnn(trained_m.folder))
    summary = m_trains(tmp_path, config, start=load_rnn(trained_m.folder))
    rows = [row for row in read_metrics(tmp_path) if "validation_total" in row]
    assert [row["step"] for row in rows] == [0, 1, 2] and rows[0]["validation_total"] < rows[1]["validation_total"]
    assert summary["validation_total"] == rows[0]["validation_total"]
    kept, start = load_rnn(tmp_path), load_rnn(trained_m.folder)
    assert all(np.array_equal(a, b) for a, b in zip(kept.variables, start.variables, strict=True))


def test_held_out_episodes_are_of_the_whole_list():
    """About as many frames as wanted, evenly; all where there are no more, and one at least."""
    episodes = [[n] * 10 for n in range(10)]
    assert [episode[0] for episode in taken_evenly(episodes, 30)] == [1, 5, 8]
    assert taken_evenly(episodes, 100) == taken_evenly(episodes, 1000) == episodes
    assert taken_evenly(episodes, 1) == episodes[5:6]


def test_ends_that_rows_would_lose_are_refused(tmp_path):
    """Whole episodes longer than a row never show M their end."""
    longest = max(map(len, [*TRAINING, *HELD_OUT]))
    config = dataclasses.replace(M, regime="episodes", sequence_length=longest - 1)
    with pytest.raises(InputError, match=f"make it {longest} or more"):
        m_trains(tmp_path, config)
    assert not list(tmp_path.iterdir())


def test_passes_come_to_updates():
    """At least one, so that a share of a small pass trains at all."""
    assert [updates_of(0.4, 1), updates_of(0.4, 10), updates_of(20.0, 3), updates_of(0.0, 9)] == [1, 4, 60, 0]


@pytest.mark.parametrize("patience", [0, 2])
def test_m_untrained(patience, tmp_path, monkeypatch):
    """With 0 epochs the initial weights are stored as trained ones, with their held-out losses as step 0."""
    config = dataclasses.replace(M, epochs=0.0, patience=patience)
    with monkeypatch.context() as patch:
        patch.setattr(training_loop._Loop, "_finish", lambda self: 1 / 0)  # a kill just before the end
        with pytest.raises(ZeroDivisionError):
            m_trains(tmp_path, config)
    summary = m_trains(tmp_path, config)
    model, initial = load_rnn(tmp_path), build_rnn(M, 4, 1, 0)
    assert all(np.array_equal(a, b) for a, b in zip(model.variables, initial.variables, strict=True))
    losses = RNNTrainer(initial, M).validate(held_out_batches(HELD_OUT, M, 0))
    expected = {f"validation_{name}": loss for name, loss in losses.items()}
    assert read_metrics(tmp_path) == [{"step": 0, **expected}]
    assert {k: v for k, v in summary.items() if k != "seconds"} == {**expected, "updates": 0}
    assert not (tmp_path / "checkpoint.npz").exists() and leftovers(tmp_path) == []
    with pytest.raises(InputError, match="epochs"):
        dataclasses.replace(V, epochs=0.0)


def test_the_carried_state(trained_m):
    """A batch starts from the state the one before it ended in; an epoch starts from zero."""
    trainer = RNNTrainer(build_rnn(M, 4, 1, 0), M)
    batches = make_batches(TRAINING, M, 0)
    first, second, *_ = batches.epoch(0)
    zero = tf.zeros((4, 8))
    _, h, c = trainer.loss(first, zero, zero)
    trainer.update(first, tf.constant(0.0))
    assert np.array_equal(trainer.state[0], h) and np.array_equal(trainer.state[1], c)
    expected = trainer.loss(second, h, c)[0]
    assert float(trainer.update(second, tf.constant(0.0)).total) == pytest.approx(float(expected.total), rel=1e-6)
    trainer.restart()
    assert not np.any(trainer.state[0]) and not np.any(trainer.state[1])


def test_gradients_are_clipped_by_value():
    """Each number by itself, whatever the others are: large ones are cut to the limit, small ones stay."""
    (first, *_) = make_batches(TRAINING, M, 0).epoch(0)

    def handed_to_adam(clip: float) -> np.ndarray:
        trainer = RNNTrainer(build_rnn(M, 4, 1, 0), dataclasses.replace(M, clip=clip))
        found = []
        trainer.optimizer.apply = lambda gradients, variables: found.extend(np.ravel(g) for g in gradients)
        trainer._update(first, tf.constant(1.0))
        return np.concatenate(found)

    whole = handed_to_adam(1e9)
    limit = float(np.median(np.abs(whole[whole != 0])))
    cut = handed_to_adam(limit)
    assert (np.abs(whole) > limit).mean() > 0.2 and (np.abs(whole) < limit).mean() > 0.2
    np.testing.assert_allclose(cut, np.clip(whole, -limit, limit), rtol=1e-5, atol=1e-9)


# --- weights on disk ----------------------------------------------------------------------------------------


def load(model: str, folder: Path):
    """The model of a folder."""
    return load_vae(folder) if model == "v" else load_rnn(folder)


@pytest.mark.parametrize("model", ["v", "m"])
def test_weights_rebuild_their_model(model, request):
    """Configuration and arrays come back, float32, under stable names."""
    folder = request.getfixturevalue(f"trained_{model}").folder
    again = load(model, folder)
    config = json.loads((folder / "weights.json").read_text())
    assert all(getattr(again, name) == value for name, value in config.items())
    with np.load(folder / "weights.npz") as arrays:
        assert sum(array.size for array in arrays.values()) == again.count_params()
        names = {".".join(variable.path.split("/")[-2:]): np.asarray(variable) for variable in again.variables}
        assert set(names) == set(arrays)
        for name, values in names.items():
            assert np.array_equal(values, arrays[name]) and arrays[name].dtype == np.float32


@pytest.mark.parametrize("model", ["v", "m"])
def test_damaged_weights_are_refused(model, request, tmp_path):
    """Missing, cut, of another shape, with a NaN, or beside a wrong configuration: one line with what to run."""
    whole = request.getfixturevalue(f"trained_{model}").folder
    script = "train_vae.py" if model == "v" else "train_rnn.py"
    data, config = (whole / "weights.npz").read_bytes(), json.loads((whole / "weights.json").read_text())
    with np.load(whole / "weights.npz") as loaded:
        arrays = dict(loaded)
    name = sorted(arrays)[0]
    files = [None, data[: len(data) // 2], b"", data[:1000] + b"damaged!" + data[1008:]]
    for changed in (np.full_like(arrays[name], np.nan), arrays[name][:1], arrays[name].astype(np.float64)):
        np.savez(tmp_path / "x.npz", **(arrays | {name: changed}))
        files.append((tmp_path / "x.npz").read_bytes())
    configs = [{**config, "z_size": 5}, {}, [], {**config, "z_size": "4"}, {**config, "precision": "int8"}]
    configs += [{**config, "z_size": -1}, {**config, "z_size": None}]
    cases = [(file, config) for file in files] + [(data, other) for other in configs]
    for number, (file, wrong) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "weights.json").write_text(json.dumps(wrong))
        if file is not None:
            (folder / "weights.npz").write_bytes(file)
        with pytest.raises(InputError) as caught:
            load(model, folder)
        assert "\n" not in str(caught.value) and str(folder) in str(caught.value) and script in str(caught.value), (
            number
        )


def test_a_damaged_checkpoint_is_refused(trained_m, tmp_path, monkeypatch):
    """It is not trained on from, nor thrown away unasked."""
    with monkeypatch.context() as patch:
        stopping(patch, at=2, kill=False)
        with pytest.raises(KeyboardInterrupt):
            m_trains(tmp_path)
    checkpoint = tmp_path / "checkpoint.npz"
    data = checkpoint.read_bytes()
    checkpoint.write_bytes(data[:-10])
    with pytest.raises(InputError, match="to train again from the start"):
        m_trains(tmp_path)
    assert checkpoint.read_bytes() == data[:-10]
    shutil.rmtree(tmp_path)
