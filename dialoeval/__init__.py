"""dialoeval: the reference harness for evaluating response generation.

>>> import dialoeval as de
>>> scores = de.score(["i like it"], [["i like it a lot"]], meteor=False, resamples=0)
>>> round(scores["bleu2"], 4)
0.5134

`run`, `score`, `import_replies`, `compare`, `load_run`, `list_runs`, `board`, `load_dataset` and `open_generator` do
from Python what the verbs of the command line do. Nothing is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dialoeval.version import __version__

if TYPE_CHECKING:
    from dialoeval.api import (
        board,
        compare,
        import_replies,
        list_runs,
        load_dataset,
        load_run,
        open_generator,
        run,
        score,
    )
    from dialoeval.errors import UserError

__all__ = [
    "UserError",
    "__version__",
    "board",
    "compare",
    "import_replies",
    "list_runs",
    "load_dataset",
    "load_run",
    "open_generator",
    "run",
    "score",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = "errors" if name == "UserError" else "api"
        return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
