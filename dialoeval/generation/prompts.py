"""From a dialogue to a model's input tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dialoeval.config import ModelConfig, Prompt
from dialoeval.errors import UserError


@dataclass(frozen=True)
class BuiltPrompt:
    """Token ids of a context, and how many of its turns did not fit (a turn cut in its middle counts)."""

    token_ids: tuple[int, ...]
    dropped_turns: int


class Prompter:
    """Builds the prompts of one model, cut from the left at turn boundaries to `limit` tokens."""

    def __init__(self, model: ModelConfig, tokenizer: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._build: Callable[[Sequence[str]], list[int]] = {
            Prompt.dialogpt: self._dialogpt,
            Prompt.chat: self._chat,
            Prompt.blenderbot: self._blenderbot,
            Prompt.godel: self._godel,
        }[Prompt(model.prompt)]
        if model.prompt == Prompt.chat and not getattr(tokenizer, "chat_template", None):
            raise UserError(f"{model.path} has no chat template: choose another model.prompt (such as dialogpt)")

    def build(self, turns: Sequence[str], limit: int) -> BuiltPrompt:
        """The prompt of a context (oldest turn first; may be empty) in at most `limit` tokens.

        Turns are dropped from the left until the rest fits; where the last turn alone is too long, its first tokens go.
        """
        kept = list(turns[-self.model.max_turns :] if self.model.max_turns > 0 else turns)
        dropped = len(turns) - len(kept)
        ids = self._build(kept)
        while len(ids) > limit and len(kept) > 1:
            # most contexts fit; of the others, halving the turns to drop would save little: contexts are short
            kept.pop(0)
            dropped += 1
            ids = self._build(kept)
        if len(ids) > limit:
            ids = self._cut_turn(kept, ids, limit)
            dropped += 1
        return BuiltPrompt(tuple(ids), dropped)

    def identity(self) -> dict[str, Any]:
        """The settings that decide the prompt."""
        model = self.model
        return {
            "format": str(Prompt(model.prompt)),
            "system_prompt": model.system_prompt,
            "instruction": model.instruction,
            "max_turns": model.max_turns,
        }

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    def _dialogpt(self, turns: Sequence[str]) -> list[int]:
        """Every turn followed by the end-of-text token; an empty context is that token alone."""
        end = self.tokenizer.eos_token_id
        return [token for turn in turns for token in (*self._encode(turn), end)] or [end]

    def _chat(self, turns: Sequence[str]) -> list[int]:
        """The tokenizer's chat template: the last turn is the user's, roles alternate backwards from it."""
        roles = ("user", "assistant")
        last = len(turns) - 1
        messages = [{"role": roles[(last - i) % 2], "content": turn} for i, turn in enumerate(turns)]
        if self.model.system_prompt:
            messages.insert(0, {"role": "system", "content": self.model.system_prompt})
        if not turns:
            messages.append({"role": "user", "content": ""})
        text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return self._encode(text)

    def _blenderbot(self, turns: Sequence[str]) -> list[int]:
        """Turns joined by two spaces, each after a space, then the end token (ParlAI's convention, as in the hub's)."""
        return [*self._encode(" " + "  ".join(turns)), self.tokenizer.eos_token_id]

    def _godel(self, turns: Sequence[str]) -> list[int]:
        """``instruction [CONTEXT] turn EOS turn`` (GODEL's model card), then the end token."""
        instruction = (
            self.model.instruction or "Instruction: given a dialog context, you need to response empathically."
        )
        return [*self._encode(f"{instruction} [CONTEXT] {' EOS '.join(turns)}"), self.tokenizer.eos_token_id]

    def _cut_turn(self, turns: list[str], ids: list[int], limit: int) -> list[int]:
        if self.model.prompt != Prompt.chat:
            return ids[-limit:]
        # a template has text on both sides of the turn: the turn itself is cut
        words = self._encode(turns[-1])
        over = len(ids) - limit
        while over > 0 and words:
            words = words[over:]
            ids = self._build([self.tokenizer.decode(words)])
            over = len(ids) - limit
        if over > 0:
            raise UserError(f"the chat template of {self.model.path} alone is longer than the {limit} tokens there are")
        return ids
