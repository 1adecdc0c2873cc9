"""Malformed inputs: how many end in a traceback, and how many lose a text without a word.

    python benchmarks/malformed.py [--inputs 10000] [--seed 1]

Valid files of dialogues, in every format, are damaged at random: bytes removed, inserted or exchanged, lines cut, swapped
or doubled, keys renamed, values replaced by others. Each text of a file is unique. A file is accepted or refused with a
sentence; of an accepted file, every text that still stands whole in it must be in an example, or be counted. Prints a
table, and exits with 1 if any input ended in a traceback or lost a text.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import random
import re
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

from dialoeval import data
from dialoeval.config.schema import DatasetConfig
from dialoeval.errors import UserError

FORMS = ("jsonl", "json", "csv", "tsv", "messages", "pairs", "rows", "eou", "blocks")
ROWS = 5
WORD = re.compile(rb"\bw\d+x\d+\b")


def valid(form: str) -> tuple[str, bytes]:
    """Return the name and the bytes of a file whose texts are ``wROWxTURN``."""
    talks = [[f"w{row}x{turn}" for turn in range(3)] for row in range(ROWS)]
    if form in ("csv", "tsv"):
        stream = io.StringIO()
        if form == "csv":
            csv.writer(stream).writerows([("context", "reference"), *((f"{a} {b}", c) for a, b, c in talks)])
        else:
            stream.write("context\treference\n" + "".join(f"{a} {b}\t{c}\n" for a, b, c in talks))
        return f"a.{form}", stream.getvalue().encode()
    if form == "eou":
        return "a.txt", "".join(" __eou__ ".join(talk) + " __eou__\n" for talk in talks).encode()
    if form == "blocks":
        return "a.txt", "\n\n".join("\n".join(talk) for talk in talks).encode() + b"\n"
    rows: list[object] = {
        "jsonl": [{"id": str(i), "context": talk[:2], "references": talk[2:]} for i, talk in enumerate(talks)],
        "json": [{"turns": talk} for talk in talks],
        "messages": [{"messages": [{"speaker": "ab"[i % 2], "text": t} for i, t in enumerate(d)]} for d in talks],
        "pairs": [{"turns": [[i % 2, text] for i, text in enumerate(talk)]} for talk in talks],
        "rows": [{"dialog_id": n, "turn_id": i, "text": t} for n, d in enumerate(talks) for i, t in enumerate(d)],
    }[form]  # type: ignore[assignment]
    if form == "json":
        return "a.json", json.dumps(rows, indent=1).encode()
    return "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode()


def damaged(raw: bytes, draw: random.Random) -> bytes:
    """Return the bytes with one to three faults."""
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(raw) + 1)
        fault = draw.randrange(9)
        if fault == 0:
            raw = raw[:at] + raw[at + draw.randint(1, 12) :]
        elif fault == 1:
            raw = raw[:at] + draw.choice(NOISE) + raw[at:]
        elif fault == 2:
            raw = raw[:at] + bytes([draw.randrange(256)]) + raw[at + 1 :]
        elif fault == 3:
            raw = raw[:at]
        elif fault in (4, 5):
            lines = raw.splitlines(keepends=True) or [b""]
            i = draw.randrange(len(lines))
            lines[i:i] = [lines[draw.randrange(len(lines))]] if fault == 4 else []
            draw.shuffle(lines) if fault == 5 else None
            raw = b"".join(lines)
        elif fault == 6:
            raw = raw.replace(draw.choice(KEYS), draw.choice(KEYS), draw.choice((1, -1)))
        elif fault == 7:
            raw = re.sub(rb'"w\d+x\d+"', lambda m: draw.choice((m.group(), m.group(), draw.choice(VALUES))), raw)
        else:
            raw = raw.decode("latin-1").encode(draw.choice(("utf-16", "utf-8-sig", "utf-8")))
    return raw


NOISE = (b'"', b"\\", b"{", b"]", b"\t", b",", b"\n", b"\r", b"\0", b"\xff", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"null",
         b'\\ud800', b"9" * 5000, b"NaN", b"[" * 2000, b" __eou__ ", b"\n\n", b"1e999")  # fmt: skip
KEYS = (b"context", b"references", b"reference", b"turns", b"messages", b"text", b"speaker", b"id", b"dialog_id")
VALUES = (b"null", b"3", b'""', b'" "', b"[]", b"{}", b"true", b'["a"]', b"1e400", b'"\\u0000"')


def outcome(path: Path, raw: bytes) -> str:
    """Return what became of a file: refused, accepted, lost (a text is nowhere), or the name of an exception."""
    try:
        dataset = data.load(DatasetConfig(name="damaged", kind="file", path=str(path), allow_empty_context=True))
    except UserError as error:
        return "refused" if "\n" not in str(error) else "a message of several lines"
    except Exception as error:
        traceback.print_exc()
        return f"traceback: {type(error).__name__}"
    told = " ".join(text for example in dataset.examples for text in (*example.context, *example.references))
    counted = sum(dataset.reading.counts.values()) if dataset.reading else 0
    names = " ".join(example.id for example in dataset.examples)
    absent = {word for word in WORD.findall(raw) if word.decode() not in told and word.decode() not in names}
    return "accepted" if not absent or counted or _has_unread(dataset) else f"lost {sorted(absent)[0].decode()}"


def _has_unread(dataset: data.Dataset) -> bool:
    """Return whether the table has columns that are not read, which `inspect` shows."""
    reading = dataset.reading
    used = re.findall(r"\w+", " ".join(reading.settings)) if reading else ()
    unread = [
        name for name in (reading.columns if reading else ()) if name not in used and name not in ("id", "context")
    ]
    return bool(unread)


def main() -> int:
    """Damage files, read them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    draw = random.Random(options.seed)
    table: dict[str, Counter[str]] = {form: Counter() for form in FORMS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.inputs):
            form = FORMS[number % len(FORMS)]
            name, raw = valid(form)
            raw = damaged(raw, draw)
            path = Path(folder, name)
            path.write_bytes(raw)
            result = outcome(path, raw)
            table[form][result.split(" ", 1)[0].rstrip(":")] += 1
            if result not in ("accepted", "refused"):
                print(f"{form}: {result}: {raw!r}"[:2000], file=sys.stderr)
    print("| format | inputs | accepted | refused with a sentence | texts lost | tracebacks |")
    print("|---|---:|---:|---:|---:|---:|")
    for form, counts in table.items():
        columns = [counts.total(), *(counts[name] for name in ("accepted", "refused", "lost", "traceback"))]
        print(f"| {form} | " + " | ".join(map(str, columns)) + " |")
    wrong = sum(counts.total() - counts["accepted"] - counts["refused"] for counts in table.values())
    print(f"\n{options.inputs} inputs, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
