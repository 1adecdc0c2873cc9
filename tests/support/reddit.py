"""Small Reddit dumps, and a slow extractor written from the description of the published one, a month at a time."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from nltk.tokenize import TweetTokenizer

_TOKENIZER = TweetTokenizer(preserve_case=True)


def write_month(folder: Path, month: str, comments: list[Any], submissions: list[Any]) -> None:
    """Write plain dumps; bytes stand as they are, other values as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, values in (("RC", comments), ("RS", submissions)):
        lines = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
        (folder / f"{kind}_{month}").write_bytes(b"".join(line + b"\n" for line in lines))


def submission(name: Any = "s", **other: Any) -> dict[str, Any]:
    values = {"id": name, "score": 1, "num_comments": 9, "domain": "d", "permalink": "/r/Pics/c/", "title": "a title"}
    return values | other


def comment(name: Any, parent: Any = "t3_s", body: Any = "some words here", **other: Any) -> dict[str, Any]:
    return {"id": name, "author": "a", "parent_id": parent, "link_id": "t3_s", "score": 1, "body": body} | other


def _spaces(text: str) -> str:
    return text.replace("\\", "").translate({10: " ", 13: " ", 9: " "})


def normal(text: str) -> str:
    """Return a turn as the extractor prints it."""
    words = [word for word in text.split() if not word.startswith("#")]
    cut = [re.sub(r"(?is)http.*", " __url__", word).strip() for word in words]
    text = " ".join(cut).replace("\\", "")
    for short, full in {"b/c": "because", "j/k": "just kidding", "w/o": "without", "w/": "with"}.items():
        text = text.replace(short, full)
    text = text.replace("__mention__", "MENTION").replace("__url__", "URL")
    text = "".join(char if re.match(r"[A-Za-z0-9()\[\]:,.!?'“” ]", char) else " " for char in text)
    text = text.replace("MENTION", "__mention__").replace("URL", "__url__")
    return " ".join(" ".join(_TOKENIZER.tokenize(text)).split())


def extract(
    comments: list[Any],
    submissions: list[Any],
    *,
    clean: bool,
    title: bool,
    leaves: bool,
    min_score: int = 1,
    min_depth: int = 2,
    max_depth: int = 5,
) -> tuple[str, Counter[str]]:
    """Return the rows of a month and the counts of skipped rows, for values that the published extractor survives."""
    known, threads = {}, set()
    for one in submissions:
        try:
            if int(one["num_comments"]) < 2:
                continue
            head = _spaces(one["title"]), one["permalink"].split("/")[2], str(one["score"]), one["domain"]
            if head[0].strip():
                known["t3_" + str(one["id"])] = head
            threads.add("t3_" + one["id"])
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    kept = {}
    for one in comments:
        try:
            body, fields = one["body"], [one[name] for name in ("id", "author", "parent_id", "link_id", "score")]
            if body == "[deleted]" or ">" in body or "&gt;" in body or one["link_id"] not in threads:
                continue
            if len(_spaces(body).split()) >= 2:
                kept["t1_" + str(fields[0]).lstrip()] = (*map(str, fields[1:]), _spaces(body))
        except (KeyError, TypeError, AttributeError):
            continue
    parents = {one[1] for one in kept.values()} if leaves else set()
    rows, skipped = [], Counter[str]()
    for thread, parent, name in sorted((one[2], one[1], name) for name, one in kept.items()):
        if name in parents:
            continue
        if (0 if kept[name][3] == "None" else int(kept[name][3])) < min_score:
            skipped["low_score"] += 1
            continue
        turns, here, reason = [], name, None
        while here in kept and len(turns) < max_depth and len(kept[here][4].split()) <= 30:
            turns.insert(0, kept[here][4])
            its_thread, here = kept[here][2], kept[here][1]
            if title and here.startswith("t3_"):
                if its_thread in known:
                    turns.insert(0, "title: " + known[its_thread][0])
                else:
                    reason = "exception"
                break
        if reason or len(turns) < min_depth:
            skipped[reason or "min_depth"] += 1
            continue
        turns = [("1.0 " if leaves and clean else "") + normal(turn) for turn in turns]
        source, target = " EOS ".join(turns[:-1]), turns[-1]
        if clean and (reason := _drop(source, target)):
            skipped[reason] += 1
            continue
        rows.append(f"{thread},{parent},{name}\t{source}\t{target}\n")
    return "".join(rows), skipped


def _drop(source: str, target: str) -> str | None:
    words, both = target.split(), source + " " + target
    tests = {
        "emptytarget": len(words) <= 1,
        "longword": any(len(word) > 30 for word in words),
        "toolong": len(source.split()) + len(words) > 200,
        "url": "__url__" in both,
        "tags": any(mark in both for mark in "[]()"),
        "allcaps": re.search("[A-Z]{5,}", both) is not None,
        "repetitions": any(words[i] == words[i + 1] == words[i + 2] for i in range(len(words) - 2)),
    }
    return next((reason for reason, holds in tests.items() if holds), None)
