"""`dialoeval show`: one run in the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from dialoeval.cli.output import add_json, print_json, scores_text


def main(arguments: Sequence[str]) -> int:
    """Print a run's status, scores with intervals, settings that decide its replies, and the first replies."""
    parser = argparse.ArgumentParser(
        prog="dialoeval show", description="Show one run: status, scores, settings, replies."
    )
    parser.add_argument("run", metavar="RUN", help="a run folder, or part of its name")
    parser.add_argument("--replies", type=int, default=5, metavar="N", help="how many replies to show")
    parser.add_argument("--reports-dir", default="reports", metavar="DIR")
    add_json(parser)
    options = parser.parse_args(arguments)
    from dialoeval.cli.input_warnings import print_warnings
    from dialoeval.files import dumps
    from dialoeval.runs.folder import find
    from dialoeval.runs.made_by import made_by

    folder = find(options.run, options.reports_dir)
    manifest, scores = folder.existing_manifest(), folder.scores()
    if options.json:
        rows = folder.replies()[: options.replies] if folder.is_complete() else []
        shown = {"scores": scores.to_json() if scores else None, "replies": [row.to_json() for row in rows]}
        print_json({"run": str(folder.path), **manifest.to_json(), **shown})
        return 0
    print(f"{folder.path}\nstatus: {manifest.status}" + (f" ({manifest.error})" if manifest.error else ""))
    examples = "?" if manifest.examples is None else manifest.examples
    print(f"examples: {examples}\nidentity: {dumps(manifest.identity, indent=2)}\n")
    if folder.settings_file.is_file():
        print("\n".join(made_by(folder.settings(), folder)), end="\n\n")
    if scores:
        print_warnings([(folder.path.name, scores)])
        print(scores_text([(folder.path.name, scores)]))
        print(f"signature: {scores.signature}\n")
    if not folder.is_complete():
        print("not complete: the same `dialoeval run` resumes it")
        return 0
    for row in folder.replies()[: options.replies]:
        for turn in row.context:
            print(f"  | {turn}")
        print(f"  > {row.reply or '(empty reply)'}\n")
    return 0
