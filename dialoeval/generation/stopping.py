"""Where a reply ends: stop texts, which it ends before, and end tokens besides the model's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dialoeval.errors import UserError


def end_token_ids(tokens: Sequence[str | int], tokenizer: Any, vocabulary: int) -> tuple[int, ...]:
    """Return the ids of ``decoding.end_tokens``.

    Args:
        tokens: texts or ids.
        tokenizer: of transformers.
        vocabulary: number of tokens that the model knows.

    Raises:
        UserError: a text is not a single token, or an id is outside the vocabulary.
    """
    ids = []
    for token in tokens:
        if isinstance(token, int):
            if not 0 <= token < vocabulary:
                raise UserError(f"decoding.end_tokens: {token} is not an id from 0 to {vocabulary - 1}")
            ids.append(token)
            continue
        encoded = tokenizer(token, add_special_tokens=False, verbose=False)["input_ids"]
        known = tokenizer.get_vocab().get(token)  # a text as the vocabulary writes it, such as "Ġyes"
        if len(encoded) == 1 and (encoded[0] != tokenizer.unk_token_id or known == encoded[0]):
            known = encoded[0]
        if known is None or known >= vocabulary:
            raise UserError(
                f"decoding.end_tokens: {token!r} is not a single token of this model (decoding.stop ends replies "
                "before any text)"
            )
        ids.append(known)
    return tuple(ids)


def first(text: str, stop: Sequence[str]) -> int:
    """Return the first position of any of the stop texts, or -1."""
    return min((place for entry in stop if (place := text.find(entry)) >= 0), default=-1)


def settled(text: str, stop: Sequence[str]) -> str:
    """Return what of the beginning of a reply stays as it is, whatever follows.

    That is the text before the first stop text, without an end that may become one or is half a character.
    """
    text = text.rstrip("\ufffd")
    ends = [len(text) - n for entry in stop for n in range(1, len(entry)) if text.endswith(entry[:n])]
    if (place := first(text, stop)) >= 0:
        ends.append(place)
    return text[: min(ends, default=len(text))]


def ends(tokens: Sequence[int], tokenizer: Any, stop: Sequence[str]) -> bool:
    """Return whether the text of generated tokens, special tokens included, contains a stop text."""
    return bool(stop) and first(tokenizer.decode(tokens), stop) >= 0


def cut(tokens: Sequence[int], tokenizer: Any, stop: Sequence[str]) -> tuple[int, str] | None:
    """Return the number of tokens up to the first stop text, and the text before it; None without a stop text.

    The tokens are the fewest that contain a stop text, as for the ``stop_strings`` of transformers.
    """
    if not ends(tokens, tokenizer, stop):
        return None
    count = next((n for n in range(1, len(tokens)) if ends(tokens[:n], tokenizer, stop)), len(tokens))
    text: str = tokenizer.decode(tokens[:count])
    place = first(text, stop)
    specials = re.compile("|".join(map(re.escape, tokenizer.all_special_tokens)) or r"(?!)")
    # a stop text may begin within the spelling of a special token, no part of which is text
    place = next((span.start() for span in specials.finditer(text) if span.start() < place < span.end()), place)
    return count, specials.sub("", text[:place])
