"""Signs in texts that a file was read wrongly, or that figures are not what they are called.

The thresholds are shares of texts, above what real dialogues reach: of 35,207 DSTC-7 references 0.6% begin with a word
and a colon (``TIL : ...``) and 0.03% are not in Latin letters; markers, weights and tables occur in none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

MARKERS = (
    *("__eou__", "__eot__", "__eos__", "__EOS__", "_comma_", "<eos>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<|eot_id|>", "[/INST]"),
)
SEPARATORS = (" EOS ", "</s>", "[SEP]")  # these occur in text as well: a camera, sarcasm
_WEIGHT = re.compile(r"\s*[01]\.0\s")
_SPEAKER = re.compile(
    r"\s*(?:(?i:user|assistant|bot|human|system|agent|customer|your persona|partner's persona|[abq]|"
    r"(?:user|person|speaker) ?[\dab]+)|[A-Z][\w.'-]*(?: [A-Z\d][\w.'-]*)?) ?:(?![()DPpOo/\\|*'-])"
)
_ROW = re.compile(r"\s*(?:\d*\.?\d+\|\S|\{\s*[\"']|\[\s*[\"'{\[])|[^\t]*\t")  # 0.3|text, JSON, cells of a table
_COPIED = 0.9  # share of replies that equal a reference from which on they look like the references themselves
_SHOWN = 60  # characters of an example


@dataclass(frozen=True)
class Finding:
    """Something in the texts that the user should look at.

    Attributes:
        kind: its name, such as ``equal_replies`` or ``markers_in_references``.
        count: how many texts or examples show it.
        total: how many were looked at.
        message: a sentence: what, how many of how many, an example, what to do.
        blocking: the figures cannot stand for a system in a published table.
    """

    kind: str
    count: int
    total: int
    message: str
    blocking: bool

    @classmethod
    def from_json(cls, value: Any) -> Finding | None:
        """Return the finding of an object with exactly these fields, or None."""
        types = {field.name: field.type for field in fields(cls)}
        if not isinstance(value, dict) or value.keys() != types.keys():
            return None
        return cls(**value) if all(type(value[name]).__name__ == kind for name, kind in types.items()) else None


@dataclass(frozen=True)
class _Sign:
    """A sign of single texts.

    Attributes:
        kind: the beginning of the finding's kind.
        what: what the texts do.
        advice: what to do.
        share: of the texts that must show it.
        of: returns the texts that show it.
        least: number of texts that must show it, unless there are fewer.
    """

    kind: str
    what: str
    advice: str
    share: float
    of: Callable[[Sequence[str]], list[str]]
    least: int = 1

    def find(self, where: str, texts: Sequence[str]) -> list[Finding]:
        """Return one finding, or none."""
        found = self.of(texts)
        if len(found) < max(self.share * len(texts), min(self.least, len(texts)), 1):
            return []
        message = f"{_of(len(found), len(texts))} {where} {self.what}, such as {_quoted(found[0])}: {self.advice}"
        return [Finding(f"{self.kind}_in_{where}", len(found), len(texts), message, blocking=True)]


def check_examples(
    contexts: Sequence[Sequence[str]] | None,
    references: Sequence[Sequence[str]],
    ids: Sequence[str] | None = None,
    *,
    english_only: bool = True,
) -> tuple[Finding, ...]:
    """Return what is suspicious about n examples.

    Args:
        contexts: (n,) turns before each reply, oldest first; None if they are unknown.
        references: (n,) of each example, which may be none.
        ids: (n,) by which the findings name an example.
        english_only: METEOR 1.5 or mteval's tokenizer (13a) will read the references.
    """
    texts = [reference for own in references for reference in own if reference]
    findings = [*_equal_references(references), *_signs("references", texts)]
    if english_only:
        findings += _NOT_LATIN.find("references", texts)
    if contexts is not None:
        named = [f" ({name})" for name in ids] if ids is not None else [""] * len(contexts)
        findings += _empty_contexts(contexts, named)
        findings += _signs("contexts", [turn for turns in contexts for turn in turns if turn])
        findings += [*_repeated_turns(contexts, references, named), *_duplicates(contexts, references, named)]
    return tuple(findings)


def check_replies(
    replies: Sequence[str],
    references: Sequence[Sequence[str]],
    contexts: Sequence[Sequence[str]] | None,
    *,
    english_only: bool,
) -> tuple[Finding, ...]:
    """Return what is suspicious about n replies, then about their examples: see `check_examples`."""
    findings = []
    if len(replies) > 1 and len(set(replies)) == 1:
        message = (
            f"all {len(replies):,} replies are equal, {_quoted(replies[0])}: see whether the model reads the contexts "
            "(replies.jsonl has them), and whether this is the right file"
        )
        findings.append(Finding("equal_replies", len(replies), len(replies), message, blocking=True))
    judged = [(reply, own) for reply, own in zip(replies, references, strict=True) if own]
    copied = [reply for reply, own in judged if _plain(reply) in map(_plain, own)]
    if len(judged) >= 10 and len(copied) >= _COPIED * len(judged):
        message = (
            f"{_of(len(copied), len(judged))} replies equal a reference, such as {_quoted(copied[0])}: see whether the "
            "references were given as replies, or the replies stand among the references"
        )
        findings.append(Finding("replies_equal_references", len(copied), len(judged), message, blocking=True))
    findings += _signs("replies", replies)
    if english_only:
        findings += _NOT_LATIN.find("replies", replies)
    return (*findings, *check_examples(contexts, references, english_only=english_only))


def _signs(where: str, texts: Sequence[str]) -> list[Finding]:
    return [finding for sign in _SIGNS for finding in sign.find(where, texts)]


def _containing(markers: Sequence[str]) -> Callable[[Sequence[str]], list[str]]:
    def found(texts: Sequence[str]) -> list[str]:
        whole = f" {' '.join(texts)} "  # one search of everything, since most files have none
        present = [marker for marker in markers if marker in whole]
        return [text for text in texts if any(marker in f" {text} " for marker in present)] if present else []

    return found


def _matching(pattern: re.Pattern[str]) -> Callable[[Sequence[str]], list[str]]:
    return lambda texts: list(filter(pattern.match, texts))


def _is_foreign(text: str) -> bool:
    """Return whether at least half of the letters belong to another script than the Latin one."""
    if text.isascii():
        return False
    letters = [character for character in text if character.isalpha()]
    # Latin Extended Additional is apart, and mathematical letters are decorated Latin ones
    foreign = sum(c >= "\u0370" and not ("\u1d00" <= c < "\u1f00" or "\U0001d400" <= c < "\U0001d800") for c in letters)
    return bool(letters) and 2 * foreign >= len(letters)


def _equal_references(references: Sequence[Sequence[str]]) -> list[Finding]:
    lists = [tuple(own) for own in references if own]
    if len(lists) < 2 or len(set(lists)) > 1:
        return []
    message = (
        f"all {len(lists):,} examples have the same references, {_quoted(lists[0][0])}: see whether the right column "
        "or file was read"
    )
    return [Finding("equal_references", len(lists), len(lists), message, blocking=True)]


def _empty_contexts(contexts: Sequence[Sequence[str]], named: Sequence[str]) -> list[Finding]:
    empty = [i for i, turns in enumerate(contexts) if not any(map(str.strip, turns))]
    if not empty:
        return []
    message = (
        f"{_of(len(empty), len(contexts))} contexts are empty, the first is that of example {empty[0] + 1}"
        f"{named[empty[0]]}: every such example is the same question to a model; see whether the right column was read"
    )
    return [Finding("empty_contexts", len(empty), len(contexts), message, blocking=100 * len(empty) >= len(contexts))]


def _repeated_turns(
    contexts: Sequence[Sequence[str]], references: Sequence[Sequence[str]], named: Sequence[str]
) -> list[Finding]:
    """Find examples of which a reference is the last turn of the context; people do repeat each other at times."""
    judged = [i for i, (turns, own) in enumerate(zip(contexts, references, strict=True)) if turns and own]
    found = [i for i in judged if (last := _plain(contexts[i][-1])) and last in map(_plain, references[i])]
    if not found or 20 * len(found) < len(judged):
        return []
    message = (
        f"{_of(len(found), len(judged))} examples have the last turn of the context as a reference, such as "
        f"{_quoted(contexts[found[0]][-1])}{named[found[0]]}: take the reply out of the context"
    )
    return [Finding("reference_is_last_turn", len(found), len(judged), message, blocking=True)]


def _duplicates(
    contexts: Sequence[Sequence[str]], references: Sequence[Sequence[str]], named: Sequence[str]
) -> list[Finding]:
    seen: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    found = []
    for i, (turns, own) in enumerate(zip(contexts, references, strict=True)):
        key = (tuple(turns), tuple(own))
        if key in seen and turns:
            found.append(i)
        seen.add(key)
    if not found or 100 * len(found) < len(contexts):
        return []
    first = found[0]
    message = (
        f"{_of(len(found), len(contexts))} examples repeat an earlier one, context and references, such as "
        f"{_quoted(contexts[first][-1])}{named[first]}: see whether a file was read twice"
    )
    return [Finding("duplicate_examples", len(found), len(contexts), message, blocking=False)]


def _plain(text: str) -> str:
    return text.strip().casefold()


def _of(count: int, total: int) -> str:
    return f"{count:,} of {total:,}"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


_SIGNS = (
    _Sign(
        "markers",
        "contain markers of a file or of a model",
        "split or replace them before scoring, or they count as words",
        0,
        _containing(MARKERS),
    ),
    _Sign(
        "separators",
        "contain separators",
        "split the text there, or they count as words",
        0.01,
        _containing(SEPARATORS),
    ),
    _Sign("weights", "begin with a weight", "cut it off, or it counts as a word", 0.01, _matching(_WEIGHT)),
    _Sign("speakers", "begin with a speaker's name", "cut it off, or it counts as words", 0.05, _matching(_SPEAKER), 3),
    _Sign(
        "structure",
        "look like JSON, a row of a table or weighted text",
        "see whether the file was read in the right format",
        0.01,
        _matching(_ROW),
    ),
)
_NOT_LATIN = _Sign(
    "other_scripts",
    "are not in Latin letters",
    "METEOR 1.5 is English; a sentence without spaces is one word to BLEU and NIST",
    0.05,
    lambda texts: list(filter(_is_foreign, texts)),
)
