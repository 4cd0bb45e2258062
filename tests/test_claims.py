"""The list of claims over whole folders of made-up results: verdicts, settings, what is pooled, what is set apart."""

import json
import re
import shlex
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, assert_refused
from released import AGENT, COLD_AGENT, RELEASE

from controller.checkpoints import save_controller
from controller.evaluation import Evaluation
from controller.policy_spec import PolicyShape
from controller.statistics import bootstrap_interval
from experiment.errors import InputError
from experiment.jsonl import append_row
from experiment.provenance import digest

HOT, COLD = AGENT, COLD_AGENT


def scores(mean: float, std: float, count: int = 100) -> list[float]:
    """Made-up scores with this mean and standard deviation (ddof 1) to the last digit."""
    x = np.random.default_rng(count).normal(size=count)
    return ((x - x.mean()) / x.std(ddof=1) * std + mean).tolist()


def evaluation(
    task: str, world: str, who: str, found: list[float], temperature: float | None = None, seed: int = 7
) -> Evaluation:
    """A made-up evaluation of an agent, or of a script where `who` is not a controller's name."""
    agent = "-" in who
    return Evaluation(
        task=task,
        world=world,
        policy="agent" if agent else who,
        controller=who if agent else None,
        temperature=temperature,
        episodes=len(found),
        seed=seed,
        mean=float(np.mean(found)),
        std=float(np.std(found)),
        ci95=bootstrap_interval(np.array(found)),
        scores=found,
        lengths=[1] * len(found),
        config_sha256="",
        commit="",
    )


def put(folder: Path, *evaluations: Evaluation, run: str = "") -> None:
    """Store evaluations in the run folders of their tasks, or in `run` beside these."""
    for e in evaluations:
        file = folder / e.task / run / "evaluation" / e.file_name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(e)))


@pytest.fixture
def claims(inside):
    """What the command says of a folder of results, by name."""

    def ask(folder: Path, *words: object) -> dict[str, dict]:
        done = inside("verify_claims.py", "--results", folder, "--json", folder / "claims.json", *words)
        assert done.returncode == 0, done.stderr
        rows = json.loads((folder / "claims.json").read_text())
        assert all(row["verdict"] in done.stdout and row["figures"] in done.stdout for row in rows)
        return {row["name"]: row for row in rows}

    return ask


def test_verdicts_follow_the_scores(tmp_path, claims):
    """Nothing is claimed of what was not measured; made-up scores decide, and other scores decide otherwise."""
    put(
        tmp_path,
        evaluation("doomrnn", "real", HOT, scores(1100, 550)),
        evaluation("doomrnn", "dream", HOT, scores(700, 550), 1.15),
        evaluation("doomrnn", "real", COLD, scores(180, 60)),
        evaluation("doomrnn", "dream", COLD, scores(2050, 150), 0.1),
        evaluation("doomrnn", "real", "random", scores(215, 100, 1000)),
        evaluation("carracing", "real", "real-zh-s0", scores(600, 200)),
        evaluation("carracing", "real", "real-z-s0", scores(500, 200)),
    )
    found = claims(tmp_path)
    first = {name: claim["verdict"] for name, claim in found.items()}
    assert first["doomrnn: sizes"] == first["carracing: sizes"] == first["doomrnn: random play"] == "shown"
    assert first["table 1: zh"] == "refuted" and first["table 2: tau 1.15, real"] == "undecided"
    for name in ("beats random", "solved", "low temperature is exploitable", "and does not transfer"):
        assert first[f"doomrnn: {name}"] == "shown", name
    assert first["doomrnn: the dream is harder than the game"] == "shown"
    for name in ("doomrnn: 1.15 beats 0.10", "carracing: h helps"):
        assert first[name] == "one search only" and "alone" in found[name]["figures"], name
    assert first["carracing: solved"] == "refuted"
    assert first["doomrnn: a second iteration"] == first["carracing: an untrained M"] == "not measured yet"
    assert first["doomrnn: beats an open-loop sweep"] == first["table 2: tau 0.50, dream"] == "not measured yet"
    put(
        tmp_path,
        evaluation("doomrnn", "real", HOT, scores(220, 100)),
        evaluation("doomrnn", "dream", HOT, scores(1700, 550), 1.15),
        evaluation("doomrnn", "dream", COLD, scores(150, 100), 0.1),
        evaluation("doomrnn", "real", COLD, scores(400, 60)),
    )
    second = {name: claim["verdict"] for name, claim in claims(tmp_path).items()}
    for name in ("solved", "low temperature is exploitable", "and does not transfer", "above the leaderboard"):
        assert second[f"doomrnn: {name}"] == "refuted", name
    assert second["doomrnn: the dream is harder than the game"] == second["table 2: tau 1.15, real"] == "refuted"
    assert second["doomrnn: beats random"] == "undecided"


