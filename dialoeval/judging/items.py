"""Items of a study: items.jsonl, and the study folder as one object."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dialoeval.errors import UserError
from dialoeval.files import read_jsonl, sha256_file
from dialoeval.judging.design import Design, Identical, read_design
from dialoeval.judging.judgments import ItemKind, StudyKind

_AGAIN = "-again"  # a repeat's id is the item's id with this end


def order_key(*parts: object) -> str:
    """Return a hash that orders things at random, the same at every call."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Item:
    """What a judge sees at once: a context with one or two replies.

    Attributes:
        item: its id, which no judge sees.
        example_id: of the context.
        context: turns, oldest first.
        replies: {system: text}, in the order of the study's pairs.
        block: number of its block, from 0: so many contexts are finished before the next.
        swapped: with this item, judge slots 0, 2, ... see the second system on the left.
        kind: real, gold or repeat.
        gold: {question: system or point} of a gold item.
    """

    item: str
    example_id: str
    context: tuple[str, ...]
    replies: dict[str, str]
    block: int = 0
    swapped: bool = False
    kind: ItemKind = ItemKind.real
    gold: dict[str, str | int] | None = None

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of one or two systems."""
        return tuple(self.replies)

    @property
    def identical(self) -> bool:
        """Whether both replies are equal, but for white space around them."""
        texts = [text.strip() for text in self.replies.values()]
        return len(texts) == 2 and texts[0] == texts[1]

    def gold_value(self, question: str) -> int | None:
        """Return the known answer as a judgment's value."""
        answer = (self.gold or {}).get(question)
        if answer is None or isinstance(answer, int):
            return answer
        return 1 if answer == self.systems[0] else -1

    def again(self) -> Item:
        """Return the swapped repeat of this item."""
        return replace(self, item=self.item + _AGAIN, kind=ItemKind.repeat)

    def to_json(self) -> dict[str, Any]:
        """Return the row of items.jsonl."""
        row: dict[str, Any] = {"item": self.item, "example_id": self.example_id, "context": list(self.context)}
        row |= {"replies": self.replies, "kind": str(self.kind), "swapped": self.swapped}
        return row | ({"gold": self.gold} if self.gold else {})

    @classmethod
    def from_json(cls, row: dict[str, Any], where: str) -> Item:
        """Read a row of items.jsonl.

        Raises:
            UserError: it is damaged.
        """
        try:
            replies, gold = row["replies"], row.get("gold")
            texts = [row["item"], row["example_id"], *row["context"], *replies, *replies.values()]
            if not isinstance(row["context"], list) or not isinstance(replies, dict):
                raise TypeError("context must be a list of turns, replies a mapping of systems")
            if not all(isinstance(text, str) for text in texts) or len(replies) not in (1, 2):
                raise TypeError("a text is missing")
            kind, swapped = ItemKind(row["kind"]), row["swapped"]
            if not isinstance(swapped, bool):
                raise TypeError(f"swapped must be true or false, not {swapped!r}")
            if not isinstance(gold, dict | None):
                raise TypeError("gold must be a mapping of questions")
            if kind == ItemKind.repeat or (kind == ItemKind.gold) != bool(gold):
                raise TypeError("a gold item has a known answer, and no other item")
            return cls(row["item"], row["example_id"], tuple(row["context"]), replies, 0, swapped, kind, gold)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{where} is not an item of a study: {error} (`dialoeval judge new` writes them)"
            ) from error


