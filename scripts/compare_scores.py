"""Compare two agents or policies by the scores that scripts/evaluate.py stored: who is better, by how much, how surely.

    python scripts/compare_scores.py runs/new/evaluation/real-dream-zch-tau1.15-s0-seed7-n100.json \\
        --with results/doomrnn/evaluation/real-dream-zch-tau1.15-s0-seed7-n100.json

Each side is one or several files of one agent or policy; of several with the same seed, the one with most episodes
counts. In the real task games of the same seed and number are the same ones: these are paired. The two sides may be
of different runs. The test is of two agents as they are; what a way of training is worth, over several searches, is
decided by scripts/verify_claims.py.
"""

import argparse
from pathlib import Path

import cli

from experiment.errors import InputError

PARTS = {  # of evaluations that can be one side's, and what they are; older ones do not tell C's weights
    "who": "an agent or policy",
    "weights": "weights",
    "temperature": "a temperature",
    "precision": "a precision",
    "settings": "settings",
}


def parse():
    """Return the arguments."""
    parser = cli.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    files = {"type": Path, "nargs": "+", "metavar": "FILE"}
    parser.add_argument("scores", help="of the one, files in evaluation/", **files)
    parser.add_argument("--with", dest="others", required=True, help="those of the other", **files)
    return parser.parse_args()


def main() -> None:
    """Parse, read and compare."""
    arguments = parse()
    with cli.ending_well():
        from controller.score_files import load_evaluation

        advice = "name files that scripts/evaluate.py wrote"
        one, other = ([load_evaluation(p, advice) for p in paths] for paths in (arguments.scores, arguments.others))
        first, path = one[0], arguments.scores[0]
        for evaluation, of in zip([*one, *other], [*arguments.scores, *arguments.others], strict=True):
            for field in ("task", "world"):
                was, found = getattr(first, field), getattr(evaluation, field)
                if found != was:
                    raise InputError(f"{of}: of {field} {found}, where {path} is of {was}; compare scores of the same")
        print(compared(one_policy(one, arguments.scores), one_policy(other, arguments.others)))


def one_policy(evaluations: list, paths: list[Path]) -> list:
    """Return the evaluations of one side again; InputError where they are not of one agent or policy."""
    for field, what in PARTS.items():
        told = [(value, path) for e, path in zip(evaluations, paths, strict=True) if (value := getattr(e, field)) != ""]
        if odd := [path for value, path in told if value != told[0][0]]:
            raise InputError(f"{odd[0]}: of {what} other than in {told[0][1]}; one side is one agent or policy")
    return evaluations


def compared(one: list, other: list) -> str:
    """Return both means and their difference in words: its standard error, its 95 % interval and its two-sided p."""
    from controller.statistics import FEWEST_PAIRS, Sample, difference, in_words

    # a dream's random numbers are keyed by seed and episode too, but another agent's dream is soon another one
    worlds = ("real", "real") if one[0].world == "real" else ("one", "other")
    a, b = (
        Sample.pooled([(e.seed, e.scores) for e in side], world)
        for side, world in zip((one, other), worlds, strict=True)
    )
    if min(len(a), len(b)) < 2:
        raise InputError("a single episode does not tell how scores vary; play more with scripts/evaluate.py")
    found, shared = difference(a, b), len(set(a.games) & set(b.games))
    low, high = found.interval()
    paired = f"{shared:,} games in common" if shared >= FEWEST_PAIRS else "not paired"
    scale = max(abs(a.mean), abs(b.mean))
    value, error, low, high = (in_words(v, scale) for v in (found.value, found.error, low, high))
    p = 2 * min(found.p_above(0.0), found.p_below(0.0))
    return "\n".join(
        (
            f"{name(one)}: {a}",
            f"{name(other)}: {b}",
            f"difference: {value} (standard error {error}) [{low}, {high}], p = {min(1.0, p):.2g}; {paired}",
        )
    )


def name(side: list) -> str:
    """Return who a side is, and its seeds."""
    seeds = ", ".join(sorted({str(e.seed) for e in side}, key=int))
    return f"{side[0].who} (seed {seeds})"


if __name__ == "__main__":
    main()
