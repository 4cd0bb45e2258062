"""What the paper says of its iterative procedure on the swing-up of a pendulum from pixels."""

from reporting.claims import Book
from reporting.claims_iterations import add_last_to_first

TASK, AGENTS = "pendulum", "dream-zh-"


def add_claims(book: Book) -> None:
    """Add the claim that the last iteration does better than the first."""
    add_last_to_first(
        book,
        TASK,
        AGENTS,
        "pendulum: the iterative procedure",
        "a later iteration swings the pendulum up where the first does not",
    )
