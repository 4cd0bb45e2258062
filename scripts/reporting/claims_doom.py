"""Table 2, and what the paper says of take cover and of dreams at several temperatures."""

from collections.abc import Sequence
from dataclasses import replace

from reporting.claims import Book
from reporting.claims_iterations import METHOD, add_last_to_first
from reporting.evidence import Evidence, Played, number_of
from reporting.findings import (
    ROW_RULE,
    Finding,
    above,
    above_all,
    above_published,
    above_value,
    falling,
    methods_above,
    methods_fall,
    not_above,
    not_below,
    row,
)

from controller.statistics import Published

TASK = "doomrnn"
SOLVED = 750  # steps
TAUS = (0.10, 0.50, 1.00, 1.15, 1.30)
ORDER = (1.15, 1.00, 1.30, 0.50, 0.10)  # of the published real scores; 196 and 193, the last two, are no order
STEPS = ((0, 1), (1, 2), (2, 3), (2, 4))  # of it, by place
NEAR_PERFECT = 0.9 * 2100  # steps
AGENT = "the agent's own episodes; the same games are paired"
PROCEDURE = "quick/procedure"  # beside the runs that are judged: iterations at the small scale
CHEATING = "paper, section 4.5, Cheating the World Model"


def add_claims(book: Book) -> None:
    """Add the claims about take cover, and what comes of them on games that another policy played."""
    _random_play(book)
    _of_one_data(book)
    if (small := book.evidence.results / PROCEDURE).is_dir():
        _last_to_first(book, f"{TASK}, preset quick: ", Evidence(small))
    for evidence in book.evidence.on_other_data(TASK):
        _of_one_data(book.on(evidence))


def _of_one_data(book: Book) -> None:
    _table(book)
    _references(book)
    _agent(book)
    _low_temperature(book)
    _temperature(book)
    _lower_temperatures(book)
    _last_to_first(book, f"{TASK}: ", book.evidence)


def name(tau: float) -> str:
    """Return how the names of controllers of a temperature begin."""
    return f"dream-zch-tau{tau:.2f}-s"


def searches(book: Book, world: str, tau: float, **wanted: object) -> list[Played]:
    """Return the searches of a temperature, in the real game or in their own dream."""
    own = {"temperature": tau} if world == "dream" else {}
    return book.evidence.find(TASK, world, who=name(tau), **(own | wanted))


def _table(book: Book) -> None:
    for told in book.paper[TASK]["table"]:
        tau = told["temperature"]
        for world in ("dream", "real"):
            published = Published(told[world]["mean"], told[world]["std"], told["episodes"])
            book.add(
                f"table 2: tau {tau:.2f}, {world}",
                f"{published.mean} ± {published.std} steps",
                told["source"],
                ROW_RULE,
                lambda found, published=published: row(found, published),
                searches(book, world, tau),
                data=True,
            )


def _references(book: Book) -> None:
    """Other published figures of the same scores."""
    paper = book.paper[TASK]
    for title, key, says in (
        ("tau 1.15, real, the authors' rerun", "released_controller", "the authors' released controller, run again"),
        ("tau 1.15, real, measured by others", "remeasured", "the same controller in other people's hands, pooled"),
    ):
        told = Published(paper[key]["mean"], paper[key]["std"], paper[key]["episodes"])
        book.add(
            f"table 2: {title}",
            f"{says}: {told.mean:.0f} ± {told.std:.0f} steps ({told.episodes:,})",
            paper[key]["source"],
            ROW_RULE,
            lambda found, told=told: row(found, told),
            searches(book, "real", 1.15),
            data=True,
        )


def _random_play(book: Book) -> None:
    """Random play's published score, by which the game is held to theirs."""
    paper = book.paper[TASK]
    random = Published(paper["random"]["mean"], paper["random"]["std"], paper["random"]["episodes"])
    book.add(
        "doomrnn: random play",
        f"random play survives {random.mean} ± {random.std} steps: the game is the paper's",
        "paper, table 2",
        ROW_RULE,
        lambda found: row([found], random),
        book.evidence.script(TASK, "random"),
    )


def _agent(book: Book) -> None:
    """Add what is said of the headline agent in both worlds: that of 1.15, of the last iteration that is there.

    Of several searches the first one's, never the best one's.
    """
    last = book.evidence.last_iteration(TASK, name(1.15))
    agent = book.evidence.agent(TASK, "real", name(1.15), apart_as=last)
    whose = f"{last}'s " if last else ""
    _agent_and_others(book, agent, last, whose)
    _agent_and_figures(book, agent, last, whose)


def _agent_and_others(book: Book, agent: Played | None, last: str, whose: str) -> None:
    """Add what is said of the headline agent beside scripted policies and the first iteration's agent."""
    for title, what, source, policy in (
        ("beats random", "the agent trained in its dream beats random play", "paper, section 4.4", "random"),
        ("beats an open-loop sweep", "(ours) it beats each open-loop sweep that was played", "ours", "sweep"),
    ):
        book.add(
            f"doomrnn: {title}",
            what,
            source,
            f"mean above; {AGENT}",
            lambda a, scripts: above_all(a, scripts, f"{whose}agent to"),
            agent,
            book.evidence.scripts(TASK, policy),
        )
    if last:
        book.add(
            "doomrnn: beats the first iteration's agent",
            "(ours) the agent of the last iteration beats that of the first, one search each",
            "ours",
            f"mean above; {AGENT}",
            lambda a, b: above(a, b, f"{whose}agent to the first iteration's"),
            agent,
            book.evidence.agent(TASK, "real", name(1.15)),
        )


