"""Which columns of a file of judgments hold what: named by the user, or recognised by their names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from dialoeval.errors import UserError, nearest

# Names of columns, in lower case without separators, that are recognised without ``--map``.
KNOWN = {
    "judge": (
        "judge",
        "judgeid",
        "annotator",
        "annotatorid",
        "worker",
        "workerid",
        "rater",
        "raterid",
        "evaluator",
        "evaluatorid",
    ),
    "context": (
        "context",
        "contextid",
        "instanceid",
        "exampleid",
        "itemid",
        "item",
        "dialogueid",
        "dialogid",
        "conversationid",
        "id",
        "questionid",
        "hitid",
    ),
    "system": ("system", "systemid", "model", "modelid"),
    "first": ("first", "systema", "modela", "a"),
    "second": ("second", "systemb", "modelb", "b"),
    "question": ("question", "criterion", "dimension"),
    "value": ("value", "rating", "score", "preference", "choice", "winner"),
    "shown_first": ("shownfirst",),
    "seconds": ("seconds",),
}


@dataclass(frozen=True)
class ColumnMap:
    """The columns of a file of judgments.

    Attributes:
        columns: {field of `KNOWN`: column}.
        questions: {question: column} of a wide file, which has one column for each question.
    """

    columns: Mapping[str, str]
    questions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> ColumnMap:
        """Return the map that ``judge=worker,context=id,relevance=rel`` stands for.

        Entries that are not fields of `KNOWN` name questions.

        Raises:
            UserError: an entry is not ``field=column``, or a field is named twice.
        """
        columns: dict[str, str] = {}
        questions: dict[str, str] = {}
        for entry in text.split(","):
            name, equals, column = (part.strip() for part in entry.partition("="))
            if not equals or not name or not column:
                raise UserError(f"--map {text}: {entry!r} is not field=column, such as judge=worker")
            target = columns if name in KNOWN else questions
            if name in target:
                raise UserError(f"--map {text}: {name} is named twice")
            target[name] = column
        return cls(columns, questions)

    def used_by(self, *, pairs: bool) -> ColumnMap:
        """Return the map without the columns that judgments of this kind do not have."""
        unused = {"system"} if pairs else {"first", "second", "shown_first"}
        unused |= {"question", "value"} if self.questions else set()  # of a file with a column for each question
        return ColumnMap({k: v for k, v in self.columns.items() if k not in unused}, self.questions)

    def note(self, header: Sequence[str]) -> str:
        """Return which columns of a file were read, and as what, and which were not."""
        read = {**self.columns, **self.questions}
        parts = [column if _plain(column) == _plain(name) else f"{column} as {name}" for name, column in read.items()]
        used = {*read.values(), *(part.strip() for column in read.values() for part in column.split("+"))}
        rest = [name for name in header if name not in used]
        unread = f"not read: {', '.join(rest)} (--map NAME=COLUMN reads a question)" if rest else "no other columns"
        return f"columns read: {', '.join(parts)}; {unread}"

    def named(self) -> list[str]:
        """Return the columns."""
        return [*self.columns.values(), *self.questions.values()]

    def completed(
        self, header: Sequence[str], where: str, lists: Collection[str] = (), inner: Sequence[str] = ()
    ) -> ColumnMap:
        """Return the map with the columns that are recognised by their names.

        Args:
            header: the columns of the file.
            where: the file, for messages.
            lists: columns that hold lists; an answer for each judge needs no column of judges.
            inner: further columns that could be named, for messages.

        Raises:
            UserError: a mapped column does not exist, or a column that is needed is neither mapped nor recognised.
        """
        for name, column in [*self.columns.items(), *self.questions.items()]:
            if column not in header:
                raise UserError(
                    f"{where}: no column {column!r} for {name}{nearest(column, header)} (columns: {', '.join(header)})"
                )
        used = {*self.columns.values(), *self.questions.values()}
        by_depth = sorted(header, key=lambda column: "." in column)  # of columns alike the first is taken
        plain = {_plain(column): column for column in reversed(by_depth) if column not in used}
        found = dict(self.columns)
        for name, known in KNOWN.items():
            recognised = next((plain[key] for key in known if key in plain), None)
            if name not in found and recognised is not None and not (name == "value" and self.questions):
                found[name] = recognised
        questions = dict(self.questions)
        if not questions and "value" not in found:
            names = {"relevance": "relevance", "informativeness": "informativeness", "humanlike": "human-like"}
            questions = {name: plain[key] for key, name in names.items() if key in plain}
        answers = questions.values() if questions else [found["value"]] if "value" in found else lists
        judged = any(column in lists for column in answers)
        _check(found, questions, where, [*header, *inner], judged=judged)
        return ColumnMap(found, questions)


def _check(
    found: Mapping[str, str], questions: Mapping[str, str], where: str, header: Sequence[str], *, judged: bool
) -> None:
    missing = [name for name in ("judge", "context") if name not in found and not (judged and name == "judge")]
    if "system" not in found and not ("first" in found and "second" in found):
        missing.append("system (of ratings), or first and second (of pairs)")
    if not questions and "value" not in found:
        missing.append("value, or a column for each question")
    if missing:
        raise UserError(
            f"{where}: no column is known to hold {'; '.join(missing)} (columns: {', '.join(header)}; name them with "
            "--map judge=COLUMN,context=COLUMN,system=COLUMN,QUESTION=COLUMN)"
        )


def _plain(name: str) -> str:
    """Return how a name is compared: without separators, and without what holds it (``Input.``, ``annotations.``)."""
    return re.sub(r"^.*\.(?=\S)", "", name.lower()).replace("_", "").replace("-", "").replace(" ", "")
