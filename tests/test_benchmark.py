"""The benchmark's arithmetic on made-up rates, its page, what it says of a missing peer; and that the peers' networks
compute what ours do."""

import json
import re
import sys

import benchmark
import numpy as np
import pytest
from benchmarking.figures import (
    AT_LEAST,
    AT_MOST,
    MISSED,
    OPEN,
    REACHED,
    Spread,
    Target,
    ceiling,
    exponent,
    judged,
    paired,
    scaling_row,
)
from benchmarking.measures import BENCHMARKS, Benchmark, BenchmarkRun
from benchmarking.page import WHY, page
from benchmarking.workers import CORES, Implementation, join
from commands import SCRIPTS, TESTS, assert_refused, python, run
from reporting.stage_times import StageTime, note_stage, stage_of, stage_times, times_table


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_exponents_of_made_up_power_laws(power):
    """Seconds of 3 * size ** power give the power back; noise of a tenth moves it by less than a twentieth."""
    sizes = [64, 128, 256, 512]
    assert exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)
    noise = [1.05, 0.95, 1.0, 1.05]
    assert exponent(sizes, [3 * s**power * n for s, n in zip(sizes, noise, strict=True)]) == pytest.approx(
        power, abs=0.05
    )


@pytest.mark.parametrize(("power", "verdict"), [(1.0, REACHED), (1.04, REACHED), (1.1, MISSED), (2.0, MISSED)])
def test_a_change_of_class_is_seen(power, verdict):
    """The verdict on scaling is on the median of the rounds."""
    sizes = [1, 2, 4, 8]
    rounds = [[s**p for s in sizes] for p in (power, 0.1, 3.0)]
    row = scaling_row("rows", sizes, rounds, benchmark.LARGEST_EXPONENT)
    assert row["exponent"] == pytest.approx(power) and row["verdict"] == verdict


def test_ratios_are_paired():
    """A machine that is slow for one whole round changes no ratio, though medians of the rates would."""
    ours, peer = [100.0, 10.0, 80.0], [50.0, 5.0, 20.0]
    assert paired(ours, peer) == [2.0, 2.0, 4.0]
    assert Spread.of(paired(ours, peer)) == Spread(2.0, 2.0, 4.0)
    with pytest.raises(ValueError):
        paired(ours, peer[:2])


@pytest.mark.parametrize(
    ("sense", "bound", "verdict"),
    [(AT_LEAST, 2.0, REACHED), (AT_LEAST, 2.01, MISSED), (AT_MOST, 2.0, REACHED), (AT_MOST, 1.99, MISSED)],
)
def test_verdicts_on_both_sides(sense, bound, verdict):
    """The median decides, and equal is enough."""
    series = {"ours": [100.0, 10.0, 80.0], "peer": [50.0, 5.0, 20.0]}
    row = judged(Target("stage", "ours", "peer", "times the peer", sense, bound), series)
    assert (row["value"], row["low"], row["high"], row["verdict"]) == (2.0, 2.0, 4.0, verdict)
    assert judged(Target("stage", "ours", "", "steps/s", sense, 80.0), series)["verdict"] == REACHED


def test_what_was_not_measured_is_not_judged():
    """Without a peer, or without ours, there is no verdict and no value."""
    for series in ({"ours": [1.0]}, {"peer": [1.0]}, {}):
        row = judged(Target("stage", "ours", "peer", "times the peer", AT_LEAST, 2.0), series)
        assert row["verdict"] == OPEN and row["value"] is None


def test_a_ceiling_takes_every_kernel_at_its_best():
    """Two libraries, each better at one of two kernels."""
    first, second = ({"a": {"seconds": a}, "b": {"seconds": b}} for a, b in ((0.1, 0.5), (0.3, 0.4)))
    assert ceiling([first, second]) == pytest.approx(1 / (0.1 + 0.4))
    assert ceiling([first]) == pytest.approx(1 / 0.6)


def test_processes_side_by_side_add_up():
    """Rates are added, times averaged; the kernels of a ceiling alike."""
    one, other = {"rate": 3.0, "seconds": 1.0}, {"rate": 4.0, "seconds": 3.0}
    assert join([one]) == one
    assert join([one, other]) == {"rate": 7.0, "seconds": 2.0}
    kernels = [{"products": {"a": {"seconds": seconds, "operations": 6.0}}} for seconds in (0.2, 0.4)]
    assert join(kernels)["products"]["a"] == {"seconds": pytest.approx(1 / (1 / 0.2 + 1 / 0.4)), "operations": 6.0}


