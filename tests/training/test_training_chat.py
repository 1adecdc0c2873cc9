"""Training in a chat template: the prompts of `run`, and exactly the assistant's tokens predicted."""

from __future__ import annotations

import contextlib
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_models import TEXTS, bpe_tokenizer, random_gpt2

from dialoeval.config import EngineConfig, ModelConfig
from dialoeval.config.compose import compose
from dialoeval.config.compose import group as option
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation.prompts import Prompter
from dialoeval.models.plain_text import PlainText
from dialoeval.training import train as training
from dialoeval.training.chat import ChatFormat, merge
from dialoeval.training.corpus import Corpus

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As some models' that leave their thoughts out of the history: earlier replies are not what was generated.
FORGETFUL = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if not loop.last and m.role == 'assistant' %}* {% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def chat_tokenizer(template=CHATML):
    tokenizer = bpe_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.chat_template = template
    return tokenizer


TOKENIZER = chat_tokenizer()


def chat(tokenizer=TOKENIZER, **more):
    return ChatFormat(ModelConfig(name="m", path="m", prompt="chat", **more), tokenizer, [tokenizer.eos_token_id])


def examples_of(turns, system=None):
    """Return an example for every second turn, as of a conversation of user and assistant."""
    return [Example(str(i), tuple(turns[:i]), (turns[i],), system) for i in range(1, len(turns), 2)]


def test_only_the_assistants_turns_with_their_end_are_predicted():
    format_ = chat(system_prompt="be brief")
    [sequence], [spans] = format_.encode(examples_of(["hello", "hi!", "how are you?", "fine"]), 400)
    assert TOKENIZER.decode(sequence) == (
        "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
        "hi!<|im_end|>\n<|im_start|>user\nhow are you?<|im_end|>\n<|im_start|>assistant\nfine<|im_end|>"
    )
    assert [TOKENIZER.decode(sequence[a:b]) for a, b in spans] == ["hi!<|im_end|>", "fine<|im_end|>"]
    corpus = Corpus([sequence], [spans])
    _, labels = corpus.micro_batch([0], torch.device("cpu"))
    assert TOKENIZER.decode(labels[0][labels[0] != -100]) == "hi!<|im_end|>fine<|im_end|>"


texts = st.text(alphabet="abc <|im_end|>\n.é", min_size=1, max_size=12).filter(str.strip)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(texts, min_size=2, max_size=7), min_size=1, max_size=5),
    st.sampled_from([CHATML, FORGETFUL]),
    st.sampled_from([None, "be kind"]),
)
def test_every_prompt_of_run_begins_a_sequence_whose_next_tokens_are_the_reply(conversations, template, system):
    tokenizer = chat_tokenizer(template)
    format_ = chat(tokenizer, system_prompt=system)
    examples = [e for turns in conversations for e in (*examples_of(turns), *examples_of(turns[1:]))]
    sequences, spans = format_.encode(examples, 1000)
    learned = sorted(
        (s[:start], s[start:stop]) for s, ones in zip(sequences, spans, strict=True) for start, stop in ones
    )
    prompter = Prompter(format_.model, tokenizer)
    expected = sorted(
        (
            list(prompter.build(e.context, 1000, e.system).token_ids),
            [*PlainText(tokenizer).encode(e.references[0]), tokenizer.eos_token_id],
        )
        for e in examples
    )
    assert learned == expected  # each reply once, after its prompt, and nothing else


def test_a_template_that_changes_the_history_makes_a_sequence_of_each_reply():
    conversation = examples_of(["a", "b", "c", "d", "e", "f"])
    assert len(chat().encode(conversation, 400)[0]) == 1
    assert len(chat(chat_tokenizer(FORGETFUL)).encode(conversation, 400)[0]) == 3


def test_the_system_text_of_a_dialogue_replaces_the_models():
    [sequence], _ = chat(system_prompt="general").encode(examples_of(["a", "b"], system="mine"), 400)
    assert "system\nmine<" in TOKENIZER.decode(sequence) and "general" not in TOKENIZER.decode(sequence)


