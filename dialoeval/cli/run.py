"""`dialoeval run`: a Hydra application that generates replies, scores them and writes a report."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dialoeval.errors import UserError


def main(arguments: Sequence[str]) -> int:
    """Run one configuration, or with -m every combination of the values given."""
    arguments = _with_search_path(list(arguments))
    if {"-h", "--help"} & set(arguments):
        print(_help(), end="")
        return 0
    multirun = bool({"-m", "--multirun"} & set(arguments))
    overrides = [argument for argument in arguments if argument not in ("-m", "--multirun")]
    if flags := [argument for argument in overrides if argument.startswith("-")]:
        if multirun and "--cfg" not in flags and "-c" not in flags:
            raise UserError(f"{flags[0]} does not go with -m (a sweep takes key=value and group=option only)")
        return _hydra(overrides)
    from dialoeval.config.compose import compose, is_sweep

    if multirun or is_sweep(overrides):
        from dialoeval.runs.sweep import sweep

        return sweep(overrides)
    from dialoeval.metrics.score_tables import score_table
    from dialoeval.runs.runner import run

    outcome = run(compose("config", overrides))
    print(score_table([(outcome.name, outcome.scores)], intervals=True).to_markdown(), end="")
    if not outcome.generated:
        print("\nnothing to generate: these replies were there already")
    print(f"\nreport: {outcome.folder.path / 'report.md'}")
    return 0


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
                raise UserError(f"--config-dir: there is no folder {value}")
            return [*arguments[:i], *rest, f"hydra.searchpath=['file://{os.path.abspath(value)}']"]
    return arguments


def _hydra(arguments: list[str]) -> int:
    """Hydra's own flags (--cfg job, --info, --hydra-help ...), by Hydra itself."""
    import hydra

    from dialoeval.config.compose import explained, register
    from dialoeval.paths import conf_dir

    register()

    @hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")
    def application(config) -> None:
        from dialoeval.config.compose import to_typed
        from dialoeval.runs.runner import run

        outcome = run(to_typed(config, "config"))
        print(f"report: {outcome.folder.path / 'report.md'}")

    own = sys.argv
    sys.argv = ["dialoeval run", *arguments]
    try:
        application()
    except UserError:
        raise
    except SystemExit as stop:
        return 2 if stop.code else 0
    except Exception as error:
        if type(error).__module__.startswith(("hydra", "omegaconf")):
            raise explained(error, "config") from error
        raise
    finally:
        sys.argv = own
    return 0


def _help() -> str:
    """Usage with the options of every group, read from conf/ without importing Hydra."""
    from dialoeval.paths import conf_dir

    groups = []
    for group in ("model", "decoding", "dataset", "protocol", "engine", "experiment"):
        options = ", ".join(sorted(path.stem for path in (conf_dir() / group).glob("*.yaml")))
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
        "  -m            several values a key, separated by commas: one job each\n"
        "  --hydra-help  Hydra's own flags\n"
    )
