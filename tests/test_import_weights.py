"""The authors' released files, and our own weights there and back in their format."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import assert_refused
from published import NATS, REFERENCE, car_episode, published

from controller.checkpoints import load_controller, training_config
from doomrnn.task import TASK
from experiment.runs import load_run
from rnn.losses import mdnrnn_loss
from rnn.model import MDNRNN
from rnn.released_weights import mdnrnn_to_authors
from rnn.series import load_initial
from rnn.training import load_rnn
from vae.model import VAE
from vae.released_weights import vae_from_authors, vae_to_authors
from vae.training import load_vae

PLACES = {  # in their repository
    "carracing": {"rnn": "rnn/rnn.json", "initial_z": "initial_z/initial_z.json"},
    "doomrnn": {"initial_z": "tf_models/initial_z.json"},
}


@pytest.fixture
def source(tmp_path):
    """A folder laid out as the authors' repository, with the files that are at hand."""

    def lay(task: str) -> Path:
        places = PLACES[task] | {"controller": f"log/{task}.cma.16.64.best.json"}
        for part, place in places.items():
            path = tmp_path / "theirs" / place
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(REFERENCE, "weights", f"{task}_{part}.json"), path)
        return tmp_path / "theirs"

    return lay


@published
def test_the_authors_carracing_run(source, tmp_path, inside):
    """M, the first z and C become finished stages; M's likelihood of the published latents is the published one."""
    run = tmp_path / "run"
    done = inside("import_weights.py", "carracing", "--source", source("carracing"), "--run", run)
    assert done.returncode == 0, done.stderr
    assert "no vae" in done.stdout
    shape, weights = load_controller(run / "controller" / "real-zh-s0", "best")
    assert (shape.variant, shape.size) == ("zh", 867)
    told = json.loads(Path(REFERENCE, "weights", "carracing_controller.json").read_text())
    assert np.allclose(weights, told[0], atol=1e-4)
    assert json.loads((run / "config.json").read_text())["stages"]["env"]["preprocess"] == "authors"
    model = load_rnn(run / "rnn")
    assert model.count_params() == 422_368
    z, action = car_episode()
    params, _, _ = model.sequence(z[:, :-1], action, None, *model.zero_state(1))
    assert float(mdnrnn_loss(params, z[:, 1:]).total) == pytest.approx(NATS, abs=5e-4)


@published
def test_the_authors_doom_run(source, tmp_path, inside):
    """What is there is brought over, the rest is named; the run can be gone on with."""
    run = tmp_path / "run"
    done = inside("import_weights.py", "doomrnn", "--source", source("doomrnn"), "--run", run)
    assert done.returncode == 0 and "no rnn" in done.stdout and "no vae" in done.stdout
    shape, weights = load_controller(run / "controller" / "dream-zch-tau1.15-s0", "best")
    assert shape.size == len(weights) == 1088
    assert load_initial(run / "series", 64).mu.shape == (1000, 64)
    again = inside("import_weights.py", "doomrnn", "--source", source("doomrnn"), "--run", run)
    assert again.returncode == 2 and "there is a run already" in again.stderr


def write_doom_folder(folder: Path) -> Path:
    """A folder laid out as the authors' of Doom with all four files, of the paper's sizes."""
    rng = np.random.default_rng(0)
    contents = {
        "tf_models/vae.json": [array.tolist() for array in vae_to_authors(VAE(64, seed=1))],
        "tf_models/rnn.json": [array.tolist() for array in mdnrnn_to_authors(MDNRNN(64, 1, 512, 5, done_head=True))],
        "tf_models/initial_z.json": rng.integers(-9999, 9999, (2, 3, 64)).tolist(),
        "log/doomrnn.cma.16.64.best.json": [rng.normal(size=1088).tolist(), 820.5],
    }
    for place, content in contents.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(json.dumps(content))
    return folder


