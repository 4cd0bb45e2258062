"""The list of claims as Markdown, for a file's marked place, and as rows of the report's page."""

from collections.abc import Sequence
from pathlib import Path

from reporting.claims import CORRECTION, Claim

from controller.verdicts import UNMEASURED
from experiment.errors import InputError
from experiment.files import atomic_write

BEGIN, END = "<!-- claims -->", "<!-- end of claims -->"
HEADS = ("claim", "where", "rule", "verdict", "figures", "not as in preset paper", "made by")


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
    """Put the list between a file's marks; InputError where it has none."""
    text = file.read_text() if file.exists() else ""
    if BEGIN not in text or END not in text:
        raise InputError(f"{file}: no lines {BEGIN} and {END} in it; put them where the list shall stand")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    atomic_write(file, f"{before}{BEGIN}\n\n{markdown(claims)}\n\n{END}{after}".encode())


def page_rows(claims: Sequence[Claim]) -> list[tuple[str, ...]]:
    """Return the rows of the report's table, heads first."""
    rows = [
        (
            f"{claim.name}: {claim.says}",
            claim.source,
            claim.rule,
            claim.verdict,
            f"{claim.figures}{claim.sureness}{_further(claim)}{f'; data: {claim.data}' if claim.data else ''}",
            "; ".join(claim.differs),
            "\n".join(claim.commands),
        )
        for claim in claims
    ]
    return [HEADS, *rows]


def _further(claim: Claim) -> str:
    return f"; {claim.further}" if claim.further else ""
