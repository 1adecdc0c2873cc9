"""Prompts: the input tokens of a model for a dialogue context."""

from __future__ import annotations

import bisect
import contextlib
import datetime
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from dialoeval.config import ModelConfig, Prompt
from dialoeval.errors import UserError, nearest
from dialoeval.models.plain_text import PlainText

TEMPLATE_DATE = "2024-01-01"  # what a chat template that reads the clock sees, unless model.template_date is set
_OWN_VARIABLES = {"messages", "add_generation_prompt", "strftime_now", "raise_exception", "tools", "documents"}


@dataclass(frozen=True)
class BuiltPrompt:
    """The token ids of a context, and the number of its turns that were dropped or cut."""

    token_ids: tuple[int, ...]
    dropped_turns: int


class Prompter:
    """Builder of one model's prompts, which are cut from the left at turn boundaries.

    Special tokens that a turn spells, such as ``<|endoftext|>``, are text.

    Raises:
        UserError: the tokenizer has no chat template, the template rejects the system prompt or does not read one of
            model.template_args or the date, or a GODEL model has no instruction.
    """

    def __init__(self, model: ModelConfig, tokenizer: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.texts = PlainText(tokenizer)
        self._encode = lru_cache(maxsize=65536)(self._encoded)
        self._build: Callable[[Sequence[str]], list[int]] = {
            Prompt.dialogpt: self._dialogpt,
            Prompt.chat: self._chat,
            Prompt.blenderbot: self._blenderbot,
            Prompt.godel: self._godel,
        }[Prompt(model.prompt)]
        self._user_opens = False
        self._date: str | None = None  # of a template that reads the clock
        self._other: Prompter | None = None  # with the system text of the last dialogue that had one
        if model.prompt == Prompt.chat:
            self._check_template()
        if model.prompt == Prompt.godel and not model.instruction:
            raise UserError("model.prompt=godel needs model.instruction (conf/model/godel-base.yaml has its authors')")

    def build(self, turns: Sequence[str], limit: int, system: str | None = None) -> BuiltPrompt:
        """Return the prompt of a context in at most `limit` tokens.

        The oldest turns are dropped until the rest fits. If the last turn is too long, its first tokens are cut.

        Args:
            turns: oldest turn first; may be empty.
            limit: tokens.
            system: text of this dialogue in place of the model's system prompt; prompts other than chat have none.

        Raises:
            UserError: the text that a template adds to a turn is longer than `limit`.
        """
        if system is not None and self.model.prompt == Prompt.chat:
            return self._with_system(system).build(turns, limit)
        count = min(self.model.max_turns, len(turns)) if self.model.max_turns > 0 else len(turns)

        def length(last: int) -> int:
            return len(self._build(turns[len(turns) - last :]))

        if count > 1 and length(count) > limit:
            # the longest tail that fits: a further turn never makes a prompt shorter
            count = max(1, bisect.bisect_right(range(count), limit, key=length) - 1)
        dropped = len(turns) - count
        ids = self._build(turns[dropped:])
        if len(ids) > limit:
            ids = self._cut_turn(turns[-1] if turns else "", ids, limit)
            dropped += count
        return BuiltPrompt(tuple(ids), dropped)

    def identity(self) -> dict[str, Any]:
        """Return the settings that determine the prompt."""
        model = self.model
        return {
            "format": str(Prompt(model.prompt)),
            "system_prompt": model.system_prompt if model.prompt == Prompt.chat else None,
            "instruction": model.instruction if model.prompt == Prompt.godel else None,
            "max_turns": model.max_turns,
            **({"opening": "empty user turn"} if self._user_opens else {}),
            **({"template_date": self._date} if self._date else {}),
            **({"template_args": dict(model.template_args)} if model.template_args else {}),
        }

    def describe(self) -> dict[str, Any]:
        """Return the identity, and the hash of the chat template if the prompt is made by one."""
        if self.model.prompt != Prompt.chat:
            return self.identity()
        template = json.dumps(self.tokenizer.chat_template, sort_keys=True)
        return self.identity() | {"chat_template": f"sha256:{hashlib.sha256(template.encode()).hexdigest()}"}

    def _with_system(self, system: str) -> Prompter:
        if self._other is None or self._other.model.system_prompt != system:
            self._other = Prompter(replace(self.model, system_prompt=system), self.tokenizer)
        return self._other

    def _encoded(self, text: str) -> tuple[int, ...]:
        return tuple(self.texts.encode(text))

    def _dialogpt(self, turns: Sequence[str]) -> list[int]:
        """Return every turn followed by the end-of-text token, or only that token for an empty context."""
        end = self.tokenizer.eos_token_id
        return [token for turn in turns for token in (*self._encode(turn), end)] or [end]

    def _chat(self, turns: Sequence[str]) -> list[int]:
        """Return `chat_messages` in the tokenizer's chat template."""
        messages = chat_messages(turns, self.model.system_prompt)
        opening = 1 if self.model.system_prompt else 0
        if self._user_opens and messages[opening]["role"] == "assistant":
            messages.insert(opening, {"role": "user", "content": ""})

        def render(contents: Sequence[str]) -> str:
            return self._templated([{**m, "content": text} for m, text in zip(messages, contents, strict=True)])

        return self.texts.encode_template([message["content"] for message in messages], render)

    def _templated(self, messages: list[dict[str, str]]) -> str:
        with _clock_at(self._date):
            text: str = self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=False, **self.model.template_args
            )
        return text

    def _check_variables(self, template: str) -> None:
        """Check the arguments of the template, and freeze its clock if it reads one."""
        variables = _variables(template)
        if "strftime_now" in variables:
            self._date = self.model.template_date or TEMPLATE_DATE
        elif self.model.template_date:
            raise UserError(
                f"model.template_date={self.model.template_date} has no effect: the chat template of {self.model.path} "
                "does not read the clock"
            )
        known = sorted(variables - _OWN_VARIABLES - set(self.tokenizer.special_tokens_map))
        for name in self.model.template_args:
            if name not in known:
                choices = f"it reads {', '.join(known)}" if known else "it reads none"
                raise UserError(
                    f"model.template_args.{name} has no effect: the chat template of {self.model.path} has no argument "
                    f"of this name{nearest(name, known)} ({choices})"
                )

    def _check_template(self) -> None:
        """Check that the template accepts a dialogue.

        Some templates require the user to speak first: then an empty user turn precedes an assistant turn.
        """
        from jinja2.exceptions import TemplateError

        name = self.model.path
        if not getattr(self.tokenizer, "chat_template", None):
            raise UserError(f"{name} has no chat template: choose another model.prompt (such as dialogpt)")
        self._check_variables(self.tokenizer.get_chat_template())
        try:
            self._templated(chat_messages(["a"], self.model.system_prompt))
        except TemplateError as error:
            raise UserError(
                f"the chat template of {name} rejects the dialogue: {error} (try model.system_prompt=null)"
            ) from error
        try:
            self._templated(chat_messages(["a", "b"], self.model.system_prompt))
        except TemplateError:
            self._user_opens = True

    def _blenderbot(self, turns: Sequence[str]) -> list[int]:
        """Return each turn after a space, joined by two more, then the end token.

        Source: the Hub's BlenderBot tokenizer, which is equivalent to ParlAI's delimiter between encoded turns.
        """
        return [*self._encode("  ".join(f" {turn}" for turn in turns)), self.tokenizer.eos_token_id]

    def _godel(self, turns: Sequence[str]) -> list[int]:
        """Return ``instruction [CONTEXT] turn EOS turn``, then the end token.

        Source: GODEL's model card.
        """
        text = f"{self.model.instruction} [CONTEXT] {' EOS '.join(turns)}"
        return [*self._encode(text), self.tokenizer.eos_token_id]

    def _cut_turn(self, turn: str, ids: list[int], limit: int) -> list[int]:
        """Return `ids`, the prompt of `turn`, without as many of the turn's first tokens as exceed the limit."""
        if self.model.prompt in (Prompt.dialogpt, Prompt.blenderbot):
            return ids[-limit:]
        tokens = self._encode(turn)  # the text to its left must stay
        while len(ids) > limit and tokens:
            tokens = tokens[len(ids) - limit :]
            ids = self._build([self.tokenizer.decode(tokens)])
        if len(ids) > limit:
            raise UserError(
                f"the prompt of {self.model.path} without a turn is longer than the {limit} tokens available: use a "
                "smaller decoding.max_new_tokens, or a shorter model.system_prompt or model.instruction"
            )
        return ids