def made_up(**implementations: Implementation) -> Benchmark:
    """A measure of implementations that need nothing."""
    return Benchmark("nothing", "times/s", implementations)


def compete(measure: Benchmark, folder, repeats: int = 3) -> BenchmarkRun:
    """BenchmarkRun, as the command does it."""
    with BenchmarkRun(measure, folder, 0.01, True) as measured:
        measured.compete(repeats)
    return measured


@pytest.fixture
def world(monkeypatch):
    """Implementations' processes find `benchmark_world`."""
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}:{SCRIPTS}")


def test_implementations_are_measured_alternately(world, tmp_path):
    """Ours, peer, ours, peer; and while one is measured the other is stopped."""
    measured = compete(
        made_up(
            ours=Implementation("benchmark_world.counting", "", "one", "first"),
            peer=Implementation("benchmark_world.counting", "", "one", "second"),
        ),
        tmp_path,
    )
    assert (tmp_path / "turns").read_text().split() == ["first", "second"] * 3
    assert not (tmp_path / "disturbed").exists()
    assert measured.series == {"ours": [1.0, 2.0, 3.0], "peer": [1.0, 2.0, 3.0]} and not measured.missing


def test_a_process_a_core_adds_up(world, tmp_path):
    """`each` starts as many as there are cores."""
    measured = compete(made_up(ours=Implementation("benchmark_world.counting", "", "each", "x")), tmp_path, 1)
    assert measured.series == {"ours": [1.0 * len(CORES)]}


def test_a_missing_peer_is_said(world, tmp_path):
    """What is not installed, or dies, is reported with the reason; the others are measured."""
    measured = compete(
        made_up(
            ours=Implementation("benchmark_world.counting", "", "one", "x"),
            absent=Implementation("benchmark_world.counting", "", "one", needs="no_such_module"),
            mortal=Implementation("benchmark_world.dying", "", "one"),
            unborn=Implementation("benchmark_world.nothing", "", "one"),
        ),
        tmp_path,
    )
    assert measured.missing["absent"] == "no_such_module: not installed; pip install -e .[bench]"
    assert "too slow" in measured.missing["mortal"] and "nothing" in measured.missing["unborn"]
    assert measured.series == {"ours": [1.0, 2.0, 3.0]}


def results() -> dict:
    """A small benchmark's JSON: one target reached, one not, one that could not be measured."""
    series = {"ours": [12.0, 10.0, 11.0], "PyTorch": [4.0, 5.0, 5.5], "loop": [14.0] * 3, "ceiling": [20.0] * 3}
    names = ("dream: ours / PyTorch", "dream: ours / ceiling", "dream: ours / one at a time")
    bounds = (1.5, 0.8, 20)
    pairs = zip(names, bounds, strict=True)
    targets = [Target("dream", *n.removeprefix("dream: ").split(" / "), "times", AT_LEAST, b) for n, b in pairs]
    spreads = {who: vars(Spread.of(values)) for who, values in series.items()}
    implementations = {who: {"what": "", "rate": rate, "ours_over": None} for who, rate in spreads.items()}
    measure = {
        "what": "steps",
        "unit": "steps/s",
        "minutes": 1.0,
        "implementations": implementations,
        "series": series,
        "scaling": {"rows": scaling_row("rows", [1, 2, 4, 8], [[1, 4, 16, 64]], 1.05)},
        "missing": {"one at a time": "numpty: not installed; pip install -e .[bench]"},
        "products": {"head": {"operations": 2e6, "products": 5e10, "products by PyTorch": 6e10}},
    }
    versions = dict.fromkeys(("python", "tensorflow", "numpy", "vizdoom"), "1.2.3")
    machine = {"cpu": "Abacus", "cores": 2, "versions": versions, "commit": "abc", "peers": {"torch": "not installed"}}
    known = {"command": "python scripts/benchmark.py", "date": "2026-01-02", "repeats": 3, "minutes": 1.0, **machine}
    return known | {"measures": {"dream": measure}, "targets": [judged(target, series) for target in targets]}


