"""`dialoeval completion`: scripts that complete verbs, flags, settings, options and runs in a shell."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

# Each script asks `dialoeval completion --line` for the words that may stand where the cursor is. To bash, "=" ends a
# word, so that it gets what follows the last one.
SCRIPTS = {
    "bash": r"""_dialoeval() {
  local line="${COMP_LINE:0:COMP_POINT}" word one
  word="${line##* }"
  COMPREPLY=()
  while IFS= read -r one; do
    [[ -n $one ]] && COMPREPLY+=("${one#"${word%"${word##*=}"}"}")
  done < <(dialoeval completion --line "$line" 2>/dev/null)
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -o default -F _dialoeval dialoeval
# put into ~/.bashrc:  eval "$(dialoeval completion bash)"
""",
    "zsh": r"""_dialoeval() {
  local -a found
  found=(${(f)"$(dialoeval completion --line "${BUFFER[1,CURSOR]}" 2>/dev/null)"})
  if (( $#found )); then compadd -S '' -- $found; else _files; fi
}
compdef _dialoeval dialoeval
# put into ~/.zshrc, after compinit:  eval "$(dialoeval completion zsh)"
""",
    "fish": r"""complete -c dialoeval -a '(dialoeval completion --line (commandline -cp | string collect) 2>/dev/null)'
# put into ~/.config/fish/config.fish:  dialoeval completion fish | source
""",
}
_RUNS = ("show", "compare", "report")


def main(arguments: Sequence[str]) -> int:
    """Print the script of a shell, or the words that complete a line."""
    parser = argparse.ArgumentParser(
        prog="dialoeval completion",
        description="Print a script that completes verbs, flags, settings, options and runs: "
        'eval "$(dialoeval completion bash)"',
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("shell", nargs="?", choices=tuple(SCRIPTS))
    what.add_argument("--line", metavar="TEXT", help="print what may stand at the end of a command line")
    options = parser.parse_args(arguments)
    if options.shell:
        print(SCRIPTS[options.shell], end="")
        return 0
    for word in candidates(options.line):
        print(word)
    return 0


def candidates(line: str) -> list[str]:
    """Return the words that may stand at the end of a command line, each whole; empty where any file may stand."""
    words = line.split(" ")
    word, before = words[-1], [text for text in words[1:-1] if text]
    if len(words) < 2:
        return []
    return sorted(text for text in dict.fromkeys(_known(before, word)) if text.startswith(word))


def _known(before: Sequence[str], word: str) -> Iterable[str]:
    """Return all words that may stand after others; `word` is what is written of it."""
    from dialoeval.cli.main import VERBS

    if not before:
        return [*VERBS, "--help", "--version"]
    verb = before[0]
    if verb not in VERBS:
        return []
    if word.startswith("-"):
        return _flags(verb)
    if verb in ("run", "train", "inspect"):
        return _settings(verb, word)
    if verb in _RUNS:
        return _runs(before)
    if verb == "list":
        from dialoeval.cli.list import GROUPS

        return [*GROUPS, "metrics", "runs"]
    if verb == "fetch":
        from dialoeval.cli.fetch import MODELS

        return MODELS
    return SCRIPTS if verb == "completion" else []


def _flags(verb: str) -> list[str]:
    """Return the flags that a verb's help names."""
    from dialoeval.cli.main import VERBS

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        importlib.import_module(f"dialoeval.cli.{VERBS[verb][0]}").main(["--help"])
    return [*re.findall(r"(?<![\w-])--[a-z][a-z-]*", printed.getvalue()), "--help"]


def _settings(verb: str, word: str) -> list[str]:
    """Return ``group=`` and ``key=``; after the sign, the options of the group or the values of the key."""
    from dialoeval.config.compose import GROUPS, known_keys
    from dialoeval.config.groups import group_options

    key, equals, value = word.partition("=")
    groups = [*(name for name in GROUPS if verb == "train" or name != "training"), "experiment"]
    if not equals:
        keys = known_keys("train" if verb == "train" else "config")
        return [f"{name}=" for name in (*groups, *keys)]
    given = key + equals + value[: value.rfind(",") + 1]
    return [given + name for name in (group_options(key) if key in groups else _values(verb, key))]


def _values(verb: str, key: str) -> list[str]:
    """Return the values of a setting that is one of a few names, or true or false."""
    import dataclasses
    import enum
    import typing

    from dialoeval.config.compose import ROOTS

    node: object = ROOTS["train" if verb == "train" else "config"]
    for name in key.split("."):
        if not (isinstance(node, type) and dataclasses.is_dataclass(node)):
            return []
        node = typing.get_type_hints(node).get(name)
    if isinstance(node, type) and issubclass(node, enum.Enum):
        return [str(member.value) for member in node]
    return ["true", "false"] if node is bool else []


def _runs(before: Sequence[str]) -> list[str]:
    """Return the names of the runs in the reports folder."""
    given = [after for flag, after in itertools.pairwise(before) if flag == "--reports-dir"]
    folder = Path(given[-1] if given else "reports")
    return [file.parent.name for file in folder.glob("*/manifest.json")]
