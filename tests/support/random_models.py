"""Small models with random weights, saved in the Hub's format."""

from __future__ import annotations

import json
from pathlib import Path

TEXTS = [
    "hello there, how are you doing today?",
    "i'm fine, thanks! what about you?",
    "not bad. did you see the game last night?",
    "no, i was at work all day and missed it.",
    "that is too bad; it was a great one.",
    "do you like music or films more?",
    "music, i think. i play the guitar a little.",
    "cool! what kind of songs do you play?",
    "mostly old rock and some blues.",
]


def bpe_tokenizer(vocab_size: int = 400):
    """Return a byte-level BPE tokenizer trained on a few lines; its end-of-text token, id 0, is also the pad token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, bos_token=end, unk_token=end, pad_token=end
    )


def random_gpt2(
    folder: str | Path,
    *,
    layers: int = 2,
    width: int = 64,
    heads: int = 4,
    window: int = 128,
    seed: int = 0,
    sharpen: float = 1.0,
) -> Path:
    """Save a random GPT-2 with its tokenizer to `folder`.

    `sharpen` multiplies the token embeddings (and so the tied output head): with larger values replies end before the
    limit and ties are rare.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = Path(folder)
    tokenizer = bpe_tokenizer()
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=window,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        model.transformer.wte.weight.mul_(sharpen)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def random_llama(folder: str | Path, *, layers: int = 1, width: int = 32, window: int = 64, seed: int = 0) -> Path:
    """Save a random Llama (untied output head) with its tokenizer to `folder`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = bpe_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=window,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(seed)
    LlamaForCausalLM(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)


def edit_json(path: str | Path, **changes) -> None:
    """Change keys of a JSON object in a file; None removes a key."""
    path = Path(path)
    value = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({key: v for key, v in value.items() if v is not None}), encoding="utf-8")


def scaled(folder: Path, *, matrices: float, last: float) -> Path:
    """Multiply a saved GPT-2's matrices by `matrices` and its last normalisation by `last`.

    With the initial weights every reply repeats one token, and the distribution is nearly uniform.
    """
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    for name, weight in state.items():
        if weight.dim() == 2 and "wte" not in name:
            weight.mul_(matrices)
        elif name == "transformer.ln_f.weight":
            weight.mul_(last)
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    return folder
