"""The report of a run: a figure for everything that is there, and words for what is not."""

import io
import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
from commands import ROOT
from released import AGENT, RELEASE

from carracing.task import TASK as CARRACING
from doomrnn.task import TASK as DOOM
from experiment.errors import InputError
from vae.episodes import list_episodes

STAGES = ("rollouts", "vae", "series", "rnn", "controller", "evaluation")


def test_the_page_of_a_whole_run(smoke, tmp_path, inside):
    """All figures, one page that needs no other file, and a video of three panels."""
    import imageio_ffmpeg

    run = tmp_path / "run"
    shutil.copytree(smoke.path, run)
    done = inside("report.py", "--run", run)
    assert done.returncode == 0, done.stderr
    page = (run / "report" / "index.html").read_text()
    names = ["reconstructions", "vae-loss", "predictions", "foresight", "rnn-loss"]
    names += ["dreams", "agent", "probes-tau1.15", "learning"]
    for name in names:
        for kind in ("png", "svg"):
            assert (run / "report" / f"{name}.{kind}").stat().st_size > 1000, name
    assert page.count("data:image/png;base64,") >= len(names) + 1 and page.count("data:video/mp4;base64,") == 1
    assert "Not there yet" not in page and "1092 ± 556" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and f"scripts/dream_page.py --run {run}" in page
    frames = imageio_ffmpeg.read_frames(str(run / "report" / "agent.mp4"))
    assert next(frames)["size"] == (3 * 256, 256)
    frame = np.frombuffer(next(frames), np.uint8).reshape(256, 768, 3)
    assert frame[:, :256].std() > 5  # the game is there


def test_a_run_that_has_only_begun(smoke, tmp_path, inside):
    """What is missing is said, section by section; and a folder without a run is refused."""
    run = tmp_path / "run"
    (run / "rollouts").mkdir(parents=True)
    shutil.copy(smoke.path / "config.json", run)
    for path in [*list_episodes(smoke.path / "rollouts"), smoke.path / "rollouts" / "done.json"]:
        shutil.copy(path, run / "rollouts")
    done = inside("report.py", "--run", run)
    assert done.returncode == 0, done.stderr
    page = (run / "report" / "index.html").read_text()
    assert page.count("Not there yet") == 6 and "scripts/train_vae.py" in page
    refused = inside("report.py", "--run", tmp_path / "nowhere")
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1


def test_the_largest_dream_evaluation_is_shown(tmp_path, monkeypatch, inside):
    """1,024 dreams in the table and the probes, and not the 256 whose file name comes after."""
    import cli
    from reporting.page import Page
    from reporting.sections import Report

    run, who = tmp_path / "run", AGENT
    names = f"real-{who}-seed7-n100", f"dream-{who}-tau1.15-seed7-n1024"
    (run / "evaluation").mkdir(parents=True)
    shutil.copy(RELEASE / "config.json", run)
    for name in names:
        shutil.copy(RELEASE / "evaluation" / f"{name}.json", run / "evaluation")
    found = json.loads((run / "evaluation" / f"{names[1]}.json").read_text())
    fewer = found | {"episodes": 256, "scores": [1.0] * 256, "lengths": [1] * 256, "mean": 1.0, "std": 0.0}
    (run / "evaluation" / f"dream-{who}-tau1.15-seed7-n256.json").write_text(json.dumps(fewer))
    shown = []
    monkeypatch.setattr(Report, "_probes", lambda self, real, dreamt: shown.extend(dreamt.values()))
    report = Report(cli.open_existing(run), Page(tmp_path / "report"), None, 11)
    report.scores()
    assert [e.episodes for e in shown] == [1024]
    page = report.page.save("scores").read_text()
    assert (
        f"{found['mean']:.0f} ± {found['std']:.0f} [" in page and "(1024) at tau 1.15" in page and "(256)" not in page
    )


def test_published_numbers_are_there():
    """Every row of both tables with its N, and the authors' learning curves."""
    paper = json.loads((ROOT / "results" / "paper.json").read_text())
    assert [row["mean"] for row in paper["carracing"]["table"]] == [343, 591, 652, 838, 632, 788, 906]
    assert [row["real"]["mean"] for row in paper["doomrnn"]["table"]] == [193, 196, 868, 1092, 753]

    def told(row: dict) -> str:
        return f"{row['mean']} ± {row['std']}"

    rows = paper["doomrnn"]["table"]
    assert [(row.dream, row.real) for row in DOOM.published[:5]] == [(told(r["dream"]), told(r["real"])) for r in rows]
    assert sorted(row.real for row in CARRACING.published) == sorted(map(told, paper["carracing"]["table"]))
    for task in ("carracing", "doomrnn"):
        assert all(row["episodes"] == 100 and row["source"] for row in paper[task]["table"])
        learning = paper[task]["learning"]
        assert len(learning["generation"]) == len(learning["mean"]) and learning["generation"][-1] == 1800


def test_a_page_names_what_failed(tmp_path, monkeypatch):
    """No ffmpeg, or a figure that cannot be drawn: the page is written, with the rest and with their names."""
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no-ffmpeg"))
    from matplotlib import pyplot as plt
    from reporting.page import Page

    page = Page(tmp_path / "report")
    page.video("agent", np.zeros((2, 16, 16, 3), np.uint8), 30)
    page.figure("losses", plt.figure(), "losses")
    broken = plt.figure()
    monkeypatch.setattr(broken, "savefig", lambda *unused, **none: io.BytesIO(b"").read(None, 1))
    page.figure("broken", broken, "broken")
    with page.attempt("the rest of section dreams"):
        raise InputError("weights.npz: damaged")
    text = page.save("title").read_text()
    assert [name.split(" (")[0] for name in page.failed] == [
        "video agent",
        "figure broken",
        "the rest of section dreams",
    ]
    assert page.count == 1 and text.count("Could not be made: ") == 3 and "weights.npz: damaged" in text
    assert not (tmp_path / "report" / "agent.mp4").exists()


def test_curves_of_all_controllers_by_environment_steps(monkeypatch):
    """Those of the released CarRacing run, zh on the untrained M among them, over the authors'."""
    import cli
    from reporting import figures
    from reporting.sections import Report

    drawn = []
    monkeypatch.setattr(figures, "lines", lambda curves, *_, **__: drawn.extend(curves))
    page = SimpleNamespace(figure=lambda name, *_: None)
    Report(cli.open_existing(ROOT / "results" / "carracing"), page, None, 7)._by_steps()
    labels, colors, steps, scores = zip(*drawn, strict=True)
    assert labels == ("real-z-s0", "real-z_hidden-s0", "real-zh-s0", "real-zh-s0, untrained M", "authors' run")
    assert len(set(colors)) == len(colors)
    assert [round(max(xs) / 1e6, 1) for xs in steps[:4]] == [20.8, 20.1, 40.5, 20.7]  # docs/carracing.md
    assert [round(max(ys)) for ys in scores[:4]] == [763, 715, 839, 794]