def test_temperatures_are_compared_in_order(tmp_path, claims):
    """One agent in five dreams; searches at five temperatures in the game: falling, then not."""
    taus, order = (0.10, 0.50, 1.00, 1.15, 1.30), (1.15, 1.00, 1.30, 0.50, 0.10)
    harder, ranked = "doomrnn: a higher temperature makes the dream harder", "doomrnn: the order of temperatures"
    for sign, verdict in ((1, "shown"), (-1, "refuted")):
        for number, (tau, place) in enumerate(zip(taus, order, strict=True)):
            put(tmp_path, evaluation("doomrnn", "dream", HOT, scores(1000 - 150 * number * sign, 100), tau))
            for seed in range(3):
                mean = 1000 + seed - 150 * number * sign
                put(tmp_path, evaluation("doomrnn", "real", f"dream-zch-tau{place:.2f}-s{seed}", scores(mean, 100)))
        found = claims(tmp_path)
        assert found[harder]["verdict"] == verdict, found[harder]
        assert found[ranked]["verdict"] == verdict, found[ranked]


def test_methods_are_decided_over_searches(tmp_path, claims):
    """Three searches decide a method, two do not; runs set apart are measured against the others."""
    for n, (full, vision) in enumerate(((700, 500), (720, 480), (690, 510))):
        put(tmp_path, evaluation("carracing", "real", f"real-zh-s{n}", scores(full, 100)))
        put(tmp_path, evaluation("carracing", "real", f"real-z-s{n}", scores(vision, 100)))
        put(tmp_path, evaluation("carracing", "real", f"real-zh-s{n}", scores(full + 5, 50, 1000)), run="untrained")
        put(tmp_path, evaluation("doomrnn", "real", f"dream-zch-tau1.15-s{n}", scores(800 + n, 400)))
        put(tmp_path, evaluation("doomrnn", "real", f"dream-zch-tau1.15-s{n}", scores(300 + n, 90)), run="iteration-02")
    put(tmp_path, *(evaluation("carracing", "real", f"real-z_hidden-s{n}", scores(600, 100)) for n in range(2)))
    found = claims(tmp_path)
    assert found["carracing: h helps"]["verdict"] == "shown"
    assert "over 3 searches" in found["carracing: h helps"]["figures"]
    assert found["doomrnn: a second iteration"]["verdict"] == "refuted"
    assert found["carracing: a hidden layer helps"]["verdict"] == "not measured yet"
    assert "2 of 3 searches" in found["carracing: a hidden layer helps"]["figures"]
    assert found["carracing: an untrained M"]["verdict"] in ("shown", "undecided")
    assert "untrained" in str(found["carracing: an untrained M"]["evidence"])
    assert "over 3 searches" in found["table 1: zh"]["figures"]


def test_the_last_iteration_against_the_first(tmp_path, claims):
    """Its first search's agent is the headline; the row of Table 2 is the first iteration's; methods over searches."""
    for n in range(3):
        put(tmp_path, evaluation("doomrnn", "real", f"dream-zch-tau1.15-s{n}", scores(700 + n, 90)), run="iteration-01")
    put(tmp_path, evaluation("doomrnn", "dream", HOT, scores(1300, 90), 1.15), run="iteration-01")
    put(tmp_path, evaluation("doomrnn", "real", "random", scores(215, 100)), run="iteration-01")
    put(tmp_path, evaluation("doomrnn", "real", "sweep", scores(860, 200)), run="iteration-01")
    first = claims(tmp_path)
    assert first["doomrnn: solved"]["verdict"] == "refuted" and "doomrnn: a second iteration" in first
    assert "doomrnn: beats the first iteration's agent" not in first
    for number, mean in ((2, 400), (3, 900)):
        for n in (1, 2, 3):
            found = evaluation("doomrnn", "real", f"dream-zch-tau1.15-s{n}00000{number - 1}", scores(mean + n, 90))
            put(tmp_path, found, run=f"iteration-0{number}")
    put(
        tmp_path,
        evaluation("doomrnn", "dream", "dream-zch-tau1.15-s1000002", scores(800, 90), 1.15),
        run="iteration-03",
    )
    found = claims(tmp_path)
    for name in ("solved", "above the leaderboard", "beats random", "the dream is harder than the game"):
        assert found[f"doomrnn: {name}"]["verdict"] == "shown", name
        assert found[f"doomrnn: {name}"]["figures"].startswith("iteration-03's agent"), name
    assert "iteration-03's agent to sweep: 901" in found["doomrnn: beats an open-loop sweep"]["figures"]
    paired = found["doomrnn: beats the first iteration's agent"]
    assert paired["verdict"] == "shown" and "901 ± 90 (100) to 700 ± 90 (100), 201 more [201, 201]" in paired["figures"]
    method = found["doomrnn: iteration 3"]
    assert (
        method["verdict"] == "shown" and "iteration-03 to the first, one V and M of each: 902 ± 1" in method["figures"]
    )
    assert "doomrnn: a second iteration" not in found
    assert found["table 2: tau 1.15, real"] | {"level": 0} == first["table 2: tau 1.15, real"] | {"level": 0}


