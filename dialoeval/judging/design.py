"""The design of a study, as study.yaml holds it: typed, checked, with errors that name file, line and field."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from dialoeval.errors import UserError, nearest
from dialoeval.judging.judgments import DSTC7_STATEMENTS, PAPER_QUESTIONS, Question, StudyKind

SCHEMA = 1
HUMAN = "human"  # the name of the system whose replies people wrote
APART = -1  # in place of the index of a reference: the human reply that references.jsonl holds apart
TITLES = {StudyKind.pairwise: "Which reply is better?", StudyKind.likert: "How good is this reply?"}
_YEAR = 525_600  # minutes

Path_ = tuple[str | int, ...]
_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)


class Identical(StrEnum):
    """What happens to a pair of equal replies."""

    tie = "tie"  # counts as a tie that no judge sees
    show = "show"  # is judged like any other
    drop = "drop"  # is left out


class Display(StrEnum):
    """How texts are shown, all systems alike."""

    as_is = "as_is"
    uncased = "uncased"
    detokenized = "detokenized"


class GoldRule(StrEnum):
    """What happens to a judge who fails the gold items."""

    flag = "flag"  # the report says so
    exclude = "exclude"  # others judge the items again


@dataclass(frozen=True)
class System:
    """Where the replies of a system come from: a run's replies, or one of a run's references.

    Attributes:
        run: folder of the run.
        replies_sha256: of that run's replies.jsonl, or of its references.jsonl if `index` is set.
        index: of the reference that is the reply, or `APART`; None for the run's replies.
        scored: the runs' protocol scores against that reference, so that metrics of this system are circular.
    """

    run: str
    replies_sha256: str
    index: int | None = None
    scored: bool = False


@dataclass(frozen=True)
class Gold:
    """Items with a known answer.

    Attributes:
        share: of a judge's items, beyond the first ones.
        first: this many come first; as many again if the first are failed.
        passing: the share of right answers that passes.
        rule: what happens to a judge who fails.
    """

    share: float = 0.06
    first: int = 3
    passing: float = 0.7
    rule: GoldRule = GoldRule.flag


@dataclass(frozen=True)
class Design:
    """A study's design. `pairs` is empty for ratings; see docs/judging.md for the fields."""

    kind: StudyKind
    systems: Mapping[str, System]
    pairs: tuple[tuple[str, str], ...]
    questions: tuple[Question, ...]
    contexts: int
    title: str = TITLES[StudyKind.pairwise]
    judges_per_item: int = 3
    max_per_judge: int | None = None
    lease_minutes: float = 30
    block: int = 50
    seed: int = 12345
    identical: Identical = Identical.tie
    gold: Gold = field(default_factory=Gold)
    repeats: float = 0.03
    display: Display = Display.as_is
    min_seconds: float = 2
    comment: bool = False

    @property
    def units(self) -> tuple[tuple[str, ...], ...]:
        """What is judged of each context: the pairs, or each system alone."""
        return self.pairs or tuple((name,) for name in self.systems)

    def to_yaml(self) -> str:
        """Return the text of study.yaml."""
        import yaml

        systems: dict[str, Any] = {}
        for name, system in self.systems.items():
            source = {"run": system.run} if system.index is None else {"references_of": system.run}
            systems[name] = source | ({} if system.index is None else {"index": system.index})
            systems[name] |= {"replies_sha256": system.replies_sha256} | ({"scored": True} if system.scored else {})
        questions = [
            {"name": q.name, "text": q.text} | ({"points": dict(q.points)} if q.points else {}) for q in self.questions
        ]
        gold = {"share": self.gold.share, "first": self.gold.first, "pass": self.gold.passing}
        value = {
            "schema": SCHEMA,
            "kind": str(self.kind),
            "title": self.title,
            "systems": systems,
            **({"pairs": [list(pair) for pair in self.pairs]} if self.pairs else {}),
            "questions": questions,
            "contexts": self.contexts,
            "judges_per_item": self.judges_per_item,
            "max_per_judge": self.max_per_judge,
            "lease_minutes": self.lease_minutes,
            "block": self.block,
            "seed": self.seed,
            "identical": str(self.identical),
            "gold": gold | {"rule": str(self.gold.rule)},
            "repeats": self.repeats,
            "display": str(self.display),
            "min_seconds": self.min_seconds,
            "comment": self.comment,
        }
        head = "# The design of a study. It can be changed until `dialoeval judge serve` first runs.\n"
        text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
        return head + text


