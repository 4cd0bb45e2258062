"""Draw what a run has learned: figures, videos, and one page that holds them all.

    python scripts/report.py --run runs/demo

Writes report/index.html (self-contained), *.png, *.svg and *.mp4; it shows whatever stages there are and says what is
missing.
"""

import base64
import functools
import html
import io
import json
from pathlib import Path

import cli

PAPER = Path(__file__).parents[1] / "results" / "paper.json"
TEMPERATURES = (0.1, 0.5, 1.0, 1.15, 1.3)
STRIP, STRIDE, STEPS = 12, 20, 400  # pictures in a strip, steps between them, longest drive of a video
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}
img,video{max-width:100%}video{width:600px;image-rendering:pixelated}h2{margin-top:2em;border-bottom:1px solid #ddd}
table{border-collapse:collapse}td,th{padding:.25em .8em;border-bottom:1px solid #ddd;text-align:left}
.missing{color:#777}"""


def main() -> None:
    """Parse and draw."""
    parser = cli.Parser(description=__doc__, formatter_class=cli.Formatter)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--controller", metavar="NAME", help="whose drive to show (default: the best evaluated)")
    parser.add_argument("--seed", type=cli.seed, default=11, help="seed of the drives shown (default 11)")
    arguments = parser.parse_args()
    with cli.ending_well():
        run = cli.open_existing(arguments.run)
        page = Page(arguments.run / "report")
        report = Report(run, page, arguments.controller, arguments.seed)
        report.draw()
        print(f"report: {page.count} pictures and videos; wrote {page.save(report.title)}")


class Page:
    """The HTML page under construction; what is added is written beside it too."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.parts, self.count = folder, [], 0

    def heading(self, text: str, comment: str = "") -> None:
        """A section."""
        self.parts.append(f"<h2>{html.escape(text)}</h2><p>{html.escape(comment)}</p>")

    def note(self, text: str) -> None:
        """A line of text."""
        self.parts.append(f"<p>{html.escape(text)}</p>")

    def missing(self, text: str) -> None:
        """What could not be drawn, and why."""
        self.parts.append(f'<p class="missing">Not there yet: {html.escape(text)}</p>')

    def figure(self, name: str, figure, alt: str) -> None:
        """A Matplotlib figure, as PNG in the page, and as PNG and SVG beside it."""
        from matplotlib import pyplot as plt

        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        figure.savefig(self.folder / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)
        (self.folder / f"{name}.png").write_bytes(buffer.getvalue())
        self._embed(f'<img alt="{html.escape(alt)}" src="data:image/png;base64,', buffer.getvalue(), '">')

    def video(self, name: str, frames, fps: int) -> None:
        """An mp4 of frames uint8 [T, height, width, 3]."""
        path = self.folder / f"{name}.mp4"
        write_video(path, frames, fps)
        self._embed('<video controls loop muted src="data:video/mp4;base64,', path.read_bytes(), '"></video>')

    def dream(self, command: str) -> None:
        """A link to the playable dream beside the page, or the command that makes it."""
        if (self.folder / "dream.html").exists():
            self.parts.append('<p><a href="dream.html">Play in this dream</a>, in the browser.</p>')
        else:
            self.parts.append(f"<p>To play in it in the browser: <code>{html.escape(command)}</code></p>")

    def table(self, rows: list[tuple[str, ...]]) -> None:
        """Rows of text, the first of which are the heads."""
        lines = [
            "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
            for tag, row in zip(["th", *["td"] * (len(rows) - 1)], rows, strict=True)
        ]
        self.parts.append("<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>")

    def _embed(self, before: str, data: bytes, after: str) -> None:
        self.parts.append(f"<p>{before}{base64.b64encode(data).decode()}{after}</p>")
        self.count += 1

    def save(self, title: str) -> Path:
        """Write the page."""
        from experiment.files import atomic_write

        head = f"<meta charset=utf-8><title>{html.escape(title)}</title><style>{STYLE}</style>"
        body = f"<h1>{html.escape(title)}</h1>" + "\n".join(self.parts)
        atomic_write(self.folder / "index.html", f"<!doctype html><html lang=en>{head}{body}</html>\n".encode())
        return self.folder / "index.html"


def write_video(path: Path, frames, fps: int, scale: int = 4) -> None:
    """Frames uint8 [T, height, width, 3] as an H.264 mp4, enlarged without smoothing."""
    import imageio_ffmpeg
    import numpy as np

    large = np.repeat(np.repeat(frames, scale, axis=1), scale, axis=2)
    size = (large.shape[2], large.shape[1])
    writer = imageio_ffmpeg.write_frames(str(path), size, fps=fps, codec="libx264", macro_block_size=8, quality=7)
    writer.send(None)
    for frame in large:
        writer.send(np.ascontiguousarray(frame))
    writer.close()


class Report:
    """The sections of a run's page, in the order of the pipeline."""

    def __init__(self, run, page: Page, controller: str | None, seed: int):
        from experiment.runs import finished

        self.run, self.page, self.name, self.seed = run, page, controller, seed
        self.task = cli.task(run.task)
        self.paper = json.loads(PAPER.read_text())[run.task]
        self.has = {stage for stage in ("collect", "vae", "series", "rnn") if finished(run.folder(stage))}
        self.title = f"World Models: {run.task}, preset {run.preset}, run {run.path.name}"

    def draw(self) -> None:
        """All sections."""
        from reporting import figures

        self.figures = figures
        cli.load_tensorflow()
        self.scores()
        self.vision()
        self.memory()
        self.dreams()
        self.agent()
        self.learning()

    @functools.cached_property
    def vae(self):
        """The trained V."""
        from vae.training import load_vae

        return load_vae(self.run.folder("vae"))

    @functools.cached_property
    def rnn(self):
        """The trained M."""
        from rnn.training import load_rnn

        return load_rnn(self.run.folder("rnn"))

    @functools.cached_property
    def example(self):
        """A drive of the collecting policy that nothing was trained on: held out, or, in a release, a new one."""
        from controller.trajectories import Trajectory, script_trajectory
        from vae.episodes import list_episodes, read_episode, split_episodes

        if "collect" in self.has:
            paths = split_episodes(list_episodes(self.run.folder("collect")), self.run.seed)[1][:8]
            episode = max((read_episode(path, self.task.action_size) for path in paths), key=len)
            return Trajectory(episode.obs, episode.action)
        env, script = self.run.stages.env, self.task.collector(self.run.stages.collect)
        games = self.task.games(1, env, True)
        drive = script_trajectory(games, script, self.task.action_size, self.seed, env.time_limit)
        games.close()
        return drive

    # --- scores ---

    def scores(self) -> None:
        """Tables, histograms and probes from the evaluations."""
        from controller.evaluation import evaluations_of, row

        self.page.heading("Scores", "Mean ± std [95 % interval of the mean] (episodes); the paper's rows below.")
        found = evaluations_of(self.run)
        if not found:
            return self.page.missing("no evaluations; run scripts/evaluate.py")
        real = {(e.who, e.seed): e for e in sorted(found, key=lambda e: e.episodes) if e.world == "real"}
        dreamt = {(e.who, e.seed, e.temperature): e for e in found if e.world == "dream"}
        lone = [(*key, None) for key in real if not any(key == other[:2] for other in dreamt)]
        keys = sorted([*dreamt, *lone], key=lambda key: (key[0] in self.task.policies, str(key)))
        rows = [
            (
                f"{who}, seed {seed}",
                f"{row(dreamt[who, seed, tau])} at tau {tau:g}" if tau else "",
                row(real[who, seed]) if (who, seed) in real else "",
            )
            for who, seed, tau in keys
        ]
        self.page.table([("policy", "dream", "real task"), *rows, *self.task.published])
        for e in real.values():
            if e.controller:
                figure = self.figures.histogram(e.scores, e.who, self._published(e.who), self.task.score)
                self.page.figure(f"scores-{e.who}-seed{e.seed}", figure, f"scores of {e.who}")
        self._probes(real, dreamt)
        self._survival(found)
        self._claims()
        return None

    def _published(self, who: str) -> tuple[str, float, float] | None:
        """The paper's row that an agent belongs to."""
        for entry in self.paper["table"]:
            if "temperature" in entry and f"tau{entry['temperature']:.2f}" in who:
                return f"paper, tau {entry['temperature']}", entry["real"]["mean"], entry["real"]["std"]
            if entry.get("method") and who.startswith(f"real-{entry['method']}-"):
                return f"paper, {entry['method']}", entry["mean"], entry["std"]
        return None

    def _probes(self, real, dreamt) -> None:
        """Survival in both worlds, a figure for each temperature that scripts were probed at, or else agents."""
        if self.task.world != "dream":
            return None
        self.page.heading("Probes", "Policies that look at nothing, and the agents, in the dream and in the real game.")
        both = [(e, real[e.who, e.seed]) for e in dreamt.values() if (e.who, e.seed) in real]
        if not both:
            return self.page.missing("no policy was evaluated in both worlds")
        scripted = {dream.temperature for dream, _ in both if not dream.controller}
        for tau in sorted(scripted or {dream.temperature for dream, _ in both}, reverse=True):
            points, agents = (
                [(d.who, d.mean, r.mean) for d, r in both if d.temperature == tau and bool(d.controller) == learned]
                for learned in (False, True)
            )
            figure = self.figures.probes(points, agents, tau)
            self.page.figure(f"probes-tau{tau:.2f}", figure, f"survival in the dream at {tau:g} and in the real game")
        return None

    def _survival(self, found) -> None:
        """Survival curves and deaths by window in both worlds, of each temperature that anybody dreamed at."""
        from reporting import survival

        from controller.survival import survival_curve

        lasting = [e for e in found if e.scores == e.lengths]
        if self.task.world != "dream" or not lasting:
            return
        self.page.heading("Survival", "Equal means can hide opposite errors. Bands, intervals: 95 %.")
        limit, policies = self.run.stages.env.time_limit, self.task.policies
        for tau in sorted({e.temperature for e in lasting if e.world == "dream"}, reverse=True):
            lengths = survival.both_worlds(lasting, tau, lambda who: who in policies)
            if not lengths:
                continue
            panels = [
                (who, [(world, survival_curve(each, limit)) for world, each in zip(survival.WORLDS, both, strict=True)])
                for who, both in lengths.items()
            ]
            title = f"survival in the dream at {tau:g} and in the real task"
            self.page.figure(f"survival-tau{tau:.2f}", self.figures.survival(panels, limit), title)
            self.page.table(survival.hazard_rows(lengths, limit))
            for line in survival.warnings(lengths, limit):
                self.page.note(line)

    def _claims(self) -> None:
        """Each of the paper's claims about this task, as far as this run's scores go."""
        from reporting.claims import CORRECTION, all_claims
        from reporting.claims_page import page_rows

        claims = [claim for claim in all_claims(self.run.path)[0] if claim.evidence]
        if claims:
            self.page.heading("The paper's claims", f"What this run's scores say of them. {CORRECTION}")
            self.page.table(page_rows(claims))

    # --- V and M ---

    def vision(self) -> None:
        """V's reconstructions of held-out frames, and its losses."""
        from controller.trajectories import decode, encode

        self.page.heading("V", "Frames that V was not trained on, and what it makes of them.")
        if "vae" not in self.has:
            return self.page.missing("a trained V; run scripts/train_vae.py")
        vae, obs = self.vae, self.example.frames
        frames = obs[:: max(1, len(obs) // STRIP)][:STRIP]
        shown = [("real", frames), ("V", decode(vae, encode(vae, frames)))]
        self.page.figure("reconstructions", self.figures.pictures(shown), "frames and reconstructions")
        return self._losses("vae", "reconstruction", "frames", self.run.stages.vae.batch_size)

    def _losses(self, stage: str, key: str, unit: str, size: int) -> None:
        from experiment.metrics import read_metrics

        file, figures = self.run.folder(stage) / "metrics.jsonl", self.figures
        if not file.exists():
            return self.page.missing(f"{file} (imported weights have none)")
        rows = read_metrics(file.parent)
        trained = [r for r in rows if key in r]  # an M of 0 epochs has none
        curves = [("training", figures.OURS, [r["step"] * size for r in trained], [r[key] for r in trained])]
        tests = [r for r in rows if f"validation_{key}" in r]
        xs, ys = [r["step"] * size for r in tests], [r[f"validation_{key}"] for r in tests]
        curves.append(("held out", figures.THIRD, xs, ys))
        theirs = self.paper.get(f"{stage}_loss")
        if theirs:
            size, column = (100, "recon_loss") if stage == "vae" else (50_000, "z_cost")
            curves.append(("authors' run", figures.THEIRS, [s * size for s in theirs["step"]], theirs[column]))
        figure = figures.lines(curves, f"{unit} seen", f"{key} loss", log=True)
        self.page.figure(f"{stage}-loss", figure, f"losses of {stage}")
        return None

    def memory(self) -> None:
        """M's predictions along a held-out episode, and its losses."""
        from controller.trajectories import Trajectory, predict

        self.page.heading("M", "Along a real episode, each step foretold from those before it.")
        if not {"vae", "rnn"} <= self.has:
            return self.page.missing("a trained M; run scripts/train_rnn.py")
        drive = Trajectory(*(part[-STEPS:] for part in self.example))
        found = predict(self.vae, self.rnn, drive)
        at = slice(0, len(found.frames), max(1, len(found.frames) // STRIP))
        shown = [("real", drive.frames[1:][at][:STRIP]), ("foretold", found.frames[at][:STRIP])]
        self.page.figure("predictions", self.figures.pictures(shown), "next frames, real and foretold")
        figure = self.figures.foresight(found.done, found.density, found.grid, found.values)
        self.page.figure("foresight", figure, "mixture and probability of the end")
        config = self.run.stages.rnn
        return self._losses("rnn", "z", "frames", config.batch_size * config.sequence_length)

    # --- the dream ---

    def dreams(self) -> None:
        """Strips of dreams at five temperatures, and videos of the agent in both worlds."""
        from controller.trajectories import encode, replay_in_dream
        from experiment.errors import command

        comment = f"The same first frame and the same actions; every {STRIDE}th step. White: the dream has ended."
        self.page.heading("The dream", comment)
        if not {"vae", "series", "rnn"} <= self.has:
            return self.page.missing("a trained M; run scripts/train_rnn.py")
        self.page.dream(command("scripts/dream_page.py", "--run", self.run.path))
        frames, actions = self.example
        length = min(len(frames), STRIP * STRIDE)
        first, rows = encode(self.vae, frames[:1])[0], [("real", frames[:length:STRIDE])]
        for tau in TEMPERATURES:
            dreamt = replay_in_dream(self._env(tau), actions[:length], first, self.seed)
            rows.append((f"tau {tau:g}", dreamt[::STRIDE]))
        columns = [str(step) for step in range(0, length, STRIDE)]
        self.page.figure("dreams", self.figures.pictures(rows, columns), "dreams at five temperatures")
        return None

    def _env(self, temperature: float):
        import gymnasium

        name = self.task.dream_env
        return gymnasium.make(name, run=self.run.path, temperature=temperature, render_mode="rgb_array").unwrapped

    def agent(self) -> None:
        """The agent's real drive, V's view of it, and its drive in the dream from the same first frame."""
        import numpy as np

        from controller.agent import Agent
        from controller.checkpoints import find_controller, load_controller
        from controller.policies import Policy
        from controller.trajectories import agent_trajectory, decode, dream_trajectory, encode

        self.page.heading("The agent", "From left: the real task, V's view of it, the agent in its own dream.")
        if not {"vae", "series", "rnn"} <= self.has or not list(self.run.path.glob("controller/*/best.json")):
            return self.page.missing("V, M and a trained controller; run scripts/train_controller.py")
        folder = find_controller(self.run.path, self.name or self._best_controller())
        shape, weights = load_controller(folder, "best")
        policy, vae = Policy(shape, self.task.squash), self.vae
        games = self.task.games(1, self.run.stages.env, False)
        real = agent_trajectory(games, Agent(vae, self.rnn, policy), weights, self.seed, STEPS)
        games.close()
        z = encode(vae, real.frames)
        env = self._env(cli.controller_temperature(self.run, folder.name))
        dreamt = dream_trajectory(env, policy, weights, z[0], self.seed, STEPS)
        rows = [("real", real.frames[::STRIDE][:STRIP]), ("dream", dreamt.frames[::STRIDE][:STRIP])]
        columns = [str(STRIDE * n) for n in range(STRIP)]
        self.page.figure("agent", self.figures.pictures(rows, columns), f"{folder.name} in both worlds")
        panels = [real.frames, decode(vae, z), dreamt.frames]
        whole = max(map(len, panels))
        held = [np.concatenate([p, np.repeat(p[-1:], whole - len(p), axis=0)]) for p in panels]
        self.page.video("agent", np.concatenate(held, axis=2), self.task.frames_per_second)
        return None

    def _best_controller(self) -> str | None:
        """The controller with the highest mean in the real task."""
        from controller.evaluation import evaluations_of

        there = {path.parent.name for path in self.run.path.glob("controller/*/best.json")}
        found = [e for e in evaluations_of(self.run) if e.world == "real" and e.controller in there]
        return max(found, key=lambda e: e.mean).controller if found else sorted(there)[0]

    # --- C ---

    def learning(self) -> None:
        """Learning curves over the authors', and the mean's own scores, where it was evaluated, in both worlds."""
        from experiment.metrics import read_metrics

        figures, theirs = self.figures, self.paper["learning"]
        self.page.heading("C", "Mean return of a generation of CMA-ES, over the authors' published run.")
        found = [(path.parent.name, read_metrics(path.parent)) for path in self._controllers("metrics.jsonl")]
        curves = [
            (name, figures.COLORS[number % 3], [r["step"] for r in rows], [r["mean"] for r in rows])
            for number, (name, rows) in enumerate(found)
            if rows
        ]
        if not curves:
            return self.page.missing("a trained controller; run scripts/train_controller.py")
        last = 4 * max(curve[2][-1] for curve in curves)
        shown = [n for n, generation in enumerate(theirs["generation"]) if generation <= last]
        xs, ys = [theirs["generation"][n] for n in shown], [theirs["mean"][n] for n in shown]
        curves.append(("authors' run", figures.THEIRS, xs, ys))
        self.page.figure("learning", figures.lines(curves, "generation", f"mean {self.task.score}"), "learning curves")
        return self._transfer()

    def _transfer(self) -> None:
        """How each controller's mean did in the dream and in the real task while it grew, if both are known."""
        from controller.training import read_evaluations

        for path in self._controllers("evaluations.jsonl"):
            rows = [row for row in read_evaluations(path.parent) if {"dream", "real"} <= row.keys()]
            if len(rows) > 1:
                xs, name = [row["generation"] for row in rows], path.parent.name
                curves = [
                    (label, color, xs, [row[world] for row in rows])
                    for label, color, world in (
                        ("in its dream", self.figures.OURS, "dream"),
                        ("in the real task", self.figures.THEIRS, "real"),
                    )
                ]
                figure = self.figures.lines(curves, "generation", f"{self.task.score}, {name}")
                self.page.figure(f"transfer-{name}", figure, f"{name} in both worlds while it grew")

    def _controllers(self, file: str) -> list[Path]:
        """This file of each controller."""
        return sorted(self.run.path.glob(f"controller/*/{file}"))


if __name__ == "__main__":
    main()
