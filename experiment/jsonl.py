"""Journals: files of JSON rows that grow by a line, each row with a checksum of its own.

A last line cut off by a kill or a full disk is left out when a journal is read; any other damage is an error. Before
appending to an existing journal, rewrite it with the rows that were read, so that no row follows half a line.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from experiment.errors import InputError
from experiment.files import atomic_write, first_line, naming, read_file, seal, then, unseal

LARGEST = 1e15  # steps and generations are far below, and so are returns (see `rollouts.rollout.LARGEST_RETURN`)


def read_journal(path: Path, fields: dict[str, type], advice: str = "") -> list[dict[str, Any]]:
    """Return the rows of a journal, none where there is no file.

    Raises InputError naming the first row that is damaged, or lacks one of `fields` or has it of another type.
    """
    if not path.exists():
        return []
    *lines, _ = read_file(path, advice).split(b"\n")  # after the last newline: nothing, or a line cut off
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = unseal(json.loads(line))
            _check_fields(row, fields)
            rows.append(row)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: row {number} is damaged ({first_line(error)}){then(advice, path)}") from None
    return rows


def _check_fields(row: dict[str, Any], fields: dict[str, type]) -> None:
    for name, kind in fields.items():
        value = row.get(name)
        if type(value) not in ((int, float) if kind is float else (kind,)):
            raise ValueError(f"{name} is {str(value)[:50]}, not of type {kind.__name__}")
        if kind in (int, float) and not abs(value) < LARGEST:  # nor is NaN
            raise ValueError(f"{name} is implausibly large")


def write_journal(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write a whole journal, atomically."""
    atomic_write(path, b"".join(_line(row) for row in rows))


def append_row(path: Path, row: dict[str, Any], sync: bool = True) -> None:
    """Append a row, durable against a kill of this process when this returns, and with `sync` against a power cut."""
    with naming(path), open(path, "ab") as file:
        file.write(_line(row))
        file.flush()
        if sync:
            os.fsync(file.fileno())


def _line(row: dict[str, Any]) -> bytes:
    return (json.dumps(seal(row), allow_nan=False) + "\n").encode()
