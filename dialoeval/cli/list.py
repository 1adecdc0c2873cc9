"""`dialoeval list`: what can be named."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

GROUPS = {
    "models": "model",
    "decodings": "decoding",
    "datasets": "dataset",
    "protocols": "protocol",
    "engines": "engine",
    "experiments": "experiment",
}


def main(arguments: Sequence[str]) -> int:
    """Print the options of every configuration group, the metrics, and the runs there are."""
    parser = argparse.ArgumentParser(prog="dialoeval list", description="List what can be named, with what it is.")
    parser.add_argument("what", nargs="?", choices=(*GROUPS, "metrics", "runs"), help="only these")
    parser.add_argument("--reports-dir", default="reports", metavar="DIR")
    options = parser.parse_args(arguments)
    for what in [options.what] if options.what else [*GROUPS, "metrics", "runs"]:
        print(f"{what}:")
        if what == "metrics":
            from dialoeval.metrics import available

            _print(available())
        elif what == "runs":
            _print(_runs(options.reports_dir))
        else:
            _print(_options(GROUPS[what]))
    return 0


def _options(group: str) -> dict[str, str]:
    """{option: the remark in its first line; Hydra's own ``@package`` header is passed over}."""
    from dialoeval.paths import conf_dir

    found = {}
    for path in sorted((conf_dir() / group).glob("*.yaml")):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "@package" not in line]
        first = next(iter(lines), "").lstrip("# ")
        _, _, remark = first.partition("        ")
        found[path.stem] = (remark or first).strip("() ")
    return found


def _runs(reports_dir: str) -> dict[str, str]:
    from dialoeval.errors import UserError
    from dialoeval.runs.folder import RunFolder

    found = {}
    for file in sorted(Path(reports_dir).glob("*/manifest.json")):
        folder = RunFolder(file.parent)
        try:
            manifest, scores = folder.manifest(), folder.scores()
        except UserError as error:
            found[file.parent.name] = f"damaged: {error}"
            continue
        nist = scores.get("nist4") if scores else None
        found[file.parent.name] = f"{manifest['status']}, {manifest.get('examples', '?')} examples" + (
            f", NIST-4 {nist:.2f}" if nist is not None else ""
        )
    return found or {"(none)": f"in {reports_dir}/"}


def _print(entries: dict[str, str]) -> None:
    width = max(map(len, entries), default=0)
    for name, remark in entries.items():
        print(f"  {name:<{width}}  {remark}")
