"""The model to train: random weights of a given shape, or a checkpoint to fine-tune."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

from dialoeval import data
from dialoeval.config import ArchitectureConfig, Cutting, Objective, Prompt, TrainConfig
from dialoeval.errors import UserError
from dialoeval.training.lora import add_lora, check_lora
from dialoeval.training.tokenizer import train_tokenizer


def make_model(config: TrainConfig) -> tuple[Any, Any]:
    """Return (model, tokenizer); the model is on the CPU, in float32 and in training mode.

    Raises:
        UserError: the model or tokenizer cannot be loaded, is not a causal language model, or has no end-of-text token;
            training.block_size exceeds the context length; or adapters cannot be trained on it.
    """
    options = config.training
    if config.model.prompt not in (Prompt.dialogpt, Prompt.chat):
        raise UserError(f"model.prompt={config.model.prompt} cannot be trained: use dialogpt or chat")
    if options.lora.rank:
        check_lora(config.model)
    if options.from_scratch:
        tokenizer = _tokenizer(config)
        model = _gpt2(options.architecture, tokenizer, options.dropout)
    else:
        from dialoeval.models.loading import load_for_training

        model, tokenizer = load_for_training(config.model)
        if getattr(model.config, "is_encoder_decoder", False):
            raise UserError(f"{config.model.path} is an encoder-decoder model; only causal models can be trained")
        _set_dropout(model, options.dropout)
    if tokenizer.eos_token_id is None:
        raise UserError(f"the tokenizer of {config.model.path} has no end-of-text token, which must end every turn")
    window = getattr(model.config, "max_position_embeddings", None) or getattr(model.config, "n_positions", None)
    # The published cutting counts what is read: the last token of a sequence comes on top.
    read_only = options.cutting == Cutting.dialogpt and options.objective == Objective.responses
    if isinstance(window, int) and options.block_size + read_only > window:
        raise UserError(
            f"training.block_size={options.block_size} exceeds the model's context length of {window} tokens"
            + (" less one, for training.cutting=dialogpt" if read_only else "")
        )
    model = model.float()
    if options.lora.rank:
        model = add_lora(model, options.lora, config.model)
    return model.train(), tokenizer


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Return the ids of the tokens that end a reply in generation, the tokenizer's own first."""
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    further = configured if isinstance(configured, list) else [configured]
    return list(dict.fromkeys([tokenizer.eos_token_id, *(token for token in further if token is not None)]))


def _tokenizer(config: TrainConfig) -> Any:
    shape = config.training.architecture
    if shape.tokenizer:
        from dialoeval.models.loading import load_tokenizer

        return load_tokenizer(shape.tokenizer)
    if config.training.objective == Objective.responses:  # of rows with weights, the turns that are learned from
        dialogues = [dialogue.turns for dialogue in data.weighted_dialogues(config.dataset, Counter())]
    else:
        dialogues = data.dialogues(config.dataset)
    turns = itertools.chain.from_iterable(dialogues)
    return train_tokenizer(turns, shape.vocabulary, shape.window)


def _gpt2(shape: ArchitectureConfig, tokenizer: Any, dropout: float) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=shape.window,
        n_embd=shape.width,
        n_layer=shape.layers,
        n_head=shape.heads,
        activation_function="gelu_pytorch_tanh",  # GPT-2's GELU, as one operation
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
    )
    return GPT2LMHeadModel(config)


def _set_dropout(model: Any, rate: float) -> None:
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = rate
