"""`dialoeval list`: what can be named."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from dialoeval.cli.output import add_json, print_json
from dialoeval.errors import UserError

GROUPS = {
    "models": "model",
    "decodings": "decoding",
    "datasets": "dataset",
    "protocols": "protocol",
    "engines": "engine",
    "experiments": "experiment",
}


def main(arguments: Sequence[str]) -> int:
    """Print the options of every configuration group, the metrics, and all runs."""
    parser = argparse.ArgumentParser(prog="dialoeval list", description="List what can be named, with what it is.")
    parser.add_argument("what", nargs="?", choices=(*GROUPS, "metrics", "runs"), help="only these")
    parser.add_argument("--reports-dir", default="reports", metavar="DIR")
    add_json(parser)
    options = parser.parse_args(arguments)
    wanted = [options.what] if options.what else [*GROUPS, "metrics", "runs"]
    if options.json:
        from dialoeval.runs.frame import list_runs

        runs = [run.to_row() for run in list_runs(options.reports_dir)] if "runs" in wanted else []
        print_json({what: runs if what == "runs" else _entries(what, options.reports_dir) for what in wanted})
        return 0
    for what in wanted:
        print(f"{what}:")
        _print(_entries(what, options.reports_dir))
    return 0


def _entries(what: str, reports_dir: str) -> dict[str, str]:
    """Return {name: what it is} of a kind of names."""
    if what == "metrics":
        from dialoeval.metrics import available

        return available()
    if what == "runs":
        return _runs(reports_dir)
    return (_plugins(what) if what in ("datasets", "engines") else {}) | _options(GROUPS[what])


def _options(group: str) -> dict[str, str]:
    """Return {option: what it is, and the plugin that offers it} of a configuration group."""
    from dialoeval.config.groups import find_option, group_options

    remarks = {}
    for name in group_options(group):
        try:
            option = find_option(group, name)
        except UserError as error:  # two plugins offer it
            remarks[name] = str(error)
            continue
        if option is not None:
            remarks[name] = f"{option.remark} {_origin(option.package)}" if option.package else option.remark
    return remarks


def _plugins(kind: str) -> dict[str, str]:
    """Return {name: how to write it, and who offers it} of the plugins of a kind that no built-in one hides."""
    from dialoeval import data, plugins

    setting, built_in = ("dataset.kind", data.kinds()) if kind == "datasets" else ("engine.name", [])
    return {
        name: f"{setting}={name} {' '.join(_origin(plugin.package) for plugin in offers)}"
        for name, offers in plugins.find(kind).items()
        if name not in built_in
    }


def _origin(package: str) -> str:
    return f"(from {package.replace('==', ' ')})"


def _runs(reports_dir: str) -> dict[str, str]:
    from dialoeval.runs.frame import list_runs

    remarks = {}
    for run in list_runs(reports_dir):
        remark = f"damaged: {run.damage}"
        if run.manifest is not None:
            examples = "?" if run.manifest.examples is None else run.manifest.examples
            remark = f"{run.status}, {examples} examples"
        nist = run.scores.get("nist4") if run.scores else None
        remarks[run.folder.path.name] = remark + (f", NIST-4 {nist:.2f}" if nist is not None else "")
    return remarks or {"(none)": f"in {reports_dir}/"}


def _print(entries: dict[str, str]) -> None:
    width = max(map(len, entries), default=0)
    for name, remark in entries.items():
        print(f"  {name:<{width}}  {remark}")