@contextlib.contextmanager
def _clock_at(date: str | None) -> Iterator[None]:
    """Show the start of a day to the templates that read the clock; None: the time that it is.

    `apply_chat_template` takes no functions, so the clock of its own module is replaced.
    """
    if date is None:
        yield
        return
    from transformers.utils import chat_template_utils

    day = datetime.date.fromisoformat(date)

    class Still(datetime.datetime):
        """A clock that stands still."""

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Still:
            """Return the start of the day."""
            return cls(day.year, day.month, day.day, tzinfo=tz)

    module: Any = chat_template_utils
    saved, module.datetime = module.datetime, Still
    try:
        yield
    finally:
        module.datetime = saved


def _variables(template: str) -> set[str]:
    """Return the names that a chat template reads and does not set itself."""
    import jinja2.ext
    import jinja2.meta
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(jinja2.ext.Extension):
        """The tag ``{% generation %}`` of transformers, which marks the assistant's text."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.Scope(body, lineno=line)

    environment = ImmutableSandboxedEnvironment(extensions=[Generation, jinja2.ext.loopcontrols])
    try:
        return set(jinja2.meta.find_undeclared_variables(environment.parse(template)))
    except jinja2.TemplateSyntaxError as error:
        raise UserError(f"the chat template cannot be read: {error}") from error


def chat_messages(turns: Sequence[str], system_prompt: str | None) -> list[dict[str, str]]:
    """Return a context as chat messages.

    The last turn is the user's, and roles alternate backwards from it. An empty context becomes an empty user turn.
    """
    turns = turns or [""]
    roles = ("user", "assistant")
    messages = [{"role": roles[(len(turns) - 1 - i) % 2], "content": turn} for i, turn in enumerate(turns)]
    return [{"role": "system", "content": system_prompt}, *messages] if system_prompt else messages
