"""`dialoeval reproduce`: the paper's tables beside what was measured here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.reports.reproduce import Row
    from dialoeval.runs.folder import RunFolder
    from dialoeval.tables import Table

EPILOG = """  dialoeval reproduce reddit6k --data FOLDER    # with human.ref.6k.txt: the Human row's diversity, length;
                                                # with test.scored_refs.txt (build reddit6k): all its figures
  dialoeval reproduce dstc7 --data FOLDER       # a DSTC-7 release: references.jsonl and replies.jsonl,
                                                # or test.refs.txt and <system>.convos.txt files
  dialoeval reproduce reddit6k --human          # the human evaluation: what follows from the published totals
  dialoeval reproduce dstc7 --human --data FILE # DSTC7's: the public human_judgments.tsv, or a folder with it
  dialoeval reproduce mini                      # the paper in miniature, from a made dump to the table (--help)
To make the generated rows (weights from the hub, data rebuilt by the paper's scripts):
  dialoeval run experiment=paper_reddit6k_beam dataset.path=FILE
"""
ENDINGS = (".md", ".json", ".csv", ".tex", ".html")


def main(arguments: Sequence[str]) -> int:
    """Print a table of the paper with our results and the difference below each row."""
    if arguments[:1] == ["mini"]:
        from dialoeval.cli import reproduce_mini

        return reproduce_mini.main(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="dialoeval reproduce",
        description="Print one of the paper's tables beside what was measured here, with the difference in each cell, "
        "what each row was computed from, and why the others could not be.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", choices=("dstc7", "reddit6k", "mini"))
    parser.add_argument("--human", action="store_true", help="the human evaluation instead of the metrics")
    parser.add_argument("--data", metavar="FOLDER", help="the published replies and references, or human judgments")
    parser.add_argument("--runs", nargs="+", metavar="DIR", help="run folders, or folders of run folders [reports]")
    parser.add_argument("--out", metavar="FILE", help=f"write it too: {', '.join(ENDINGS)}")
    options = parser.parse_args(arguments)
    from dialoeval.errors import UserError
    from dialoeval.reports.reproduce import reproduce, sources, to_table

    if options.out and Path(options.out).suffix not in ENDINGS:
        raise UserError(f"--out {options.out}: the name must end in one of {', '.join(ENDINGS)}")
    data = Path(options.data) if options.data else None
    if options.human:
        return _human(options.table, data, Path(options.out) if options.out else None)
    if data is not None and not data.is_dir():
        raise UserError(f"{options.data} is not a folder")
    rows = reproduce(options.table, data, _run_folders(options.runs), progress=True)
    table, lines = to_table(rows), sources(rows)
    text = _text(options.table, table, lines)
    print(text, end="")
    if options.out:
        _write(Path(options.out), options.table, rows, table, text)
        print(f"\nwritten: {options.out}")
    return 0


def _human(name: str, data: Path | None, out: Path | None) -> int:
    """Print the published human evaluation beside what follows from public judgments."""
    from dialoeval.errors import UserError
    from dialoeval.files import write_json, write_text
    from dialoeval.reports.html import write_plain
    from dialoeval.reports.paper import published
    from dialoeval.reports.reproduce_human import sections, to_json

    if data is not None and not data.exists():
        raise UserError(f"{data} is neither a folder nor a file")
    source = published().ratings_source if name == "dstc7" else f"{published().paper}; {published().source}"
    parts = sections(name, data)
    blocks = [
        f"## {heading}\n\n{remark}\n\n{table.to_markdown()}\n" + "".join(f"- {line}\n" for line in lines)
        for heading, remark, table, lines in parts
    ]
    text = "\n".join([*blocks, f"Published: {source}\n"])
    print(text, end="")
    if out is None:
        return 0
    if out.suffix == ".json":
        write_json(out, to_json(name, data))
    elif out.suffix == ".html":
        write_plain(out, parts[0][0], source, parts)
    else:
        captioned = [replace(table, caption=heading) for heading, _, table, _ in parts]
        texts = [table.to_latex(f"tab:human-{name}-{i}") for i, table in enumerate(captioned, 1)]
        tables = [table.to_csv() for table in captioned] if out.suffix == ".csv" else texts
        write_text(out, text if out.suffix == ".md" else "\n".join(tables))
    print(f"\nwritten: {out}")
    return 0


def _run_folders(given: list[str] | None) -> list[RunFolder]:
    from dialoeval.errors import UserError
    from dialoeval.runs.folder import RunFolder

    folders = []
    for name in given if given is not None else ["reports"]:
        path = Path(name)
        if given is not None and not path.is_dir():
            raise UserError(f"{name} is not a folder")
        files = [path / "manifest.json"] if (path / "manifest.json").is_file() else sorted(path.glob("*/manifest.json"))
        folders += [RunFolder(file.parent) for file in files]
    return folders


def _text(name: str, table: Table, lines: list[str]) -> str:
    from dialoeval.reports.paper import human_evaluation, published

    parts = [
        f"# {published().tables[name].title}\n",
        table.to_markdown(),
        "BLEU, METEOR and distinct in percent. What each row was computed from:\n",
        "".join(f"- {line}\n" for line in lines),
        f"Published figures: {published().paper}; {published().source}\n",
    ]
    if note := published().tables[name].note:
        parts.append(f"{note}\n")
    if name == "reddit6k":
        parts += ["## Human evaluation\n", human_evaluation().to_markdown(), f"{HUMAN_NOTE}\n"]
    return "\n".join(parts)


HUMAN_NOTE = (
    "Judgments of single replies as published; A preferred: share of the judgments that were not ties, with its exact "
    "95% interval; p: exact two-sided sign test. Three judges saw each reply, so that judgments are not independent: "
    "the true uncertainty is larger; --human prints how much larger it can be."
)


def _write(out: Path, name: str, rows: list[Row], table: Table, text: str) -> None:
    from dialoeval.files import write_json, write_text
    from dialoeval.reports.paper import published
    from dialoeval.reports.reproduce import to_json
    from dialoeval.reports.reproduce_page import write_reproduction

    if out.suffix == ".json":
        write_json(out, to_json(name, rows))
    elif out.suffix == ".html":
        write_reproduction(out, name, rows, HUMAN_NOTE)
    else:
        captioned = replace(table, caption=published().tables[name].title)
        label = f"tab:reproduce-{name}"
        write_text(out, {".md": text, ".csv": table.to_csv(), ".tex": captioned.to_latex(label)}[out.suffix])
