"""Training: batches, resuming to the same weights, both directions, fine-tuning."""

from __future__ import annotations

import itertools
import json
import math

import pytest
import torch
from support.random_models import TEXTS, random_gpt2

from dialoeval.config.compose import compose
from dialoeval.errors import UserError
from dialoeval.training import train as training
from dialoeval.training.corpus import Corpus, load_corpus
from dialoeval.training.loss import evaluate
from dialoeval.training.model import make_model
from dialoeval.training.optimise import learning_rate
from dialoeval.training.sequences import batches, encode_dialogues, in_order
from dialoeval.training.tokenizer import train_tokenizer

# ---- sequences


def encode(turns):
    return [[int(word) for word in turn.split()] for turn in turns]


def test_every_turn_is_ended_and_long_dialogues_are_cut_between_turns():
    dialogues = [("1 2", "3"), ("4 5 6", "7 8", "9"), ("1 2 3 4 5 6 7 8 9",)]
    assert encode_dialogues(dialogues, encode, 0, 6) == [
        [1, 2, 0, 3, 0],
        [4, 5, 6, 0],
        [7, 8, 0, 9, 0],
        [1, 2, 3, 4, 5, 0],
    ]


def test_backward_reverses_the_turns_and_not_their_words():
    assert encode_dialogues([("1 2", "3 4", "5")], encode, 0, 20, backward=True) == [[5, 0, 3, 4, 0, 1, 2, 0]]


def test_batches_take_every_sequence_once_an_epoch_within_the_budget():
    lengths = [3, 9, 4, 7, 5, 6, 2, 8, 4, 50]
    steps = list(itertools.islice(batches(lengths, 20, 16, seed=1), 40))
    seen = [index for step in steps for batch in step for index in batch]
    times = [seen.count(index) for index in range(len(lengths))]
    assert len(seen) > 30 and max(times) - min(times) <= 1
    for step in steps:
        tokens = sum(lengths[i] for batch in step for i in batch)
        assert tokens >= 20
        for batch in step:
            assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= 16
    again = list(itertools.islice(batches(lengths, 20, 16, seed=1), 40))
    other = list(itertools.islice(batches(lengths, 20, 16, seed=2), 40))
    assert steps == again != other
    assert sorted(i for batch in in_order(lengths, 16) for i in batch) == list(range(10))


def test_padding_changes_no_loss(tmp_path):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(random_gpt2(tmp_path)).eval()
    corpus = Corpus([[5, 6, 0], [7, 0, 8, 9, 10, 11, 0], [12, 13, 14, 0, 0]])
    alone = 0.0
    for sequence in corpus.sequences:  # the mean loss of transformers over the predicted tokens
        ids = torch.tensor([sequence])
        alone += model(input_ids=ids, labels=ids).loss.item() * (len(sequence) - 1)
    together = evaluate(model, corpus, 1000).by_token
    assert together == pytest.approx(alone / (2 + 6 + 4), rel=1e-5)
    assert together == pytest.approx(evaluate(model, corpus, 1).by_token, rel=1e-5)


