"""What the paper says of its iterative procedure on the swing-up of a pendulum from pixels."""

from reporting.claims import Book
from reporting.evidence import ITERATION, apart
from reporting.findings import methods_above

TASK = "pendulum"
METHOD = "two-level bootstrap over searches and episodes, at least 3 searches each"


def add_claims(book: Book) -> None:
    """Add the claim that the last iteration does better than the first."""
    later = {apart(p.run) for p in book.evidence.played if p.first.task == TASK}
    last = max((name for name in later if name.startswith(ITERATION)), default=ITERATION)
    book.add(
        "pendulum: the iterative procedure",
        "a later iteration swings the pendulum up where the first does not",
        "paper, section 5, Iterative Training Procedure",
        f"the last iteration above the first; {METHOD}",
        lambda a, b: methods_above(a, b, f"{last} to the first"),
        book.evidence.find(TASK, "real", last, policy="agent"),
        book.evidence.find(TASK, "real", policy="agent"),
        data=True,
    )