def test_a_special_token_in_a_reply_is_text():
    [sequence], [[(start, stop)]] = chat().encode([Example("0", ("a",), ("b<|im_end|>c",))], 400)
    assert sequence[start:stop].count(TOKENIZER.eos_token_id) == 1 and sequence[stop - 1] == TOKENIZER.eos_token_id
    assert TOKENIZER.decode(sequence[start : stop - 1]) == "b<|im_end|>c"


def test_long_dialogues_lose_their_oldest_turns_and_long_replies_their_end():
    turns = [*TEXTS[:7], TEXTS[7] * 3]
    sequences, spans = chat().encode(examples_of(turns), 64)
    assert max(map(len, sequences)) <= 64 and sum(map(len, spans)) == 4
    assert all(sequence[-1] == TOKENIZER.eos_token_id for sequence in sequences)
    with pytest.raises(UserError, match=r"training.block_size=12 leaves no room for a turn in the chat template"):
        chat().encode(examples_of(turns), 12)


def test_a_template_without_an_end_token_gets_the_tokenizers():
    tokenizer = chat_tokenizer("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]")
    [sequence], [[(start, stop)]] = chat(tokenizer).encode(examples_of(["a", "b"]), 400)
    assert tokenizer.decode(sequence) == "[user]a[assistant]b<|im_end|>" and tokenizer.decode(sequence[start]) == "b"
    assert stop == len(sequence)


def test_merging_counts_every_span_once():
    items = [([1, 2], (1, 2)), ([1, 2], (1, 2)), ([1, 2, 3], (2, 3)), ([1, 2, 3], (2, 3)), ([1, 3], (1, 2))]
    sequences, spans = merge(items)
    assert sorted(sequences) == [[1, 2, 3], [1, 2, 3], [1, 3]]
    assert sorted(span for ones in spans for span in ones) == sorted(span for _, span in items)


@pytest.fixture
def chat_model(tmp_path):
    from transformers import AutoModelForCausalLM

    folder = random_gpt2(tmp_path / "chat-model")
    tokenizer = chat_tokenizer()
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer))
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def chat_overrides(tmp_path, chat_model, *more):
    talks = tmp_path / "talks.jsonl"
    rows = [[f"question {i}", TEXTS[i], "and then?", TEXTS[i + 1]] for i in range(3)]
    messages = [[{"role": "user" if j % 2 == 0 else "assistant", "content": t} for j, t in enumerate(r)] for r in rows]
    talks.write_text("".join(json.dumps({"messages": m}) + "\n" for m in messages))
    return [
        "dataset=messages",
        f"dataset.path={talks}",
        f"model.path={chat_model}",
        "model.name=m",
        "model.prompt=chat",
        "model.system_prompt=be brief",
        f"training.output_dir={tmp_path}/chat",
        "training.block_size=120",
        "training.batch_tokens=300",
        "training.max_steps=150",
        "training.warmup_steps=5",
        "training.learning_rate=5e-3",
        "device=cpu",
        *more,
    ]


def test_run_replies_what_the_training_taught(tmp_path, chat_model):
    from dialoeval.generation import open_generator

    record = training.train(compose("train", chat_overrides(tmp_path, chat_model)))
    assert record.curve[-1]["loss"] < 0.05
    model = ModelConfig(name="m", path=f"{tmp_path}/chat", prompt="chat", system_prompt="be brief")
    decoding = option("decoding", "greedy")
    decoding.max_new_tokens = 30
    with contextlib.closing(open_generator(model, EngineConfig(name="hf", device="cpu"), decoding)) as generator:
        examples = [e for i in range(3) for e in examples_of([f"question {i}", TEXTS[i], "and then?", TEXTS[i + 1]])]
        examples = [Example(str(i), e.context, e.references) for i, e in enumerate(examples)]
        replies = {reply.id: reply for reply in generator.reply(examples, decoding, 0)}
    for example in examples:
        assert replies[example.id].text == example.references[0]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.direction=backward", r"training.direction=backward has no effect with model.prompt=chat"),
        ("model.prompt=godel", r"model.prompt=godel cannot be trained: use dialogpt or chat"),
        ("model.path=tiny", r"tiny has no chat template"),
    ],
)
def test_mistakes_are_named(tmp_path, chat_model, override, message):
    with pytest.raises(UserError, match=message):
        training.train(compose("train", chat_overrides(tmp_path, chat_model, "model.system_prompt=null", override)))