def test_the_page_is_made_from_the_json(tmp_path):
    """Every figure of it stands in the JSON; missed targets are listed, with what other figures say."""
    (tmp_path / "benchmark.json").write_text(json.dumps(results()))
    words = ("--from", tmp_path / "benchmark.json", "--page", tmp_path / "page.md")
    done = run(python("benchmark.py", *words))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.md").read_text()
    assert text == page(results())
    for part in (
        "Abacus, 2 cores",
        "2026-01-02",
        "| dream: ours / PyTorch | 2 [2, 3] | times | at least 1.5 | reached |",
    ):
        assert part in text
    assert "- **dream: ours / ceiling** is 0.55 [0.5, 0.6] times; the target is at least 0.8; the loop alone" in text
    assert "reaches 14 steps/s, 0.70 of the ceiling" in text
    assert "- **dream** scales over rows with exponent 2 [2, 2]." in text
    assert "Not measured: dream, one at a time (numpty: not installed" in text
    assert "| head | 2 | 50 | 60 |" in text


def test_where_the_time_of_a_run_went(tmp_path):
    """Stages in their order, calls of one added up, shares of the whole; the same in the page."""
    for stage, seconds in (("collect_rollouts", 60.0), ("train_vae", 100.0), ("train_vae", 80.0), ("train_rnn", 60.0)):
        note_stage(tmp_path, stage, seconds)
    times = stage_times(tmp_path)
    assert times == [
        StageTime("collect_rollouts", 60.0, 0.2),
        StageTime("train_vae", 180.0, 0.6),
        StageTime("train_rnn", 60.0, 0.2),
    ]
    assert "| train vae | 3.0 | 60% |" in times_table(times) and "| **all** | **5.0** |" in times_table(times)
    text = page(results() | {"shares": {"doomrnn, preset quick": [vars(time) for time in times]}})
    assert f"### doomrnn, preset quick\n\n{times_table(times)}" in text
    assert stage_times(tmp_path / "nowhere") == []
    flags = {"--controller": "evaluate the agent", "--policy": "evaluate scripted policies"}
    assert all(stage_of("evaluate.py", ["--world", "real", flag]) == stage for flag, stage in flags.items())


def test_reasons_name_measures_that_exist():
    """Targets, and the reasons why one may not be reached, are about implementations that there are."""
    for target in benchmark.TARGETS:
        known = {*BENCHMARKS[target.measure].implementations, "ceiling"}
        assert target.ours.split(",")[0] in known and (not target.over or target.over in known)
    assert set(WHY) <= {target.name for target in benchmark.TARGETS}
    for words in WHY.values():
        for name in re.findall(r"[{:]([a-z_]+/[A-Za-z ]+)", words):
            measure, _, who = name.partition("/")
            assert who in {*BENCHMARKS[measure].implementations, "ceiling"}, name


def test_what_is_measured_again_replaces_itself_alone(tmp_path, monkeypatch):
    """The other measures stay, in the order of a whole run, and their command and minutes with them."""
    path = tmp_path / "benchmark.json"
    path.write_text(json.dumps(results()))
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--only", "vae_training", "--json", str(path)])
    found = benchmark.earlier_results(benchmark.parse())
    assert set(found["measures"]) == {"dream"} and len(found["targets"]) == 3
    assert (found["commands"], found["minutes"]) == (["python scripts/benchmark.py"], 1.0)
    found["measures"] = {"series": {}, **found["measures"]}
    benchmark.order(found)
    assert list(found["measures"]) == ["dream", "series"]
    assert [target["name"] for target in found["targets"]][-1] == "dream: ours / PyTorch"
    path.write_text(json.dumps(results() | {"shares": {"doomrnn": []}}))
    for words, measures in (("--only", "dream"), ()), ((), ()), (("--only", "series"), ("dream",)):
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *words, "--json", str(path)])
        kept = benchmark.earlier_results(benchmark.parse())
        assert tuple(kept["measures"]) == measures and kept["shares"] == {"doomrnn": []}
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--only", "dream", "--json", str(path)])
    for content in ('{"shares": {}}', '{"measures": {}, "targets": [], "shares": {}}'):  # what --shares alone makes
        path.write_text(content)
        assert benchmark.earlier_results(benchmark.parse())["commands"] == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "holds no figures"),
        ("[1]", "holds no figures"),
        ('{"table": []}', "holds no figures"),
        ('{"shares": {}}', "holds no measures"),
        ('{"measures": {}}', "holds no measures"),
        ('{"measures": {"dream": 1}, "targets": []}', "holds measures without command, minutes, date"),
    ],
)
def test_other_figures_are_refused(tmp_path, inside, content, said):
    """A file of something else, or without measures or what was measured, makes no page."""
    (tmp_path / "other.json").write_text(content)
    done = inside("benchmark.py", "--from", tmp_path / "other.json", "--page", tmp_path / "page.md")
    assert_refused(done, 2, f"other.json: {said}")
    assert not (tmp_path / "page.md").exists()


