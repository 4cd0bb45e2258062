"""Typed settings: a frozen dataclass per stage, each field with its help, unit and source.

`setting` declares a field; `override` applies one ``stage.field=value`` word; `describe` lists all fields for
``--help``. This module imports nothing heavy, so that ``--help`` answers at once.
"""

import dataclasses
import math
from dataclasses import field, fields
from typing import Any

from experiment.errors import InputError

PRECISIONS = ("float32", "bfloat16")


def setting(
    default: Any,
    help: str,
    *,
    unit: str = "",
    source: str = "ours",
    choices: tuple = (),
    least: Any = None,
    above: Any = None,
    added: bool = False,
) -> Any:
    """A dataclass field that knows its help line, unit, source and bounds (`least`: >=, `above`: >).

    added: the field is newer than some stored records; one without it means the default.
    """
    meta = {"help": help, "unit": unit, "source": source, "choices": choices, "least": least, "above": above}
    return field(default=default, metadata={**meta, "added": added})


class Settings:
    """Base of the stage configurations: checks each field against its declared type, choices and bounds."""

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            problem = _problem(item, value)
            if problem:
                raise InputError(f"{item.name}={value!r}: {problem}")


def _problem(item: dataclasses.Field, value: Any) -> str:
    """Why `value` does not fit the field, or an empty string."""
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
    if meta["above"] is not None and not value > meta["above"]:
        return f"must be above {meta['above']}"
    return ""


def parse_value(item: dataclasses.Field, text: str) -> Any:
    """The word of a ``--set`` as the field's own type; InputError where it cannot be read as one."""
    try:
        if item.type is bool:
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        return item.type(text)
    except (ValueError, KeyError):
        raise InputError(f"{item.name}={text}: not a value of type {item.type.__name__}") from None


def override(stages: dict[str, Settings], word: str) -> dict[str, Settings]:
    """`stages` with one ``stage.field=value`` applied; InputError for an unknown stage, field or value."""
    name, separator, text = word.partition("=")
    stage, dot, key = name.partition(".")
    if not separator or not dot:
        raise InputError(f"--set {word}: write it as stage.field=value")
    if stage not in stages:
        raise InputError(f"--set {word}: unknown stage '{stage}' (one of {', '.join(stages)})")
    known = {item.name: item for item in fields(stages[stage])}
    if key not in known:
        raise InputError(f"--set {word}: stage '{stage}' has no field '{key}' (one of {', '.join(known)})")
    try:
        changed = dataclasses.replace(stages[stage], **{key: parse_value(known[key], text)})
    except InputError as error:
        raise InputError(f"--set {stage}.{error}") from None
    return {**stages, stage: changed}


def from_values(kind: type, values: dict[str, Any], where: str) -> Any:
    """A stage configuration rebuilt from stored values; InputError where names or types do not fit."""
    values, known = completed(kind, values), {item.name for item in fields(kind)}
    if set(values) != known:
        odd = ", ".join(sorted(set(values) ^ known))
        raise InputError(f"{where}: fields do not fit this version ({odd}); use the version that wrote it")
    try:
        return kind(**{k: float(v) if _wants_float(kind, k) and type(v) is int else v for k, v in values.items()})
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def completed(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """Stored values with the defaults of the fields that are newer than their record."""
    return {item.name: item.default for item in fields(kind) if item.metadata.get("added")} | values


def _wants_float(kind: type, name: str) -> bool:
    return next(item.type is float for item in fields(kind) if item.name == name)


def describe(stages: dict[str, Settings]) -> str:
    """One line per field: ``stage.field=default [unit] help (source)``, as ``--help`` shows it."""
    lines = []
    for stage, config in stages.items():
        for item in fields(config):  # type: ignore[arg-type]
            meta = item.metadata
            unit = f" {meta['unit']}" if meta["unit"] else ""
            choices = f" {{{'|'.join(map(str, meta['choices']))}}}" if meta["choices"] else ""
            value = getattr(config, item.name)
            lines.append(f"  {stage}.{item.name}={value}{unit}{choices}  {meta['help']} ({meta['source']})")
    return "\n".join(lines)
