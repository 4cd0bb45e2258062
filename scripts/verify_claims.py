"""Say of each of the paper's claims whether the released results bear it out.

    python scripts/verify_claims.py [--json FILE]

Reads results/<task>/ (run folders, or folders with evaluation/*.json) and results/paper.json.
"""

import argparse
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import cli

RESULTS = Path(__file__).parents[1] / "results"
SOLVED = {"carracing": 900, "doomrnn": 750}
TAUS = (0.10, 0.50, 1.00, 1.15, 1.30)


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


def main() -> None:
    """Parse, decide, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts there")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="where the results are (results)")
    arguments = parser.parse_args()
    with cli.ending_well():
        claims = Verifier(arguments.results).claims()
        for claim in claims:
            print(f"{claim.verdict:16} {claim.name}: {claim.says}\n{'':16} {claim.figures}")
        counts = Counter(claim.verdict.split(",")[0] for claim in claims)
        print("; ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
        if arguments.json:
            from vae.storage import write_json

            write_json(arguments.json, [asdict(claim) for claim in claims])


class Verifier:
    """The claims over one folder of results."""

    def __init__(self, results: Path):
        from vae.storage import read_json

        self.results, self.made = results, []
        self.paper = read_json(results / "paper.json", "it is part of the project")
        self.found = {task: self._evaluations(results / task) for task in cli.TASKS}

    def _evaluations(self, folder: Path) -> list:
        from controller.evaluation import load_evaluations

        return [e for path in sorted({folder, *folder.glob("*/")}) for e in load_evaluations(path / "evaluation")]

    def claims(self) -> list[Claim]:
        """All of them, in the paper's order."""
        self.shapes()
        self.floor()
        self.carracing()
        self.doom()
        self.temperatures()
        return self.made

    # --- what is looked up ---

    def _best(self, task: str, world: str, **wanted):
        """The largest evaluation with these fields (a start of `who` for `who`), or None."""
        fitting = [
            e
            for e in self.found[task]
            if e.world == world
            and all(e.who.startswith(v) if k == "who" else getattr(e, k) == v for k, v in wanted.items())
        ]
        return max(fitting, key=lambda e: e.episodes, default=None)

    def _say(self, name: str, says: str, source: str, rule: str, found, *evidence) -> None:
        """Record a claim; `found` is made from the evidence when all of it is there."""
        from controller.claims import OPEN, Finding

        missing = [e for e in evidence if e is None]
        finding = Finding(OPEN, "no scores of it yet") if missing else found(*evidence)
        files = [f"{e.task}/evaluation/{e.file_name}" for e in evidence if hasattr(e, "file_name")]
        self.made.append(Claim(name, says, source, rule, finding.verdict, finding.figures, files))

    # --- the claims ---

    def shapes(self) -> None:
        """The published numbers of parameters, counted on models built from the paper's presets."""
        from controller.claims import FAILS, HOLDS, Finding

        cli.load_tensorflow()
        from rnn.training import build_rnn
        from vae.training import build_vae

        for name in cli.TASKS:
            task, told = cli.task(name), self.paper[name]["parameters"]
            stages = task.presets["paper"].stages
            counted = {
                "vae": build_vae(stages["vae"], 0).count_params(),
                "rnn": build_rnn(stages["rnn"], stages["vae"].z_size, task.action_size, 0).count_params(),
            }
            sizes = stages["vae"].z_size, stages["rnn"].hidden_size, stages["controller"].hidden_size
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
        from controller.claims import FAILS, HOLDS, OPEN, Finding
        from vae.runs import read_rows

        file = next(iter(sorted(self.results.glob("doomrnn/**/vae/metrics.jsonl"))), None)
        rows = [r for r in read_rows(file) if "validation_kl" in r] if file else []
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
        from controller.claims import Published, above_value, compare, greater, not_greater_by

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
            "return in the dream above that of random actions in the real task (one-sided Welch at 5 %)",
            lambda a, b: greater(a.scores, b.scores, "agent in the dream to random in the task"),
            self._best("carracing", "dream", who="real-zh-"),
            self._best("carracing", "real", policy="random"),
        )
        self._say(
            "carracing: an untrained M",
            "others: an M that was never trained does as well (870 against 860)",
            "another reproduction",
            "the difference's 95 % interval ends below a tenth of the untrained one's mean",
            lambda a, b: not_greater_by(a.scores, b.scores, 0.1, "trained to untrained"),
            full,
            self._best("carracing", "real", who="untrained-zh-"),
        )

    def doom(self) -> None:
        """The agent of temperature 1.15 in the real game."""
        from controller.claims import above_value, greater

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
        from controller.claims import Published, compare, falling, greater, not_greater_by

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
                    self._best("doomrnn", world, who=f"dream-zch-tau{tau:.2f}-"),
                )
        low = {world: self._best("doomrnn", world, who="dream-zch-tau0.10-") for world in ("dream", "real")}
        random = self._best("doomrnn", "real", policy="random")
        self._say(
            "doomrnn: a cold dream is fooled",
            "at temperature 0.10 the dream's score is near perfect",
            "paper, section 4.4",
            "dream score above the real one (one-sided Welch at 5 %)",
            lambda a, b: greater(a.scores, b.scores, "dream to real"),
            low["dream"],
            low["real"],
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
            self._best("doomrnn", "real", who="dream-zch-tau1.15-"),
            low["real"],
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


if __name__ == "__main__":
    main()
