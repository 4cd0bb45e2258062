"""The claim of the paper's iterative procedure, of whichever task: the last iteration does better than the first."""

from reporting.claims import Book
from reporting.evidence import Evidence, of_each
from reporting.findings import methods_above

METHOD = "two-level bootstrap over searches and episodes, at least 3 searches each"


def add_last_to_first(
    book: Book, task: str, agents: str, name: str, says: str, of: str = "", evidence: Evidence | None = None
) -> None:
    """Add the claim over the searches of a task's first and last iterations.

    agents: how the names of its controllers begin. of: what the rule begins with, which agents these are. evidence:
    of other runs than the book's own.
    """
    evidence = evidence or book.evidence
    last = evidence.last_iteration(task, agents)
    book.add(
        name,
        says,
        "paper, section 5, Iterative Training Procedure",
        f"{of}the last iteration above the first; {METHOD}",
        lambda a, b: methods_above(a, b, f"{last or 'second iteration'} to the first{of_each(a, b)}"),
        evidence.iteration(task, agents, last) if last else [],
        evidence.iteration(task, agents),
        data=True,
    )
