"""Token ids of users' texts, in which the spelling of a special token is text like any other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

_MARK = 0xF0000  # first code point of a plane for private use: the marks of special tokens
_SHADES = 0x800  # marks of one tokenizer's special tokens, and as many for those that stand in a user's text


class PlainText:
    """A tokenizer for texts that may spell its special tokens, such as ``<|endoftext|>`` or ``</s>``.

    Texts that spell none have the tokenizer's own ids. For the others, a copy of the tokenizer is used in which each
    special token is spelled by a private character: what the text spells is then tokenized as the text it is.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        spelled = {str(token): int(i) for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        for name, i in zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True):
            spelled.setdefault(str(name), int(i))
        self.ids = dict(sorted(spelled.items(), key=lambda pair: (-len(pair[0]), pair[0])))  # the longest first
        self.marks = {name: chr(_MARK + i) for i, name in enumerate(self.ids)}
        self._spellings = re.compile("|".join(map(re.escape, self.ids)) or r"(?!)")

    def spells(self, texts: Sequence[str]) -> bool:
        """Return whether one of the texts spells a special token."""
        return any(self._spellings.search(text) for text in texts)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text without special tokens."""
        return self._marked(self._without_marks(text)) if self.spells([text]) else self._own(text)

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of several texts, each as `encode` does."""
        if not texts:
            return []
        if self.spells(texts):
            return [self.encode(text) for text in texts]
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def encode_template(self, texts: Sequence[str], render: Callable[[Sequence[str]], str]) -> list[int]:
        """Return the ids of texts in a chat template, whose own special tokens count.

        The template gets a private character in place of each special token that a text spells. It may trim the texts.

        Args:
            texts: of the user and the assistant.
            render: puts them into the template.
        """
        if not self.spells(texts):
            return self._own(render(texts))
        rendered = render([self._spellings.sub(self._hidden, self._without_marks(text)) for text in texts])
        marked = self._spellings.sub(lambda found: self.marks[found[0]], rendered)
        for name, mark in self.marks.items():
            marked = marked.replace(chr(ord(mark) + _SHADES), name)
        return self._marked(marked)

    def _own(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _hidden(self, found: re.Match[str]) -> str:
        return chr(ord(self.marks[found[0]]) + _SHADES)

    def _without_marks(self, text: str) -> str:
        return "".join(char for char in text if not _MARK <= ord(char) < _MARK + 2 * _SHADES)

    def _marked(self, text: str) -> list[int]:
        """Return the ids of a text in which the marks are special tokens and their spellings are text."""
        if self._backend is not None:
            ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
            return ids
        by_mark = {mark: self.ids[name] for name, mark in self.marks.items()}
        result: list[int] = []
        for part in re.split(f"([{''.join(by_mark)}])", text):
            if part in by_mark:
                result.append(by_mark[part])
            elif part:
                result += self.tokenizer(part, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return result

    @cached_property
    def _backend(self) -> Any:
        """The copy of a fast tokenizer in which marks spell the special tokens; None for a tokenizer in Python."""
        from tokenizers import Tokenizer

        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            return None
        state = json.loads(backend.to_str())
        state["truncation"] = state["padding"] = None
        for token in state["added_tokens"]:
            token["content"] = self.marks.get(token["content"], token["content"])
        model = state["model"]
        vocabulary = model["vocab"]
        if isinstance(vocabulary, dict):
            model["vocab"] = {self.marks.get(name, name): i for name, i in vocabulary.items()}
        else:  # Unigram: pairs of piece and score
            model["vocab"] = [[self.marks.get(name, name), score] for name, score in vocabulary]
        if model.get("unk_token") in self.marks:
            model["unk_token"] = self.marks[model["unk_token"]]
        try:
            return Tokenizer.from_str(json.dumps(state))
        except Exception:  # its merges spell a special token: the texts between special tokens are tokenized apart
            return None
