"""Making a study from complete runs on the same examples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dialoeval.errors import UserError, nearest
from dialoeval.files import sha256_file, sha256_json, write_jsonl, write_text
from dialoeval.judging.design import (
    APART,
    HUMAN,
    TITLES,
    Design,
    Display,
    Gold,
    GoldRule,
    Identical,
    System,
    all_pairs,
    named_in,
)
from dialoeval.judging.items import Item, Study, load_study, order_key
from dialoeval.judging.judgments import DSTC7_STATEMENTS, PAPER_QUESTIONS, ItemKind, StudyKind
from dialoeval.judging.texts import Surface, shown, surface, surface_warnings
from dialoeval.metrics.protocol import reference_slots
from dialoeval.runs.reader import LoadedRun

DEFAULT_CONTEXTS = 200
SECONDS = 20  # of a judgment, in the estimate of the work


@dataclass(frozen=True)
class Options:
    """What `judge new` is asked for.

    Attributes:
        human: add the human reply as a system.
        human_index: of the reference that is the human reply; None: the one that the data hold apart or the protocol
            holds out, else 0.
        human_scored: accept a human reply that the runs are scored against.
        against: compare every system with this one only.
        contexts: how many; None: 200, or all if there are fewer.
    """

    kind: StudyKind = StudyKind.pairwise
    human: bool = False
    human_index: int | None = None
    human_scored: bool = False
    against: str | None = None
    contexts: int | None = None
    judges_per_item: int = 3
    seed: int = 12345
    title: str | None = None
    identical: Identical = Identical.tie
    display: Display = Display.as_is
    gold: Gold = field(default_factory=Gold)
    repeats: float = 0.03
    comment: bool = False


@dataclass(frozen=True)
class _Example:
    """An example that all systems answered."""

    id: str
    context: tuple[str, ...]
    replies: dict[str, str]
    references: tuple[str, ...]
    human: str | None = None


def make_study(runs: Mapping[str, LoadedRun], options: Options, folder: Path | None, studies_dir: Path) -> Study:
    """Write a study folder and return the study.

    Args:
        runs: {name of the system: its run}.
        options: what is asked for.
        folder: where; None: `studies_dir`/<12 hex digits of the design>.
        studies_dir: where studies without a name go.

    Raises:
        UserError: the runs do not fit together, or the folder is a study already.
    """
    _check_runs(runs, options)
    systems = {name: System(str(run.path), sha256_file(run.folder.replies_file)) for name, run in runs.items()}
    examples = _common(runs)
    if options.human:
        systems[HUMAN], examples = _with_human(runs, examples, options)
    examples.sort(key=lambda example: order_key(options.seed, example.id))
    n = min(DEFAULT_CONTEXTS, len(examples)) if options.contexts is None else options.contexts
    if n > len(examples) or n < 1:
        raise UserError(f"only {len(examples)} contexts in common; --contexts {len(examples)} or less (at least 1)")
    design = _design(systems, options, n)
    if (told := named_in(design.title, systems)) is not None:
        raise UserError(f"--title names the system {told!r}, and judges read it: give another title")
    items = [*_real_items(design, examples[:n]), *_gold_items(design, examples, n)]
    if not any(item.kind == ItemKind.real for item in items):
        raise UserError("the replies of the systems are equal in every context: there is nothing to judge")
    folder = folder or studies_dir / sha256_json([design.to_yaml(), [item.to_json() for item in items]])[:12]
    if (folder / "study.yaml").exists():
        raise UserError(f"{folder} is a study already: give another --name, or delete it")
    if left := [file.name for file in (folder / "judgments.sqlite", folder / "models") if file.exists()]:
        raise UserError(f"{folder} has judgments of another study ({left[0]}): give another --name, or delete it")
    write_jsonl(folder / "items.jsonl", (item.to_json() for item in items))
    write_text(folder / "study.yaml", design.to_yaml())
    return load_study(folder)


def _check_runs(runs: Mapping[str, LoadedRun], options: Options) -> None:
    names = [*runs, *([HUMAN] if options.human else [])]
    if options.human and HUMAN in runs:
        raise UserError(f"a run is named {HUMAN!r}, as the human replies are: give it another name, NAME=RUN")
    places: dict[Path, str] = {}
    for name, run in runs.items():
        if (other := places.setdefault(run.path.resolve(), name)) != name:
            raise UserError(f"{other} and {name} are the same run: {run.path}")
    if options.kind == StudyKind.pairwise and len(names) < 2:
        raise UserError("a comparison needs two systems: name another run, or add --human")
    if options.against is not None:
        if options.kind != StudyKind.pairwise:
            raise UserError("--against is for pairs: a rating has no other side")
        if options.against not in names:
            raise UserError(f"--against names the unknown system {options.against!r}{nearest(options.against, names)}")
    if options.judges_per_item < 1:
        raise UserError(f"--judges-per-item must be at least 1, not {options.judges_per_item}")


def _common(runs: Mapping[str, LoadedRun]) -> list[_Example]:
    """Return the examples of all runs, with byte-equal contexts."""
    tables = {name: {id_: i for i, id_ in enumerate(run.ids)} for name, run in runs.items()}
    (first_name, first), *others = runs.items()
    examples = []
    for i, id_ in enumerate(first.ids):
        if not all(id_ in table for table in tables.values()):
            continue
        for name, run in others:
            _check_context(id_, first_name, first.contexts[i], name, run.contexts[tables[name][id_]])
        said = {name: run.hypotheses[tables[name][id_]] for name, run in runs.items()}
        human = next((run.human[id_] for run in runs.values() if id_ in run.human), None)
        examples.append(_Example(id_, tuple(first.contexts[i]), said, tuple(first.references[i]), human))
    if not examples:
        counts = ", ".join(f"{name} has {len(run.ids)}" for name, run in runs.items())
        raise UserError(f"the runs have no example ids in common: {counts}")
    return examples


def _check_context(id_: str, name: str, context: Sequence[str], other_name: str, other: Sequence[str]) -> None:
    if list(context) == list(other):
        return
    same = [x == y for x, y in zip(context, other, strict=False)]
    turn = same.index(False) if False in same else len(same)
    raise UserError(f"id {id_}: contexts of {name} and {other_name} differ (turn {turn + 1})")


def _check_references(name: str, run: LoadedRun, other_name: str, other: LoadedRun) -> None:
    """Refuse runs with other references: the human reply of one may be what the other is scored against."""
    own = dict(zip(run.ids, run.references, strict=True))
    for id_, references in zip(other.ids, other.references, strict=True):
        human = run.human.get(id_), other.human.get(id_)
        if own.get(id_, references) != references or (None not in human and human[0] != human[1]):
            raise UserError(
                f"id {id_}: references of {name} and {other_name} differ, so that there is no one human reply: run "
                "both on the same data"
            )


def _with_human(
    runs: Mapping[str, LoadedRun], examples: Sequence[_Example], options: Options
) -> tuple[System, list[_Example]]:
    """Add the human reply: one that the data hold apart, or a reference that no run's protocol scores against."""
    (name, first), *others = runs.items()
    for other_name, other in others:
        _check_references(name, first, other_name, other)
    index = options.human_index
    if index is None and (apart := [(e, e.human) for e in examples if e.human is not None]):
        holder = next(run for run in runs.values() if run.human)
        system = System(str(holder.path), sha256_file(holder.folder.references_file), APART)
        return system, [replace(e, replies=e.replies | {HUMAN: human}) for e, human in apart]
    if index is None:
        index = next((run.scores.protocol.held_out for run in runs.values() if run.scores.protocol.held_out), 0)
    having = [example for example in examples if len(example.references) > index]
    if not having:
        raise UserError(f"no example of {name} has a reference {index}, counted from 0, that could be the human reply")
    if not options.human_scored:
        free = [example for example in having if not _scored(runs, example, index)]
        if not free and all(len(example.references) == 1 for example in having):
            raise UserError(
                "the examples have one reference each, the human reply, which the runs are scored against, so that a "
                "metric of it would be circular: add --human-scored if no metric will be held against this study"
            )
        if not free:
            raise UserError(
                f"the runs are scored against reference {index}, the human reply, so that a metric of it would be "
                f"circular: run them again with protocol.held_out={index} (nothing is generated again), or add "
                "--human-scored if no metric will be held against this study"
            )
        having = free
    system = System(str(first.path), sha256_file(first.folder.references_file), index, options.human_scored)
    return system, [replace(e, replies=e.replies | {HUMAN: e.references[index]}) for e in having]