def all_pairs(systems: Iterable[str], against: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return every pair in the order of the systems, or each system with `against`."""
    pairs = combinations(systems, 2)
    return tuple(pair for pair in pairs if against is None or against in pair)


def read_design(path: Path) -> Design:
    """Read study.yaml.

    Raises:
        UserError: naming line and field.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, yaml.SafeLoader)
        value = yaml.safe_load(text)
    except OSError as error:
        raise UserError(f"{path.parent} is not a study: cannot read {path.name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: not YAML: {getattr(error, 'problem', None) or error}") from error
    lines: dict[Path_, int] = {}
    if node is not None:
        _walk(node, (), lines, path)
    return _design(_Fields(value, lines, path))


def _walk(node: Any, at: Path_, lines: dict[Path_, int], file: Path) -> None:
    """Note the line of every field; refuse a field that is there twice."""
    import yaml

    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*at, str(key.value))
            if below in lines:
                raise UserError(f"{file}, line {key.start_mark.line + 1}: field {_dotted(below)} is there twice")
            lines[below] = key.start_mark.line + 1
            _walk(value, below, lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _walk(value, (*at, i), lines, file)


def _dotted(at: Path_) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).lstrip(".")


class _Fields:
    """A mapping of study.yaml: each value is taken once, with its type; what nobody takes is refused."""

    def __init__(self, value: Any, lines: dict[Path_, int], file: Path, at: Path_ = ()) -> None:
        self.lines, self.file, self.at = lines, file, at
        if not isinstance(value, dict):
            raise self.error("", f"must be a mapping of fields, not {value!r}")
        self.left: dict[str, Any] = {str(key): item for key, item in value.items()}
        self.known: list[str] = []

    def error(self, name: str | int, message: str) -> UserError:
        at = self.at if name == "" else (*self.at, name)
        near = next((self.lines[at[:i]] for i in range(len(at), -1, -1) if at[:i] in self.lines), 1)
        label = f"field {_dotted(at)}" if at else "the file"
        return UserError(f"{self.file}, line {near}: {label} {message}")

    def take(
        self, name: str, kind: type[_T], default: _T | None = None, least: float | None = None, most: float = math.inf
    ) -> _T:
        """Return a field of a type; a whole number passes as a number."""
        self.known.append(name)
        if name not in self.left:
            if default is None:
                raise self.error(name, "is missing")
            return default
        value = self.left.pop(name)
        fits = isinstance(value, (int, float) if kind is float else kind) and (
            kind is bool or not isinstance(value, bool)  # which is a whole number to Python
        )
        if not fits or (isinstance(value, float) and not math.isfinite(value)):
            names = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}
            raise self.error(name, f"must be {names.get(kind, 'a mapping of fields')}, not {value!r}")
        if least is not None and isinstance(value, (int, float)) and value < least:
            raise self.error(name, f"must be at least {least:g}, not {value!r}")
        if isinstance(value, (int, float)) and value > most:
            raise self.error(name, f"must be at most {most:g}, not {value!r}")
        return value  # type: ignore[no-any-return]

    def optional(self, name: str, kind: type[_T], least: float | None = None) -> _T | None:
        """Return a field that may be absent or null."""
        if self.left.get(name) is None:
            self.known.append(name)
            self.left.pop(name, None)
            return None
        return self.take(name, kind, least=least)

    def choice(self, name: str, kind: type[_E], default: _E) -> _E:
        """Return a field that is one of some names."""
        value = self.take(name, str, str(default))
        if value not in {str(member) for member in kind}:
            listed = ", ".join(kind)
            raise self.error(name, f"must be one of {listed}, not {value!r}{nearest(value, kind)}")
        return kind(value)

    def share(self, name: str, default: float) -> float:
        """Return a number from 0 to 1."""
        return self.take(name, float, default, least=0, most=1)

    def below(self, name: str | int, value: Any) -> _Fields:
        """Return the fields of a mapping inside this one."""
        return _Fields(value, self.lines, self.file, (*self.at, name))

    def finish(self) -> None:
        """Refuse what is left."""
        for name in self.left:
            raise self.error(name, f"is unknown{nearest(name, self.known)}")


