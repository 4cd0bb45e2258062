"""The sections of a run's report, from its scores to C's learning curves; loads TensorFlow."""

import functools
import json
from pathlib import Path
from typing import Any

import cli
import gymnasium
import numpy as np
from reporting import figures, survival
from reporting.claims import CORRECTION, PAPER, all_claims
from reporting.claims_page import page_entry
from reporting.evidence import UNTRAINED
from reporting.page import Page
from reporting.tables import row

from controller.agent import Agent
from controller.checkpoints import find_controller, list_controllers, load_fitting, training_temperature
from controller.dream_env import DreamEnv
from controller.evaluation import Evaluation, largest
from controller.policies import Policy
from controller.score_files import evaluations_of
from controller.survival import survival_curve
from controller.task import temperature_text
from controller.training import read_evaluations, scores_by_steps
from controller.trajectories import (
    Trajectory,
    agent_trajectory,
    decode,
    dream_trajectory,
    encode,
    predict,
    replay_in_dream,
    script_trajectory,
)
from experiment.errors import command
from experiment.metrics import read_metrics
from experiment.runs import Run
from experiment.stage_folder import finished
from rnn.model import MDNRNN
from rnn.training import load_rnn
from vae.episodes import list_episodes, read_episode, split_episodes
from vae.model import VAE
from vae.training import load_vae

TEMPERATURES = (0.1, 0.5, 1.0, 1.15, 1.3)
STRIP, STRIDE, STEPS = 12, 20, 400  # frames in a strip, steps between them, steps of the longest video


