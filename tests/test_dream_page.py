"""The dream in the browser: the page's numbers against TensorFlow's, and the page under a person's hands."""

import base64
import functools
import json
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import cli
import dream_page
import numpy as np
import pytest
from browser import PHONE, chromium, promised
from commands import assert_refused
from released import AGENT, COLD_AGENT, RELEASE
from reporting.dream_data import model_arrays, squash_points
from reporting.dream_words import WORDS, words_of
from reporting.real_frames import real_frames
from samples import finish_stage, write_run

from controller.checkpoints import load_controller, save_controller
from controller.policies import Policy
from controller.policy_spec import PolicyShape
from experiment.checkpoints import save_model
from experiment.errors import InputError
from experiment.planning import open_run
from experiment.runs import Run, save_run
from rnn.mdn import sample, split_head
from rnn.model import MDNRNN
from rnn.series import InitialLatents, load_initial
from rnn.training import load_rnn
from vae.model import VAE
from vae.training import load_vae

STEPS, EVERY = 200, 20
TOLERANCE = 2e-3


def made_run(path: Path, task: str, **changes: object) -> Run:
    """A run folder with an untrained V and M, first frames and a controller, as the stages write them."""
    described = cli.task(task)
    stages = described.presets["smoke"].stages
    run = open_run(path, Run(path, task, "smoke", 0, stages), set(), preset_given=True)
    z, config = stages.vae.z_size, stages.rnn
    heads = {"done_head": config.done_head, "reward_head": config.reward_head}
    sizes = {"z_size": z, "action_size": described.action_size, "hidden_size": config.hidden_size}
    rnn = MDNRNN(**sizes | {"mixtures": config.mixtures, **heads} | changes)
    rng = np.random.default_rng(0)
    initial = InitialLatents(*rng.normal(size=(2, 10, z)).astype(np.float32))
    write_run(path, VAE(z, seed=1), rnn, initial, "float16")
    for stage in ("vae", "series", "rnn"):
        finish_stage(path / stage)
    shape = PolicyShape(described.variant, z, config.hidden_size, described.action_size, described.bias)
    save_controller(path / "controller" / "made", "best", shape, rng.normal(size=shape.size), {"world": "real"})
    return run


@functools.cache
def released():
    """The released V and M."""
    return load_vae(RELEASE / "vae"), load_rnn(RELEASE / "rnn")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One Chromium for all tests of this file."""
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of the released run."""
    path = tmp_path_factory.mktemp("page") / "dream.html"
    dream_page.make(RELEASE, path, None)
    return path


@pytest.fixture(scope="module")
def car_page(tmp_path_factory):
    """The page of a CarRacing run: three controls, a reward head, no done head."""
    folder = tmp_path_factory.mktemp("car")
    made_run(folder / "run", "carracing")
    dream_page.make(folder / "run", folder / "dream.html", None)
    return folder / "dream.html"


@pytest.fixture
def opened(browser, page):
    """The released run's page, opened anew from its file, with its first frame shown."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    return open_page(browser, page)


def open_page(browser, path):
    browser.get(path.as_uri())
    promised(browser, "dreamPage.ready")
    return browser


def ask(browser, call, **words):
    """What the page's worker answers."""
    return promised(browser, "dreamPage.client.ask(arguments[0], arguments[1])", call, words)


# --- the numbers ---


