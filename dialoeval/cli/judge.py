"""`dialoeval judge`: human evaluation, one module a sub-verb."""

from __future__ import annotations

from collections.abc import Sequence

from dialoeval.cli import sub_verbs

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


def main(arguments: Sequence[str]) -> int:
    """Run one sub-verb."""
    return sub_verbs.run("judge", "human evaluation", SUB_VERBS, arguments)