class Report:
    """The sections of a run's page, in the order of the pipeline."""

    def __init__(self, run: Run, page: Page, controller: str | None, seed: int):
        self.run, self.page, self.name, self.seed = run, page, controller, seed
        self.task = cli.task(run.task)
        self.paper = json.loads(PAPER.read_text(encoding="utf-8")).get(run.task, {"table": [], "learning": None})
        self.has = {stage for stage in ("collect", "vae", "series", "rnn") if finished(run.folder(stage))}
        self.title = f"World Models: {run.task}, preset {run.preset}, run {run.path.name}"

    def draw(self) -> None:
        """Draw all sections."""
        for section in (self.scores, self.vision, self.memory, self.dreams, self.agent, self.learning):
            with self.page.attempt(f"the rest of section {section.__name__}"):
                section()

    @functools.cached_property
    def vae(self) -> VAE:
        """The trained V."""
        return load_vae(self.run.folder("vae"))

    @functools.cached_property
    def rnn(self) -> MDNRNN:
        """The trained M."""
        return load_rnn(self.run.folder("rnn"))

    @functools.cached_property
    def example(self) -> Trajectory:
        """An episode of the collecting policy that nothing was trained on: held out, or, in a release, a new one."""
        if "collect" in self.has:
            paths = split_episodes(list_episodes(self.run.folder("collect")), self.run.seed)[1][:8]
            episode = max((read_episode(path, self.task.action_size) for path in paths), key=len)
            return Trajectory(episode.obs, episode.action)
        env, script = self.run.stages.env, self.task.collector(self.run.stages.collect)
        games = self.task.games(1, env, True)
        played = script_trajectory(games, script, self.task.action_size, self.seed, env.time_limit)
        games.close()
        return played

    # --- scores ---

    def scores(self) -> None:
        """Show tables, histograms and probes from the evaluations."""
        self.page.heading("Scores", "Mean ± std [95 % interval of the mean] (episodes); the paper's rows below.")
        found = evaluations_of(self.run)
        if not found:
            return self.page.missing("no evaluations; run scripts/evaluate.py")
        real = largest((e for e in found if e.world == "real"), lambda e: (e.who, e.seed))
        dreamt = largest((e for e in found if e.world == "dream"), lambda e: (e.who, e.seed, e.temperature))
        lone = [(*key, None) for key in real if not any(key == other[:2] for other in dreamt)]
        scripted = {e.who: e.controller is None for e in found}
        keys = sorted([*dreamt, *lone], key=lambda key: (scripted[key[0]], str(key)))
        rows = [
            (
                f"{who}, seed {seed}",
                f"{row(dreamt[who, seed, tau])} at tau {temperature_text(tau)}" if tau else "",
                row(real[who, seed]) if (who, seed) in real else "",
            )
            for who, seed, tau in keys
        ]
        self.page.table([("policy", "dream", "real task"), *rows, *self.task.published])
        for e in real.values():
            if e.controller:
                figure = figures.histogram(e.scores, e.who, self._published(e.who), self.task.score)
                self.page.figure(f"scores-{e.who}-seed{e.seed}", figure, f"scores of {e.who}")
        self._probes(real, dreamt)
        self._survival(found)
        self._claims()
        return None

    def _published(self, who: str) -> tuple[str, float, float] | None:
        """Return the paper's row that an agent belongs to."""
        for entry in self.paper["table"]:
            if "temperature" in entry and f"tau{temperature_text(entry['temperature'])}-s" in who:
                return f"paper, tau {entry['temperature']}", entry["real"]["mean"], entry["real"]["std"]
            if entry.get("method") and who.startswith(f"real-{entry['method']}-"):
                return f"paper, {entry['method']}", entry["mean"], entry["std"]
        return None

    def _probes(self, real: dict[Any, Evaluation], dreamt: dict[Any, Evaluation]) -> None:
        """Draw survival in both worlds, a figure for each temperature that scripts were probed at, or else agents."""
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
            figure = figures.probes(points, agents, tau, self.task.score)
            name = temperature_text(tau)
            self.page.figure(f"probes-tau{name}", figure, f"survival in the dream at {name} and in the real game")
        return None

    def _survival(self, found: list[Evaluation]) -> None:
        """Survival curves and deaths by window in both worlds, of each temperature that anybody dreamed at."""
        lasting = [e for e in found if e.scores == e.lengths]
        if self.task.world != "dream" or not lasting:
            return
        self.page.heading("Survival", "Equal means can hide opposite errors. Bands, intervals: 95 %.")
        limit = self.run.stages.env.time_limit
        for tau in sorted({e.temperature for e in lasting if e.temperature is not None}, reverse=True):
            lengths = survival.both_worlds(lasting, tau)
            if not lengths:
                continue
            panels = [
                (who, [(world, survival_curve(each, limit)) for world, each in zip(survival.WORLDS, both, strict=True)])
                for who, both in lengths.items()
            ]
            name = temperature_text(tau)
            title = f"survival in the dream at {name} and in the real task"
            self.page.figure(f"survival-tau{name}", figures.survival(panels, limit), title)
            self.page.table(survival.hazard_rows(lengths, limit))
            for line in survival.warnings(lengths, limit):
                self.page.note(line)

    def _claims(self) -> None:
        """Each of the paper's claims about this task, as far as this run's scores go."""
        claims = [claim for claim in all_claims(self.run.path)[0] if claim.evidence]
        if claims:
            self.page.heading("The paper's claims", f"What this run's scores say of them. {CORRECTION}")
            for claim in claims:
                self.page.folded(*page_entry(claim))

    # --- V and M ---

    def vision(self) -> None:
        """Draw V's reconstructions of held-out frames, and its losses."""
        self.page.heading("V", "Frames that V was not trained on, and what it makes of them.")
        if "vae" not in self.has:
            return self.page.missing("a trained V; run scripts/train_vae.py")
        vae, obs = self.vae, self.example.frames
        frames = obs[:: max(1, len(obs) // STRIP)][:STRIP]
        shown = [("real", frames), ("V", decode(vae, encode(vae, frames)))]
        self.page.figure("reconstructions", figures.strips(shown), "frames and reconstructions")
        return self._losses("vae", "reconstruction", "frames", self.run.stages.vae.batch_size)

    def _losses(self, stage: str, key: str, unit: str, size: int) -> None:
        file = self.run.folder(stage) / "metrics.jsonl"
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
        """Draw M's predictions along a held-out episode, and its losses."""
        self.page.heading("M", "Along a real episode, each step predicted from those before it.")
        if not {"vae", "rnn"} <= self.has:
            return self.page.missing("a trained M; run scripts/train_rnn.py")
        played = Trajectory(*(part[-STEPS:] for part in self.example))
        found = predict(self.vae, self.rnn, played)
        at = slice(0, len(found.frames), max(1, len(found.frames) // STRIP))
        shown = [("real", played.frames[1:][at][:STRIP]), ("predicted", found.frames[at][:STRIP])]
        self.page.figure("predictions", figures.strips(shown), "next frames, real and predicted")
        figure = figures.foresight(found.done, found.density, found.grid, found.values)
        self.page.figure("foresight", figure, "mixture and probability of the end")
        config = self.run.stages.rnn
        return self._losses("rnn", "z", "frames", config.batch_size * config.sequence_length)

    # --- the dream ---

    def dreams(self) -> None:
        """Draw strips of dreams at five temperatures, and videos of the agent in both worlds."""
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
        self.page.figure("dreams", figures.strips(rows, columns), "dreams at five temperatures")
        return None

    def _env(self, temperature: float) -> DreamEnv:
        name = self.task.dream_env
        if name is None:
            space = gymnasium.spaces.Box(*self.task.bounds)
            return DreamEnv(self.run.path, space, temperature, self.run.stages.env.time_limit, "rgb_array")
        return gymnasium.make(name, run=self.run.path, temperature=temperature, render_mode="rgb_array").unwrapped

    def agent(self) -> None:
        """Show the agent in the real task, V's view of it, and the agent in the dream from the same first frame."""
        self.page.heading("The agent", "From left: the real task, V's view of it, the agent in its own dream.")
        if not {"vae", "series", "rnn"} <= self.has or not list_controllers(self.run.path):
            return self.page.missing("V, M and a trained controller; run scripts/train_controller.py")
        folder = find_controller(self.run.path, self.name or self._best_controller())
        shape, weights = load_fitting(self.run.path, folder)
        policy, vae = Policy(shape, self.task.squash), self.vae
        games = self.task.games(1, self.run.stages.env, False)
        real = agent_trajectory(games, Agent(vae, self.rnn, policy), weights, self.seed, STEPS)
        games.close()
        z = encode(vae, real.frames)
        env = self._env(training_temperature(self.run, folder.name))
        dreamt = dream_trajectory(env, policy, weights, z[0], self.seed, STEPS)
        rows = [("real", real.frames[::STRIDE][:STRIP]), ("dream", dreamt.frames[::STRIDE][:STRIP])]
        columns = [str(STRIDE * n) for n in range(STRIP)]
        self.page.figure("agent", figures.strips(rows, columns), f"{folder.name} in both worlds")
        panels = [real.frames, decode(vae, z), dreamt.frames]
        whole = max(map(len, panels))
        held = [np.concatenate([p, np.repeat(p[-1:], whole - len(p), axis=0)]) for p in panels]
        self.page.video("agent", np.concatenate(held, axis=2), self.task.frames_per_second)
        return None

    def _best_controller(self) -> str | None:
        """Return the controller with the highest mean in the real task."""
        there = {folder.name for folder in list_controllers(self.run.path)}
        found = [e for e in evaluations_of(self.run) if e.world == "real" and e.controller in there]
        return max(found, key=lambda e: e.mean).controller if found else sorted(there)[0]

    # --- C ---

    def learning(self) -> None:
        """Draw learning curves over the authors', and how the mean itself did, where it was evaluated."""
        theirs = self.paper["learning"]
        self.page.heading("C", "Mean return of a generation of CMA-ES, over the authors' published run.")
        found = [(path.parent.name, read_metrics(path.parent)) for path in self._controllers("metrics.jsonl")]
        curves = [
            (name, figures.color(number), [r["step"] for r in rows], [r["mean"] for r in rows])
            for number, (name, rows) in enumerate(found)
            if rows
        ]
        if not curves:
            return self.page.missing("a trained controller; run scripts/train_controller.py")
        if theirs:
            last = 4 * max(curve[2][-1] for curve in curves)
            shown = [n for n, generation in enumerate(theirs["generation"]) if generation <= last]
            xs, ys = [theirs["generation"][n] for n in shown], [theirs["mean"][n] for n in shown]
            curves.append(("authors' run", figures.THEIRS, xs, ys))
        self.page.figure("learning", figures.lines(curves, "generation", f"mean {self.task.score}"), "learning curves")
        self._by_steps()
        return self._transfer()

    def _by_steps(self) -> None:
        """Draw how the means of controllers trained in the real task did, by environment steps, over the authors'.

        Those on an untrained M, whose run lies in this run's folder, are among them.
        """
        curves = []
        for run in (self.run.path, *sorted(self.run.path.glob(f"{UNTRAINED}*/"))):
            for folder in list_controllers(run, "evaluations.jsonl"):
                xs, ys = scores_by_steps(folder)
                if len(xs) > 1:
                    label = folder.name if run == self.run.path else f"{folder.name}, {run.name} M"
                    curves.append((label, figures.color(len(curves)), xs, ys))
        theirs = self.paper.get("evaluated", {})
        if not curves:
            return
        if "steps" in theirs:
            curves.append(("authors' run", figures.THEIRS, theirs["steps"], theirs["score"]))
        figure = figures.lines(curves, "environment steps", f"{self.task.score} of the mean", log=True)
        self.page.figure("learning-steps", figure, "scores of CMA-ES's mean by environment steps")

    def _transfer(self) -> None:
        """Draw how each controller's mean did in the dream and in the real task during training, if both are known."""
        for path in self._controllers("evaluations.jsonl"):
            rows = [row for row in read_evaluations(path.parent) if {"dream", "real"} <= row.keys()]
            if len(rows) > 1:
                xs, name = [row["generation"] for row in rows], path.parent.name
                curves = [
                    (label, color, xs, [row[world] for row in rows])
                    for label, color, world in (
                        ("in its dream", figures.OURS, "dream"),
                        ("in the real task", figures.THEIRS, "real"),
                    )
                ]
                figure = figures.lines(curves, "generation", f"{self.task.score}, {name}")
                self.page.figure(f"transfer-{name}", figure, f"{name} in both worlds during training")

    def _controllers(self, file: str) -> list[Path]:
        """Return this file of each controller."""
        return [folder / file for folder in list_controllers(self.run.path, file)]
