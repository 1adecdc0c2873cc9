"""From a dialogue to a model's input tokens."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dialoeval.config import ModelConfig, Prompt
from dialoeval.errors import UserError


@dataclass(frozen=True)
class BuiltPrompt:
    """Token ids of a context, and how many of its turns did not fit (a turn cut in its middle counts)."""

    token_ids: tuple[int, ...]
    dropped_turns: int


class Prompter:
    """Builds the prompts of one model, cut from the left at turn boundaries.

    Raises:
        UserError: the tokenizer has no chat template, or one that refuses the system prompt; no instruction for godel.
    """

    def __init__(self, model: ModelConfig, tokenizer: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._encode = lru_cache(maxsize=65536)(self._encoded)
        self._build: Callable[[Sequence[str]], list[int]] = {
            Prompt.dialogpt: self._dialogpt,
            Prompt.chat: self._chat,
            Prompt.blenderbot: self._blenderbot,
            Prompt.godel: self._godel,
        }[Prompt(model.prompt)]
        self._user_opens = False
        if model.prompt == Prompt.chat:
            self._check_template()
        if model.prompt == Prompt.godel and not model.instruction:
            raise UserError("model.prompt=godel needs model.instruction (conf/model/godel-base.yaml has its authors')")

    def build(self, turns: Sequence[str], limit: int) -> BuiltPrompt:
        """Return the prompt of a context (oldest turn first; may be empty) in at most `limit` tokens.

        Turns are dropped from the left until the rest fits; where the last turn alone is too long, its first tokens go.

        Raises:
            UserError: what a template puts around a turn is longer than `limit`.
        """
        count = min(self.model.max_turns, len(turns)) if self.model.max_turns > 0 else len(turns)

        def length(last: int) -> int:
            return len(self._build(turns[len(turns) - last :]))

        if count > 1 and length(count) > limit:
            # the longest tail that fits: no prompt gets shorter by a further turn
            count = max(1, bisect.bisect_right(range(count), limit, key=length) - 1)
        dropped = len(turns) - count
        ids = self._build(turns[dropped:])
        if len(ids) > limit:
            ids = self._cut_turn(turns[-1] if turns else "", ids, limit)
            dropped += count
        return BuiltPrompt(tuple(ids), dropped)

    def identity(self) -> dict[str, Any]:
        """Return the settings that decide the prompt."""
        model = self.model
        return {
            "format": str(Prompt(model.prompt)),
            "system_prompt": model.system_prompt,
            "instruction": model.instruction,
            "max_turns": model.max_turns,
        } | ({"opening": "empty user turn"} if self._user_opens else {})

    def _encoded(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _dialogpt(self, turns: Sequence[str]) -> list[int]:
        """Return every turn followed by the end-of-text token; an empty context is that token alone."""
        end = self.tokenizer.eos_token_id
        return [token for turn in turns for token in (*self._encode(turn), end)] or [end]

    def _chat(self, turns: Sequence[str]) -> list[int]:
        """Apply the tokenizer's chat template: the last turn is the user's, roles alternate backwards from it."""
        messages = chat_messages(turns, self.model.system_prompt)
        opening = 1 if self.model.system_prompt else 0
        if self._user_opens and messages[opening]["role"] == "assistant":
            messages.insert(opening, {"role": "user", "content": ""})
        return list(self._encoded(self._templated(messages)))

    def _templated(self, messages: list[dict[str, str]]) -> str:
        text: str = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return text

    def _check_template(self) -> None:
        """Try the template once.

        Some want the user to speak first: then an empty turn of the user's opens a dialogue that would begin with the
        assistant.
        """
        from jinja2.exceptions import TemplateError

        name = self.model.path
        if not getattr(self.tokenizer, "chat_template", None):
            raise UserError(f"{name} has no chat template: choose another model.prompt (such as dialogpt)")
        try:
            self._templated(chat_messages(["a"], self.model.system_prompt))
        except TemplateError as error:
            raise UserError(
                f"the chat template of {name} refuses the dialogue: {error} (try model.system_prompt=null)"
            ) from error
        try:
            self._templated(chat_messages(["a", "b"], self.model.system_prompt))
        except TemplateError:
            self._user_opens = True

    def _blenderbot(self, turns: Sequence[str]) -> list[int]:
        """Return each turn after a space, joined by two more, then the end token.

        So the hub's BlenderBot tokenizer joins a conversation, which is what ParlAI's delimiter between separately
        encoded turns comes to.
        """
        return [*self._encode("  ".join(f" {turn}" for turn in turns)), self.tokenizer.eos_token_id]

    def _godel(self, turns: Sequence[str]) -> list[int]:
        """Return ``instruction [CONTEXT] turn EOS turn`` (GODEL's model card), then the end token."""
        text = f"{self.model.instruction} [CONTEXT] {' EOS '.join(turns)}"
        return [*self._encode(text), self.tokenizer.eos_token_id]

    def _cut_turn(self, turn: str, ids: list[int], limit: int) -> list[int]:
        """Return the prompt of `turn` alone, which is `ids`, with the turn's first tokens left out so that it fits."""
        if self.model.prompt in (Prompt.dialogpt, Prompt.blenderbot):
            return ids[-limit:]
        words = self._encode(turn)  # there is text on its left that has to stay
        while len(ids) > limit and words:
            words = words[len(ids) - limit :]
            ids = self._build([self.tokenizer.decode(words)])
        if len(ids) > limit:
            raise UserError(
                f"the prompt around a turn of {self.model.path} is longer than the {limit} tokens there are: take a "
                "smaller decoding.max_new_tokens, or a shorter model.system_prompt or model.instruction"
            )
        return ids


def chat_messages(turns: Sequence[str], system_prompt: str | None) -> list[dict[str, str]]:
    """Return a context as chat messages.

    The last turn is the user's, roles alternate backwards from it; an empty context is an empty turn of the user's.
    """
    turns = turns or [""]
    roles = ("user", "assistant")
    messages = [{"role": roles[(len(turns) - 1 - i) % 2], "content": turn} for i, turn in enumerate(turns)]
    return [{"role": "system", "content": system_prompt}, *messages] if system_prompt else messages
