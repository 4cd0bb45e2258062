"""Table 1, and what the paper and others say of CarRacing."""

from reporting.claims import Book
from reporting.claims_iterations import METHOD
from reporting.evidence import of_each
from reporting.findings import (
    ROW_RULE,
    above,
    above_published,
    above_value,
    methods_above,
    methods_not_above,
    row,
)

from controller.statistics import Published

TASK = "carracing"
SOLVED = 900
AGENT = "the agent's own episodes; the same tracks are paired"


def add_claims(book: Book) -> None:
    """Add the claims about CarRacing."""
    _table(book)
    _agent(book)
    _methods(book)


def _table(book: Book) -> None:
    for told in book.paper[TASK]["table"]:
        if told["parameters"]:
            published = Published(told["mean"], told["std"], told["episodes"])
            book.add(
                f"table 1: {told['method']}",
                f"a mean return of {told['mean']} ± {told['std']}",
                told["source"],
                ROW_RULE,
                lambda found, published=published: row(found, published),
                book.evidence.find(TASK, "real", who=f"real-{told['method']}-s"),
            )


def _agent(book: Book) -> None:
    full = book.evidence.agent(TASK, "real", "real-zh-s")
    leader = next(r for r in book.paper[TASK]["table"] if r["method"] == "best gym leaderboard entry")
    best = Published(leader["mean"], leader["std"], leader["episodes"])
    book.add(
        "carracing: solved",
        "a mean of at least 900 over 100 tracks",
        "paper, section 3.3, Full World Model",
        f"mean above {SOLVED}; {AGENT}",
        lambda e: above_value(e, SOLVED),
        full,
    )
    book.add(
        "carracing: above the leaderboard",
        f"the full world model is above the best entry of the leaderboard, {best.mean} ± {best.std}",
        "paper, table 1",
        f"Welch's test; {AGENT}",
        lambda e: above_published(e, best),
        full,
    )
    dreaming = book.evidence.agent(TASK, "dream", "real-zh-s", measure="road")
    book.add(
        "carracing: its own dream",
        "the agent can drive inside its own dream",
        "paper, section 3.4, Car Racing Dreams",
        f"share of steps whose decoded frame shows the car on the road, above that of random actions there; {AGENT}",
        lambda a, b: above(a, b, "share on the road, agent to random, both in the dream"),
        dreaming,
        book.evidence.script_in_dream_of(dreaming, "random"),
        data=True,
    )


def _methods(book: Book) -> None:
    """One variant of C against another, over searches."""
    of = {v: book.evidence.find(TASK, "real", who=f"real-{v}-s") for v in ("zh", "z", "z_hidden")}
    for name, says, source, high, low in (
        ("h helps", "V and M drive better than V alone", "paper, section 3.3", "zh", "z"),
        ("a hidden layer helps", "V alone drives better with a hidden layer", "paper, table 1", "z_hidden", "z"),
        ("h helps more", "V and M drive better than V with a hidden layer", "paper, table 1", "zh", "z_hidden"),
    ):
        book.add(
            f"carracing: {name}",
            says,
            source,
            METHOD,
            lambda a, b, what=f"{high} to {low}": methods_above(a, b, what),
            of[high],
            of[low],
        )
    for name, says, measure, high, low in (
        (
            "wobble",
            "V alone wobbles: its steering changes side more often than that of V and M",
            "reversals",
            "z",
            "zh",
        ),
        ("sharp corners", "V alone misses more of the sharp corners", "sharp_corners", "zh", "z"),
        ("spins", "V alone spins off the road on more tracks", "spins", "z", "zh"),
    ):
        book.add(
            f"carracing: {name}",
            says,
            "paper, section 3.3",
            f"measure {measure} (`carracing.driving`); {METHOD}",
            lambda a, b, what=f"{measure}, {high} to {low}": methods_above(a, b, what),
            *(book.evidence.find(TASK, "real", measure=measure, who=f"real-{v}-s") for v in (high, low)),
        )
    book.add(
        "carracing: an untrained M",
        "others: an M that was never trained does as well (870 against 860)",
        "another reproduction",
        f"the trained one at most a tenth better; {METHOD}",
        lambda a, b: methods_not_above(a, b, 0.1, f"trained to untrained{of_each(a, b)}"),
        of["zh"],
        book.evidence.find(TASK, "real", "untrained", who="real-zh-s"),
    )