def _scored(runs: Mapping[str, LoadedRun], example: _Example, index: int) -> bool:
    places = [str(i) for i in range(len(example.references))]
    return any(str(index) in reference_slots(places, run.scores.protocol) for run in runs.values())


def _design(systems: dict[str, System], options: Options, contexts: int) -> Design:
    pairwise = options.kind == StudyKind.pairwise
    return Design(
        kind=options.kind,
        systems=systems,
        pairs=all_pairs(systems, options.against) if pairwise else (),
        questions=PAPER_QUESTIONS if pairwise else DSTC7_STATEMENTS,
        contexts=contexts,
        title=options.title or TITLES[options.kind],
        judges_per_item=options.judges_per_item,
        seed=options.seed,
        identical=options.identical,
        gold=options.gold,
        repeats=options.repeats,
        display=options.display,
        comment=options.comment,
    )


def _real_items(design: Design, examples: Sequence[_Example]) -> Iterator[Item]:
    """Yield an item for each context and pair (or system), context by context."""
    items = [
        Item(
            order_key(design.seed, "item", e.id, *unit)[:16], e.id, e.context, {name: e.replies[name] for name in unit}
        )
        for e in examples
        for unit in design.units
    ]
    if design.identical == Identical.drop:
        items = [item for item in items if not item.identical]
    judged = [item for item in items if len(item.systems) == 2 and not (item.identical and design.identical == "tie")]
    # Pair by pair, half of the items at random start with the second system on the left.
    judged.sort(key=lambda item: (design.pairs.index((item.systems[0], item.systems[1])), order_key("side", item.item)))
    swapped = {item.item for i, item in enumerate(judged) if i % 2}
    for item in items:
        yield Item(item.item, item.example_id, item.context, item.replies, swapped=item.item in swapped)