def _agent_and_figures(book: Book, agent: Played | None, last: str, whose: str) -> None:
    """Add what is said of the headline agent beside published figures, and beside itself in its dream."""
    book.add(
        "doomrnn: solved",
        "more than 750 steps on average over 100 games",
        "paper, section 4.4, Transfer Policy to Actual Environment",
        f"mean above {SOLVED}; {AGENT}",
        lambda e: _of(whose, above_value(e, SOLVED)),
        agent,
    )
    told = book.paper[TASK]["leaderboard"]
    leader = Published(told["mean"], told["std"], told["episodes"])
    book.add(
        "doomrnn: above the leaderboard",
        f"the agent is above the leaderboard's {leader.mean} ± {leader.std}",
        "paper, table 2",
        f"Welch's test; {AGENT}",
        lambda e: _of(whose, above_published(e, leader)),
        agent,
    )
    book.add(
        "doomrnn: the dream is harder than the game",
        "at 1.15 the agent survives longer in the game than in its dream (1092 to 918)",
        "paper, section 4.4, and table 2",
        f"mean above; {AGENT}",
        lambda a, b: above(a, b, f"{whose and f'{whose}agent, '}game to dream"),
        agent,
        book.evidence.agent(TASK, "dream", name(1.15), temperature=1.15, apart_as=last),
        data=True,
    )


def _of(whose: str, finding: Finding) -> Finding:
    """Return a finding about one agent with whose agent that is before its figures."""
    return replace(finding, figures=f"{whose}agent: {finding.figures}") if whose else finding


def _low_temperature(book: Book) -> None:
    """Add what the agent of temperature 0.10 does in its dream, and in the game."""
    book.add(
        "doomrnn: low temperature is exploitable",
        "at temperature 0.10 the dream's score is near perfect",
        CHEATING,
        f"mean above {NEAR_PERFECT:.0f} of 2,100 steps; {AGENT}",
        lambda e: above_value(e, NEAR_PERFECT),
        book.evidence.agent(TASK, "dream", name(0.10), temperature=0.10),
        data=True,
    )
    book.add(
        "doomrnn: and does not transfer",
        "the real score of that agent is at or below random play",
        CHEATING,
        f"at most a tenth of random's mean above it; {AGENT}",
        lambda a, b: not_above(a, b, 0.1, "agent of 0.10 to random"),
        book.evidence.agent(TASK, "real", name(0.10)),
        book.evidence.script(TASK, "random"),
        data=True,
    )


def _temperature(book: Book) -> None:
    """Return what temperature does to transfer, over searches, and to a dream, for one controller."""
    real = {tau: searches(book, "real", tau) for tau in TAUS}
    for title, says, low in (
        ("1.15 beats 0.10", "training at 1.15 does better in the real game than at 0.10", 0.10),
        ("1.15 beats 1.30", "training at 1.30, too high a temperature, does worse in the real game than at 1.15", 1.30),
    ):
        book.add(
            f"doomrnn: {title}",
            says,
            CHEATING,
            METHOD,
            lambda a, b, low=low: methods_above(a, b, f"1.15 to {low:.2f}"),
            real[1.15],
            real[low],
            data=True,
        )

    def order(*found: Sequence[Played]):
        return methods_fall([(f"{tau:.2f}", group) for tau, group in zip(ORDER, found, strict=True)], STEPS)

    says = "real scores come in the order 1.15, 1.00, 1.30, then 0.50 and 0.10"
    book.add(
        "doomrnn: the order of temperatures",
        says,
        "paper, table 2",
        f"each step shown; {METHOD}",
        order,
        *(real[tau] for tau in ORDER),
        data=True,
    )
    fixed = [book.evidence.agent(TASK, "dream", name(1.15), temperature=tau) for tau in TAUS]
    book.add(
        "doomrnn: a higher temperature makes the dream harder",
        "one fixed controller survives shorter the higher the temperature",
        CHEATING,
        f"every step from one temperature to the next lower; {AGENT}",
        lambda *found: falling([(f"{tau:.2f}", played) for tau, played in zip(TAUS, found, strict=True)]),
        *fixed,
    )


def _lower_temperatures(book: Book) -> None:
    """Add the agent of 1.15 in a dream of lower temperature against the agent that was trained there."""
    for tau in (0.10, 0.50, 1.00):
        book.add(
            f"doomrnn: 1.15 in the dream of {tau:.2f}",
            "who does well at a high temperature does well at a lower one, as the agent trained there",
            CHEATING,
            f"at most a tenth below; {AGENT}",
            lambda a, b, tau=tau: not_below(a, b, 0.1, f"agents of 1.15 and of {tau:.2f}, there"),
            book.evidence.agent(TASK, "dream", name(1.15), temperature=tau),
            book.evidence.agent(TASK, "dream", name(tau), temperature=tau),
        )


def _last_to_first(book: Book, prefix: str, evidence: Evidence) -> None:
    """Add the paper's procedure for harder tasks, taken to take cover (its own task for it: `claims_pendulum`)."""
    number = number_of(evidence.last_iteration(TASK, name(1.15)))
    which = "a second iteration" if number == 2 else f"iteration {number}"
    add_last_to_first(
        book,
        TASK,
        name(1.15),
        f"{prefix}{which}",
        f"act, train M on what was seen too, train C in it again: {which} does better in the game than the first",
        of="temperature 1.15; ",
        evidence=evidence,
    )
