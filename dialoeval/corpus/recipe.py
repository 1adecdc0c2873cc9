"""Settings of `dialoeval build sessions`, and the recipes that give them their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from dialoeval.errors import UserError, nearest


@dataclass(frozen=True)
class Recipe:
    """How conversations are made. The defaults are the published training data's (``recipe=dialogpt2019 split=train``).

    Attributes:
        recipe: `dialogpt2019`, the published extractor; `clean`, which adds the paper's filters that it lacks.
        split: `train`, a row for each leaf of a thread, with a weight before each turn; `test`, for each comment.
        clean: apply the extractor's filters to rows.
        min_score: least score of the comment that is the response; a null score is 0.
        min_depth: least number of turns.
        max_depth: most comments of a row.
        max_words: most words, by white space, of a turn: a longer comment ends the context before it.
        title: make the submission's title the first turn of a comment on the submission itself.
        leaves_only: leave out comments that have an answer. With `clean`, each turn then gets a weight.
        words: file of words and phrases, one a line. With weights, a turn with one weighs 0; without, a response with
            one is dropped.
        subreddits: file of subreddits whose rows are dropped, with the rows whose submission is unknown.
        keys: the published lists of comments to read (`dep`) and to answer with (`keep`): a file, or a folder with
            MONTH.gz.
        discard: SHA-224 of turns that weigh 0: a file, or a folder with MONTH-o.gz.
        scope: `month`, comments on submissions of their own month; `all`, also on submissions of the months before it
            that are built in the same call.
        top_words: drop a response without any of this many of the most frequent words of all responses; 0: do not.
        bland: drop a response if a tri-gram seen more than this often makes up `bland_share` of it; 0: do not.
        bland_share: see `bland`.
        duplicates: keep rows whose source and target stand in an earlier row.
        bots: keep rows with a turn of a bot.
    """

    recipe: str = "dialogpt2019"
    split: str = "train"
    clean: bool = True
    min_score: int = 1
    min_depth: int = 2
    max_depth: int = 5
    max_words: int = 30
    title: bool = False
    leaves_only: bool = True
    words: str = ""
    subreddits: str = ""
    keys: str = ""
    discard: str = ""
    scope: str = "month"
    top_words: int = 0
    bland: int = 0
    bland_share: float = 0.9
    duplicates: bool = True
    bots: bool = True

    def __post_init__(self) -> None:
        for name, allowed in (("recipe", tuple(RECIPES)), ("split", tuple(SPLITS)), ("scope", ("month", "all"))):
            if (value := getattr(self, name)) not in allowed:
                raise UserError(f"{name}={value}: expected {' or '.join(allowed)}{nearest(value, allowed)}")
        for name, least in (("min_depth", 1), ("max_depth", 1), ("max_words", 1), ("top_words", 0), ("bland", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{name}={getattr(self, name)}: expected {least} or more")
        if not 0 < self.bland_share <= 1:
            raise UserError(f"bland_share={self.bland_share}: expected a share between 0 and 1")
        if self.discard and not self.weighted:
            raise UserError("discard=FILE gives turns the weight 0: it needs leaves_only=yes and clean=yes")
        if self.words and not self.clean:
            raise UserError("words=FILE needs clean=yes: without it nothing is filtered")

    @property
    def weighted(self) -> bool:
        """Whether turns carry a weight."""
        return self.leaves_only and self.clean

    @property
    def second_pass(self) -> bool:
        """Whether rows are filtered by what all rows hold."""
        return bool(self.top_words or self.bland or not self.duplicates)


SPLITS: dict[str, dict[str, Any]] = {"train": {"leaves_only": True}, "test": {"leaves_only": False}}
RECIPES: dict[str, dict[str, Any]] = {
    "dialogpt2019": {},
    "clean": {"top_words": 50, "bland": 1000, "duplicates": False, "bots": False},
}
_YES, _NO = ("yes", "true", "1", "on"), ("no", "false", "0", "off")


def parse(settings: Sequence[str]) -> Recipe:
    """Return the recipe of ``setting=value`` arguments: the recipe's and split's values first, then the others.

    Raises:
        UserError: a setting is unknown, given twice, or has a value it cannot have.
    """
    names = {field.name: field.type for field in fields(Recipe)}
    given: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in names:
            what = f"{setting!r} is no setting=value" if not equals else f"unknown setting {name!r}"
            raise UserError(f"{what}{nearest(name, names)} (settings: {', '.join(names)})")
        if name in given:
            raise UserError(f"{name} is given twice")
        given[name] = _value(name, str(names[name]), text.strip())
    chosen = replace(Recipe(), **{name: given[name] for name in ("recipe", "split") if name in given})
    return replace(chosen, **(SPLITS[chosen.split] | RECIPES[chosen.recipe] | given))


def _value(name: str, kind: str, text: str) -> Any:
    if kind == "str":
        return text
    if kind == "bool":
        if text.lower() not in _YES + _NO:
            raise UserError(f"{name}={text}: expected yes or no")
        return text.lower() in _YES
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError:
        raise UserError(f"{name}={text}: expected {'a whole number' if kind == 'int' else 'a number'}") from None