def test_iterations_lie_in_the_run_that_they_went_on_from(tmp_path, claims):
    """Beside another run of the task that played less, a run in its folder is judged, and the iterations in that."""
    put(tmp_path, evaluation("doomrnn", "real", HOT, scores(760, 90)))
    config = json.loads((RELEASE / "config.json").read_text())
    (tmp_path / "doomrnn" / "config.json").write_text(json.dumps(config))
    for n in range(3):
        put(tmp_path, evaluation("doomrnn", "real", f"dream-zch-tau1.15-s{n}", scores(170 + n, 50)), run="paper_data")
        later = evaluation("doomrnn", "real", f"dream-zch-tau1.15-s{n}000002", scores(650 + n, 50, 400))
        put(tmp_path, later, run="paper_data/iteration-03")
    config["stages"]["collect"]["max_hold"] = 10
    (tmp_path / "doomrnn" / "paper_data" / "config.json").write_text(json.dumps(config))
    found = claims(tmp_path)
    assert "iteration-03 to the first, one V and M of each: 651" in found["doomrnn: iteration 3"]["figures"]
    assert found["doomrnn: iteration 3"]["verdict"] == "shown"
    assert "650 ± 50 (400) to 170 ± 50" in found["doomrnn: beats the first iteration's agent"]["figures"]
    assert "171 ± 1 over 3 searches" in found["table 2: tau 1.15, real"]["figures"]
    shutil.copytree(tmp_path / "doomrnn/paper_data/iteration-03", tmp_path / "doomrnn/paper_data/iteration-04-again")
    assert claims(tmp_path)["doomrnn: iteration 3"] == found["doomrnn: iteration 3"]
    put(tmp_path, evaluation("doomrnn", "real", HOT, scores(760, 90, 1000), seed=21))  # now the other run played most
    apart = claims(tmp_path)
    assert "doomrnn: iteration 3" not in apart and "doomrnn: beats the first iteration's agent" not in apart
    assert "(1,100)" in apart["table 2: tau 1.15, real"]["figures"]


def test_a_seed_of_a_procedure_is_one_search(tmp_path, claims):
    """Of its searches, all evaluated, the one that acts stands for it: the best by its own score."""
    for number, mean in ((1, -1500), (20, -400)):
        for lane in range(3):
            run = f"seed-{lane}/iteration-{number:02d}"
            for k, (own, real) in enumerate(((-300.0, mean), (-900.0, mean - 5000))):
                who = f"dream-zh-tau0.30-s{lane}{k}"
                put(tmp_path, evaluation("pendulum", "real", who, scores(real + lane, 50)), run=run)
                folder = tmp_path / "pendulum" / run / "controller" / who
                folder.mkdir(parents=True)
                append_row(folder / "evaluations.jsonl", {"score": own})
    figures = claims(tmp_path)["pendulum: the iterative procedure"]["figures"]
    assert "iteration-20 to the first: -399 ± 1 over 3 searches" in figures and "-1499 ± 1 over 3" in figures


