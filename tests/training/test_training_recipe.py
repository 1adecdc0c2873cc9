"""The published settings, the objective, the Noam schedule, and the released perplexity."""

from __future__ import annotations

import gzip
import json
import math

import hypothesis
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.random_models import TEXTS, random_gpt2

from dialoeval.cli.main import main
from dialoeval.config.compose import compose
from dialoeval.errors import UserError
from dialoeval.training import train as training
from dialoeval.training.corpus import Corpus, load_corpus
from dialoeval.training.loss import evaluate
from dialoeval.training.model import make_model
from dialoeval.training.optimise import learning_rate


def test_the_recipe_holds_the_published_settings():
    options = compose("train", ["recipe=dialogpt"]).training
    assert (options.name, options.objective, options.cutting) == ("dialogpt", "responses", "dialogpt")
    assert (options.block_size, options.learning_rate) == (128, 1e-5)
    assert (options.schedule, options.warmup_steps) == ("noam", 16_000)
    with pytest.raises(UserError, match="dialogpt"):
        compose("train", ["recipe=dialogpd"])


def test_noam_is_the_published_schedule():
    options = compose("train", ["recipe=dialogpt"]).training
    rates = [learning_rate(step, options, width=1024) for step in (1, 8_000, 16_000, 64_000)]
    peak = 1e-5 * 1e4 * 1024**-0.5 * 16_000**-0.5
    assert rates == pytest.approx([peak / 16_000, peak / 2, peak, peak / 2])
    assert peak == pytest.approx(2.470529e-5, rel=1e-6)
    with pytest.raises(UserError, match=r"training.warmup_steps=0: must be at least 1 with training.schedule=noam"):
        compose("train", ["recipe=dialogpt", "training.warmup_steps=0"])


def test_responses_are_the_objective_of_fine_tuning_and_all_tokens_that_of_the_embedded_models():
    assert compose("train", []).training.objective == "responses"
    assert {compose("train", [f"training={name}"]).training.objective for name in ("tiny", "tiny-backward")} == {"all"}
    with pytest.raises(UserError, match=r"training.objective must be responses or all"):
        compose("train", ["training.objective=everything"])
    with pytest.raises(UserError, match=r"training.objective=all has no effect with model.prompt=chat"):
        compose("train", ["model=smollm2", "training.objective=all"])
    with pytest.raises(UserError, match=r"training.cutting=dialogpt has no effect; it needs training.objective=resp"):
        compose("train", ["training.objective=all", "training.cutting=dialogpt"])


def test_the_first_turn_is_context(settings, tmp_path, some_talks):
    config = settings(tmp_path / "o", "training.objective=responses")
    tokenizer = make_model(config)[1]
    corpus = load_corpus(config.dataset, config.training, tokenizer)
    assert max(corpus.lengths) <= 64
    talks = [json.loads(line)["turns"] for line in some_talks.read_text().splitlines()]
    learned = [tokenizer.decode(s[a : b - 1]) for s, ones in zip(corpus.sequences, corpus.spans) for a, b in ones]  # noqa: B905
    assert learned == [turn for turns in talks for turn in turns[1:]]


def test_the_older_objective_does_not_go_on_as_the_new_one(overrides, tmp_path):
    training.train(compose("train", overrides))  # objective=all
    file = tmp_path / "out" / "training.json"
    record = json.loads(file.read_text())
    for key in ("objective", "cutting", "schedule", "lora"):
        del record["run"]["training"][key]
    for key in ("trained_parameters", "left_out", "released_perplexity", "processes"):
        del record[key]
    file.write_text(json.dumps(record))  # as a version wrote it that knew no other
    assert training.train(compose("train", overrides)).step == 12
    with pytest.raises(UserError, match=r"differs in: training.objective was all, now responses\)"):
        training.train(compose("train", [*overrides, "training.objective=responses"]))


def test_a_state_of_an_earlier_version_goes_on_as_it_was(overrides, tmp_path, monkeypatch):
    whole = training.train(compose("train", [*overrides, f"training.output_dir={tmp_path}/whole"]))
    real = training._step

    def killed(*arguments):
        if arguments[-1] == 7:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(training, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        training.train(compose("train", overrides))
    monkeypatch.undo()
    for file in (tmp_path / "out" / "state" / "progress.json", tmp_path / "out" / "training.json"):
        record = json.loads(file.read_text())
        for key in ("objective", "cutting", "schedule", "lora"):
            del record["run"]["training"][key]
        record.pop("held_out_sequence_loss", None)
        file.write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"training.objective was all, now responses"):
        training.train(compose("train", [*overrides, "training.objective=responses"]))
    assert training.train(compose("train", overrides)).weights == whole.weights


@hypothesis.settings(deadline=None)
@given(st.lists(st.lists(st.integers(1, 300), min_size=2, max_size=9), min_size=1, max_size=6), st.integers(1, 40))
def test_the_released_perplexity_counts_sequences(model, sequences, budget):
    corpus = Corpus(sequences, [[(1, 2)] if len(s) == 2 else [(1, 2), (len(s) - 1, len(s))] for s in sequences])
    means, losses = [], []
    for sequence, spans in zip(sequences, corpus.spans, strict=True):
        ids = torch.tensor([sequence])
        labels = torch.full_like(ids, -100)
        for start, stop in spans:
            labels[0, start:stop] = ids[0, start:stop]
        with torch.no_grad():
            means.append(model(input_ids=ids, labels=labels).loss.item())  # transformers' mean over what is predicted
        losses += [means[-1]] * int((labels[:, 1:] != -100).sum())
    found = evaluate(model, corpus, budget)
    assert found.by_sequence == pytest.approx(sum(means) / len(means), rel=1e-4)
    assert found.by_token == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert found.released_perplexity == pytest.approx(math.exp(sum(means) / len(means)), rel=1e-3)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(random_gpt2(tmp_path_factory.mktemp("model"))).eval()


def test_the_command_trains_on_the_published_rows(shared, tmp_path, capsys):
    rows = tmp_path / "rows.tsv"
    rows.write_bytes(gzip.decompress((shared / "reddit_extract" / "train.tsv.gz").read_bytes()))
    words = ["dataset=dialogpt_tsv", f"dataset.path={rows}", f"training.validation_path={rows}", "model=tiny"]
    more = ["training.max_steps=2", f"training.output_dir={tmp_path}/m", "device=cpu"]
    assert main(["train", "recipe=dialogpt", *words, *more]) == 0
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    assert record["run"]["training"]["objective"] == "responses" and record["left_out"]["replies of weight 0"] > 0
    out = capsys.readouterr().out
    assert f"held-out perplexity: {record['validation_perplexity']} (as the DialoGPT release computes it: " in out
    assert record["released_perplexity"] != record["validation_perplexity"]


def test_dialogues_of_one_turn_teach_no_response(tmp_path):
    file = tmp_path / "talks.jsonl"
    file.write_text("".join(json.dumps({"turns": [text]}) + "\n" for text in TEXTS))
    words = ["dataset=conversations", f"dataset.path={file}", f"training.output_dir={tmp_path}/m", "model=tiny"]
    with pytest.raises(UserError, match=r"has no dialogues .* in which a turn follows another, to be predicted"):
        training.train(compose("train", words))
