"""The journal of outcomes: what a rollout returned is durable when it arrives, and is not played again after a kill."""

from pathlib import Path

from experiment.jsonl import append_row, read_journal, write_journal
from rollouts.rollout import Outcome

OUTCOME = {"table": str, "id": int, "score": float, "length": int}


class OutcomeJournal:
    """A file of outcomes, each by the name of its table and its number in it.

    file: where they are kept. table: the only one that counts; the rows of others that the file holds are dropped.

    Raises InputError where the file is damaged.
    """

    def __init__(self, file: Path, table: str | None = None):
        self.file = file
        rows = read_journal(file, OUTCOME, f"delete {file} to play its rollouts again")
        self._recovered = [row for row in rows if table in (None, row["table"])]
        write_journal(file, self._recovered)

    def recovered(self, table: str, count: int) -> list[Outcome]:
        """Return the outcomes of the first `count` rollouts of a table that the file held when it was opened."""
        rows = [row for row in self._recovered if row["table"] == table and 0 <= row["id"] < count]
        return [Outcome(row["id"], row["score"], row["length"]) for row in rows]

    def add(self, table: str, outcome: Outcome) -> None:
        """Append an outcome, whose score is a finite number."""
        row = {"table": table, "id": outcome.id, "score": outcome.score, "length": outcome.length}
        append_row(self.file, row, sync=False)  # outlasts a kill; a power cut costs what was not on the disk yet

    def clear(self) -> None:
        """Forget all outcomes: they are recorded elsewhere."""
        self._recovered = []
        write_journal(self.file, [])
