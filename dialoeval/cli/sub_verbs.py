"""Verbs with sub-verbs, such as `dialoeval judge new`: a module each, imported when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence

from dialoeval.errors import UserError, nearest


def run(verb: str, what: str, sub_verbs: Mapping[str, str], arguments: Sequence[str]) -> int:
    """Run a sub-verb, or print the help of the verb; return the exit code.

    Args:
        verb: the sub-verb NAME is the module ``dialoeval.cli.VERB_NAME``, with a ``main(arguments)``.
        what: the verb does.
        sub_verbs: {name: what it does}.
        arguments: of the verb.

    Raises:
        UserError: there is no such sub-verb, or what the sub-verb raises.
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(verb, what, sub_verbs), end="")
        return 0
    name, *rest = arguments
    if name not in sub_verbs:
        raise UserError(f"unknown: {verb} {name!r}{nearest(name, sub_verbs)} (`dialoeval {verb} --help` lists them)")
    code: int = importlib.import_module(f"dialoeval.cli.{verb}_{name}").main(rest)
    return code


def usage(verb: str, what: str, sub_verbs: Mapping[str, str]) -> str:
    """Return what ``dialoeval VERB --help`` prints."""
    width = max(map(len, sub_verbs))
    lines = "\n".join(f"  {name:<{width}}  {does}" for name, does in sub_verbs.items())
    return (
        f"dialoeval {verb}: {what}\n\nusage: dialoeval {verb} SUB-VERB [arguments]\n\n{lines}\n\n"
        f"`dialoeval {verb} SUB-VERB --help` describes one.\n"
    )