def test_learning_rate_warms_up_and_falls_to_a_tenth():
    options = compose(
        "train", ["training.max_steps=100", "training.warmup_steps=10", "training.learning_rate=1"]
    ).training
    rates = [learning_rate(step, options, width=0) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert rates[9] == max(rates) and rates[-1] == pytest.approx(0.1)
    assert all(a > b for a, b in itertools.pairwise(rates[9:]))


def test_tokenizer_writes_every_text_back():
    tokenizer = train_tokenizer(TEXTS, 300, 64)
    assert len(tokenizer) == 300 and tokenizer.eos_token_id == tokenizer.pad_token_id == 0
    for text in [*TEXTS, "ünï  \n中文 🙂", " lead", "<|im_start|>"]:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


# ---- whole trainings


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def trained(settings, some_talks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, training.train(settings(folder, f"training.validation_path={some_talks}"))


def test_loss_goes_down_and_is_recorded(trained):
    folder, record = trained
    curve = record.curve
    assert [row["step"] for row in curve] == [5, 10, 12]
    assert curve[-1]["loss"] < curve[0]["loss"] - 0.3
    assert record.to_json() == json.loads((folder / "training.json").read_text())
    assert list(record.to_json())[:3] == ["schema", "command", "run"] and list(record.to_json())[-1] == "curve"
    assert record.validation_perplexity == pytest.approx(math.exp(record.validation_loss), rel=1e-3)
    assert record.train_sequences >= 60 and record.parameters > 10_000


def test_model_folder_is_in_the_hubs_format(trained):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(trained[0])
    tokenizer = AutoTokenizer.from_pretrained(trained[0])
    assert model.config.n_positions == 64 and model.config.eos_token_id == tokenizer.eos_token_id == 0
    ids = torch.tensor([[*tokenizer("hello there")["input_ids"], 0]])
    assert model(ids).logits.shape[-1] == len(tokenizer)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_killed_and_resumed_training_ends_with_the_same_weights(settings, tmp_path, monkeypatch, dropout):
    more = f"training.dropout={dropout}"
    whole = training.train(settings(tmp_path / "whole", more))
    real = training._step

    def killed(*arguments):
        if arguments[-1] == 7:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(training, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        training.train(settings(tmp_path / "cut", more))
    assert weights(tmp_path / "cut") != weights(tmp_path / "whole")  # the checkpoint of step 4, which can be loaded
    monkeypatch.setattr(training, "_step", real)
    resumed = training.train(settings(tmp_path / "cut", more))
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert resumed.curve == whole.curve


def test_accumulating_micro_batches_changes_the_weights_by_rounding_only(settings, tmp_path):
    from safetensors.torch import load_file

    training.train(settings(tmp_path / "a", "training.micro_batch_tokens=1000", "training.max_steps=3"))
    training.train(settings(tmp_path / "b", "training.micro_batch_tokens=60", "training.max_steps=3"))
    one, other = load_file(tmp_path / "a" / "model.safetensors"), load_file(tmp_path / "b" / "model.safetensors")
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=2e-4, rtol=0)


def test_each_direction_is_best_at_its_own(settings, some_talks, tmp_path):
    from transformers import AutoModelForCausalLM

    models, corpora = {}, {}
    for direction in ("forward", "backward"):
        folder = tmp_path / direction
        config = settings(
            folder,
            f"training.direction={direction}",
            f"training.validation_path={some_talks}",
            "training.max_steps=80",
            "training.learning_rate=1e-2",
        )
        record = training.train(config)
        models[direction] = AutoModelForCausalLM.from_pretrained(folder).eval()
        corpora[direction] = load_corpus(config.dataset, config.training, make_model(config)[1])
        loss = evaluate(models[direction], corpora[direction], 500).by_token
        assert loss == pytest.approx(record.validation_loss, abs=1e-3)
    for direction, corpus in corpora.items():
        losses = {name: evaluate(model, corpus, 500).by_token for name, model in models.items()}
        assert min(losses, key=losses.get) == direction


def test_fine_tuning_a_checkpoint(settings, tmp_path):
    start = random_gpt2(tmp_path / "start")
    config = settings(tmp_path / "out", "training.save_dtype=fp16", start=[f"model.path={start}"])
    curve = training.train(config).curve
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert weights(tmp_path / "out") != weights(start)
    assert (tmp_path / "out" / "model.safetensors").stat().st_size < 0.6 * (start / "model.safetensors").stat().st_size


def test_an_encoder_decoder_model_is_refused(settings, tmp_path):
    from transformers import T5Config, T5ForConditionalGeneration

    shape = T5Config(vocab_size=300, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(shape).save_pretrained(tmp_path / "t5")
    train_tokenizer(TEXTS, 300, 64).save_pretrained(tmp_path / "t5")
    with pytest.raises(UserError, match="is an encoder-decoder model"):
        training.train(settings(tmp_path / "o", start=[f"model.path={tmp_path}/t5"]))


def test_another_configuration_does_not_go_on_in_the_same_folder(settings, trained):
    with pytest.raises(UserError, match=r"another configuration \(differs in: seed was 0, now 1\)"):
        training.train(settings(trained[0], "seed=1"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.direction=sideways", r"training.direction must be forward or backward"),
        ("training.precision=fp64", r"training.precision must be fp32 or bf16"),
        ("training.save_dtype=int8", r"training.save_dtype must be fp32 or fp16"),
        ("training.max_steps=0", r"training.max_steps must be at least 1"),
        ("training.architecture.heads=3", r"width=32 is not a multiple of heads=3"),
        ("training.block_size=65", r"block_size=65 exceeds the model's context length of 64"),
        ("device=tpu", r"device must be auto, cpu or cuda"),
        ("dataset.path=/none.jsonl", r"there is no file /none.jsonl"),
        ("training.learning_rate=1e30", r"the loss is not finite at step"),
    ],
)
def test_mistakes_are_named(settings, tmp_path, override, message):
    with pytest.raises(UserError, match=message):
        training.train(settings(tmp_path, override))


def test_the_verb(some_talks, tmp_path, capsys):
    from dialoeval.cli.main import main

    overrides = [f"dataset.path={some_talks}", "dataset=conversations", f"training.output_dir={tmp_path}/m"]
    assert main(["train", *overrides, "--cfg", "job"]) == 0
    assert "learning_rate: 5.0e-05" in capsys.readouterr().out
    assert main(["train", *overrides, "training.learning_rat=1"]) == 2
    assert "did you mean 'training.learning_rate'" in capsys.readouterr().err