def _gold_items(design: Design, examples: Sequence[_Example], used: int) -> Iterator[Item]:
    """Yield items with a known answer: a reply to this context, and one that was given to another.

    They are of contexts that the study does not use, as long as there are such.
    """
    if len(examples) < 2 or (design.gold.first == 0 and design.gold.share == 0):
        return
    wanted = 2 * design.gold.first + math.ceil(design.gold.share * used * len(design.units))
    unused, own = list(examples[used:]), list(reversed(examples[:used]))
    chosen = (unused + own)[:wanted]
    texts = {e.id: (e.references[0] if e.references else next(iter(e.replies.values()))) for e in examples}
    donors = [e.id for e in sorted(examples, key=lambda e: order_key(design.seed, "donor", e.id))]
    question = design.questions[0]
    for i, example in enumerate(chosen):
        right = texts[example.id]
        order = (donors[(i + j) % len(donors)] for j in range(len(donors)))
        donor = next((d for d in order if d != example.id and texts[d].strip() not in ("", right.strip())), None)
        if donor is None or not right.strip():
            continue
        name = order_key(design.seed, "gold", example.id)[:16]
        swapped = bool(i % 2)
        if design.kind == StudyKind.pairwise:
            replies, gold = {"fitting": right, "random": texts[donor]}, {question.name: "fitting"}
            yield Item(name, example.id, example.context, replies, 0, swapped, ItemKind.gold, dict(gold))
        else:
            point = {question.name: question.points[0][0]}
            yield Item(
                name, example.id, example.context, {"random": texts[donor]}, 0, False, ItemKind.gold, dict(point)
            )


def surfaces(study: Study) -> dict[str, Surface]:
    """Describe the surface of each system's replies in a study, as the page shows them."""
    return {name: surface(list(texts.values())) for name, texts in _replies(study).items() if texts}


def _replies(study: Study) -> dict[str, dict[str, str]]:
    """Return {system: {context: its reply as the page shows it}}."""
    replies: dict[str, dict[str, str]] = {name: {} for name in study.design.systems}
    for item in study.items:
        if item.kind == ItemKind.real:
            for name, text in item.replies.items():
                replies[name][item.example_id] = shown(text, study.design.display)
    return replies


def describe(study: Study) -> list[str]:
    """Return what a study is, the work it makes, what can be seen with it, and warnings, as lines of text."""
    design, k = study.design, study.design.judges_per_item
    judgments = len(study.judged) * k
    extra = 1 + design.gold.share + design.repeats
    hours = judgments * extra * SECONDS / 3600
    units = ", ".join(" - ".join(unit) for unit in design.units)
    lines = [
        f"{'pairs' if study.pairwise else 'ratings of'}: {units}",
        f"{design.contexts} contexts, {len(study.judged)} items, {k} judges each: {judgments} judgments, about "
        f"{hours:.1f} hours at {SECONDS} s each, with {len(study.golds)} gold items and swapped repeats",
    ]
    if study.automatic:
        lines.append(f"{len(study.automatic)} items have equal replies: they count as ties, and no judge sees them")
    if study.pairwise:
        points = 98 / math.sqrt(0.91 * design.contexts)
        lines.append(f"what can be seen: a preferred share to ±{points:.1f} points, if the judges of an item agree")
    else:
        # Item means of DSTC7's judgments have a standard deviation of 0.85 points.
        lines.append(f"what can be seen: a mean to ±{1.66 / math.sqrt(design.contexts):.2f} points")
    found = surfaces(study)
    pairs = design.pairs or all_pairs(found)
    lines += [f"warning: {warning}" for warning in surface_warnings(found, pairs)]
    if k % 2 == 0:
        lines.append(f"note: with {k} judges an item, a majority may not exist")
    if design.gold.rule == GoldRule.exclude:
        lines.append(f"judges who get less than {design.gold.passing:.0%} of the gold items right are left out")
    for name, replies in _replies(study).items():
        told = [word for text in replies.values() if (word := named_in(text, design.systems)) is not None]
        if told:
            lines.append(f"warning: {len(told)} replies of {name} have a system's name in them ({told[0]!r})")
    empty = {name: s.empty for name, s in found.items() if s.empty}
    lines += [f"note: {n} replies of {name} are empty; judges read (no reply)" for name, n in empty.items()]
    return lines