def test_measures_of_driving_are_claims(tmp_path, claims):
    """Evaluation-like files of other measures decide wobble and corners, over searches; returns are not mixed in."""
    for n in range(3):
        for variant, wobble, corners in (("z", 30.0, 60.0), ("zh", 10.0, 95.0)):
            for measure, mean in (("reversals", wobble), ("sharp_corners", corners)):
                made = evaluation("carracing", "real", f"real-{variant}-s{n}", scores(mean + 0.1 * n, 1.0))
                file = tmp_path / "carracing" / "measures" / measure / made.file_name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(asdict(made)))
    put(tmp_path, evaluation("carracing", "real", "real-zh-s0", scores(700, 200)))
    found = claims(tmp_path)
    assert found["carracing: wobble"]["verdict"] == found["carracing: sharp corners"]["verdict"] == "shown"
    assert "30 ± 0 over 3 searches" in found["carracing: wobble"]["figures"]
    assert found["carracing: spins"]["verdict"] == "not measured yet"
    assert "measure_driving.py --run" in found["carracing: wobble"]["commands"][0]
    assert "(100)" in found["table 1: zh"]["figures"]


def test_an_agent_must_beat_each_sweep(tmp_path, claims):
    """A sweep of another period that survives longer refutes it, though fewer games of it were played; ten do not."""
    put(tmp_path, evaluation("doomrnn", "real", HOT, scores(800, 300, 400)))
    put(tmp_path, replace(evaluation("doomrnn", "real", "sweep", scores(600, 300, 400)), period=120))
    assert claims(tmp_path)["doomrnn: beats an open-loop sweep"]["verdict"] == "shown"
    put(tmp_path, replace(evaluation("doomrnn", "real", "sweep", scores(1000, 300, 10)), period=60))
    assert claims(tmp_path)["doomrnn: beats an open-loop sweep"]["verdict"] == "shown"
    put(tmp_path, replace(evaluation("doomrnn", "real", "sweep", scores(1000, 300, 100)), period=90))
    found = claims(tmp_path)["doomrnn: beats an open-loop sweep"]
    assert found["verdict"] == "refuted"
    assert "agent to sweep120: 800" in found["figures"] and "agent to sweep90: 800" in found["figures"]


def test_a_script_that_several_runs_played_counts_once(tmp_path, claims):
    """Its longest sample, of equal ones the first run's, whatever they scored; nor is a sweep of each run another."""
    put(tmp_path, evaluation("doomrnn", "real", HOT, scores(800, 300, 400)))
    for run, count, mean in (("", 200, 900), ("three", 400, 700), ("two", 400, 900), ("four", 300, 900)):
        put(tmp_path, replace(evaluation("doomrnn", "real", "sweep", scores(mean, 300, count)), period=120), run=run)
        put(tmp_path, evaluation("doomrnn", "real", "random", scores(mean - 400, 100, count)), run=run)
    found = claims(tmp_path)
    for name, who, other in (("an open-loop sweep", "sweep120", "700 ±"), ("random", "random", "300 ±")):
        figures = found[f"doomrnn: beats {name}"]["figures"]
        assert figures.count(f"agent to {who}: 800") == 1
        assert re.search(rf"800 ± \d+ \(400\) to {other} \d+ \(400\)", figures), figures
    put(tmp_path, evaluation("doomrnn", "real", "random", scores(100, 50, 400)), run="five")
    assert claims(tmp_path)["doomrnn: beats random"]["figures"].startswith("agent to random: 800 ± 300 (400) to 100 ±")


def test_a_script_is_of_the_dream_that_its_agent_was_played_in(tmp_path, claims):
    """V, M and the temperature make a dream: random in another one, of another run or temperature, says nothing."""
    for run in ("", "two"):
        put(tmp_path, evaluation("carracing", "real", "real-zh-s0", scores(700, 200)), run=run)
    for run, tau, agent, random in (("", 0.70, 0.35, 0.20), ("", 1.30, None, 0.60), ("two", 0.70, None, 0.60)):
        played = [("real-zh-s0", agent), ("random", random)] if agent else [("random", random)]
        for who, mean in played:
            made = evaluation("carracing", "dream", who, scores(mean, 0.1), tau)
            file = tmp_path / "carracing" / run / "measures" / "road" / made.file_name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(asdict(made)))
    found = claims(tmp_path)["carracing: its own dream"]
    assert found["verdict"] == "shown" and re.search(r"0\.35 ± 0\.\d+ \(100\) to 0\.20 ±", found["figures"])
    assert all("--temperature 0.70" in command and "two" not in command for command in found["commands"])


