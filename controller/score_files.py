"""The scores of evaluations as files: how they are written, read, checked, and kept while they are played."""

from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from controller.checkpoints import load_controller
from controller.config import WORLDS
from controller.evaluation import Conditions, Evaluation, other_settings
from controller.outcomes import OutcomeJournal
from experiment.errors import InputError
from experiment.files import first_line, read_json, write_json
from experiment.provenance import digest
from experiment.runs import Run
from rollouts.rollout import LARGEST_RETURN, Outcome, wrong_return

FIRST_KEYS = ("task", "world", "policy", "controller", "temperature", "episodes", "seed")  # of a file
FIRST_KEYS += ("mean", "std", "ci95", "scores", "lengths")
KEYS = tuple(dict.fromkeys([*FIRST_KEYS, *(item.name for item in fields(Evaluation))]))  # of a file, in their order
UNCHECKED = {"config_sha256", "commit"}  # are read whatever they hold


def _json_types(annotation: Any) -> set[type]:
    """Return the types that a field of this annotation may have in a file: a whole number may stand for a float."""
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    types = {get_origin(part) or part for part in parts}
    return types | {int} if float in types else types


_ANNOTATIONS = get_type_hints(Evaluation)
KINDS = {name: _json_types(_ANNOTATIONS[name]) for name in KEYS if name not in UNCHECKED}


def save_evaluation(folder: Path, evaluation: Evaluation) -> Path:
    """Write an evaluation's JSON; returns where."""
    path, values = folder / evaluation.file_name, asdict(evaluation)
    write_json(path, {key: values[key] for key in KEYS})
    return path


def load_evaluation(path: Path, advice: str = "delete it and evaluate again") -> Evaluation:
    """Return the evaluation in a file; InputError, with `advice`, where it is not there or not one."""
    values = read_json(path, advice)
    try:
        found = Evaluation(**values)
        _check(found)
    except TypeError as error:
        raise InputError(f"{path}: not an evaluation ({first_line(error)}); {advice}") from None
    return found


def load_evaluations(
    folder: Path, precision: str | None = None, advice: str = "delete it and evaluate again"
) -> list[Evaluation]:
    """Return all evaluations in a folder, or those of one precision.

    Raises InputError, with `advice`, where a file is not one.
    """
    found = [load_evaluation(path, advice) for path in sorted(Path(folder).glob("[!.]*.json"))]
    return [evaluation for evaluation in found if precision is None or evaluation.in_precision(precision)]


def of_other_weights(run: Path, evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Return those whose controller has other weights in the run now: it was trained on, or anew, since.

    Of what says no weights, as older evaluations do not, and of a controller that is not there, nothing is known.
    """
    there: dict[tuple[str, str], str] = {}
    found = []
    for evaluation in evaluations:
        key = str(evaluation.controller), evaluation.plays
        folder = run / "controller" / key[0]
        if not evaluation.weights or not (folder / f"{key[1]}.json").exists():
            continue
        if key not in there:
            there[key] = digest(load_controller(folder, key[1])[1].tolist())
        if evaluation.weights != there[key]:
            found.append(evaluation)
    return found


def evaluations_of(run: Run) -> list[Evaluation]:
    """Return a run's evaluations in the precision and the settings that it plays in now, of the weights it has now."""
    found = load_evaluations(run.path / "evaluation", run.stages.controller.precision)
    stale = of_other_weights(run.path, found)
    found = [evaluation for evaluation in found if evaluation not in stale]
    settings = {world: other_settings(run, world) for world in WORLDS}
    return [evaluation for evaluation in found if evaluation.settings == settings.get(evaluation.world)]


def played_file(folder: Path, conditions: Conditions, episodes: int) -> Path:
    """Return where the episodes of an evaluation under way are kept."""
    return folder / f"{conditions.stem(episodes)}.jsonl"


class PlayedEpisodes:
    """The episodes of an evaluation under way, each durable when it has arrived, in a file beside the evaluation's.

    An episode that was played under other conditions does not count.

    Raises InputError where the file is damaged.
    """

    def __init__(self, folder: Path, conditions: Conditions, episodes: int):
        self._table = conditions.made_with
        self._journal = OutcomeJournal(played_file(folder, conditions, episodes), self._table)
        self.recovered = self._journal.recovered(self._table, episodes)

    def add(self, outcome: Outcome) -> None:
        """Keep the outcome of the episode that its id names; one that `summarise` refuses is not kept."""
        if not wrong_return(outcome.score):
            self._journal.add(self._table, outcome)

    def delete(self) -> None:
        """Delete the file, once the evaluation is stored."""
        self._journal.file.unlink(missing_ok=True)


def _check(evaluation: Evaluation) -> None:
    """Raise TypeError where a value is not of its field's type, or the scores are not one number an episode."""
    for name, kinds in KINDS.items():
        if type(getattr(evaluation, name)) not in kinds:
            raise TypeError(f"{name} is {str(getattr(evaluation, name))[:50]}")
    for numbers, count in (
        (evaluation.scores, evaluation.episodes),
        (evaluation.lengths, evaluation.episodes),
        (evaluation.ci95, 2),
        ([evaluation.mean, evaluation.std], 2),
    ):
        if len(numbers) != count or not all(type(n) in (int, float) and abs(n) < LARGEST_RETURN for n in numbers):
            raise TypeError("scores, lengths, mean, std or ci95 are not numbers, or not as many as there were episodes")
