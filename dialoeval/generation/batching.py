"""Whether an architecture replies to a padded batch exactly as to one prompt at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dialoeval.errors import first_line, is_out_of_memory

if TYPE_CHECKING:
    import torch

# Decoders (False) and encoder-decoders (True) by the `model_type` of transformers' configurations. docs/models.md has
# the counts; `python benchmarks/families.py --exact` prints them and these lists, which tests/models/test_families.py
# checks.
EXACT: dict[bool, frozenset[str]] = {False: frozenset(), True: frozenset()}

# Their state cannot be reordered between beams (transformers 5.23).
WITHOUT_BEAMS = frozenset(("rwkv", "xlstm"))

_LENGTHS = (2, 11, 5, 17)
NEW_TOKENS = 6
_TOLERANCE = 1e-3  # of the largest logit: float32 rounds batches of other shapes by less, wrong positions by more

Probe = Callable[[Sequence[Sequence[int]]], "tuple[torch.Tensor, torch.Tensor]"]


def probes(vocabulary: int, window: int, reserved: Sequence[int]) -> list[list[int]]:
    """Return prompts of different lengths from a fixed set of token ids.

    Args:
        vocabulary: number of ids.
        window: context length in tokens; the longest prompt and its reply fit.
        reserved: ids that no prompt contains, such as end tokens and padding.
    """
    usable = [token for token in range(min(vocabulary, 1000)) if token not in reserved]
    longest = max(1, window - NEW_TOKENS)
    prompts = []
    for i, length in enumerate(_LENGTHS):
        prompts.append([usable[(97 * i + 31 * j + 7) % len(usable)] for j in range(min(length, longest))])
    return prompts


def difference(prompts: Sequence[Sequence[int]], probe: Probe) -> str | None:
    """Return None if batched replies equal single ones, else how they differ.

    Logits are compared too: a trained model may reply to a few prompts with equal tokens by chance.

    Args:
        prompts: token ids.
        probe: returns, for some prompts, greedy replies of `NEW_TOKENS` tokens, (rows, tokens), and the logits that
            chose them, (rows, tokens, vocabulary).
    """
    alone = [probe([prompt]) for prompt in prompts]
    try:
        tokens, logits = probe(prompts)
    except (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError) as error:
        if is_out_of_memory(error):
            raise
        return f"a batch fails: {first_line(error)}"
    differ = sum(
        not tokens[row].equal(single[0]) or not _close(logits[row], single_logits[0])
        for row, (single, single_logits) in enumerate(alone)
    )
    return f"{differ} of {len(prompts)} batched replies differ from single ones" if differ else None


def _close(batched: torch.Tensor, single: torch.Tensor) -> bool:
    batched, single = batched.nan_to_num(neginf=0.0).double(), single.nan_to_num(neginf=0.0).double()
    return bool((batched - single).abs().max() <= _TOLERANCE * single.abs().max().clamp_min(1e-6))