def test_the_losses_of_v_say_whose_they_are(tmp_path, claims):
    """The run's V, where it was made otherwise than preset `paper`'s, who played its data, and the file."""
    put(tmp_path, evaluation("doomrnn", "real", HOT, scores(800, 300)))
    for name in ("config.json", "vae/metrics.jsonl"):
        (tmp_path / "doomrnn" / name).parent.mkdir(exist_ok=True)
        shutil.copy(RELEASE / "paper_data" / name, tmp_path / "doomrnn" / name)
    found = claims(tmp_path)["doomrnn: V's losses"]
    assert found["verdict"] == "refuted" and "squared error 7.29" in found["figures"]
    assert {"vae.start results/doomrnn (new)", "vae.max_frames 400000 (0)"} < set(found["differs"])
    assert found["data"] == "collect.max_hold 10, V begun as that of results/doomrnn"
    assert found["evidence"] == ["doomrnn/vae/metrics.jsonl"]
    assert not [word for word in found["differs"] if word.startswith(("rnn.", "controller."))]


def test_evaluations_of_several_seeds_pool(tmp_path, claims):
    """Ten seeds of 100 games are one agent's 1,000; a shorter evaluation of a seed is part of its longer one."""
    put(tmp_path, *(evaluation("doomrnn", "real", HOT, scores(800, 300), seed=n) for n in range(11, 21)))
    put(tmp_path, evaluation("doomrnn", "real", HOT, scores(800, 300, 50), seed=11))
    put(tmp_path, evaluation("doomrnn", "real", "sweep", scores(600, 300, 200)))
    put(tmp_path, evaluation("doomrnn", "real", "sweep", scores(600, 300)))
    found = claims(tmp_path)
    assert "800 ± 298 (1,000)" in found["doomrnn: solved"]["figures"]
    assert "600 ± 299 (200)" in found["doomrnn: beats an open-loop sweep"]["figures"]
    assert len(found["doomrnn: solved"]["evidence"]) == 10
    assert "--episodes 100 --seed 11" in found["doomrnn: solved"]["commands"][0]


def test_bfloat16_counts_where_nothing_else_was_played(tmp_path, claims):
    """It is named, and its command plays it again; the same in float32 takes its place."""
    rounded = replace(evaluation("doomrnn", "real", HOT, scores(800, 300)), precision="bfloat16")
    put(tmp_path, rounded)
    only = claims(tmp_path)["doomrnn: solved"]
    assert "800 ± 298 (100)" in only["figures"] and "--set controller.precision=bfloat16" in only["commands"][0]
    begun = tmp_path / "doomrnn" / "config.json"
    shutil.copy(RELEASE / "config.json", begun)
    assert "played in bfloat16 (float32)" in claims(tmp_path)["doomrnn: solved"]["differs"]
    put(tmp_path, evaluation("doomrnn", "real", HOT, scores(700, 300, 200), seed=21))
    both = claims(tmp_path)["doomrnn: solved"]
    assert "700 ± 299 (200)" in both["figures"] and not any("bfloat16" in word for word in both["differs"])


def test_a_search_counts_once(tmp_path, claims, inside):
    """A run and its release are not two searches, and one of them stands for it in both worlds; the third is one."""
    for run, mean, counts in (("", 800, (100, 150)), ("release", 801, (200, 100)), ("second", 802, (200, 200))):
        put(tmp_path, evaluation("doomrnn", "real", HOT, scores(mean, 300, counts[0])), run=run)
        put(tmp_path, evaluation("doomrnn", "dream", HOT, scores(mean + 200, 300, counts[1]), 1.15), run=run)
        folder = tmp_path / "doomrnn" / run / "controller" / HOT
        folder.mkdir(parents=True)
        append_row(folder / "fitness.jsonl", {"generation": 1, "fitness": [float(run == "second"), -1.0]})
    found = claims(tmp_path)
    assert "over 3 searches" not in found["table 2: tau 1.15, real"]["figures"]
    pair = found["doomrnn: the dream is harder than the game"]["figures"]
    assert "801 ± 299 (200) to 1001 ± 298 (100)" in pair  # of the two the one that played more, never both
    done = inside("verify_claims.py", "--results", tmp_path)
    own, copy = (tmp_path / "doomrnn" / run for run in ("", "release"))
    assert f"passed over: what a search of {own} played, which is that of {copy}" in done.stdout


