"""Building the DSTC-7 sets: months of dumps to the files that ``dataset=dstc7`` reads, and how much was found."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dialoeval.corpus.dstc7 import Conversation, fields_of, read_month
from dialoeval.corpus.dstc7_lists import Listed, Lists, read_lists
from dialoeval.corpus.dumps import COMMENTS, SUBMISSIONS, find_dump, parse_months
from dialoeval.data.dstc7_release import HUMAN_REFERENCE, UNDISCLOSED
from dialoeval.data.sources.dstc7 import START
from dialoeval.errors import UserError
from dialoeval.files import check_writable, read_json, sha256_file, sha256_json, write_json, write_text
from dialoeval.progress import progress
from dialoeval.version import __version__

PUBLISHED = "2017-01..2017-11"  # validation to 2017-03, then test
MANIFEST = "manifest.json"
_MONTHS = ".months"  # what the months of an unfinished build gave
_PIECE = 1 << 20  # bytes between two steps of the progress

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Share:
    """How much of a list was found."""

    found: int
    listed: int

    def __str__(self) -> str:
        return f"{self.found:,} of {self.listed:,}" + (f" ({self.found / self.listed:.2%})" if self.listed else "")


@dataclass
class Built:
    """What a build gave.

    Attributes:
        test: conversations of the test set.
        valid: conversations of the validation set.
        references: references of the scored contexts.
        contexts: scored contexts that are in the test set.
        complete: of them, those with every reference.
        human_lost: contexts left out because their held-out human reply was not found.
        no_reference: contexts left out because nothing was found besides the human reply, or nothing at all.
        no_conversation: contexts left out because the conversation itself was not found.
        moved: contexts whose first reference was not found: another takes its place, so that the human reply keeps its.
        titles: conversations whose reply is the title, so that nothing but ``START`` precedes it.
        months: what each month gave.
    """

    test: Share
    valid: Share
    references: Share
    contexts: int = 0
    complete: int = 0
    human_lost: int = 0
    no_reference: int = 0
    no_conversation: int = 0
    moved: int = 0
    titles: int = 0
    months: dict[str, dict[str, int]] = field(default_factory=dict)


def build(dumps: str, lists_folder: str, out: Path, months: str | None = None, score_search: int = 0) -> Built:
    """Write the sets that the lists name to the folder `out`, with a manifest.

    ``test.convos.txt`` (the replies undisclosed, as the organisers gave it) with ``test.refs.txt``, and
    ``valid.convos.txt`` with ``valid.refs.txt``; ``missing.tsv`` names each key that was not found. The same call goes
    on after a kill, month by month.

    Args:
        dumps: folder of the dumps.
        lists_folder: of the organisers' lists.
        out: folder to write.
        months: such as ``2017-04..2017-11``; None: the published ones that the folder holds, or else all that it holds.
        score_search: see `dialoeval.corpus.dstc7.read_month`.

    Raises:
        UserError: a file is missing or malformed, or nothing of the lists was found.
    """
    check_writable(out / MANIFEST)
    lists = read_lists(lists_folder)
    chosen = _held_months(dumps) if months is None else parse_months(months)
    files = {month: [find_dump(dumps, kind, month) for kind in (SUBMISSIONS, COMMENTS)] for month in chosen}
    plan = {"lists": lists.sha256, "score_search": score_search, "version": __version__}
    found, states = _read(dumps, files, lists, out / _MONTHS, plan)
    if not found:
        raise UserError(
            f"none of the {len(lists.wanted):,} conversations of {lists_folder} is in {', '.join(chosen)} of {dumps}: "
            "are these the months of the lists? If the dumps were made later, --score-search 20 tries other scores"
        )
    (out / MANIFEST).unlink(missing_ok=True)  # an earlier one does not vouch for what is written now
    built, written = _write(found, lists, out)
    built.months = {month: state["counts"] for month, state in states.items()}
    inputs = {month: state["sha256"] for month, state in states.items()}
    write_json(
        out / MANIFEST, {"schema": 1, "what": "dstc7", **plan, "dumps": inputs, "files": written, **asdict(built)}
    )
    for file in (out / _MONTHS).iterdir():
        file.unlink()
    (out / _MONTHS).rmdir()
    return built


def _held_months(dumps: str) -> list[str]:
    """Return the published months that a folder holds, or else all that it holds.

    Raises:
        UserError: it holds none.
    """
    folder = Path(dumps)
    if not folder.is_dir():
        raise UserError(f"--dumps {dumps}: no such folder")
    names = {path.name.split(".")[0] for path in folder.rglob("R[CS]_????-??*") if path.is_file()}
    held = sorted(name[3:] for name in names if name.startswith(COMMENTS) and f"{SUBMISSIONS}{name[2:]}" in names)
    if not held:
        raise UserError(
            f"{dumps} holds no month of dumps: RS_YYYY-MM and RC_YYYY-MM, with .zst, .bz2, .xz, .gz or plain"
        )
    published = parse_months(PUBLISHED)
    chosen = [month for month in held if month in published]
    absent = [month for month in published if month not in held]
    if not chosen:
        _LOG.warning("%s holds none of the months %s: all of its %d months are read", dumps, PUBLISHED, len(held))
    elif absent:
        _LOG.warning("months of the published sets that are not in %s: %s", dumps, ", ".join(absent))
    return chosen or held


def _read(
    dumps: str, files: Mapping[str, Sequence[Path]], lists: Lists, states: Path, plan: Mapping[str, Any]
) -> tuple[dict[str, Conversation], dict[str, dict[str, Any]]]:
    """Return the conversations by key, and what is kept of each month; what was read before is not read again."""
    sizes = {month: {path.name: path.stat().st_size for path in pair} for month, pair in files.items()}
    found: dict[str, Conversation] = {}
    kept: dict[str, dict[str, Any]] = {}
    with progress("MB", sum(size // _PIECE for pair in sizes.values() for size in pair.values())) as step:
        for month in files:
            state_file, identity = states / f"{month}.json", sha256_json([plan, sizes[month]])
            state = read_json(state_file) if state_file.is_file() else {}
            if state.get("identity") == identity:
                for _ in range(sum(size // _PIECE for size in sizes[month].values())):
                    step()
            else:
                taps = _Taps(step)
                made = read_month(dumps, month, lists, plan["score_search"], taps)
                state = {
                    "identity": identity,
                    "sha256": {name: digest.hexdigest() for name, digest in taps.digests.items()},
                    "counts": dict(sorted(made.counts.items())),
                    "found": [fields_of(one) for _, one in sorted(made.found.items())],
                }
                write_json(state_file, state)
            kept[month] = state
            for key, subreddit, submission, score, turn, *texts in state["found"]:
                found[key] = Conversation(key, subreddit, submission, int(score), int(turn), *texts)
    return found, kept


@dataclass
class _Taps:
    """Hashes files while they are read, and shows progress."""

    step: Callable[[], None]
    digests: dict[str, Any] = field(default_factory=dict)
    left: int = 0

    def __call__(self, path: Path) -> Callable[[bytes], None]:
        """Return what takes the bytes of a file."""
        digest = self.digests[path.name] = hashlib.sha256()

        def tap(piece: bytes) -> None:
            digest.update(piece)
            self.left += len(piece)
            while self.left >= _PIECE:
                self.left -= _PIECE
                self.step()

        return tap


def _write(found: Mapping[str, Conversation], lists: Lists, out: Path) -> tuple[Built, dict[str, str]]:
    """Write the files of the sets; return what was found, and {file: SHA-256}."""
    test = lists.test | {one.key for one in lists.sets}
    references = [key for one in lists.scored_sets for _, key in one.references]
    missing: list[tuple[str, str]] = []

    def share(name: str, keys: Iterable[str]) -> Share:
        listed = list(dict.fromkeys(keys))
        absent = sorted(key for key in listed if key not in found)
        missing.extend((name, key) for key in absent)
        return Share(len(listed) - len(absent), len(listed))

    built = Built(share("test", test), share("valid", lists.valid), share("reference", references))
    built.titles = sum(found[key].context == START for key in test | lists.valid if key in found)
    lines: dict[str, list[tuple[str, ...]]] = {
        "test.convos.txt": [(*fields_of(found[key])[:-1], UNDISCLOSED) for key in sorted(test) if key in found],
        "test.refs.txt": list(_reference_lines(found, lists.scored_sets, built)),
        "valid.convos.txt": [fields_of(found[key]) for key in sorted(lists.valid) if key in found],
        "valid.refs.txt": [(key, _cell(found[key])) for key in sorted(lists.valid) if key in found],
        "missing.tsv": [*missing],
    }
    for name, rows in lines.items():
        if rows:
            write_text(out / name, "".join("\t".join(row) + "\n" for row in rows))
        else:
            (out / name).unlink(missing_ok=True)  # of an earlier build
    return built, {name: sha256_file(out / name) for name, rows in lines.items() if rows}


def _cell(one: Conversation, score: str = "") -> str:
    return f"{score or one.score}|{one.reply.rstrip()}"


def _reference_lines(
    found: Mapping[str, Conversation], sets: Sequence[Listed], built: Built
) -> Iterator[tuple[str, ...]]:
    """Yield (key, cell of each reference) of the scored contexts, the held-out human reply always at its place."""
    for one in sets:
        cells = [_cell(found[key], score) if key in found else None for score, key in one.references]
        human = cells[HUMAN_REFERENCE] if len(cells) > HUMAN_REFERENCE else None
        others = [cell for i, cell in enumerate(cells) if cell is not None and i != HUMAN_REFERENCE]
        if one.key not in found:
            built.no_conversation += 1
        elif len(cells) > HUMAN_REFERENCE and human is None:
            built.human_lost += 1
        elif not others:
            built.no_reference += 1
        else:
            built.contexts += 1
            built.complete += None not in cells
            built.moved += cells[0] is None
            yield (one.key, *others[:HUMAN_REFERENCE], *([] if human is None else [human]), *others[HUMAN_REFERENCE:])
