"""The only module that uses Hydra's internals: its application object, sweeper and command-line flags.

A single run needs only Hydra's public `compose` (`dialoeval.config.compose`). A sweep needs Hydra's sweeper and
launchers without its output folders, which only ``hydra._internal`` offers.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dialoeval.config.compose import (
    compose_untyped,
    known_keys,
    plain_overrides,
    register,
    to_user_error,
    to_yaml,
)
from dialoeval.config.provenance import Provenance, keep_to_the_model
from dialoeval.errors import UserError, nearest
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


def print_flags(config_name: str, flags: Sequence[str], overrides: Sequence[str], show: Callable[[str], None]) -> int:
    """Handle those of Hydra's own flags that print and stop (``--cfg``, ``--info``, ``--hydra-help``, ``--version``).

    Args:
        config_name: of the application, "config" or "train".
        flags: of Hydra, with their values.
        overrides: of the configuration.
        show: called with the configuration as YAML for ``--cfg job``; Hydra prints everything else.

    Returns:
        The exit code.

    Raises:
        UserError: the overrides do not compose, or the configuration has no such package.
    """
    from hydra import version
    from hydra._internal.utils import _run_hydra, get_args_parser
    from omegaconf import OmegaConf

    config = compose_untyped(config_name, overrides)  # Hydra prints errors with a traceback
    version.setbase("1.3")
    parser = get_args_parser()
    parser.prog = f"dialoeval {'train' if config_name == 'train' else 'run'}"
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        arguments = parser.parse_args([*flags, *plain_overrides(overrides)])
        if arguments.package not in (None, "_global_") and OmegaConf.select(config, arguments.package) is None:
            known = nearest(arguments.package, known_keys(config_name))
            raise UserError(f"--package {arguments.package}: there is no such part of the configuration{known}")
        if arguments.cfg == "job" and not arguments.package:
            with _hydra_errors():
                keep_to_the_model(config, Provenance(config))
                if arguments.resolve:
                    OmegaConf.resolve(config)
                text = to_yaml(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
            show(text)
            return 0
        with _hydra_errors():
            _run_hydra(arguments, parser, lambda _: None, config_path=str(conf_dir()), config_name=config_name)
    except SystemExit as stop:
        return 2 if stop.code else 0
    finally:
        root.handlers[:] = handlers  # Hydra sets its own
        root.setLevel(level)
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