def test_float32_and_runs_set_apart_are_no_copies(tmp_path, claims):
    """Of copies the one played in float32 stands; z of a run with an untrained M is not the other run's."""
    rounded = replace(evaluation("carracing", "real", "real-z-s0", scores(500, 90, 200)), precision="bfloat16")
    put(tmp_path, rounded, run="longer")
    put(tmp_path, evaluation("carracing", "real", "real-z-s0", scores(501, 90)), run="main")
    put(tmp_path, evaluation("carracing", "real", "real-z-s0", scores(502, 90, 1000)), run="untrained")
    for run in ("longer", "main", "untrained"):
        folder = tmp_path / "carracing" / run / "controller" / "real-z-s0"
        folder.mkdir(parents=True)
        append_row(folder / "fitness.jsonl", {"generation": 1, "fitness": [1.0]})
    assert "501 ± 90 (100)" in claims(tmp_path)["table 1: z"]["figures"]


def test_commands_name_a_precision_that_is_not_the_runs(tmp_path, claims):
    """A run that plays in bfloat16 by itself is told to play in float32, where the score was made in it."""
    put(tmp_path, evaluation("carracing", "real", "real-zh-s0", scores(800, 90)))
    shutil.copy(ROOT / "results" / "pendulum" / "seed-0" / "iteration-01" / "config.json", tmp_path / "carracing")
    (command,) = claims(tmp_path)["table 1: zh"]["commands"]
    assert command.endswith("--set controller.precision=float32 --episodes 100 --seed 7")


def test_scores_of_other_weights_are_passed_over(tmp_path, claims, inside):
    """What a controller played before it was trained on is no score of it, however many episodes that were."""
    folder, shape = tmp_path / "doomrnn" / "controller" / HOT, PolicyShape("z", 4, 1, 1, bias=False)
    save_controller(folder, "best", shape, np.float32([1, 2, 3, 4]), {})
    now, before = (digest([float(n) for n in weights]) for weights in ((1, 2, 3, 4), (0, 0, 0, 0)))
    put(tmp_path, replace(evaluation("doomrnn", "real", HOT, scores(100, 30, 200), seed=21), weights=before))
    put(tmp_path, replace(evaluation("doomrnn", "real", HOT, scores(800, 300)), weights=now))
    assert claims(tmp_path)["doomrnn: solved"]["figures"].startswith("800 ± 298 (100)")
    done = inside("verify_claims.py", "--results", tmp_path)
    assert f"real-{HOT}-seed21-n200.json, of weights that its controller no longer has" in done.stdout


def test_a_command_survives_a_shell(tmp_path, claims):
    """Also of a folder with a blank in its name."""
    put(tmp_path, evaluation("carracing", "real", "real-zh-s0", scores(800, 90)), run="my run")
    (command,) = claims(tmp_path)["table 1: zh"]["commands"]
    words = shlex.split(command)
    assert words[words.index("--run") + 1] == str(tmp_path / "carracing" / "my run")


def test_the_first_search_is_that_of_the_lowest_seed(tmp_path, claims):
    """Whatever the order of their names: -s2 comes before -s10."""
    for seed, mean in ((10, 1000), (2, 900)):
        put(tmp_path, evaluation("doomrnn", "real", HOT.replace("-s0", f"-s{seed}"), scores(mean, 300)))
    assert claims(tmp_path)["doomrnn: solved"]["figures"].startswith("900 ")


def test_the_settings_of_a_run_are_said(tmp_path, claims):
    """What differs from `paper` is printed, from a stage's own record first; what decides no score is not."""
    for name in ("config.json", "vae/begun.json", "rnn/begun.json", f"controller/{HOT}/begun.json"):
        target = tmp_path / "doomrnn" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(RELEASE / name, target)
    shutil.copy(RELEASE / "controller" / HOT / "fitness.jsonl", tmp_path / "doomrnn" / "controller" / HOT)
    put(tmp_path, evaluation("doomrnn", "real", HOT, scores(800, 300)))
    claim = claims(tmp_path)["table 2: tau 1.15, real"]
    assert claim["data"] == "collect.max_hold 80" and "collect.max_hold 80 (10)" in claim["differs"]
    assert "controller.generations 151 (1800)" in claim["differs"]  # of 200 that its begun.json asks for
    assert "controller.validation_games 64 (0)" in claim["differs"]
    assert not any("checkpoint_seconds" in word or "validate_every" in word for word in claim["differs"])


def test_any_folder_of_runs(tmp_path, claims, inside):
    """Runs side by side: those of most games are judged, others named; a run alone will do; no folder is refused."""
    runs = tmp_path / "runs"
    put(runs, evaluation("doomrnn", "real", HOT, scores(800, 300)), run="../one")
    config = json.loads((ROOT / "results" / "quick" / "doomrnn" / "config.json").read_text())
    put(runs, evaluation("doomrnn", "real", HOT, scores(300, 100, 200)), run="../other")
    (runs / "other" / "config.json").write_text(json.dumps(config))
    done = inside("verify_claims.py", "--results", runs)
    assert done.returncode == 0 and "left out: " + str(runs / "one") in done.stdout
    assert "300 ± 100 (200), mean in" in done.stdout
    assert "800 ± 298" in claims(runs / "one")["doomrnn: solved"]["figures"]
    assert_refused(inside("verify_claims.py", "--results", tmp_path / "nothing"), 2, "no such folder")


