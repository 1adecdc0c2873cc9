"""The jar's options, its parameters for English, and the signature of a figure."""

from __future__ import annotations

from dataclasses import dataclass

from dialoeval.errors import UserError, nearest

VERSION = 1  # of this package's code: raise it with every change of a figure

MODULES = ("exact", "stem", "synonym", "paraphrase")
_SHORT = {"exact": "ex", "stem": "st", "synonym": "sy", "paraphrase": "pa"}

# `-t` -> alpha, beta, gamma, delta; weights of MODULES. From the jar (Constants, English); the paper's is "rank".
TASKS = {
    "rank": ((0.85, 0.2, 0.6, 0.75), (1.0, 0.6, 0.8, 0.6)),
    "adq": ((0.75, 1.4, 0.45, 0.7), (1.0, 1.0, 0.6, 0.8)),
    "hter": ((0.4, 1.5, 0.35, 0.55), (1.0, 0.2, 0.6, 0.8)),
    "util": ((0.65, 0.1, 0.55, 0.65), (1.0, 0.0, 0.0, 0.8)),
    "li": ((0.75, 1.4, 0.7, 0.5), (1.0, 0.5, 0.5, 0.5)),
    "tune": ((0.5, 1.0, 0.5, 0.5), (1.0, 0.5, 0.5, 0.5)),
}


@dataclass(frozen=True)
class Options:
    """The options of METEOR; the defaults are the paper's (``-l en -norm``).

    Attributes:
        normalize: tokenize, and lower-case (the jar's ``-norm``).
        punctuation: keep punctuation when normalizing (False: the jar's ``-noPunct`` beside ``-norm``).
        lowercase: lower-case if `normalize` is off (the jar's ``-lower``); `normalize` always lower-cases.
        task: the parameters' name, the jar's ``-t``: rank, adq, hter, util, li or tune.
        modules: the matchers, in the order they run (the jar's ``-m``).
        parameters: alpha, beta, gamma, delta in place of the task's (the jar's ``-p``).
        weights: one per module, in the modules' order, in place of the task's (the jar's ``-w``). By default, and as in
            the jar, the k-th module gets the task's k-th weight, whichever module it is.

    Raises:
        UserError: an unknown task or module, a module named twice, a wrong number of parameters or weights.
    """

    normalize: bool = True
    punctuation: bool = True
    lowercase: bool = False
    task: str = "rank"
    modules: tuple[str, ...] = MODULES
    parameters: tuple[float, float, float, float] | None = None
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UserError(f"METEOR has no task {self.task!r} for English{nearest(self.task, TASKS)}")
        for module in self.modules:
            if module not in MODULES:
                raise UserError(f"METEOR has no module {module!r}{nearest(module, MODULES)}")
        if not self.modules or len(set(self.modules)) < len(self.modules):
            raise UserError(f"METEOR's modules must be one or more of {', '.join(MODULES)}, each once")
        if self.parameters is not None and len(self.parameters) != 4:
            raise UserError("METEOR's parameters are four: alpha, beta, gamma, delta")
        if self.weights is not None and len(self.weights) != len(self.modules):
            raise UserError(f"METEOR needs {len(self.modules)} weights, one per module; {len(self.weights)} were given")

    @property
    def all_parameters(self) -> tuple[float, ...]:
        """Return alpha, beta, gamma, delta."""
        return tuple(map(float, self.parameters or TASKS[self.task][0]))

    @property
    def module_weights(self) -> tuple[float, ...]:
        """Return the weight of each of `modules`."""
        return tuple(map(float, self.weights or TASKS[self.task][1][: len(self.modules)]))

    @property
    def eval_id(self) -> str:
        """Return the jar's "Eval ID" for these options."""
        if self.normalize:
            norm = "norm" if self.punctuation else "norm_nopunct"
        else:
            norm = "lc_only" if self.lowercase else "no_norm"
        modules = "_".join(_SHORT[module] for module in self.modules)
        parameters, weights = ("_".join(map(repr, numbers)) for numbers in (self.all_parameters, self.module_weights))
        return f"meteor-1.5-wo-en-{norm}-{parameters}-{modules}-{weights}"


PAPER = Options()
"""What the paper uses."""


def signature(options: Options = PAPER) -> str:
    """Return the signature: the jar's Eval ID, this code's version and the data's version."""
    from dialoeval.metrics.meteor15 import source

    return f"{options.eval_id}|code:{VERSION}|data:pycocoevalcap-{source.version()}"
