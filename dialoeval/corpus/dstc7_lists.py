"""The organisers' lists for the sets of DSTC-7 Task 2 (data_extraction/lists of their repository)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from dialoeval.data.content import content
from dialoeval.data.sources.dstc7 import first_file
from dialoeval.errors import UserError
from dialoeval.files import sha256_file

TEST, VALID, SETS = "test.hashes", "valid.hashes", "test-multiref.sets"
KEYS = ("test.2k.txt", "keys/test.2k.txt")  # of the scored contexts
SUBREDDITS, DOMAINS = "subreddits-official.txt", "domains-official.txt"
_LEAST_ANCHOR = 3  # characters after the # of an address
_HASH = re.compile(r"[0-9a-f]{56}")


@dataclass(frozen=True)
class Listed:
    """The references of a context: (score as text, key of the conversation with that reply); index 1 is held out."""

    key: str
    references: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Lists:
    """The lists of a folder; a set whose list is absent is empty.

    Attributes:
        test: keys of the test conversations.
        valid: keys of the validation conversations.
        sets: references of the test contexts, in file order.
        scored: keys of the contexts that are scored; empty: all of `sets`.
        subreddits: names that can be in the sets; empty: all.
        domains: of the linked pages that can be in the sets; empty: all.
        sha256: of each file that was read.
    """

    test: frozenset[str]
    valid: frozenset[str]
    sets: tuple[Listed, ...]
    scored: frozenset[str] = frozenset()
    subreddits: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    sha256: dict[str, str] = field(default_factory=dict)

    @cached_property
    def wanted(self) -> frozenset[str]:
        """Keys of all conversations that are needed."""
        of_sets = {key for one in self.sets for key in (one.key, *(key for _, key in one.references))}
        return self.test | self.valid | of_sets

    @cached_property
    def scored_sets(self) -> tuple[Listed, ...]:
        """The references of the contexts that are scored."""
        return tuple(one for one in self.sets if not self.scored or one.key in self.scored)

    def may_hold(self, subreddit: str, domain: object, url: object) -> bool:
        """Return whether a submission can be in the sets; without these lists each can. It only saves time."""
        if self.subreddits and subreddit not in self.subreddits:
            return False
        return not self.domains or ((not isinstance(domain, str) or domain in self.domains) and _has_anchor(url))


def _has_anchor(url: object) -> bool:
    """Return whether an address names a place in a page, as all of the sets do; an unknown one may."""
    if not isinstance(url, str):
        return True
    place = url.find("#")
    return place > 0 and len(url[place + 1 :].strip()) >= _LEAST_ANCHOR and " " not in url


def read_lists(folder: str) -> Lists:
    """Read the lists of a folder.

    Raises:
        UserError: there is none, one cannot be read, or a line holds no key.
    """
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise UserError(f"--lists {folder} is not a folder")
    sha256: dict[str, str] = {}

    def read(*names: str, each: Callable[[str, str], str] = lambda line, where: line) -> frozenset[str]:
        file = first_file(place, *names)
        if file is None:
            return frozenset()
        sha256[file.relative_to(place).as_posix()] = sha256_file(file)
        lines = ((number, line.strip()) for number, line in content(file).text_lines())
        return frozenset(each(line, f"{file}, line {number}") for number, line in lines if line)

    sets = tuple(sorted(_sets(place, sha256), key=lambda one: one.key))
    lists = Lists(
        read(TEST, each=_key),
        read(VALID, each=_key),
        sets,
        read(*KEYS, each=_key),
        read(SUBREDDITS),
        read(DOMAINS),
        sha256,
    )
    if not lists.wanted:
        raise UserError(f"{folder} holds none of the organisers' lists {TEST}, {VALID} and {SETS}")
    return lists


def _key(line: str, where: str) -> str:
    """Return a line that is a key.

    Raises:
        UserError: it is none.
    """
    if not _HASH.fullmatch(line):
        raise UserError(f"{where}: expected the 56 hexadecimal digits of a SHA-224, found {line[:60]!r}")
    return line


def _sets(place: Path, sha256: dict[str, str]) -> list[Listed]:
    """Return the references of each context.

    Raises:
        UserError: a line is malformed, or a key is there twice.
    """
    file = place / SETS
    if not file.is_file():
        return []
    sha256[SETS] = sha256_file(file)
    found: dict[str, Listed] = {}
    for number, line in content(file).text_lines():
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        key, *cells = line.rstrip().split("\t")
        pairs = [cell.split("|") for cell in cells]
        if not pairs or any(len(pair) < 2 for pair in pairs):
            raise UserError(f"{where}: expected a key, then score|key of each reference, by tabs")
        if _key(key, where) in found:
            raise UserError(f"{where}: the key {key} is there twice")
        found[key] = Listed(key, tuple((pair[0], _key(pair[1], where)) for pair in pairs))
    return list(found.values())
