"""The list of the paper's claims over one folder of results: each with its verdict, all corrected together."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path

from reporting.evidence import Evidence, Played
from reporting.findings import Finding
from reporting.made_with import data_words, differing, differing_vision

from controller.verdicts import ONE_SEARCH, REFUTED, SHOWN, UNMEASURED, Verdict, decide, p_words
from experiment.files import read_json

PAPER = Path(__file__).parents[2] / "results" / "paper.json"
CORRECTION = (
    "One family: Holm's method at 5 % over all verdicts and differences below, so that with 95 % not one of them "
    "is wrong. [a, b]: 95 % interval of one figure alone."
)


@dataclass(frozen=True)
class Claim:
    """A claim: what is said (in our words), where, what decides it, the verdict, and what it stands on.

    further: what would decide it. p, level: of the verdict, two-sided, and what Holm's method asked. differs: in which
    settings what was played differs from preset `paper`. data: who played the games that V and M learned from, where
    the claim depends on it. commands: those that make the scores again.
    """

    name: str
    says: str
    source: str
    rule: str
    verdict: str
    figures: str
    further: str = ""
    p: float | None = None
    level: float | None = None
    differs: list[str] = field(default_factory=list)
    data: str = ""
    evidence: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @property
    def sureness(self) -> str:
        """Its p and the level that this had to meet, in words."""
        return "" if self.p is None or self.level is None else f"; {p_words(self.p)}, needed {self.level:.2g}"


@dataclass(frozen=True)
class Entry:
    """A claim before the list is decided."""

    name: str
    says: str
    source: str
    rule: str
    finding: Finding
    played: tuple[Played, ...] = ()
    data: bool = False
    vision: Path | None = None


class Book:
    """The claims under construction; `add` asks only where all that is needed was played."""

    def __init__(self, results: Path):
        self.evidence, self.entries = Evidence(results), list[Entry]()
        self.paper = read_json(PAPER, "it is part of the project")

    def on(self, evidence: Evidence) -> "Book":
        """Return this book for what other runs say; what is added to it stands in the same list."""
        other = copy(self)
        other.evidence = evidence
        return other

    def add(
        self,
        name: str,
        says: str,
        source: str,
        rule: str,
        ask: Callable[..., Finding],
        *needed: Played | Sequence[Played] | None,
        data: bool = False,
        vision: Path | None = None,
    ) -> None:
        """Add a claim; `ask` is given what was played, once nothing of it is missing.

        data: it depends on who played the data. vision: the run whose V a claim is about that nothing was played for.

        On other data its name says on which, and one of which anything is missing is not listed.
        """
        if self.evidence.data:
            if not all(needed):
                return
            name = name.replace(":", f", {self.evidence.data}:", 1)
        finding = ask(*needed) if all(needed) else Finding("no scores of it yet", outcome=UNMEASURED)
        played = tuple(p for one in needed if one for p in ([one] if isinstance(one, Played) else one))
        self.entries.append(
            Entry(name, says, source, rule, finding, tuple({id(p): p for p in played}.values()), data, vision)
        )

    def decided(self) -> list[Claim]:
        """Return all claims with their verdicts."""
        asked = [entry for entry in self.entries if entry.finding.question is not None]
        rows = [entry for entry in self.entries if entry.finding.different is not None]
        verdicts, different = decide(
            [entry.finding.question for entry in asked], [entry.finding.different for entry in rows]
        )
        verdict_of = dict(zip(map(id, asked), verdicts, strict=True))
        different_of = dict(zip(map(id, rows), different, strict=True))
        return [self._claim(entry, verdict_of.get(id(entry)), different_of.get(id(entry))) for entry in self.entries]

    def _claim(self, entry: Entry, verdict: Verdict | None, different: bool | None) -> Claim:
        finding, figures = entry.finding, entry.finding.figures
        played = entry.played if finding.question or finding.outcome == ONE_SEARCH else ()
        runs = [entry.vision] if entry.vision else [p.run for p in played]
        files = (
            [entry.vision / "vae" / "metrics.jsonl"]
            if entry.vision
            else [file for p in entry.played for file in p.files]
        )
        if different is not None and verdict is not None:
            figures += f"; {_row_words(different, finding.different, verdict.outcome)}"
        return Claim(
            name=entry.name,
            says=entry.says,
            source=entry.source,
            rule=entry.rule,
            verdict=verdict.outcome if verdict else finding.outcome,
            figures=figures,
            further=verdict.further if verdict else "",
            p=verdict.p if verdict else None,
            level=verdict.level if verdict else None,
            differs=differing_vision(entry.vision) if entry.vision else differing(played),
            data="; ".join(dict.fromkeys(map(data_words, runs))) if entry.data else "",
            evidence=[str(file.relative_to(self.evidence.results)) for file in files],
            commands=[line for p in entry.played for line in p.commands],
        )


def _row_words(different: bool, p: float | None, outcome: str) -> str:
    """Both answers that a row has: whether it differs, and whether that stays within the margin."""
    first = f"{'different' if different else 'no difference shown'} ({p_words(p)})"
    second = {SHOWN: "within the margin", REFUTED: "beyond the margin"}.get(outcome, "margin undecided")
    return f"{first}, {second}"


def all_claims(results: Path) -> tuple[list[Claim], Evidence]:
    """Return every claim over the runs of a folder, and the evidence there."""
    from reporting import claims_carracing, claims_doom, claims_models, claims_pendulum

    book = Book(results)
    for part in (claims_models, claims_carracing, claims_doom, claims_pendulum):
        part.add_claims(book)
    return book.decided(), book.evidence


def lines(claim: Claim) -> list[str]:
    """Return a claim as lines of text."""
    pad, found = " " * 18, [f"{claim.verdict:18}{claim.name}: {claim.says} ({claim.source})"]
    found.append(f"{pad}{claim.figures}{claim.sureness}{f'; {claim.further}' if claim.further else ''}")
    if claim.data:
        found.append(f"{pad}data: {claim.data}")
    if claim.differs:
        found.append(f"{pad}not as in paper: {'; '.join(claim.differs)}")
    return found
