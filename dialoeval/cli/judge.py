"""`dialoeval judge`: human evaluation, one module a sub-verb."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.util import find_spec

from dialoeval.errors import UserError, nearest

# sub-verb -> what it does; its module is dialoeval.cli.judge_NAME
SUB_VERBS = {
    "new": "make a study from runs: pairs or ratings, blind",
    "serve": "show the items to judges in their browsers",
    "status": "show how far the judges are",
    "export": "write the judgments as JSON lines and as a table",
    "report": "analyse judgments of a study or a file: wins, tests, intervals, agreement",
    "correlate": "hold metrics against the judgments of people",
    "model": "let a model judge the items of a study",
}


def usage() -> str:
    """Return what ``dialoeval judge --help`` prints."""
    width = max(map(len, SUB_VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {what}" for verb, what in SUB_VERBS.items())
    return (
        f"dialoeval judge: human evaluation\n\nusage: dialoeval judge SUB-VERB [arguments]\n\n{verbs}\n\n"
        "`dialoeval judge SUB-VERB --help` describes one.\n"
    )


def main(arguments: Sequence[str]) -> int:
    """Run one sub-verb."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    verb, *rest = arguments
    module = f"dialoeval.cli.judge_{verb}"
    if verb not in SUB_VERBS or find_spec(module) is None:
        raise UserError(f"unknown: judge {verb!r}{nearest(verb, SUB_VERBS)} (`dialoeval judge --help` lists them)")
    code: int = importlib.import_module(module).main(rest)
    return code