def _design(fields: _Fields) -> Design:
    schema = fields.take("schema", int)
    if schema != SCHEMA:
        raise fields.error("schema", f"is {schema}, this version reads {SCHEMA}")
    kind = fields.choice("kind", StudyKind, StudyKind.pairwise)
    systems = _systems(fields)
    gold = fields.below("gold", fields.take("gold", dict, {}))
    default = Gold()
    first, passing = gold.take("first", int, default.first, least=0), gold.share("pass", default.passing)
    design = Design(
        kind=kind,
        systems=systems,
        pairs=_pairs(fields, kind, systems),
        questions=_questions(fields, kind),
        contexts=fields.take("contexts", int, least=1),
        title=fields.take("title", str, TITLES[kind]),
        judges_per_item=fields.take("judges_per_item", int, Design.judges_per_item, least=1),
        max_per_judge=fields.optional("max_per_judge", int, least=1),
        lease_minutes=fields.take("lease_minutes", float, Design.lease_minutes, least=0.01, most=_YEAR),
        block=fields.take("block", int, Design.block, least=1),
        seed=fields.take("seed", int, Design.seed),
        identical=fields.choice("identical", Identical, Design.identical),
        gold=Gold(gold.share("share", default.share), first, passing, gold.choice("rule", GoldRule, default.rule)),
        repeats=fields.share("repeats", Design.repeats),
        display=fields.choice("display", Display, Design.display),
        min_seconds=fields.take("min_seconds", float, Design.min_seconds, least=0),
        comment=fields.take("comment", bool, Design.comment),
    )
    gold.finish()
    fields.finish()
    if (told := named_in(design.title, systems)) is not None:
        raise fields.error("title", f"names the system {told!r}, and judges read it")
    for i, question in enumerate(design.questions):
        text = "\n".join([question.text, *(label for _, label in question.points)])
        if question not in (*PAPER_QUESTIONS, *DSTC7_STATEMENTS) and (told := named_in(text, systems)) is not None:
            raise fields.below("questions", {}).error(i, f"names the system {told!r}, and judges read it")
    return design


def named_in(text: str, systems: Iterable[str]) -> str | None:
    """Return the first system that is a word of a text.

    "human" and names of one or two letters are plain words; our own titles say nothing whatever a system is called.
    """
    names = [name for name in systems if name != HUMAN and len(name) > 2 and text not in TITLES.values()]
    said = text.casefold()
    return next((n for n in names if re.search(rf"(?<!\w){re.escape(n.casefold())}(?!\w)", said)), None)


def _systems(fields: _Fields) -> dict[str, System]:
    given = fields.below("systems", fields.take("systems", dict))
    systems = {}
    for name, value in list(given.left.items()):
        entry = given.below(name, value)
        run, references_of = entry.optional("run", str), entry.optional("references_of", str)
        if (run is None) == (references_of is None):
            raise given.error(name, "needs run or references_of, one of both")
        index = None if references_of is None else entry.take("index", int, least=APART)
        sha256, scored = entry.take("replies_sha256", str), entry.take("scored", bool, False)
        systems[name] = System(run or references_of or "", sha256, index, scored)
        entry.finish()
    return systems


def _pairs(fields: _Fields, kind: StudyKind, systems: Mapping[str, System]) -> tuple[tuple[str, str], ...]:
    if kind == StudyKind.likert:
        if not systems:
            raise fields.error("systems", "must name at least one system")
        return ()
    if len(systems) < 2:
        raise fields.error("systems", "must name at least two systems to compare")
    given = fields.take("pairs", list, [list(pair) for pair in all_pairs(systems)])
    pairs: list[tuple[str, str]] = []
    for i, pair in enumerate(given):
        at = _Fields({}, fields.lines, fields.file, (*fields.at, "pairs"))
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(name, str) for name in pair):
            raise at.error(i, f"must be two systems, not {pair!r}")
        for name in pair:
            if name not in systems:
                raise at.error(i, f"names the unknown system {name!r}{nearest(name, systems)}")
        if pair[0] == pair[1]:
            raise at.error(i, f"compares {pair[0]!r} with itself")
        if tuple(pair) in pairs or (pair[1], pair[0]) in pairs:
            raise at.error(i, f"is there twice: {pair[0]} and {pair[1]}")
        pairs.append((pair[0], pair[1]))
    if not pairs:
        raise fields.error("pairs", "must have at least one pair")
    return tuple(pairs)


def _questions(fields: _Fields, kind: StudyKind) -> tuple[Question, ...]:
    if "questions" not in fields.left:
        return PAPER_QUESTIONS if kind == StudyKind.pairwise else DSTC7_STATEMENTS
    given = fields.take("questions", list)
    questions: list[Question] = []
    for i, value in enumerate(given):
        at = _Fields(value, fields.lines, fields.file, (*fields.at, "questions", i))
        name, text = at.take("name", str), at.take("text", str)
        if not name.strip() or not text.strip() or any(name == other.name for other in questions):
            raise at.error("name", "must be a name of its own, and text the question")
        points: tuple[tuple[int, str], ...] = ()
        if kind == StudyKind.likert:
            labels = at.take("points", dict)
            if len(labels) < 2 or not all(
                isinstance(p, int) and not isinstance(p, bool) and isinstance(label, str) for p, label in labels.items()
            ):
                raise at.error("points", "must be two or more whole numbers, each with its label")
            points = tuple(sorted(labels.items()))
        at.finish()
        questions.append(Question(name, text, points))
    if not questions:
        raise fields.error("questions", "must have at least one question")
    return tuple(questions)