def test_runs_on_other_data_are_judged_beside(tmp_path, claims, inside):
    """The same claims, by name, of agents that learned from another policy's games; a script's games count for both."""
    config = json.loads((ROOT / "results" / "quick" / "doomrnn" / "config.json").read_text())
    for run, holds, epochs, found in (("held", 80, 1, 250), ("paper", 10, 1, 300), ("again", 10, 2, 200)):
        put(tmp_path, evaluation("doomrnn", "real", HOT, scores(1000 - found, 30, found)), run=run)
        config["stages"]["collect"]["max_hold"], config["stages"]["rnn"]["epochs"] = holds, epochs
        (tmp_path / "doomrnn" / run / "config.json").write_text(json.dumps(config))
    put(tmp_path, evaluation("doomrnn", "real", "random", scores(210, 100)), run="held")
    put(tmp_path, evaluation("doomrnn", "real", HOT, scores(710, 30, 150)), run="held/iteration-02")
    put(tmp_path, evaluation("doomrnn", "real", HOT, scores(820, 30, 150)), run="paper/iteration-02")
    found = claims(tmp_path)
    assert found["doomrnn: solved"]["figures"].startswith("iteration-02's agent: 820 ± 30 (150)")
    assert found["doomrnn, collect.max_hold 80: solved"]["figures"].startswith("iteration-02's agent: 710 ± 30 (150)")
    assert found["table 2: tau 1.15, real"]["figures"].startswith("700 ± 30 (300)")
    assert found["table 2, collect.max_hold 80: tau 1.15, real"]["figures"].startswith("750 ± 30 (250)")
    assert found["doomrnn: beats random"]["figures"].startswith("iteration-02's agent to random: 820 ± 30 (150)")
    assert "not measured yet" not in {row["verdict"] for name, row in found.items() if "max_hold" in name}
    assert [name for name in found if name.endswith("random play")] == ["doomrnn: random play"]
    done = inside("verify_claims.py", "--results", tmp_path)
    assert [line.split(",")[0] for line in done.stdout.splitlines() if line.startswith("left out")] == [
        f"left out: {tmp_path / 'doomrnn' / 'again'}"
    ]
    beside = evaluation("doomrnn", "real", HOT, scores(910, 30, 150))  # of no run's folder: it is of its own data
    put(tmp_path, beside, run="iteration-03")
    for holds, name in ((80, "doomrnn, collect.max_hold 80: solved"), (10, "doomrnn: solved")):
        config["stages"]["collect"]["max_hold"] = holds
        (tmp_path / "doomrnn" / "iteration-03" / "config.json").write_text(json.dumps(config))
        told = {key for key, row in claims(tmp_path).items() if row["figures"].startswith("iteration-03's agent: 910")}
        assert name in told and len({key.replace(", collect.max_hold 80", "") for key in told}) == len(told)
    alone = claims(tmp_path / "doomrnn" / "held")
    assert alone["doomrnn: solved"]["figures"].startswith("iteration-02's agent: 710")
    assert not any("max_hold" in name for name in alone)


def test_runs_of_other_tasks_on_other_data_are_left_out(tmp_path, inside):
    """No claim of CarRacing is judged beside, and what is not judged is named."""
    config = json.loads((ROOT / "results" / "carracing" / "config.json").read_text())
    for run, policy, found in (("walked", "walk", 200), ("by_habit", "habit", 300)):
        put(tmp_path, evaluation("carracing", "real", "real-zh-s0", scores(found, 30, found)), run=run)
        config["stages"]["collect"]["policy"] = policy
        (tmp_path / "carracing" / run / "config.json").write_text(json.dumps(config))
    done = inside("verify_claims.py", "--results", tmp_path)
    assert "300 ± 30 (300)" in done.stdout and "200 ± 30 (200)" not in done.stdout
    assert f"left out: {tmp_path / 'carracing' / 'walked'}," in done.stdout


