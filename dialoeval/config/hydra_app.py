"""The only module that uses Hydra's internals: its application object, sweeper and command-line flags.

A single run needs only Hydra's public `compose` (`dialoeval.config.compose`). A sweep needs Hydra's sweeper and
launchers without its output folders, which only ``hydra._internal`` offers.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dialoeval.config.compose import check_choices, plain_overrides, register, to_user_error, to_yaml
from dialoeval.config.provenance import Provenance, keep_to_the_model
from dialoeval.errors import UserError
from dialoeval.paths import conf_dir


def swept_jobs(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job of a sweep, in order, without composing them.

    The parameters of an experiment (``hydra.sweeper.params``) come first, so that the command line overrides them.

    Raises:
        UserError: the overrides cannot be parsed, or the sweeper is not Hydra's basic one.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.types import RunMode

    with _application() as application:
        sweeper = application.compose_config("config", list(overrides), run_mode=RunMode.MULTIRUN).hydra.sweeper
        if not sweeper._target_.endswith(".BasicSweeper"):
            raise UserError("a sweep runs every combination of the given values: hydra/sweeper must be basic")
        experiment = plain_overrides([f"{key}={value}" for key, value in (sweeper.params or {}).items()])
        settings = [override for override in overrides if not override.startswith(("hydra/", "hydra."))]
        parsed = OverridesParser.create().parse_overrides([*experiment, *settings])
        batches = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    return [list(job) for batch in batches for job in batch]


def launch(job: Callable[[Any], Any], overrides: Sequence[str]) -> list[Any]:
    """Run a sweep with Hydra's sweeper and launcher; return the result of `job` for each configuration, in order."""
    with _application() as application:
        batches = application.multirun("config", job, list(overrides))
    return [result.return_value for batch in batches for result in batch]


def run_flags(arguments: Sequence[str], run: Callable[[Any], None], show: Callable[[str], None]) -> int:
    """Handle Hydra's own flags (``--cfg job``, ``--info``, ``--hydra-help`` ...) and return the exit code.

    Args:
        arguments: flags and overrides.
        run: called with the composed configuration if the flags request a run.
        show: called with the configuration as YAML for ``--cfg job``; Hydra prints everything else.

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
                keep_to_the_model(config, Provenance(config))
                if flags.resolve:
                    OmegaConf.resolve(config)
                show(to_yaml(application.get_sanitized_cfg(config, "job")))
            return 0
        with _hydra_errors():
            _run_hydra(flags, parser, run, config_path=str(conf_dir()), config_name="config")
    except SystemExit as stop:
        return 2 if stop.code else 0
    finally:
        root.handlers[:] = handlers  # Hydra replaces them by its own
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
            raise to_user_error(error, "config") from error
        raise
