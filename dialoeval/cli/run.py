"""`dialoeval run`: a Hydra application that generates replies, scores them and writes a report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dialoeval.cli.flags import Flags, parse
from dialoeval.cli.output import print_json, quietly, scores_text
from dialoeval.errors import UserError

if TYPE_CHECKING:
    from dialoeval.runs.runner import RunResult
    from dialoeval.runs.sweep import Sweep


def main(arguments: Sequence[str]) -> int:
    """Run one configuration, or with -m every combination of the values given."""
    flags = parse("run", arguments)
    if "--help" in flags:
        print(_help(), end="")
        return 0
    if "--dry-run" in flags:
        from dialoeval.cli.inspect import show

        return show(flags.overrides, as_json="--json" in flags)
    if flags.hydra:
        from dialoeval.config.hydra_app import print_flags

        return print_flags("config", flags.hydra, flags.overrides, show=lambda text: print(text, end=""))
    with quietly("--quiet" in flags):
        return _run(flags)


def _run(flags: Flags) -> int:
    """Run one configuration or a sweep, and print what came of it."""
    from dialoeval.config.compose import compose, is_sweep

    if "--multirun" in flags or ("--run" not in flags and is_sweep(flags.overrides)):
        return _sweep(flags)
    for override in flags.overrides:
        if override.lstrip("+~").startswith(("hydra/", "hydra.")) and not override.startswith("hydra.searchpath="):
            raise UserError(f"{override} has no effect on a single run: add -m for a sweep")
    if "--fail-fast" in flags:
        raise UserError("--fail-fast has no effect on a single run: add -m for a sweep")
    from dialoeval.reports.plots import pictures
    from dialoeval.runs.runner import run
    from dialoeval.runs.trackers import TrackerError

    failed = None
    try:
        result = run(compose("config", flags.overrides), draw=pictures)
    except TrackerError as error:
        failed, result = error, error.result
    _print_run(result, as_json="--json" in flags)
    if failed:
        print(f"dialoeval: {failed}", file=sys.stderr)
    return 1 if failed else 0


def _print_run(result: RunResult, as_json: bool) -> None:
    from dialoeval.cli.input_warnings import print_warnings

    named = [(result.name, result.scores)]
    print_warnings(named)
    if as_json:
        print_json(
            {
                "run": str(result.folder.path),
                "name": result.name,
                "generated": result.generated,
                "reused": result.reused,
                "scores": result.scores.to_json(),
            }
        )
        return
    print(scores_text(named), end="")
    for remark in result.scores.remarks():
        print(f"\n{remark}")
    if not result.generated:
        print("\nnothing to generate: all replies exist already")
    print(f"\nreport: {result.folder.report_file}")


def _sweep(flags: Flags) -> int:
    """Run a sweep, write its page, and say which jobs failed."""
    from dialoeval.cli.main import log_to_stderr
    from dialoeval.reports import write_html
    from dialoeval.reports.plots import pictures
    from dialoeval.runs.sweep import sweep

    result = sweep(flags.overrides, around=log_to_stderr, draw=pictures, fail_fast="--fail-fast" in flags)
    if result.runs:
        write_html(result.runs, result.folder / "report.html")
    if any(override.startswith("hydra/launcher=submitit") for override in flags.overrides):
        for job in result.asked:  # what such a job logs is in a file
            if job.error:
                print(f"failed: {' '.join(job.overrides)}: {job.error}", file=sys.stderr)
    _print_sweep(result, as_json="--json" in flags)
    return 1 if any(job.error or job.status != "complete" for job in result.asked) else 0


def _print_sweep(result: Sweep, as_json: bool) -> None:
    from dialoeval.cli.input_warnings import print_warnings

    print_warnings(result.scores)
    done = [job for job in result.jobs if job.status == "complete"]
    if as_json:
        jobs = [job.to_json() for job in result.jobs]
        scores = [{"label": label, "scores": scores.to_json()} for label, scores in result.scores]
        print_json({"sweep": str(result.folder), "jobs": jobs, "leaderboard": scores})
        return
    for board in result.boards:
        if len(result.boards) > 1:
            print(f"{board.title}\n")
        print(scores_text(board.rows), end="" if len(result.boards) == 1 else "\n")
    print(f"\nsweep: {result.folder} ({len(done)} of {len(result.jobs)} jobs complete)")


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
        "  --fail-fast   with -m: the first job that fails is the last\n"
        "  --json        print one JSON object and nothing else on stdout\n"
        "  --quiet       print only warnings and errors\n"
        "  --config-dir  a folder with options of your own\n"
        "  --hydra-help  Hydra's own flags\n"
    )