def test_a_task_of_ones_own_among_the_results(tmp_path, claims, inside):
    """No claim is about it: it is named and passed over, and the others are decided as without it."""
    put(tmp_path, evaluation("doomrnn", "real", HOT, scores(800, 300)))
    without = claims(tmp_path)
    put(tmp_path, evaluation("polecart:TASK", "real", "dream-zh-tau1.00-s0", scores(90, 30)), run="../doomrnn/own")
    assert claims(tmp_path) == without
    done = inside("verify_claims.py", "--results", tmp_path)
    assert (
        done.returncode == 0 and "passed over: what was played of polecart:TASK, which no claim is about" in done.stdout
    )
    alone = inside("verify_claims.py", "--results", tmp_path / "doomrnn" / "own")
    assert alone.returncode == 0 and "polecart:TASK" in alone.stdout


def test_the_list_in_a_file(tmp_path, claims, inside):
    """It stands between the marks, again and again; a file without marks is left as it is."""
    put(tmp_path, evaluation("doomrnn", "real", HOT, scores(900, 300)))
    file = tmp_path / "README.md"
    file.write_text("# Before\n\n<!-- claims -->\nold\n<!-- end of claims -->\n\nafter\n")
    claims(tmp_path, "--readme", file)
    text = file.read_text()
    claims(tmp_path, "--readme", file)
    assert file.read_text() == text and "old" not in text
    assert text.startswith("# Before") and text.endswith("after\n") and "| **shown** | doomrnn: solved" in text
    file.write_text("none")
    refused = inside("verify_claims.py", "--results", tmp_path, "--readme", file)
    assert_refused(refused, 2, "<!-- claims -->")
    assert file.read_text() == "none"


@pytest.mark.parametrize(
    "text",
    [
        "<!-- claims --> and <!-- end of claims --> hold it.\n<!-- claims -->\n<!-- end of claims -->\nmine\n",
        "<!-- end of claims -->\nmine\n<!-- claims -->\n",
        "<!-- claims -->\nmine\n<!-- claims -->\n<!-- end of claims -->\n",
        "<!-- claims -->\n<!-- end of claims -->\nmine\n<!-- end of claims -->\n",
        "<!-- claims --> mine\n<!-- end of claims -->\n",
        "<!-- claims -->\nmine\n",
    ],
)
def test_no_text_beside_the_list_is_lost(tmp_path, text):
    """A file whose marks are not two lines of their own, each once and in order, is refused and left as it is."""
    from reporting.claims_page import write_list

    file = tmp_path / "README.md"
    file.write_text(text)
    with pytest.raises(InputError, match="alone on its line"):
        write_list(file, [])
    assert file.read_text() == text


def test_the_list_of_the_readme():
    """It is what the released results say."""
    from reporting.claims import all_claims
    from reporting.claims_page import BEGIN, END, markdown

    text = (ROOT / "README.md").read_text()
    assert text.split(BEGIN)[1].split(END)[0].strip() == markdown(all_claims(ROOT / "results")[0])


def test_error_rates(tmp_path, inside):
    """No rule errs more often than it may; the two that are not used do; and the command stores what it prints."""
    from reporting.error_rates import RULES, simulate

    rules = {rule.name: rule for rule in RULES}
    for name, draws in (
        ("an agent above a value, returns", 1000),
        ("one agent above another, half of the games the same", 400),
        ("no better than random: refuted, though equal", 400),
        ("one method above another, 3 searches each", 60),
    ):
        rate = simulate(rules[name], draws, seed=1)
        assert rate.simulated <= rate.nominal + 3 * rate.error, name
    lone = simulate(rules["not used: one search each, judged by its episodes"], 200, seed=1)
    assert lone.simulated > 2 * lone.nominal
    assert simulate(rules["shown, then refuted by more games: a row"], 50).simulated == 0
    done = inside("verify_claims.py", "--error-rates", 2, "--json", tmp_path / "rates.json")
    assert done.returncode == 0 and len(json.loads((tmp_path / "rates.json").read_text())["rates"]) == len(RULES)


def test_the_stored_error_rates():
    """Of 1,000 draws, none of the rules in use errs more often than it may, give or take three standard errors."""
    rows = json.loads((ROOT / "results" / "error_rates.json").read_text())["rates"]
    assert all(row["draws"] >= 1000 for row in rows) and len(rows) > 15
    for row in rows:
        error = (row["nominal"] * (1 - row["nominal"]) / row["draws"]) ** 0.5
        if not row["rule"].startswith("not used"):
            assert row["simulated"] <= row["nominal"] + 3 * error, row["rule"]