def test_no_search_goes_on_from_an_imported_controller(tmp_path, inside):
    """Its folder is that of seed 0: refused in one line, and released as it is."""
    run, name = tmp_path / "run", "dream-zch-tau1.15-s0"
    done = inside("import_weights.py", "doomrnn", "--source", write_doom_folder(tmp_path / "theirs"), "--run", run)
    assert done.returncode == 0 and "import: no " not in done.stdout, done.stderr
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    refused = inside("train_controller.py", "doomrnn", "--run", run, "--temperature", 1.15)
    assert_refused(refused, 2, str(run / "controller" / name), "imported", "use another --seed")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == files
    own = load_run(run, TASK.presets["paper"].stages).stages.controller
    assert training_config(run / "controller" / name, own) == own
    done = inside("release.py", "--run", run, "--to", tmp_path / "released")
    assert done.returncode == 0, done.stderr
    assert load_controller(tmp_path / "released" / "controller" / name, "best")[0].size == 1088
    refused = inside("train_controller.py", "doomrnn", "--run", tmp_path / "released", "--temperature", 1.15)
    assert_refused(refused, 2, "imported", "use another --seed")  # though a release's controllers are not finished


def test_v_there_and_back():
    """Our V in their format gives our V again, to their four decimals."""
    model = VAE(32, seed=5)
    back = vae_from_authors(vae_to_authors(model), 32)
    for ours, theirs in zip(model.variables, back.variables, strict=True):
        assert np.abs(np.asarray(ours) - np.asarray(theirs)).max() <= 5.1e-5
    with pytest.raises(ValueError, match="do not fit"):
        vae_from_authors(vae_to_authors(model), 64)
    with pytest.raises(ValueError, match="do not fit"):
        vae_from_authors(vae_to_authors(model)[1:], 32)


def test_a_run_there_and_back(smoke, tmp_path, inside):
    """Everything a run has learned, written in their format; what does not fit is refused in one line."""
    out, words = tmp_path / "out", ("doomrnn", "--source", tmp_path / "out", "--run")
    done = inside("import_weights.py", *words, smoke.path, "--export")
    assert done.returncode == 0, done.stderr
    assert len(list(out.rglob("*.json"))) == 4
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == ["rnn.weights.h5", "vae.weights.h5"]
    for load, name in ((load_vae, "vae"), (load_rnn, "rnn")):
        model = load(smoke.path / name)
        kept = model.get_weights()
        model.set_weights([np.zeros_like(array) for array in kept])
        model.load_weights(out / f"{name}.weights.h5")
        assert all(map(np.array_equal, model.get_weights(), kept))
    needed = done.stdout.partition("an import of it needs ")[2].split()
    assert needed == ["--preprocess", "plain", "--set", "env.time_limit=150"]
    refused = inside("import_weights.py", *words, tmp_path / "back")  # the smoke preset's M is smaller than the paper's
    assert refused.returncode == 2 and "rnn.json" in refused.stderr and len(refused.stderr.splitlines()) == 1
    (out / "tf_models" / "rnn.json").unlink()
    (out / "log" / "doomrnn.cma.16.64.best.json").unlink()
    refused = inside("import_weights.py", *words, tmp_path / "back", "--set", "vae.z_size=32")
    assert_refused(refused, 2, "--set vae.z_size=32: only settings of env")
    done = inside("import_weights.py", *words, tmp_path / "back", *needed)
    assert done.returncode == 0, done.stderr
    envs = [json.loads((run / "config.json").read_text())["stages"]["env"] for run in (smoke.path, tmp_path / "back")]
    assert envs[0] == envs[1]
    ours, theirs = load_initial(smoke.path / "series", 64), load_initial(tmp_path / "back" / "series", 64)
    assert np.abs(ours.mu - theirs.mu).max() <= 5.1e-5


@pytest.mark.parametrize(
    "content", ["[]", "{}", "not JSON", "[[1, 2], [NaN]]", "[[1, [2]], 3]", '[["a"], 1.0]', "[" * 5000 + "]" * 5000]
)
def test_files_of_others(tmp_path, inside, content):
    """One line with the file's name, and no run is begun."""
    path = tmp_path / "theirs" / "tf_models" / "initial_z.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    done = inside("import_weights.py", "doomrnn", "--source", tmp_path / "theirs", "--run", tmp_path / "run")
    assert done.returncode == 2 and "initial_z.json" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_weights_are_imported_for_tasks_that_have_some(inside):
    """The authors released none for the pendulum."""
    done = inside("import_weights.py", "pendulum", "--source", ".", "--run", "nowhere")
    assert done.returncode == 2 and "invalid choice: 'pendulum'" in done.stderr
