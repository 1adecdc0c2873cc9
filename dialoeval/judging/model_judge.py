"""A model as a judge: it answers every question of a study, in both orders, and its answers are kept as they come."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from dialoeval.errors import UserError
from dialoeval.files import dumps, sha256_json
from dialoeval.judging.items import Item
from dialoeval.judging.judgments import Judgment, Question
from dialoeval.judging.model_prompts import VERSION, Ask, asks
from dialoeval.judging.model_trust import TURNED

FOLDER = "models"  # of a study: one file of answers for each model

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """A model's answer to one `Ask`.

    Attributes:
        key: of the ask.
        probabilities: of the options, in their order, normalised; None if the model refused.
        refusal: why there is no answer.
    """

    key: str
    probabilities: tuple[float, ...] | None
    refusal: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the line of the answers file."""
        if self.probabilities is None:
            return {"key": self.key, "refusal": self.refusal}
        return {"key": self.key, "probabilities": [round(p, 6) for p in self.probabilities]}


class Answerer(Protocol):
    """A model that answers asks."""

    @property
    def name(self) -> str:
        """The model's name in tables."""
        ...

    def identity(self) -> dict[str, Any]:
        """Return everything but the ask that determines an answer."""
        ...

    def answer(self, questions: Sequence[Ask]) -> Iterator[Answer]:
        """Yield the answer to each ask as it comes, in any order."""
        ...

    def close(self) -> None:
        """Stop worker processes and free memory."""
        ...


@dataclass(frozen=True)
class ModelAnswers:
    """The answers of one model to the asks of a study.

    Attributes:
        judge: name in tables, ``model:NAME``.
        identity: of the model and the wording of the prompts.
        answers: by the key of the ask.
    """

    judge: str
    identity: dict[str, Any]
    answers: dict[str, Answer]

    def judgments(self, items: Sequence[Item], questions: Sequence[Question]) -> list[Judgment]:
        """Return a judgment for each item and question whose asks are all answered, in the order of the items."""
        rows = []
        for item in items:
            for question in questions:
                own = asks(item.item, item.context, item.replies, [question])
                if all(ask.key in self.answers for ask in own):
                    rows.append(self._judgment(item, question, own))
        return rows

    def _judgment(self, item: Item, question: Question, own: Sequence[Ask]) -> Judgment:
        """Return the verdict on one item: a tie with the flag `TURNED` if the order of the replies changes it."""
        answers = [self.answers[ask.key] for ask in own]
        refusal = next((answer.refusal for answer in answers if answer.probabilities is None), None)
        systems = tuple(item.replies)
        pairwise = len(systems) == 2
        verdicts = (
            []
            if refusal is not None
            else [verdict(ask, answer, systems) for ask, answer in zip(own, answers, strict=True)]
        )
        turned = len(set(verdicts)) > 1
        margin = first_margin(own, answers) if pairwise else None
        return Judgment(
            item=item.item,
            context=item.example_id,
            systems=systems,
            judge=self.judge,
            question=question.name,
            value=0 if turned or not verdicts else verdicts[0],
            kind=item.kind,
            gold=item.gold_value(question.name),
            flags=(TURNED,) if turned else (),
            refusal=refusal,
            margin=None if margin is None else round(margin, 6),
            sides=tuple(v if ask.shown == systems else -v for ask, v in zip(own, verdicts, strict=False))
            if pairwise
            else (),
        )


def verdict(ask: Ask, answer: Answer, systems: tuple[str, ...]) -> int:
    """Return the value of the most probable option, for the systems in the study's order.

    Of a pair, two options that are equally probable are a tie; of a rating, the lower point counts.
    """
    assert answer.probabilities is not None
    best = max(answer.probabilities)
    values = [value for value, p in zip(ask.values, answer.probabilities, strict=True) if p == best]
    if len(ask.shown) == 1:
        return values[0]
    value = values[0] if len(values) == 1 else 0
    return value if ask.shown == systems else -value


def first_margin(own: Sequence[Ask], answers: Sequence[Answer]) -> float | None:
    """Return P(first system) - P(second) of a pair, the mean over both orders, so that position cancels.

    Returns:
        a number from -1 to 1, or None if the model refused.
    """
    margins = []
    for ask, answer in zip(own, answers, strict=True):
        if answer.probabilities is None:
            return None
        side = 1 if ask.shown == own[0].shown else -1
        margins.append(side * (answer.probabilities[0] - answer.probabilities[1]))
    return sum(margins) / len(margins)


