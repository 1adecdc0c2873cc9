"""All that touches Hydra's inside: its registries, its application object, its own command-line flags.

Hydra's public `compose` serves a single run (`dialoeval.config.compose`). A sweep needs Hydra's sweeper and launchers
without Hydra's output folders, and Hydra offers these under ``hydra._internal`` only.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dialoeval.config.compose import check_choices, explained, plain_overrides, register, to_yaml
from dialoeval.errors import UserError
from dialoeval.paths import conf_dir


def swept_jobs(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job of a sweep, in order, without composing them.

    What an experiment sweeps over (``hydra.sweeper.params``) comes first; the command line wins over it.

    Raises:
        UserError: the overrides cannot be read, or another sweeper than Hydra's basic one is asked for.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.types import RunMode

    with _application() as application:
        sweeper = application.compose_config("config", list(overrides), run_mode=RunMode.MULTIRUN).hydra.sweeper
        if not sweeper._target_.endswith(".BasicSweeper"):
            raise UserError("a sweep runs every combination of the values given: hydra/sweeper must be basic")
        swept = plain_overrides([f"{key}={value}" for key, value in (sweeper.params or {}).items()])
        own = [override for override in overrides if not override.startswith(("hydra/", "hydra."))]
        parsed = OverridesParser.create().parse_overrides([*swept, *own])
        batches = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    return [list(job) for batch in batches for job in batch]


def launch(job: Callable[[Any], Any], overrides: Sequence[str]) -> list[Any]:
    """Hand a sweep to Hydra's sweeper and launcher; return what `job` returned for each configuration, in order."""
    with _application() as application:
        batches = application.multirun("config", job, list(overrides))
    return [returned.return_value for batch in batches for returned in batch]


def run_flags(arguments: Sequence[str], run: Callable[[Any], None], show: Callable[[str], None]) -> int:
    """Obey Hydra's own flags (``--cfg job``, ``--info``, ``--hydra-help`` ...) and return the exit code.

    Args:
        arguments: flags and overrides.
        run: called with the composed configuration if the flags ask for a run.
        show: called with the configuration as YAML if they ask for it; Hydra itself prints everything else.

    Raises:
        UserError: the overrides do not compose.
    """
    from hydra import version
    from hydra._internal.utils import _run_hydra, get_args_parser
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    register()
    version.setbase("1.3")
    parser = get_args_parser()
    parser.prog = "dialoeval run"
    root = logging.getLogger()
    handlers = list(root.handlers)
    try:
        flags = parser.parse_args(plain_overrides(arguments))
        if flags.cfg == "job" and not flags.package:
            with _application() as application:
                config = application.compose_config("config", flags.overrides, run_mode=RunMode.RUN)
                check_choices(config)
                if flags.resolve:
                    OmegaConf.resolve(config)
                show(to_yaml(application.get_sanitized_cfg(config, "job")))
            return 0
        with _hydra_errors():
            _run_hydra(flags, parser, run, config_path=str(conf_dir()), config_name="config")
    except SystemExit as stop:
        return 2 if stop.code else 0
    finally:
        root.handlers[:] = handlers  # Hydra puts its own there
    return 0


@contextlib.contextmanager
def _application() -> Iterator[Any]:
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.global_hydra import GlobalHydra

    register()
    GlobalHydra.instance().clear()
    try:
        with _hydra_errors():
            yield Hydra.create_main_hydra2("dialoeval", create_config_search_path(str(conf_dir())))
    finally:
        GlobalHydra.instance().clear()


@contextlib.contextmanager
def _hydra_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if type(error).__module__.startswith(("hydra", "omegaconf")):
            raise explained(error, "config") from error
        raise
