"""Training sequences of a chat model: the prompts of `dialoeval run`, each followed by its reply."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dialoeval.config import ModelConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation.prompts import Prompter, chat_messages
from dialoeval.training.sequences import Span

_MARK = "REPLY-0123456789"  # a text that no template contains


@dataclass(frozen=True)
class ChatFormat:
    """How a model reads chats.

    Attributes:
        model: the prompt settings.
        tokenizer: with a chat template.
        end_ids: tokens that end a reply, the tokenizer's own first.
    """

    model: ModelConfig
    tokenizer: Any
    end_ids: Sequence[int]

    def encode(self, examples: Iterable[Example], block_size: int) -> tuple[list[list[int]], list[list[Span]]]:
        """Return token sequences, and the spans of each that are predicted: replies, each with its end token.

        A sequence is the prompt that `run` gives the model for a context, then the reply, then what the template writes
        after it up to the end token. If one sequence begins with another, as the replies of one conversation do in most
        templates, they become one with both spans; each reply counts once.

        Args:
            examples: contexts with replies (references).
            block_size: greatest length of a sequence in tokens. The oldest turns of a longer one are dropped; a reply
                longer than half of it keeps its beginning and its end token.

        Raises:
            UserError: there is no chat template, it rejects the dialogue, or its own text is longer than `block_size`.
        """
        prompter = Prompter(self.model, self.tokenizer)
        ending = self._ending()
        items: list[tuple[list[int], Span]] = []
        for example in examples:
            for reply in filter(str.strip, example.references):
                text = prompter.texts.encode(reply)[: max(1, block_size // 2 - len(ending))]
                tokens = [*text, *ending]
                try:
                    prompt = prompter.build(example.context, block_size - len(tokens), example.system).token_ids
                except UserError as error:
                    raise UserError(
                        f"training.block_size={block_size} leaves no room for a turn in the chat template of "
                        f"{self.model.path}: raise it, or shorten the system prompt"
                    ) from error
                items.append(([*prompt, *tokens], (len(prompt), len(prompt) + len(tokens))))
        return merge(items)

    def _ending(self) -> list[int]:
        """Return what the template writes after a reply, up to the first end token; else the tokenizer's own."""
        messages = [*chat_messages(["a"], self.model.system_prompt), {"role": "assistant", "content": _MARK}]
        text: str = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=False, tokenize=False, **self.model.template_args
        )
        after = self.tokenizer(text.rpartition(_MARK)[2], add_special_tokens=False, verbose=False)["input_ids"]
        for position, token in enumerate(after):
            if token in self.end_ids:
                return list(after[: position + 1])
        return [self.end_ids[0]]


def merge(items: Iterable[tuple[list[int], Span]]) -> tuple[list[list[int]], list[list[Span]]]:
    """Return sequences and their spans; a sequence that begins another one becomes a part of it.

    Among sorted sequences, those that begin another one stand before it, with only such between them.
    """
    done: list[tuple[list[int], list[Span]]] = []
    beginnings: list[tuple[list[int], list[Span]]] = []  # of the next sequence, perhaps
    for ids, span in sorted(items):
        while beginnings and beginnings[-1][0] != ids[: len(beginnings[-1][0])]:
            done.append(beginnings.pop())
        places = [i for i, (shorter, _) in enumerate(beginnings) if len(shorter) < len(ids)]
        spans = beginnings.pop(places[-1])[1] if places else []
        beginnings.append((ids, [*spans, span]))
    done += beginnings
    return [ids for ids, _ in done], [spans for _, spans in done]