def test_the_page_computes_what_tensorflow_does(opened):
    """z, h, c, mixture, done logit and frame of 200 steps of one dream agree, given the same noise."""
    import tensorflow as tf

    vae, rnn = released()
    rng = np.random.default_rng(5)
    actions = np.repeat(rng.uniform(-1, 1, (STEPS // 10, 1)), 10, axis=0).astype(np.float32)
    uniforms = rng.random((STEPS, rnn.z_size), np.float32)
    normals = rng.standard_normal((STEPS, rnn.z_size), np.float32)
    z = first = load_initial(RELEASE / "series", rnn.z_size).draw(rng)[None]
    (h, c), worst = rnn.zero_state(1), {}

    @tf.function
    def advance(z, action, restart, h, c, uniforms, normals):
        params, h, c = rnn.step(z, action, restart, h, c)
        return params, h, c, sample(params, 1.15, uniforms, normals)

    words = {"actions": actions.tolist(), "uniforms": uniforms.tolist(), "normals": normals.tolist()}
    rows = ask(opened, "trace", z=first[0].tolist(), temperature=1.15, every=EVERY, **words)
    for t, row in enumerate(rows):
        now, restart = slice(t, t + 1), np.float32([[t == 0]])
        params, h, c, z = advance(z, actions[now], restart, h, c, uniforms[now], normals[now])
        theirs = split_head(np.float32(row["raw"]), rnn.z_size, rnn.mixtures)
        pairs = {"z": (row["z"], z), "h": (row["h"], h), "c": (row["c"], c)}
        pairs |= {k: (getattr(theirs, k), getattr(params, k)) for k in ("logmix", "mean", "logstd", "done_logit")}
        if row["frame"]:
            pairs["frame"] = (np.reshape(row["frame"], (64, 64, 3)), vae.decode(z)[0])
        for name, (mine, other) in pairs.items():
            difference = float(np.abs(np.asarray(mine) - np.squeeze(np.asarray(other))).max())
            worst[name] = max(worst.get(name, 0.0), difference)
        assert row["over"] == bool(params.done_logit[0] > 0) and row["score"] == t + 1
    assert len(worst) == 8 and max(worst.values()) < TOLERANCE, worst


def test_the_page_samples_deaths_where_the_run_does(browser, tmp_path):
    """With controller.death=sampled a dream ends by chance, as likely as deaths are by M."""
    run = made_run(tmp_path / "run", "doomrnn")
    stages = replace(run.stages, controller=replace(run.stages.controller, death="sampled"))
    save_run(replace(run, stages=stages))
    rnn = load_rnn(run.path / "rnn")
    kernel, bias = np.array(rnn.head.kernel), np.array(rnn.head.bias)
    kernel[:, -1], bias[-1] = 0, np.log(10 * 0.3 / 0.7)
    rnn.head.kernel.assign(kernel)
    rnn.head.bias.assign(bias)
    save_model(run.path / "rnn", "weights", rnn, "float16")
    finish_stage(run.path / "rnn")
    dream_page.make(run.path, tmp_path / "dream.html", None)
    noise = np.full((4 * STEPS, rnn.z_size), 0.5)
    words = {"actions": np.zeros((len(noise), 1)), "uniforms": noise, "normals": noise, "z": noise[0]}
    words = {name: array.tolist() for name, array in words.items()}
    rows = ask(open_page(browser, tmp_path / "dream.html"), "trace", temperature=1.15, every=10_000, **words)
    assert abs(np.mean([row["over"] for row in rows]) - 0.3) < 4 * np.sqrt(0.3 * 0.7 / len(rows))


def test_what_the_page_draws_has_the_mixture_s_moments(opened):
    """Mean and variance of 10,000 draws at a temperature agree with the distribution's, in every dimension."""
    import tensorflow_probability as tfp

    draws, tau = 10_000, 1.3
    z = load_initial(RELEASE / "series", 64).mu[0]
    found = ask(opened, "draws", z=z.tolist(), action=[0.5], temperature=tau, draws=draws, seed=3)
    params = split_head(np.float32(found["raw"]), 64, 5)
    last = [np.asarray(part).T for part in params[:3]]  # [Z, K]
    distribution = tfp.distributions.MixtureSameFamily(
        tfp.distributions.Categorical(logits=last[0] / tau),
        tfp.distributions.Normal(last[1], np.exp(last[2]) * np.float32(np.sqrt(tau))),
    )
    drawn = np.array(found["drawn"])
    mean, variance = (np.asarray(part) for part in (distribution.mean(), distribution.variance()))
    off = drawn - mean
    assert np.abs(off.mean(0) / np.sqrt(variance / draws)).max() < 5
    error = np.sqrt(((off**2 - variance) ** 2).mean(0) / draws)
    assert (np.abs((off**2).mean(0) - variance) / error).max() < 5


def test_its_controllers_act_as_ours(browser, page, car_page):
    """Doom's zch without bias, and CarRacing's zh with bias and squashed outputs, on the same z, c, h."""
    rng = np.random.default_rng(1)
    car = car_page.parent / "run" / "controller" / "made"
    doom = RELEASE / "controller" / AGENT
    for path, folder, task in ((page, doom, "doomrnn"), (car_page, car, "carracing")):
        shape, weights = load_controller(folder, "best")
        open_page(browser, path)
        for _ in range(3):
            z, c, h = (0.3 * rng.standard_normal((1, n), np.float32) for n in (shape.z_size, *[shape.state_size] * 2))
            ours = Policy(shape, cli.task(task).squash).act(weights[None], z, c, h)
            parts = {"z": z[0].tolist(), "c": c[0].tolist(), "h": h[0].tolist()}
            np.testing.assert_allclose(ask(browser, "act", controller=0, **parts), np.asarray(ours)[0], atol=1e-5)


def test_the_file_holds_the_weights(page):
    """Every array of the page, unpacked again, is the run's in half precision; nothing points elsewhere."""
    text = page.read_text()
    spec = json.loads(re.search(r'id="spec">(.*?)</script>', text, re.S)[1])
    blob = base64.b64decode(re.search(r'id="arrays">(.*?)</script>', text, re.S)[1])
    assert spec["bytes"] == len(blob) and 13e6 < len(text) < 16e6
    wanted = model_arrays(*released())
    assert sum(array.size for array in wanted.values()) == 1_678_785 + 66_560 + 3_559_011  # M, dense, convolutions
    for name, array in wanted.items():
        entry = spec["arrays"][name]
        found = np.frombuffer(blob, np.float16, entry["count"], entry["offset"])
        assert (found == array.ravel()).all(), name
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert [c["name"] for c in spec["controllers"]] == [AGENT, COLD_AGENT]
    assert spec["controllers"][0]["real"]["episodes"] == 1000 and spec["controllers"][0]["paper"]["mean"] == 1092


# --- under a person's hands ---


def value(browser, number=0):
    """The action of a control that the last step took."""
    return float(browser.execute_script(f"return document.getElementById('hand-{number}').value"))


def playing(browser):
    """Who plays: -1 the person, else the number of a controller."""
    return browser.execute_script("return dreamPage.play.player")


def steps(browser):
    """Steps of the dream on show."""
    return int(browser.execute_script("return document.getElementById('now').textContent").replace(",", ""))


def until(condition, seconds=300):
    """Wait for something that the page does in its own time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the page did not do it in time"
        time.sleep(0.05)


def key(browser, kind, name, code=None):
    """A key goes down or up, as the system would tell the browser."""
    words = {"type": kind, "key": name, "code": code or name}
    if kind == "keyDown" and len(name) == 1:
        words["text"] = name
    browser.execute_cdp_cmd("Input.dispatchKeyEvent", words)


def test_keys_take_over_and_hand_back(opened):
    """C plays first; an arrow held is the person's action and rests when let go; C, space, N and R do as they say."""
    until(lambda: steps(opened) > 3)
    assert playing(opened) == 0
    key(opened, "keyDown", "ArrowRight")
    until(lambda: playing(opened) == -1 and value(opened) == 1)
    key(opened, "keyUp", "ArrowRight")
    until(lambda: value(opened) == 0)
    key(opened, "keyDown", "a")
    until(lambda: value(opened) == -1)
    key(opened, "keyUp", "a")
    key(opened, "keyDown", "c")
    until(lambda: playing(opened) == 0)
    key(opened, "keyDown", "x")  # any key
    until(lambda: playing(opened) == -1)
    key(opened, "keyDown", " ", "Space")
    until(lambda: not opened.execute_script("return dreamPage.play.projector.running"))
    time.sleep(0.3)
    before = steps(opened)
    key(opened, "keyDown", "n")
    until(lambda: steps(opened) == before + 1)
    key(opened, "keyDown", "r")
    until(lambda: steps(opened) == 0)


def test_touch_slider_and_the_end_on_a_phone(browser, page):
    """At a phone's width nothing is cut off; halves of the frame act, the temperature follows its slider, and a dream
    that has ended says so and begins again."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    open_page(browser, page)
    assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE["width"]
    stage = "const b = document.getElementById('stage').getBoundingClientRect(); return [b.x, b.y, b.width]"
    box = browser.execute_script(stage)
    for share, wanted in ((0.2, -1), (0.8, 1)):
        point = {"x": box[0] + share * box[2], "y": box[1] + 60}
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        until(lambda wanted=wanted: playing(browser) == -1 and value(browser) == wanted)
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        until(lambda: value(browser) == 0)
    browser.execute_script("document.getElementById('temperature').focus()")
    for _ in range(40):
        key(browser, "keyDown", "ArrowRight")
    assert browser.execute_script("return dreamPage.play.temperature") == 2
    assert browser.execute_script("return document.getElementById('temperature-value').textContent") == "2.00"
    browser.execute_script("document.activeElement.blur(); spec.time_limit = 3; dreamPage.play.restart()")
    until(lambda: browser.execute_script("return !document.getElementById('curtain').hidden"))
    assert "3 steps" in browser.execute_script("return document.getElementById('announcer').textContent")
    assert browser.execute_script("return dreamPage.session.dreams.at(-1)")["steps"] == 3
    browser.execute_script("spec.time_limit = 2100; document.getElementById('again').click()")
    until(lambda: steps(browser) > 3)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_every_view_works_and_asks_nobody(opened, page):
    """Each view opens by its tab and by the keyboard, shows what it should, and no request leaves the page."""
    for view in ("latent", "exploited", "survival", "about"):
        opened.execute_script(f"document.getElementById('tab-{view}').click()")
        assert not opened.execute_script(f"return document.getElementById('view-{view}').hidden")
    opened.execute_script("document.getElementById('tab-about').focus()")
    key(opened, "keyDown", "ArrowRight")
    assert opened.execute_script("return document.activeElement.id") == "tab-play"
    pixels = "return [...document.getElementById(arguments[0]).getContext('2d').getImageData(0, 0, 64, 64).data]"
    real, decoded = (np.array(opened.execute_script(pixels, name)) for name in ("real", "decoded"))
    vae, _ = released()
    frames = real_frames(cli.open_existing(RELEASE), cli.task("doomrnn"), vae)
    np.testing.assert_array_equal(real.reshape(64, 64, 4)[..., :3], frames.obs[0])
    ours = np.asarray(vae.decode(frames.mu[:1]))[0] * 255
    assert np.abs(decoded.reshape(64, 64, 4)[..., :3] - ours).max() < 1
    assert "1,092 ± 556 (100)" in opened.execute_script("return document.getElementById('view-about').textContent")
    assert opened.execute_script("return document.querySelectorAll('#survival-chart path').length") >= 3
    unnamed = """return [...document.querySelectorAll('button, input, [role]')].filter((e) => !e.textContent.trim()
        && !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby') && !e.labels?.length
        && e.id !== 'trouble').map((e) => e.outerHTML)"""
    assert opened.execute_script(unnamed) == []
    assert opened.get_log("browser") == []
    sent = [json.loads(row["message"])["message"] for row in opened.get_log("performance")]
    urls = {m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"}
    assert page.as_uri() in urls and not [url for url in urls if url.startswith(("http", "ws", "ftp"))]


def test_a_survey_of_c(opened):
    """C plays dreams unseen: as many scores as wanted, within the dream's limit, with an interval around the mean."""
    found = ask(opened, "survey", controller=0, temperature=2.0, dreams=2, seed=4)
    assert len(found["scores"]) == 2 and all(1 <= steps <= 2100 for steps in found["steps"])
    assert found["scores"] == found["steps"] and found["mean"] == np.mean(found["scores"])
    assert found["ci95"][0] <= found["mean"] <= found["ci95"][1]
    assert ask(opened, "survey", controller=0, temperature=2.0, dreams=1, seed=5)["scores"] == found["scores"][1:]


def test_carracing_has_three_controls(browser, car_page):
    """Steer, gas and brake, C's hand on them; no probability of an end where M predicts none; rewards are the score."""
    open_page(browser, car_page)
    browser.execute_script("spec.time_limit = 1000000; dreamPage.play.restart()")  # no end before the keys
    until(lambda: steps(browser) != 0 or browser.execute_script("return dreamPage.play.frames") > 5)
    assert browser.execute_script("return document.querySelectorAll('#pads input').length") == 3
    assert browser.execute_script("return document.getElementById('meter').hidden")
    key(browser, "keyDown", "ArrowUp")
    key(browser, "keyDown", "ArrowLeft")
    until(lambda: value(browser, 1) > 0.9 and value(browser, 0) < -0.9 and value(browser, 2) < 0.1)
    assert playing(browser) == -1


# --- what is refused, and what a task needs to say ---


def changed(path, tmp_path):
    """A copy of the released run to damage."""
    shutil.copytree(path, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda run: shutil.rmtree(run / "rnn"), ("rnn", "train_rnn.py")),
        (lambda run: (run / "rnn" / "weights.npz").write_bytes(b"PK" + bytes(100)), ("weights.npz", "damaged")),
        (lambda run: (run / "vae" / "weights.npz").unlink(), ("vae", "not there")),
        (lambda run: (run / "config.json").write_text('{"task": "chess"}'), ("config.json", "chess")),
        (lambda run: (run / "frames.npz").write_bytes(b""), ("frames.npz", "damaged")),
    ],
    ids=["no M", "damaged M", "no V", "another task", "damaged frames"],
)
def test_a_run_that_cannot_be_shown(tmp_path, inside, damage, words):
    """One clear line, and no page."""
    run = changed(RELEASE, tmp_path)
    damage(run)
    done = inside("dream_page.py", "--run", run, "--to", tmp_path / "dream.html")
    assert_refused(done, 2, *words)
    assert not (tmp_path / "dream.html").exists()


@pytest.mark.parametrize(
    ("task", "changes", "words"),
    [
        ("doomrnn", {"done_head": False}, ("neither done nor rewards", "rnn.done_head=true")),
        ("doomrnn", {"action_size": 3}, ("takes 3 actions", "doomrnn has 1")),
        ("carracing", {"z_size": 8}, ("M's z has 8", "V's 32")),
    ],
)
def test_a_model_that_does_not_fit(tmp_path, inside, task, changes, words):
    """M without a done head where survival is the score, for another task's actions, for another V."""
    made_run(tmp_path / "run", task, **changes)
    done = inside("dream_page.py", "--run", tmp_path / "run", "--to", tmp_path / "dream.html")
    assert_refused(done, 2, *words)
    assert not (tmp_path / "dream.html").exists()


def test_words_of_tasks():
    """The table fits the tasks; a task of one's own gets a control a dimension with keys that do not clash."""
    for name, words in WORDS.items():
        assert len(words.controls) == cli.task(name).action_size
    own = words_of("my.module:TASK", 6)
    keys = [key for control in own.controls for side in (control.minus, control.plus) for key in side.keys]
    assert len(own.controls) == 6 and len(set(keys)) == len(keys) and not set(keys) & set("nNrRcC ")


def test_squash_as_points():
    """CarRacing's three squashes need two and three points; one that mixes outputs is refused."""
    assert squash_points(cli.task("carracing")) == [
        [[-1, -1], [1, 1]],
        [[-1, 0], [1, 1]],
        [[-1, 0], [0, 0], [1, 1]],
    ]

    class Mixed:
        name, action_size, squash = "mixed", 2, staticmethod(lambda outputs: outputs * outputs[:, :1])

    with pytest.raises(InputError, match="mixes C's outputs"):
        squash_points(Mixed)


def test_real_frames_are_kept_and_made_anew(tmp_path):
    """Twelve different frames, stored; read back without a game; another V's are replaced."""
    run, task = made_run(tmp_path / "run", "carracing"), cli.task("carracing")
    vae = load_vae(run.folder("vae"))
    first = real_frames(run, task, vae)
    assert first.obs.shape == (12, 64, 64, 3) and len(np.unique(first.obs.reshape(12, -1), axis=0)) == 12
    mu, logvar = (np.asarray(part) for part in vae.encode(first.obs.astype(np.float32) / 255))
    np.testing.assert_allclose(first.mu, mu, atol=1e-4)
    np.testing.assert_allclose(first.logvar, logvar, atol=1e-4)
    stored = (run.path / "frames.npz").read_bytes()
    again = real_frames(run, None, vae)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    other = VAE(32, seed=2)
    save_model(run.folder("vae"), "weights", other)
    finish_stage(run.folder("vae"))
    assert (real_frames(run, task, other).mu != first.mu).any() and (run.path / "frames.npz").read_bytes() != stored
