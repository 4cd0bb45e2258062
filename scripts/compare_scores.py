"""Compare two agents or policies by the scores that scripts/evaluate.py stored: who is better, by how much, how surely.

    python scripts/compare_scores.py runs/new/evaluation/real-dream-zch-tau1.15-s0-seed7-n100.json \\
        --with results/doomrnn/evaluation/real-dream-zch-tau1.15-s0-seed7-n100.json

Each side is one or several files of one agent or policy, all in one folder; of several with the same seed, the one with
most episodes counts. Real episodes of the same seed and number are of the same game, track or start: these are paired.
The two sides may be of different runs; where both files lie in their runs' folders, these must play in the same
environment, however it is seen. The test is of two agents as they are; what a way of training is worth, over several
searches, is decided by scripts/verify_claims.py.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import cli

from experiment.config import completed
from experiment.errors import InputError

ONE_POLICY = ("who", "weights", "temperature", "precision", "settings")  # what evaluations of one side have in common
ONE_TASK = ("task", "world", "settings")  # what both sides have in common
MEASURES = "measures"  # the folder of a run that holds what scripts/measure_driving.py wrote, by measure


def parse() -> argparse.Namespace:
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
        one, other = (read(paths) for paths in (arguments.scores, arguments.others))
        refuse_differences([one[0], other[0]], [arguments.scores[0], arguments.others[0]], ONE_TASK)
        folders = [paths[0].resolve().parent for paths in (arguments.scores, arguments.others)]
        refuse_other_measure(*folders)
        checked = refuse_other_environment(*folders, one[0].task) or same_settings([*one, *other])
        print(compared((arguments.scores[0].parent, one), (arguments.others[0].parent, other)))
        if not checked:
            print("not checked: whether both played in the same environment, since not both files are in their runs")


def read(paths: list[Path]) -> list:
    """Return the evaluations of one side; InputError where they are not of one agent or policy."""
    from controller.score_files import load_evaluation

    found = [load_evaluation(path, "name files that scripts/evaluate.py wrote") for path in paths]
    refuse_differences(found, paths, ONE_POLICY)
    for path in paths:
        if path.parent.resolve() != paths[0].parent.resolve():
            raise InputError(f"{path}: in another folder than {paths[0]}; one side is one agent or policy of one run")
    return found


def refuse_differences(evaluations: list, paths: list[Path], names: tuple[str, ...]) -> None:
    """Raise InputError where evaluations differ in a field of `names`; older ones do not tell their C's weights."""
    for name in names:
        told = [(value, path) for e, path in zip(evaluations, paths, strict=True) if (value := getattr(e, name)) != ""]
        for value, path in told:
            if value != told[0][0]:
                what = f"{name} {value or 'of the run'}, where {told[0][1]} has {told[0][0] or 'that of the run'}"
                raise InputError(f"{path}: {what}; these cannot be compared")


def refuse_other_measure(one: Path, other: Path) -> None:
    """Raise InputError where two folders of scores hold different measures of the episodes."""
    found = [folder.name if folder.parent.name == MEASURES else "return" for folder in (one, other)]
    if found[0] != found[1]:
        raise InputError(f"{other}: scores are of {found[1]}, where {one} has {found[0]}; these cannot be compared")


def refuse_other_environment(one: Path, other: Path, task: str) -> bool:
    """Raise InputError where the runs of two folders of scores play another game; returns whether both runs are there.

    Settings that only change how the game is seen may differ.
    """
    from experiment.files import read_sealed

    runs = [config_above(folder) for folder in (one, other)]
    if None in runs:
        return False
    games = [read_sealed(config).get("stages", {}).get("env", {}) for config in runs]
    if games[0] != games[1]:
        kind = type(cli.task(task).presets["paper"].stages.env)
        games = [completed(kind, game) for game in games]
        seen = {item.name for item in fields(kind) if item.metadata.get("seen")}
        for key in sorted({*games[0], *games[1]} - seen):
            if games[0].get(key) != games[1].get(key):
                raise InputError(f"{runs[1]}: another env.{key} than in {runs[0]}; these cannot be compared")
    return True


def same_settings(evaluations: list) -> bool:
    """Return whether all were played with the same settings of all stages, by the hashes of these."""
    first = evaluations[0].config_sha256
    return first != "" and all(evaluation.config_sha256 == first for evaluation in evaluations)


def config_above(folder: Path) -> Path | None:
    """Return the configuration of the run that a folder of scores is of, in evaluation/ or measures/<measure>/."""
    return next((found for above in folder.parents[:2] if (found := above / "config.json").exists()), None)


def compared(one: tuple[Path, list], other: tuple[Path, list]) -> str:
    """Return both means and their difference in words: its standard error, its 95 % interval and its two-sided p."""
    from controller.statistics import FEWEST_PAIRS, Sample, difference, in_words
    from controller.verdicts import enough, p_words

    real = one[1][0].world == "real"  # of dreams no two are the same, once their agents or their M differ
    a, b = (
        Sample.pooled([(e.seed, e.scores) for e in side], "real" if real else str(number))
        for number, (_, side) in enumerate((one, other))
    )
    if min(len(a), len(b)) < 2:
        raise InputError("a single episode does not tell how scores vary; play more with scripts/evaluate.py")
    found, shared = difference(a, b), len(set(a.games) & set(b.games))
    paired = f"{shared:,} episodes are paired" if shared >= FEWEST_PAIRS else "no episodes are paired"
    if 0 < shared < FEWEST_PAIRS:
        paired += f": the same {shared} are fewer than {FEWEST_PAIRS}"
    value, error, low, high = (in_words(v, found.error) for v in (found.value, found.error, *found.interval()))
    lines = [f"{name(*one)}: {a}", f"{name(*other)}: {b}"]
    lines += [f"difference: {value} (standard error {error}) [{low}, {high}], {p_words(found.p_different)}; {paired}"]
    if short := enough(len(a), len(b)):
        lines += [f"{short}: too few to rest a claim on"]
    return "\n".join(lines)


def name(folder: Path, side: list) -> str:
    """Return who a side is, where it played, and the seeds of its episodes."""
    from controller.task import temperature_text

    first, seeds = side[0], ", ".join(map(str, sorted({e.seed for e in side})))
    where = "" if first.temperature is None else f", dream at {temperature_text(first.temperature)}"
    precision = "" if first.precision == "float32" else f", {first.precision}"
    return f"{folder}: {first.who}{where}{precision}, seed {seeds}"


if __name__ == "__main__":
    main()
