"""`dialoeval inspect`: how a file or dataset is read, before anything is generated."""

from __future__ import annotations

from collections.abc import Sequence

from dialoeval.cli.output import print_json
from dialoeval.errors import UserError, nearest

USAGE = """usage: dialoeval inspect FILE|dataset=NAME [key=value ...]

Show how a file or dataset is read: its format and columns, the mapping and how to change it, the number of examples,
three of them with their speakers and the prompt that the model reads, and everything that looks wrong.

  dialoeval inspect talks.jsonl
  dialoeval inspect chats.json dataset.columns.replies_by=any model=smollm2
  dialoeval inspect dataset=dailydialog_multiref dataset.path=multireftest.json

  --json    print one JSON object and nothing else on stdout
"""


def main(arguments: Sequence[str]) -> int:
    """Print the preview of a dataset."""
    arguments = list(arguments)
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE, end="")
        return 0 if arguments else 2
    as_json = "--json" in arguments
    arguments = [argument for argument in arguments if argument != "--json"]
    if flags := [argument for argument in arguments if argument.startswith("-") and argument != "-"]:
        raise UserError(f"unknown flag {flags[0]}{nearest(flags[0], ['--json', '--help'])}")
    files = [argument for argument in arguments if "=" not in argument]
    if len(files) > 1:
        raise UserError(f"one file at a time, or a pattern in quotes: {files[1]} is one too many")
    if files:
        quoted = files[0].replace("\\", "\\\\").replace("'", "\\'")
        rest = [argument for argument in arguments if argument is not files[0]]
        named = any(argument.startswith("dataset=") for argument in rest)
        arguments = [*([] if named else ["dataset=file"]), f"dataset.path='{quoted}'", *rest]
    return show(arguments, as_json)


def show(overrides: Sequence[str], as_json: bool = False) -> int:
    """Print the preview of a configuration."""
    from dialoeval.config.compose import compose
    from dialoeval.runs.preview import preview, preview_json

    config = compose("config", overrides)
    if as_json:
        print_json(preview_json(config))
    else:
        print(preview(config), end="")
    return 0
