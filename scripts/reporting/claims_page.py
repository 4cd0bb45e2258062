"""The list of claims as Markdown, for a file's marked place, and as entries of the report's page."""

from collections.abc import Sequence
from pathlib import Path

from reporting.claims import CORRECTION, Claim

from controller.verdicts import UNMEASURED
from experiment.errors import InputError
from experiment.files import atomic_write

BEGIN, END = "<!-- claims -->", "<!-- end of claims -->"


def markdown(claims: Sequence[Claim]) -> str:
    """Return the list as a Markdown table, what is not measured yet below it, and how it is corrected."""
    rows = [
        f"| **{claim.verdict}** | {claim.name}: {claim.says} | {claim.figures}{_further(claim)} |"
        for claim in claims
        if claim.verdict != UNMEASURED
    ]
    missing = "; ".join(claim.name for claim in claims if claim.verdict == UNMEASURED)
    below = [f"Not measured yet: {missing}.", ""] if missing else []
    return "\n".join(["| verdict | claim | figures |", "| --- | --- | --- |", *rows, "", *below, CORRECTION])


def write_list(file: Path, claims: Sequence[Claim]) -> None:
    """Put the list between a file's marks.

    Raises InputError, and leaves the file as it is, unless each mark is in it once, on a line of its own, in order.
    """
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    alone = [line for line in map(str.rstrip, text.split("\n")) if line in (BEGIN, END)]
    if (text.count(BEGIN), text.count(END), alone) != (1, 1, [BEGIN, END]):
        where = "each once, alone on its line and in this order, where the list shall stand"
        raise InputError(f"{file}: needs the marks {BEGIN} and {END}, {where}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    atomic_write(file, f"{before}{BEGIN}\n\n{markdown(claims)}\n\n{END}{after}".encode())


def page_entry(claim: Claim) -> tuple[str, str, list[tuple[str, str]]]:
    """Return a claim for the report's page: its head, its figures, and what opens with a click (name, text)."""
    details = [
        ("where", claim.source),
        ("rule", claim.rule),
        ("data", claim.data),
        ("not as in preset paper", "; ".join(claim.differs)),
        ("made by", "; ".join(claim.commands)),
    ]
    figures = f"{claim.figures}{claim.sureness}{_further(claim)}"
    return f"{claim.verdict}: {claim.name}: {claim.says}", figures, [row for row in details if row[1]]


def _further(claim: Claim) -> str:
    return f"; {claim.further}" if claim.further else ""