@dataclass(frozen=True)
class Study:
    """A study folder, read and checked."""

    path: Path
    design: Design
    items: Sequence[Item]

    @cached_property
    def by_id(self) -> dict[str, Item]:
        """{id: item}, with the repeats of real items."""
        items = {item.item: item for item in self.items}
        return items | {
            again.item: again for item in self.items if item.kind == ItemKind.real for again in [item.again()]
        }

    @cached_property
    def automatic(self) -> list[Item]:
        """Pairs of equal replies that count as ties and that no judge sees."""
        if self.design.identical != Identical.tie:
            return []  # dropped, or judged like any other
        return [item for item in self.items if item.kind == ItemKind.real and item.identical]

    @cached_property
    def judged(self) -> list[Item]:
        """Real items that judges see."""
        shown = self.design.identical == Identical.show
        return [item for item in self.items if item.kind == ItemKind.real and (shown or not item.identical)]

    @cached_property
    def golds(self) -> list[Item]:
        """Gold items."""
        return [item for item in self.items if item.kind == ItemKind.gold]

    @property
    def pairwise(self) -> bool:
        """Whether judges compare two replies."""
        return self.design.kind == StudyKind.pairwise

    @property
    def database(self) -> Path:
        """The file of judgments."""
        return self.path / "judgments.sqlite"

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of study.yaml and items.jsonl."""
        return {name: sha256_file(self.path / name) for name in ("study.yaml", "items.jsonl")}

    def check_sources(self) -> list[str]:
        """Check that the runs still hold the replies that this study was made of; returns notes on absent runs.

        Raises:
            UserError: a file has changed.
        """
        notes = []
        for name, system in self.design.systems.items():
            file = run_folder(self.path, system.run) / ("replies.jsonl" if system.index is None else "references.jsonl")
            if not file.is_file():
                notes.append(f"{file} of {name} is not there any more; items.jsonl keeps its texts")
            elif sha256_file(file) != system.replies_sha256:
                raise UserError(
                    f"{file} of {name} is not the one this study was made from: judgments belong to the texts "
                    "judged, so make a new study with `dialoeval judge new`"
                )
        return notes


def run_folder(study: Path, run: str) -> Path:
    """Return the folder of a run as study.yaml names it: from here, or from where the folder of studies lies."""
    path = Path(run)
    beside = study.resolve().parent.parent / path
    return beside if not path.exists() and beside.exists() else path


def find_study(name: str, studies_dir: str = "studies") -> Path:
    """Return a study's folder: a path, or a name below `studies_dir`.

    Raises:
        UserError: there is none.
    """
    from dialoeval.errors import nearest

    for path in (Path(name), Path(studies_dir) / name):
        if (path / "study.yaml").is_file():
            return path
    known = [file.parent.name for file in Path(studies_dir).glob("*/study.yaml")]
    raise UserError(f"{name} is not a study folder (it has no study.yaml){nearest(name, known)}")


def _check_gold(item: Item, design: Design, where: str) -> None:
    """Refuse known answers that no judge can give, which would fail every judge, or none.

    Raises:
        UserError: an answer is of no question of the design, or none of its choices.
    """
    points = {question.name: [point for point, _ in question.points] for question in design.questions}
    for name, answer in (item.gold or {}).items():
        if name not in points:
            raise UserError(
                f"{where}: the known answer of this gold item is to the question {name!r}, which study.yaml does not "
                "have: keep that name there, or make the study with --no-gold"
            )
        if answer not in (points[name] or item.systems):
            raise UserError(f"{where}: the known answer {answer!r} to {name!r} is none of the choices")


def load_study(path: str | Path) -> Study:
    """Read a study folder.

    Raises:
        UserError: a file is missing or damaged, or the two do not belong together.
    """
    path = Path(path)
    design = read_design(path / "study.yaml")
    file = path / "items.jsonl"
    items = []
    for number, row in read_jsonl(file):
        items.append(Item.from_json(row, f"{file}, line {number}"))
        _check_gold(items[-1], design, f"{file}, line {number}")
    real = [item for item in items if item.kind == ItemKind.real]
    units = {item.systems for item in real}
    contexts = len({item.example_id for item in real})
    if len({item.item for item in items}) < len(items):
        raise UserError(f"{file} has an item twice")
    dropped = design.identical == Identical.drop
    if not units <= set(design.units) or (units != set(design.units) and not dropped):
        raise UserError(f"{file} was not made from {path / 'study.yaml'}: its pairs differ; make a new study")
    if not real or contexts > design.contexts or (contexts < design.contexts and not dropped):
        raise UserError(
            f"{file} was not made from {path / 'study.yaml'}: it has {contexts} contexts, not {design.contexts}; "
            "make a new study with `dialoeval judge new`"
        )
    place = {example_id: i for i, example_id in enumerate(dict.fromkeys(item.example_id for item in real))}
    items = [replace(item, block=place.get(item.example_id, 0) // design.block) for item in items]
    return Study(path, design, items)
