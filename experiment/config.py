"""Typed settings: a frozen dataclass per stage, each field with its help, unit and source.

`setting` declares a field; `override` applies one ``stage.field=value`` word; `describe` lists all fields for
``--help``. The stages of a run are the fields of one frozen dataclass of such settings (`controller.config.Stages`).
This module imports nothing heavy, so that ``--help`` answers in under a second.
"""

import dataclasses
import itertools
import math
from dataclasses import field, fields
from typing import Any, TypeVar

from experiment.errors import InputError

PRECISIONS = ("float32", "bfloat16")  # of matrix products and convolutions; stored weights are float32 in both
FASTER = "bfloat16: faster on some CPUs"
HEADS = ("name", "default", "unit", "meaning", "source")  # of the table in --help
LARGEST = 10**9  # of a whole number where its field has no bound of its own; NumPy and C take no larger ones everywhere
S = TypeVar("S")  # a frozen dataclass whose fields are the `Settings` of the stages


def setting(
    default: Any,
    help: str,
    *,
    unit: str = "",
    source: str = "ours",
    choices: tuple = (),
    least: Any = None,
    above: Any = None,
    most: Any = None,
    even: bool = False,
    added: bool = False,
    seen: bool = False,
) -> Any:
    """Return a dataclass field that knows its help line, unit, source and bounds (`least`: >=, `above`: >, `most`: <=).

    A whole number is at most `LARGEST` where there is no other bound. even: it must be an even number.

    added: the field is newer than some stored records; one without it means the default.

    seen: a field of `env` that changes how the task is seen and not what happens in it, so that scores compare.
    """
    meta = {"help": help, "unit": unit, "source": source, "choices": choices, "least": least, "above": above}
    return field(default=default, metadata={**meta, "most": most, "even": even, "added": added, "seen": seen})


def check_precision(precision: str) -> str:
    """Return `precision` again; ValueError where it is none of `PRECISIONS`."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {sorted(PRECISIONS)}, not {precision!r}")
    return precision


class Settings:
    """Base of the stage configurations: checks each field against its declared type, choices and bounds."""

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            problem = _problem(item, value)
            if problem:
                raise InputError(f"{item.name}={value!r}: {problem}")


def _problem(item: dataclasses.Field, value: Any) -> str:
    """Return why `value` does not fit the field, or an empty string."""
    meta = item.metadata
    if not isinstance(value, (int, float) if item.type is float else item.type) or (
        isinstance(value, bool) and item.type is not bool
    ):
        return f"must be of type {item.type.__name__}"
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if meta["choices"] and value not in meta["choices"]:
        return f"must be one of {', '.join(map(str, meta['choices']))}"
    if meta["least"] is not None and value < meta["least"]:
        return f"must be at least {meta['least']}"
    most = LARGEST if meta["most"] is None and item.type is int else meta["most"]
    if most is not None and value > most:
        return f"must be at most {most}"
    if meta["even"] and value % 2:
        return "must be an even number"
    if meta["above"] is not None and not value > meta["above"]:
        return f"must be above {meta['above']}"
    return ""


def parse_value(item: dataclasses.Field, text: str) -> Any:
    """Return the text of a ``--set`` as the field's own type; InputError where it does not parse."""
    try:
        if item.type is bool:
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        return item.type(text)
    except (ValueError, KeyError):
        raise InputError(f"{item.name}={text}: not a value of type {item.type.__name__}") from None


def override(stages: S, *words: str) -> S:
    """Return `stages` with every ``stage.field=value`` applied, in whatever order they stand.

    Raises InputError for an unknown stage, field or value, or for values that do not fit one another.
    """
    changes: dict[str, dict[str, Any]] = {}
    for word in words:
        stage, key, value = _read(stages, word)
        changes.setdefault(stage, {})[key] = value
    for stage, values in changes.items():
        try:
            stages = dataclasses.replace(stages, **{stage: dataclasses.replace(getattr(stages, stage), **values)})  # type: ignore[type-var]
        except InputError as error:
            raise InputError(f"--set {stage}.{error}") from None
    return stages


def _read(stages: Any, word: str) -> tuple[str, str, Any]:
    """Return the stage, the field and the value of one ``stage.field=value``."""
    name, separator, text = word.partition("=")
    stage, dot, key = name.partition(".")
    if not separator or not dot:
        raise InputError(f"--set {word}: write it as stage.field=value")
    if stage not in vars(stages):
        raise InputError(f"--set {word}: unknown stage '{stage}' (one of {', '.join(vars(stages))})")
    known = {item.name: item for item in fields(getattr(stages, stage))}
    if key not in known:
        raise InputError(f"--set {word}: stage '{stage}' has no field '{key}' (one of {', '.join(known)})")
    try:
        return stage, key, parse_value(known[key], text)
    except InputError as error:
        raise InputError(f"--set {stage}.{error}") from None


def from_values(kind: type, values: dict[str, Any], where: str) -> Any:
    """Return a stage's settings rebuilt from stored values; InputError where names or types do not fit."""
    values, known = completed(kind, values), {item.name for item in fields(kind)}
    if set(values) != known:
        odd = ", ".join(sorted(set(values) ^ known))
        raise InputError(f"{where}: fields do not fit this version ({odd}); use the version that wrote it")
    try:
        return kind(**{k: float(v) if _wants_float(kind, k) and type(v) is int else v for k, v in values.items()})
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def completed(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """Return stored values with the defaults of the fields that are newer than their record."""
    return {item.name: item.default for item in fields(kind) if item.metadata.get("added")} | values


def _wants_float(kind: type, name: str) -> bool:
    return next(item.type is float for item in fields(kind) if item.name == name)


def describe(stages: Any, sources: dict[str, str] | None = None) -> str:
    """Return the table of settings that ``--help`` shows: name, default, unit, meaning and source, stage by stage.

    sources: of a value by ``stage.field``, where it is another one than the field's own (see `Preset.sources`).
    """
    rows = {
        stage: [_row(stage, config, item, sources or {}) for item in fields(config)]
        for stage, config in vars(stages).items()
    }
    everything = [HEADS, *itertools.chain(*rows.values())]
    widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
    lines = [_line(HEADS, widths)]
    for stage, config in vars(stages).items():
        lines += ["", f"{stage}: {_title(config)}", *(_line(row, widths) for row in rows[stage])]
    return "\n".join(lines)


def _title(config: Settings) -> str:
    """Return the first sentence of a configuration's docstring."""
    return (type(config).__doc__ or "").strip().partition(". ")[0].rstrip(".")


def _row(stage: str, config: Settings, item: dataclasses.Field, sources: dict[str, str]) -> tuple[str, ...]:
    """Return the columns of `HEADS` for a field; a field with choices names them in place of a unit."""
    name, meta = f"{stage}.{item.name}", item.metadata
    unit = "|".join(map(str, meta["choices"])) or meta["unit"]
    return name, str(getattr(config, item.name)), unit, meta["help"], sources.get(name, meta["source"])


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    return "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
