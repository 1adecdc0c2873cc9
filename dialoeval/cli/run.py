"""`dialoeval run`: a Hydra application that generates replies, scores them and writes a report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from dialoeval.errors import UserError


def main(arguments: Sequence[str]) -> int:
    """Run one configuration, or with -m every combination of the values given."""
    arguments = _with_search_path(list(arguments))
    if {"-h", "--help"} & set(arguments):
        print(_help(), end="")
        return 0
    if "--dry-run" in arguments:
        from dialoeval.cli.inspect import show

        return show([argument for argument in arguments if argument != "--dry-run"])
    multirun = bool({"-m", "--multirun"} & set(arguments))
    overrides = [argument for argument in arguments if argument not in ("-m", "--multirun")]
    if flags := [argument for argument in overrides if argument.startswith("-")]:
        if multirun and "--cfg" not in flags and "-c" not in flags:
            raise UserError(f"{flags[0]} does not go with -m (a sweep takes key=value and group=option only)")
        from dialoeval.config.hydra_app import run_flags

        return run_flags(overrides, run=_run_composed, show=lambda text: print(text, end=""))
    from dialoeval.config.compose import compose, is_sweep

    if multirun or is_sweep(overrides):
        return _sweep(overrides)
    from dialoeval.cli.input_warnings import print_warnings
    from dialoeval.metrics.score_tables import score_table
    from dialoeval.runs.runner import run

    result = run(compose("config", overrides))
    print(score_table([(result.name, result.scores)], intervals=True).to_markdown(), end="")
    print_warnings([(result.name, result.scores)])
    for remark in result.scores.remarks():
        print(f"\n{remark}")
    if not result.generated:
        print("\nnothing to generate: all replies exist already")
    print(f"\nreport: {result.folder.report_file}")
    return 0


def _sweep(overrides: Sequence[str]) -> int:
    """Run a sweep, write its page, and say which jobs failed."""
    from dialoeval.cli.input_warnings import print_warnings
    from dialoeval.cli.main import log_to_stderr
    from dialoeval.metrics.score_tables import score_table
    from dialoeval.reports import write_html
    from dialoeval.runs.sweep import sweep

    result = sweep(overrides, around=log_to_stderr)
    if result.runs:
        write_html(result.runs, result.folder / "report.html")
    print(score_table(result.scores, intervals=True).to_markdown(), end="")
    print_warnings(result.scores)
    failed = [job for job in result.jobs if job.status != "complete"]
    for job in failed:
        print(f"failed: {' '.join(job.overrides)}: {job.error}", file=sys.stderr)
    print(f"\nsweep: {result.folder} ({len(result.jobs) - len(failed)} of {len(result.jobs)} jobs complete)")
    return 1 if failed else 0


def _with_search_path(arguments: list[str]) -> list[str]:
    """``--config-dir DIR`` as Hydra's override of its search path, which runs, sweeps and --cfg all understand."""
    import os

    for i, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag in ("--config-dir", "-cd"):
            rest = arguments[i + 1 :]
            if not value:
                if not rest:
                    raise UserError("--config-dir needs a folder")
                value, *rest = rest
            if not os.path.isdir(value):
                raise UserError(f"--config-dir: {value} is not a folder")
            return [*arguments[:i], *rest, f"hydra.searchpath=['file://{os.path.abspath(value)}']"]
    return arguments


def _run_composed(config: Any) -> None:
    """Run what Hydra composed, for its own flags."""
    from dialoeval.config.compose import to_typed
    from dialoeval.runs.runner import run

    print(f"report: {run(to_typed(config, 'config')).folder.report_file}")


def _help() -> str:
    """Return the usage with the options of every group, read without importing Hydra."""
    from dialoeval.config.groups import group_options

    groups = []
    for group in ("model", "decoding", "dataset", "protocol", "engine", "experiment"):
        options = ", ".join(group_options(group))
        groups.append(f"  {group + '=':<12} {options or '(none)'}")
    return (
        "usage: dialoeval run [group=option ...] [key=value ...] [-m] [--cfg job]\n\n"
        "Generate single-turn replies, score them with the paper's metrics, write reports/<run>/report.md.\n"
        "Run again, the same configuration finds its folder: finished replies are never generated twice.\n\n"
        + "\n".join(groups)
        + "\n\n"
        "  dialoeval run                                      the embedded model on 100 contexts, greedy\n"
        "  dialoeval run model=dialogpt-medium decoding=beam dataset=file dataset.path=my.jsonl\n"
        "  dialoeval run -m decoding=greedy,beam,topk         a sweep: every combination\n"
        "  dialoeval run experiment=beam_width                a shipped sweep\n\n"
        "  --cfg job     print the whole configuration and stop\n"
        "  --dry-run     print how the data is read, the prompts and all warnings, and stop\n"
        "  -m            several values a key, separated by commas: one job each\n"
        "  --hydra-help  Hydra's own flags\n"
    )