def test_an_unknown_measure_is_refused(inside):
    """One line, and which there are."""
    assert_refused(inside("benchmark.py", "--only", "nonsense"), 2, "nonsense", "vae_training")


def test_measures_that_play_whole_stages(tmp_path):
    """C's training gone on with, collecting and encoding: tiny ones are played, and nothing fails on the way."""
    file, names = tmp_path / "benchmark.json", ("generation", "doom_collecting", "series")
    words = [word for name in names for word in ("--only", name)] + ["--smoke", "--repeats", 1, "--seconds", 0.1]
    done = run(python("benchmark.py", *words, "--json", file), seconds=400)
    assert done.returncode == 0, done.stderr
    measures = json.loads(file.read_text())["measures"]
    assert all(measure["missing"] == {} for measure in measures.values()), done.stdout
    assert measures["generation"]["series"]["ours, outside"][0] < 1  # of so little it may be below 0
    assert measures["doom_collecting"]["series"]["ours, differing"] == [0.0]
    assert measures["series"]["series"]["ours"][0] > 0


@pytest.fixture(scope="module")
def peers():
    """The PyTorch networks; they are an extra."""
    pytest.importorskip("torch", reason="torch is not installed (pip install -e .[bench])")
    from benchmarking import peers as benchmark_peers

    return benchmark_peers


def test_the_peers_dream_is_ours(peers):
    """The same weights and noise give the same next z, state and end, to rounding."""
    import torch
    from benchmarking import dreams as benchmark_dreams

    from rnn.mdn import sample

    model, rng = benchmark_dreams.untrained(), np.random.default_rng(0)
    z, uniforms = rng.standard_normal((8, 64), np.float32), rng.random((8, 64), np.float32)
    h, c, normals = (rng.standard_normal((8, width), np.float32) for width in (512, 512, 64))
    policy = rng.normal(0, 0.1, (8, 1088)).astype(np.float32)
    action = np.tanh((np.concatenate([z, c, h], 1) * policy).sum(1, keepdims=True))
    params, new_h, new_c = model.step(z, action, np.zeros((8, 1), np.float32), h, c)
    expected = sample(params, benchmark_dreams.TEMPERATURE, uniforms, normals)
    dream = peers.Dream([v.numpy() for v in model.variables])
    state = [torch.from_numpy(part) for part in (z, h, c, np.zeros((8, 1), np.float32))]
    with torch.inference_mode():
        found, done = dream.step(state, *map(torch.from_numpy, (policy, uniforms, normals)))
    for ours, theirs in zip((expected, new_h, new_c), found, strict=False):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_array_equal(params.done_logit.numpy() > 0, done)


def test_the_peers_networks_have_our_sizes(peers):
    """As many weights as the paper's V and M (PyTorch's LSTM has a second bias), and the loss of M is ours."""
    import torch
    from benchmarking import dreams as benchmark_dreams
    from benchmarking import parts as benchmark_parts

    from rnn.losses import mdnrnn_loss

    assert sum(p.numel() for p in peers.VAE().parameters()) == 4_446_915
    model, batch = benchmark_dreams.untrained(), benchmark_parts.rnn_batch(3, 4)
    batch = batch._replace(restart=np.zeros_like(batch.restart), done=np.eye(3, 4, dtype=np.float32))
    zero = model.zero_state(3)
    params = model.sequence(batch.z[:, :-1], batch.action, batch.restart, *zero)[0]
    ours = float(mdnrnn_loss(params, batch.z[:, 1:], batch.done).total)
    peer = peers.MDNRNN()
    peer.load([v.numpy() for v in model.variables])
    assert sum(p.numel() for p in peer.parameters()) == 1_678_785 + 4 * 512
    with torch.inference_mode():
        theirs = peer.loss(*map(torch.from_numpy, (batch.z, batch.action, batch.restart, batch.done)))
    assert ours == pytest.approx(float(theirs), abs=1e-4)
