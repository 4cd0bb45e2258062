"""The paper's claims: what each says, what decides it, and what the results of a folder make of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cli

from controller.evaluation import Evaluation, load_evaluations
from controller.statistics import (
    FAILS,
    HOLDS,
    OPEN,
    Finding,
    Published,
    above_value,
    compare,
    falling,
    greater,
    not_greater_by,
)
from experiment.files import read_json
from experiment.metrics import read_metrics

SOLVED = {"carracing": 900, "doomrnn": 750}
TAUS = (0.10, 0.50, 1.00, 1.15, 1.30)
NEAR_PERFECT = 0.9 * 2100  # steps
APART = ("untrained", "second-turn")  # folders of runs that are measured against the others, and never for them


@dataclass(frozen=True)
class Claim:
    """A claim: what is said (in our words), where, what decides it, and the finding with its evidence."""

    name: str
    says: str
    source: str
    rule: str
    verdict: str
    figures: str
    evidence: list[str]


class Scores(NamedTuple):
    """An evaluation, and the file it stands in, below the results."""

    file: str
    of: Evaluation


class Verifier:
    """The claims over one folder of results."""

    def __init__(self, results: Path):
        self.results, self.made = results, []
        self.paper = read_json(results / "paper.json", "it is part of the project")
        self.found = {task: self._evaluations(results / task) for task in cli.TASKS}

    def _evaluations(self, folder: Path) -> list[tuple[Path, Evaluation]]:
        """(run folder, evaluation) of everything there."""
        runs = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
        return [(run, e) for run in runs for e in load_evaluations(run / "evaluation", "float32")]

    def claims(self) -> list[Claim]:
        """All of them, in the paper's order."""
        self.shapes()
        self.floor()
        self.carracing()
        self.doom()
        self.temperatures()
        self.iterations()
        return self.made

    # --- what is looked up ---

    def _best(self, task: str, world: str, apart: str = "", **wanted: Any) -> Scores | None:
        """The evaluation with these fields (`who`: how its name begins) of most episodes.

        apart: the folder of the runs set apart that it is looked for in, rather than among all others.
        Among scripts of as many the one of the highest mean (the best sweep), among agents the first seed: never the
        best one.
        """
        fitting = [
            Scores(str((run / "evaluation" / e.file_name).relative_to(self.results)), e)
            for run, e in self.found[task]
            if e.world == world
            and e.checkpoint != "last"
            and (run.name if run.name in APART else "") == apart
            and all(e.who.startswith(v) if k == "who" else getattr(e, k) == v for k, v in wanted.items())
        ]
        return max(fitting, key=lambda f: (f.of.episodes, 0.0 if f.of.controller else f.of.mean), default=None)

    def _say(self, name: str, says: str, source: str, rule: str, decide: Callable, *evidence: Scores | None) -> None:
        """Record a claim; `decide` is asked once all of the evidence is there."""
        there = [e for e in evidence if e is not None]
        missing = len(there) < len(evidence)
        finding = Finding(OPEN, "no scores of it yet") if missing else decide(*(e.of for e in there))
        self.made.append(Claim(name, says, source, rule, *finding, [e.file for e in there]))

    # --- the claims ---

    def shapes(self) -> None:
        """The published numbers of parameters, counted on models built from the paper's presets."""
        cli.load_tensorflow()
        from rnn.training import build_rnn
        from vae.training import build_vae

        for name in (known for known in cli.TASKS if known in self.paper):
            task, told = cli.task(name), self.paper[name]["parameters"]
            stages = task.presets["paper"].stages
            counted = {
                "vae": build_vae(stages.vae, 0).count_params(),
                "rnn": build_rnn(stages.rnn, stages.vae.z_size, task.action_size, 0).count_params(),
            }
            sizes = stages.vae.z_size, stages.rnn.hidden_size, stages.controller.hidden_size
            counted["controller"] = {v: task.policy_shape(v, *sizes).size for v in told["controller"]}
            same = all(counted[key] == told[key] for key in counted)
            finding = Finding(HOLDS if same else FAILS, ", ".join(f"{k} {v}" for k, v in counted.items()))
            self._say(
                f"{name}: sizes",
                "V, M and C have the published numbers of parameters",
                told["source"],
                "counted on the models of preset paper, all equal",
                lambda finding=finding: finding,
            )

    def floor(self) -> None:
        """The KL term of V rests at its floor."""
        file = next(iter(sorted(self.results.glob("doomrnn/**/vae/metrics.jsonl"))), None)
        rows = [r for r in read_metrics(file.parent) if "validation_kl" in r] if file else []
        if rows:
            kl, recon = rows[-1]["validation_kl"], rows[-1]["validation_reconstruction"]
            verdict = HOLDS if 32.0 <= kl < 33.0 else FAILS
            finding = Finding(verdict, f"held-out KL {kl:.2f} nats, reconstruction {recon:.2f}")
        else:
            finding = Finding(OPEN, "no metrics of V yet")
        self._say(
            "doomrnn: V's loss floor",
            "the KL term of V ends at its floor of 32 nats",
            "authors' code, training log",
            "last held-out KL from 32 to 33",
            lambda: finding,
        )

    def carracing(self) -> None:
        """Table 1, and what it is said to show."""
        rows = [row for row in self.paper["carracing"]["table"] if row["parameters"]]
        for row in rows:
            self._say(
                f"table 1: {row['method']}",
                f"a mean return of {row['mean']} ± {row['std']}",
                row["source"],
                f"Welch's test against the published score, corrected for {len(rows)} rows",
                lambda e, row=row: compare(e.scores, Published(row["mean"], row["std"], row["episodes"]), len(rows)),
                self._best("carracing", "real", who=f"real-{row['method']}-"),
            )
        full, vision = (self._best("carracing", "real", who=f"real-{v}-") for v in ("zh", "z"))
        self._say(
            "carracing: h helps",
            "V alone drives worse than V with M",
            "paper, section 3.3",
            "one-sided Welch at 5 %",
            lambda a, b: greater(a.scores, b.scores, "zh to z"),
            full,
            vision,
        )
        self._say(
            "carracing: solved",
            "a mean of at least 900 over 100 tracks",
            "paper, section 3.3",
            "lower end of the 95 % interval above 900",
            lambda e: above_value(e.scores, SOLVED["carracing"], e.ci95[0]),
            full,
        )
        self._say(
            "carracing: its own dream",
            "the agent keeps driving inside its own dream",
            "paper, section 3.4",
            "return in a dream with a reward head above that of random actions in it (one-sided Welch at 5 %)",
            lambda a, b: greater(a.scores, b.scores, "agent to random, both in the dream"),
            self._best("carracing", "dream", who="real-zh-"),
            self._best("carracing", "dream", policy="random"),
        )
        self._say(
            "carracing: an untrained M",
            "others: an M that was never trained does as well (870 against 860)",
            "another reproduction",
            "the difference's 95 % interval ends below a tenth of the untrained one's mean",
            lambda a, b: not_greater_by(a.scores, b.scores, 0.1, "trained to untrained"),
            full,
            self._best("carracing", "real", who="real-zh-", apart="untrained"),
        )

    def doom(self) -> None:
        """The agent of temperature 1.15 in the real game."""
        agent = self._best("doomrnn", "real", who="dream-zch-tau1.15-")
        for name, what, policy in (
            ("doomrnn: beats random", "the agent grown in its dream beats random play", "random"),
            ("doomrnn: beats a blind sweep", "(ours) it beats the best open-loop sweep", "sweep"),
        ):
            self._say(
                name,
                what,
                "paper, section 4.3" if policy == "random" else "ours",
                "one-sided Welch at 5 %",
                lambda a, b, policy=policy: greater(a.scores, b.scores, f"agent to {policy}"),
                agent,
                self._best("doomrnn", "real", policy=policy),
            )
        self._say(
            "doomrnn: solved",
            "more than 750 steps on average over 100 games",
            "paper, section 4.3",
            "lower end of the 95 % interval above 750",
            lambda e: above_value(e.scores, SOLVED["doomrnn"], e.ci95[0]),
            agent,
        )

    def temperatures(self) -> None:
        """Table 2, and what it is said to show."""
        rows = self.paper["doomrnn"]["table"]
        for row in rows:
            tau = row["temperature"]
            for world in ("dream", "real"):
                told = row[world]
                self._say(
                    f"table 2: tau {tau:.2f}, {world}",
                    f"{told['mean']} ± {told['std']} steps",
                    row["source"],
                    f"Welch's test against the published score, corrected for {2 * len(rows)} rows",
                    lambda e, told=told: compare(e.scores, Published(told["mean"], told["std"]), 2 * len(rows)),
                    self._best("doomrnn", world, who=f"dream-zch-tau{tau:.2f}-", temperature=_tau(world, tau)),
                )
        low = {
            world: self._best("doomrnn", world, who="dream-zch-tau0.10-", temperature=_tau(world, 0.1))
            for world in ("dream", "real")
        }
        hot = {tau: self._best("doomrnn", "real", who=f"dream-zch-tau{tau:.2f}-") for tau in (1.15, 1.30)}
        random = self._best("doomrnn", "real", policy="random")
        self._say(
            "doomrnn: a cold dream is fooled",
            "at temperature 0.10 the dream's score is near perfect",
            "paper, section 4.4",
            f"lower end of the 95 % interval above {NEAR_PERFECT:.0f} of 2,100 steps",
            lambda e: above_value(e.scores, NEAR_PERFECT, e.ci95[0]),
            low["dream"],
        )
        self._say(
            "doomrnn: and teaches nothing",
            "the real score of that agent is at or below random play",
            "paper, section 4.4",
            "the difference's 95 % interval ends below a tenth of random's mean",
            lambda a, b: not_greater_by(a.scores, b.scores, 0.1, "agent of 0.10 to random"),
            low["real"],
            random,
        )
        self._say(
            "doomrnn: heat helps",
            "an agent of temperature 1.15 does better in the real game than one of 0.10",
            "paper, table 2",
            "one-sided Welch at 5 %",
            lambda a, b: greater(a.scores, b.scores, "1.15 to 0.10"),
            hot[1.15],
            low["real"],
        )
        self._say(
            "doomrnn: too much heat",
            "an agent of temperature 1.30 does worse in the real game than one of 1.15",
            "paper, table 2",
            "one-sided Welch at 5 %",
            lambda a, b: greater(a.scores, b.scores, "1.15 to 1.30"),
            hot[1.15],
            hot[1.30],
        )
        fixed = [self._best("doomrnn", "dream", who="dream-zch-tau1.15-", temperature=tau) for tau in TAUS]
        self._say(
            "doomrnn: heat makes the dream harder",
            "one fixed controller lives shorter the hotter the dream",
            "paper, section 4.4",
            "rank correlation of score and temperature below 0 at 5 %",
            lambda *es: falling([(f"{e.temperature:.2f}", e.scores) for e in es]),
            *fixed,
        )

    def iterations(self) -> None:
        """The paper's procedure for harder tasks, tried on take cover (the paper's own task for it is not ours)."""
        self._say(
            "iterative procedure",
            "act, retrain M on what was seen, grow C in it anew: a second turn's agent does better in the real game",
            "paper, section 5",
            "one-sided Welch at 5 %, agents of temperature 1.15",
            lambda a, b: greater(a.scores, b.scores, "second turn to first"),
            self._best("doomrnn", "real", who="dream-zch-tau1.15-", apart="second-turn"),
            self._best("doomrnn", "real", who="dream-zch-tau1.15-"),
        )


def _tau(world: str, temperature: float) -> float | None:
    """The temperature that an evaluation in a world has."""
    return temperature if world == "dream" else None
