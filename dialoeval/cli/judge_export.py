"""`dialoeval judge export`: the judgments as files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Write judgments.jsonl and judgments.tsv into the study's folder; works while it is served."""
    parser = argparse.ArgumentParser(
        prog="dialoeval judge export",
        description="Write judgments.jsonl and judgments.tsv, one judgment a row, into the study's folder.",
    )
    parser.add_argument("study", metavar="STUDY", help="a study's folder, or its name in the studies folder")
    parser.add_argument("--studies-dir", default="studies", metavar="DIR")
    options = parser.parse_args(arguments)
    from dialoeval.judging.export import export
    from dialoeval.judging.items import find_study, load_study

    read, files = export(load_study(find_study(options.study, options.studies_dir)))
    print(f"{len(read.rows)} answers; written: {', '.join(map(str, files))}")
    return 0