class AnswersFile:
    """The answers of one model in a study's folder: JSON lines, the first one with the identity, each flushed to disk.

    A line that a kill cut short is dropped when the file is opened, and its ask is put again.
    """

    def __init__(self, path: Path, judge: str, identity: dict[str, Any]) -> None:
        self.path, self.judge, self.identity = path, judge, identity

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the file: a second process of the same judge waits, and then finds the answers of the first.

        Raises:
            UserError: the folder cannot be written.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.path.parent.parent / f".{self.path.stem}.lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                _LOG.info("waiting for another process that judges with %s", self.judge)
                lock.acquire()
        except (OSError, NotImplementedError) as error:
            raise UserError(f"cannot use {self.path.parent}: {error}") from error
        try:
            yield
        finally:
            lock.release()

    def open(self) -> ModelAnswers:
        """Create the file if it is not there, and return the answers that it holds.

        Raises:
            UserError: the file cannot be read or written, or belongs to another model.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = self.path.read_bytes() if self.path.exists() else b""
            whole = text.rfind(b"\n") + 1
            if whole < len(text):
                os.truncate(self.path, whole)
            if not whole:
                self._append([dumps({"judge": self.judge, "identity": self.identity})])
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror or error}") from error
        return read_answers(self.path)

    def append(self, answer: Answer) -> None:
        """Write an answer; it is on disk when this returns.

        Raises:
            UserError: the disk is full, or the file cannot be written.
        """
        try:
            self._append([dumps(answer.to_json())])
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror or error}") from error

    def _append(self, lines: Iterable[str]) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())


def read_answers(path: Path) -> ModelAnswers:
    """Return a model's answers from its file.

    Raises:
        UserError: the file cannot be read, or a line is damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        head, *rows = [json.loads(line) for line in lines]
        answers = {}
        for row in rows:
            p = row.get("probabilities")
            answers[row["key"]] = Answer(row["key"], None if p is None else tuple(map(float, p)), row.get("refusal"))
        return ModelAnswers(str(head["judge"]), dict(head["identity"]), answers)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}): remove it, and judge again") from error


def read_models(study: Path) -> list[ModelAnswers]:
    """Return the models that have judged a study, in the order of their names, no two of which are the same.

    Models of one name, such as a model with two settings, get the start of their identity's hash after it. A file that
    a kill left without a whole line holds nobody.

    Raises:
        UserError: a file of answers is damaged.
    """
    files = [path for path in sorted((study / FOLDER).glob("*.jsonl")) if b"\n" in _bytes(path)]
    found = [read_answers(path) for path in files]
    names = Counter(model.judge for model in found)
    return [
        model if names[model.judge] == 1 else replace(model, judge=f"{model.judge} {sha256_json(model.identity)[:6]}")
        for model in found
    ]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error


def judge_study(
    study: Path,
    items: Sequence[Item],
    questions: Sequence[Question],
    answerer: Answerer,
    progress: Callable[[], None],
) -> tuple[ModelAnswers, int]:
    """Put every ask of a study that has no answer yet; return the judge, and the number of new answers.

    Args:
        study: the study's folder.
        items: real and gold ones; it needs no repeats, since a model judges every item in both orders anyway.
        questions: of the study.
        answerer: the model.
        progress: called for each ask that is answered, now or earlier.

    Raises:
        UserError: as the model or the file raises.
    """
    identity = {"wording": VERSION, **answerer.identity()}
    digest = sha256_json(identity)[:12]
    judge = f"model:{answerer.name}"
    file = AnswersFile(study / FOLDER / f"{_file_name(answerer.name)}-{digest}.jsonl", judge, identity)
    wanted = [ask for item in items for ask in asks(item.item, item.context, item.replies, questions)]
    with file.lock():
        known = file.open()
        missing = [ask for ask in wanted if ask.key not in known.answers]
        if len(missing) < len(wanted):
            _LOG.info("resuming: %d of %d answers exist already", len(wanted) - len(missing), len(wanted))
            for _ in range(len(wanted) - len(missing)):
                progress()
        for answer in answerer.answer(missing):
            file.append(answer)
            known.answers[answer.key] = answer
            progress()
    return known, len(missing)


def number_of_asks(items: Sequence[Item], questions: Sequence[Question]) -> int:
    """Return how many asks the items of a study make."""
    return sum(len(item.replies) * len(questions) for item in items)


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
