"""Training sequences of p(T_K, ..., T_2 | T_1): responses are predicted, the first turn is context (DialoGPT, 3.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from dialoeval.config import Cutting
from dialoeval.data.example import WeightedDialogue
from dialoeval.training.sequences import Span

Token = TypeVar("Token")
Featured = tuple[list[Token], list[Span]]  # the tokens of a sequence, and which of them are predicted


def encode_responses(
    dialogues: Iterable[WeightedDialogue],
    encode: Callable[[list[str]], list[list[Token]]],
    eos: Token,
    block_size: int,
    cutting: Cutting,
    counts: Counter[str],
    *,
    backward: bool = False,
) -> list[Featured[Token]]:
    """Return dialogues as sequences in which the end-of-text token follows each turn.

    Predicted are the turns after the first of a sequence whose weight is not 0, each with its end-of-text token. What
    follows the last of them is cut off; a sequence without such a turn is left out.

    Args:
        dialogues: with the weight of each turn.
        encode: returns the tokens of each turn.
        eos: the end-of-text token.
        block_size: the greatest length; see `Cutting`.
        cutting: how longer dialogues are cut.
        counts: receives what is left out, and why.
        backward: reverse the turns of a dialogue with their weights, but not the tokens of a turn.
    """
    sequences: list[Featured[Token]] = []
    for dialogue in dialogues:
        turns, weights = encode(list(dialogue.turns)), list(dialogue.weights)
        if backward:
            turns.reverse()
            weights.reverse()
        if cutting == Cutting.dialogpt:
            if long := sum(len(turn) > block_size for turn in turns):
                counts[f"turns of more than {block_size} tokens"] += long
            found = published_features(turns, weights, eos, block_size)
            short = [feature for feature in found if not _left_out_by_the_release(feature, block_size)]
            if len(short) < len(found):
                counts[f"sequences of more than {block_size} tokens"] += len(found) - len(short)
            found = short
        else:
            if long := sum(len(turn) > _room(block_size) for turn in turns):
                counts[f"ends of turns of more than {_room(block_size)} tokens"] += long
            found = _features([turn[: _room(block_size)] for turn in turns], weights, eos, _fit, block_size)
        sequences += found
    return sequences


def published_features(
    turns: Sequence[Sequence[Token]], weights: Sequence[float], eos: Token, max_length: int
) -> list[Featured[Token]]:
    """Return the sequences that the published preparation makes of a dialogue (DialoGPT, prepro.py).

    A turn longer than `max_length` ends the sequence before it and is left out. Once the turns of a sequence, each with
    its end-of-text token, have more than `max_length` tokens, the next one begins with the last of them as context.
    """
    return _features(turns, weights, eos, _published, max_length)


def _features(
    turns: Sequence[Sequence[Token]],
    weights: Sequence[float],
    eos: Token,
    cut: Callable[[Sequence[int], int], Iterator[Span]],
    limit: int,
) -> list[Featured[Token]]:
    features: list[Featured[Token]] = []
    for first, stop in cut([len(turn) for turn in turns], limit):
        tokens: list[Token] = []
        spans: list[Span] = []
        for turn in range(first, stop):
            start = len(tokens)
            tokens += [*turns[turn], eos]
            if turn > first and weights[turn] != 0:
                spans.append((start, len(tokens)))
        if spans:
            features.append((tokens[: spans[-1][1]], spans))
    return features


def _published(lengths: Sequence[int], limit: int) -> Iterator[Span]:
    """Yield the first turn of each sequence, and the turn after its last."""
    first = total = 0
    for turn, length in enumerate(lengths):
        if length > limit:
            yield first, turn
            first, total = turn + 1, 0
            continue
        if total > limit:
            yield first, turn
            first, total = turn - 1, lengths[turn - 1] + 1
        total += length + 1
    yield first, len(lengths)


def _fit(lengths: Sequence[int], limit: int) -> Iterator[Span]:
    """Yield as `_published`, for sequences of at most `limit` tokens. Any two turns fit."""
    first = total = 0
    for turn, length in enumerate(lengths):
        if total + length + 1 > limit:
            yield first, turn
            first, total = turn - 1, lengths[turn - 1] + 1
        total += length + 1
    yield first, len(lengths)


def _room(block_size: int) -> int:
    """Return the tokens of a turn of which two, with their end-of-text tokens, make a block."""
    return block_size // 2 - 1


def _left_out_by_the_release(feature: Featured[Token], max_length: int) -> bool:
    """Return whether the published loader drops a sequence: its input, padded to multiples of 8, is too long."""
    return -(-(len(feature[0]) - 1) // 8) * 8 > max_length
