"""`dialoeval judge status`: how far a study is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Print the progress of a study and of each judge; works while it is served."""
    parser = argparse.ArgumentParser(prog="dialoeval judge status", description="Show how far the judges are.")
    parser.add_argument("study", metavar="STUDY", help="a study's folder, or its name in the studies folder")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--studies-dir", default="studies", metavar="DIR")
    options = parser.parse_args(arguments)
    from dataclasses import asdict

    from dialoeval.files import dumps
    from dialoeval.judging.items import find_study, load_study
    from dialoeval.judging.store import Store

    study = load_study(find_study(options.study, options.studies_dir))
    goal = len(study.judged) * study.design.judges_per_item
    judgments, finished, judges = 0, 0, []
    if study.database.is_file():
        store = Store(study, read_only=True)
        (judgments, finished), judges = store.counts(), store.progress()
        store.close()
    if options.json:
        counts = {"judgments": judgments, "goal": goal, "items_finished": finished, "items": len(study.judged)}
        print(dumps({**counts, "judges": [asdict(judge) for judge in judges]}, indent=2))
        return 0
    print(f"{judgments} of {goal} judgments; {finished} of {len(study.judged)} items have all of theirs")
    for note in study.check_sources():
        print(f"note: {note}")
    width = max((len(judge.judge) for judge in judges), default=0)
    for judge in judges:
        speed = "" if judge.seconds is None else f", {judge.seconds:.0f} s each"
        print(f"  {judge.judge:<{width}}  {judge.done} items{speed}, {judge.status}")
    if not judges:
        print(f"no judges yet: dialoeval judge serve {study.path}")
    return 0
