"""The 6K multi-reference set: lines ``source<TAB>score|reference...`` from rows of conversations and a list of ids.

A line of the list is ``multiref<TAB>score,keys<TAB>score,keys...``, best score first; the last entry is the human
reply. As in the published builder, the source is that of the first reference, without which the line is lost. A
reference that the rows do not have, or have with another source, is left out, and the line goes on. Curly double quotes
become straight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dialoeval.data.content import Content, content
from dialoeval.errors import UserError
from dialoeval.files import atomic_open, check_writable, sha256_file, write_json
from dialoeval.version import __version__

HEADER = "multiref"
_SHOWN = 20  # lines of the list named in the manifest, for each fault


@dataclass(frozen=True)
class Named:
    """A reference of the list: its score as text, and its keys ``submission,parent,comment``."""

    score: str
    keys: str


@dataclass(frozen=True)
class NamedLine:
    """A line of the list.

    Attributes:
        number: in the file, from 1.
        header: its first field.
        references: best score first, the human reply last.
    """

    number: int
    header: str
    references: tuple[Named, ...]


@dataclass
class Counts:
    """What became of the list.

    Attributes:
        lines: of the list, blank ones not counted.
        lines_written: of the set.
        lines_lost: the rows do not have their first reference.
        lines_without_human: their last reference is left out, so that their last column is not the human reply.
        lines_of_one_reference: written with a single column, which leaves no reference beside the human reply.
        lines_not_by_score: a reference before the last has a lower score than the last.
        lines_of_another_header: they do not begin with ``multiref``; the published builder says so and uses them.
        references: of the list.
        references_written: of the set.
        references_missing: the rows do not have their keys (without those of lost lines).
        references_of_another_source: the rows have another source for them than for the first reference.
        repeated_rows: rows whose keys an earlier row has; the last one counts.
        human_compared: lines compared with the published human replies.
        human_equal: of them, those whose last column is the published reply.
    """

    lines: int = 0
    lines_written: int = 0
    lines_lost: int = 0
    lines_without_human: int = 0
    lines_of_one_reference: int = 0
    lines_not_by_score: int = 0
    lines_of_another_header: int = 0
    references: int = 0
    references_written: int = 0
    references_missing: int = 0
    references_of_another_source: int = 0
    repeated_rows: int = 0
    human_compared: int = 0
    human_equal: int = 0


@dataclass
class Built:
    """The counts, and for each fault of a line the first numbers of such lines in the list."""

    counts: Counts = field(default_factory=Counts)
    numbers: dict[str, list[int]] = field(default_factory=dict)

    def note(self, fault: str, number: int, found: bool = True) -> None:
        """Count a fault of a line, if it is `found`."""
        if not found:
            return
        setattr(self.counts, fault, getattr(self.counts, fault) + 1)
        numbers = self.numbers.setdefault(fault, [])
        if number not in numbers and len(numbers) < _SHOWN:
            numbers.append(number)


def build(rows: str, ids: str, out: Path, human: str | None = None, drop_without_human: bool = False) -> Built:
    """Write the set to `out`, and ``<out>.manifest.json`` beside it.

    Args:
        rows: file of rows ``keys<TAB>source<TAB>target``, compressed or not.
        ids: the list.
        out: the file to write; after an error nothing is written.
        human: file of the published human replies, one for each line of the list, to compare the last column with.
        drop_without_human: leave out the lines whose human reply cannot be built.

    Raises:
        UserError: a file cannot be read or written, a line is malformed, or no line can be built.
    """
    check_writable(out)
    inputs = {
        name: content(path) for name, path in (("rows", rows), ("ids", ids), ("human", human)) if path is not None
    }
    if same := [path for path in (rows, ids, human) if path is not None and _same(path, out)]:
        raise UserError(f"--out {out} is the file {same[0]} that is read: give the set another name")
    named = list(_named(inputs["ids"]))
    replies = [None] * len(named) if human is None else _human_replies(inputs["human"], len(named))
    built = Built()
    texts = _texts(inputs["rows"], {reference.keys for line in named for reference in line.references}, built)
    with atomic_open(out) as stream:
        for line, reply in zip(named, replies, strict=True):
            cells = _cells(line, texts, built)
            if cells and (_has_human(line, cells, reply, built) or not drop_without_human):
                built.counts.lines_written += 1
                built.counts.references_written += len(cells)
                built.note("lines_of_one_reference", line.number, len(cells) == 1)
                source = texts[line.references[0].keys][0]
                stream.write("\t".join((source, *(f"{one.score}|{target}" for one, target in cells))) + "\n")
        if not built.counts.lines_written:
            raise UserError(
                f"{rows} has the first reference of none of the {len(named)} lines of {ids}: build the rows from the "
                "months of that list with the published test settings, and its keys"
            )
    write_json(manifest_file(out), _manifest(inputs, out, built, drop_without_human))
    return built


def manifest_file(out: Path) -> Path:
    """Return the manifest of a set."""
    return out.with_name(f"{out.name}.manifest.json")


def straight(text: str) -> str:
    """Return a text with straight double quotes."""
    return text.replace("“", '"').replace("”", '"')


def _same(path: str, out: Path) -> bool:
    return out.exists() and Path(path).exists() and out.samefile(path)


def _named(ids: Content) -> Iterator[NamedLine]:
    """Yield the lines of the list; blank ones are skipped.

    Raises:
        UserError: the file cannot be read, or a line is malformed.
    """
    for number, text in ids.text_lines():
        if not text.strip():
            continue
        header, *cells = text.rstrip().split("\t")
        pairs = [cell.partition(",") for cell in cells]
        if not pairs or not all(comma and keys for _, comma, keys in pairs):
            raise UserError(
                f"{ids.name}, line {number}: expected {HEADER}, then score,keys of each reference, all by tabs"
            )
        yield NamedLine(number, header, tuple(Named(score, keys) for score, _, keys in pairs))


def _human_replies(human: Content, lines: int) -> list[str | None]:
    """Return the published human reply of each line of the list.

    Raises:
        UserError: the file cannot be read, or has another number of lines.
    """
    replies: list[str | None] = [straight(text.rstrip()) for _, text in human.text_lines()]
    if len(replies) != lines:
        raise UserError(
            f"{human.name} has {len(replies)} lines, but the list of ids has {lines}: they are of other sets"
        )
    return replies


def _texts(rows: Content, wanted: set[str], built: Built) -> dict[str, tuple[str, str]]:
    """Return {keys: (source, target)} of the wanted rows.

    Raises:
        UserError: the file cannot be read, or a line has not three fields.
    """
    found: dict[str, tuple[str, str]] = {}
    for number, text in rows.text_lines():
        fields = straight(text.rstrip()).split("\t")
        if len(fields) != 3:
            raise UserError(
                f"{rows.name}, line {number}: expected keys, source, target by tabs, found {len(fields)} field(s)"
            )
        keys, source, target = fields
        if keys in wanted:
            built.counts.repeated_rows += keys in found
            found[keys] = (source, target)
    return found


def _cells(line: NamedLine, texts: Mapping[str, tuple[str, str]], built: Built) -> list[tuple[Named, str]]:
    """Return the references of a line with their texts; none if the line is lost."""
    counts, first = built.counts, line.references[0]
    counts.lines += 1
    counts.references += len(line.references)
    built.note("lines_of_another_header", line.number, line.header != HEADER)
    built.note("lines_not_by_score", line.number, not _last_is_lowest(line.references))
    if first.keys not in texts:
        built.note("lines_lost", line.number)
        return []
    cells = []
    for one in line.references:
        if one.keys not in texts:
            built.note("references_missing", line.number)
        elif texts[one.keys][0] != texts[first.keys][0]:
            built.note("references_of_another_source", line.number)
        else:
            cells.append((one, texts[one.keys][1]))
    return cells


def _has_human(line: NamedLine, cells: Sequence[tuple[Named, str]], reply: str | None, built: Built) -> bool:
    """Return whether the last column is the human reply, and compare it with the published one if there is one."""
    last, text = cells[-1]
    if last is not line.references[-1]:
        built.note("lines_without_human", line.number)
        return False
    if reply is not None:
        built.counts.human_compared += 1
        built.counts.human_equal += text == reply
    return True


def _last_is_lowest(references: Sequence[Named]) -> bool:
    try:
        scores = [float(one.score) for one in references]
    except ValueError:
        return False
    return scores[-1] == min(scores)


def _manifest(inputs: Mapping[str, Content], out: Path, built: Built, drop_without_human: bool) -> dict[str, Any]:
    return {
        "schema": 1,
        "what": "reddit6k",
        "version": __version__,
        "drop_without_human": drop_without_human,
        "inputs": {name: {"path": one.name, "sha256": one.sha256} for name, one in inputs.items()},
        "output": {"path": str(out), "sha256": sha256_file(out)},
        "counts": asdict(built.counts),
        "lines": built.numbers,
    }
