"""`dialoeval reproduce`: the paper's tables beside what was measured here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

EPILOG = """  dialoeval reproduce reddit6k --data FOLDER    # with human.ref.6k.txt: the Human row's diversity figures
  dialoeval reproduce dstc7 --data FOLDER       # with references.jsonl and replies.jsonl of the public release
To make the generated rows (weights from the hub, data rebuilt by the paper's scripts):
  dialoeval run model=dialogpt-medium decoding=beam dataset=reddit6k dataset.path=FILE protocol=reddit6k
"""


def main(arguments: Sequence[str]) -> int:
    """Print a table of the paper with ours and the difference below each row."""
    parser = argparse.ArgumentParser(
        prog="dialoeval reproduce",
        description="Print one of the paper's tables beside what was measured here, with the difference in each cell.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", choices=("dstc7", "reddit6k"))
    parser.add_argument("--data", metavar="FOLDER", help="the published replies and references")
    parser.add_argument("--reports-dir", default="reports", metavar="DIR", help="where complete runs are looked for")
    parser.add_argument("--human", action="store_true", help="print the paper's human evaluation with intervals, too")
    parser.add_argument("--out", metavar="FILE.md", help="write it too")
    options = parser.parse_args(arguments)
    from dialoeval.errors import UserError
    from dialoeval.files import write_text
    from dialoeval.reports.reproduce import human_evaluation, paper_tables, reproduce, to_table
    from dialoeval.runs.folder import RunFolder

    data = Path(options.data) if options.data else None
    if data is not None and not data.is_dir():
        raise UserError(f"there is no folder {options.data}")
    runs = [RunFolder(path.parent) for path in sorted(Path(options.reports_dir).glob("*/manifest.json"))]
    rows = reproduce(options.table, data, runs)
    text = f"{to_table(rows).to_markdown()}\nBLEU, METEOR and distinct in percent. What each row was computed from:\n\n"
    text += "".join(f"- {row.system}: {row.source}\n" for row in rows)
    text += f"\nPublished figures: {paper_tables()['paper']}; {paper_tables()['source']}\n"
    if options.human:
        text += f"\n{human_evaluation().to_markdown()}"
    print(text, end="")
    if options.out:
        write_text(options.out, text)
    return 0
