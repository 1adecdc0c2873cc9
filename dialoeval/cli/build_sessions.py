"""`dialoeval build sessions`: conversations from monthly Reddit dumps."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence

from dialoeval.errors import UserError

_SETTINGS = """\
settings (the defaults are the published training data):
  recipe=dialogpt2019|clean  what the published extractor does; clean: also the paper's filters that it lacks
  split=train|test           train: one row for each leaf, with weights; test: one row for each comment
  clean=yes min_score=1 min_depth=2 max_depth=5 max_words=30 title=no leaves_only=yes
  words=FILE subreddits=FILE keys=FILE discard=FILE scope=month|all
  top_words=0 bland=0 bland_share=0.9 duplicates=yes bots=yes   (clean: 50, 1000, 0.9, no, no)
"""


def main(arguments: Sequence[str]) -> int:
    """Build the conversations, and print what was made of the dumps."""
    parser = argparse.ArgumentParser(
        prog="dialoeval build sessions",
        description="Write OUT/rows.tsv (keys, source, target), OUT/skipped.tsv, OUT/lines.tsv and OUT/manifest.json.",
        epilog=_SETTINGS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dumps", required=True, metavar="DIR", help="folder with RC_MONTH.zst and RS_MONTH.zst")
    parser.add_argument("--months", required=True, metavar="2011-01[..2011-12]", help="months, or a list with commas")
    parser.add_argument("--out", required=True, metavar="OUT", help="folder for the result; the same call resumes it")
    parser.add_argument("settings", nargs="*", metavar="setting=value", help="see below; workers=N: processes")
    options = parser.parse_intermixed_args(arguments)
    from dialoeval.corpus.dumps import parse_months
    from dialoeval.corpus.recipe import parse
    from dialoeval.corpus.sessions import build_sessions

    workers = [setting.partition("=")[2] for setting in options.settings if setting.startswith("workers=")]
    if len(workers) > 1 or any(not text.isdecimal() or int(text) < 1 for text in workers):
        raise UserError(f"workers={workers[-1]}: expected one number of processes, 1 or more")
    recipe = parse([setting for setting in options.settings if not setting.startswith("workers=")])
    built = build_sessions(
        options.dumps, parse_months(options.months), options.out, recipe, workers=int(workers[0]) if workers else 0
    )
    if built.before:
        print(f"{built.folder} holds this build already (by the settings, and the names and sizes of the dumps)")
    lines = {kind: built.lines.get((kind, "read"), 0) for kind in ("submissions", "comments")}
    print(f"{built.rows:,} rows from {lines['comments']:,} comments and {lines['submissions']:,} submissions")
    for what, counts in (
        ("rows left out", built.skipped),
        *(
            (f"{kind} left out", {b: n for (a, b), n in built.lines.items() if a == kind and b not in ("read", "kept")})
            for kind in lines
        ),
    ):
        if counts:
            listed = ", ".join(f"{reason} {count:,}" for reason, count in counts.items())
            print(textwrap.fill(f"{what}: {listed}", 110, subsequent_indent="  "))
    print(f"written: {built.folder}/rows.tsv, skipped.tsv, lines.tsv, manifest.json")
    return 0
