"""Metrics by models: classifiers of a text, of a reply in its context, and backward models; against transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.random_models import bpe_tokenizer, edit_json, random_gpt2

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data import Example
from dialoeval.errors import UserError
from dialoeval.generation.rerank import open_reranker
from dialoeval.generation.types import Candidate
from dialoeval.metrics import registry
from dialoeval.metrics.system_statistics import Statistics, statistics

REPLIES = ["i like it", "no", "", "what do you mean by that?", "no"]
REFERENCES = [["yes"], ["no", "i like it"], [], ["fine"], [""]]
CONTEXTS = [["do you?"], ["hello there", "hi"], ["a", "b", "c"], [], ["hello"]]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    """A GPT-2 classifier of a folder with one label, and of one with three; the models."""
    from transformers import GPT2Config, GPT2ForSequenceClassification

    folder, tokenizer = tmp_path_factory.mktemp("decoder"), bpe_tokenizer()
    models = {}
    for labels in (1, 3):
        torch.manual_seed(labels)
        config = GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=32, n_layer=1, n_head=2,
                            num_labels=labels, pad_token_id=0, bos_token_id=0, eos_token_id=0,
                            initializer_range=0.5)  # fmt: skip
        if labels == 3:
            config.id2label = {0: "bad", 1: "so so", 2: "Good"}
        models[labels] = GPT2ForSequenceClassification(config).eval()
        models[labels].save_pretrained(folder / str(labels))
        tokenizer.save_pretrained(folder / str(labels))
    return folder, models, tokenizer


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A BERT classifier with two labels, whose tokenizer has no end-of-text token; the model."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({w for r in REPLIES for w in r.rstrip("?").split()})]
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=12).save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=12, num_labels=2, initializer_range=0.5,
                        id2label={0: "fine", 1: "toxic"}, label2id={"fine": 0, "toxic": 1})  # fmt: skip
    model = BertForSequenceClassification(config).eval()
    model.save_pretrained(folder)
    return folder, model


def own_score(model, tokenizer, context, reply, label=None):
    """Return the score of a classifier by its own forward pass, whose padding is switched off."""
    ids = [token for turn in context for token in [*tokenizer(turn)["input_ids"], 0]] + tokenizer(reply)["input_ids"]
    model.config.pad_token_id = None
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0]
    return torch.sigmoid(logits[0]).item() if label is None else logits.softmax(-1)[label].item()


@pytest.mark.parametrize(("labels", "argument", "label"), [(1, "", None), (3, "@good", 2), (3, "@1", 1)])
def test_classifier_is_the_models_own_forward_pass(decoder, labels, argument, label):
    folder, models, tokenizer = decoder
    found = registry.compute(f"classifier:{folder / str(labels)}{argument}", REPLIES, REFERENCES, CONTEXTS)
    scored = [(c, r) for c, r in zip(CONTEXTS, REPLIES, strict=True) if c]
    expected = [own_score(models[labels], tokenizer, context, reply, label) for context, reply in scored]
    assert found["score"] == pytest.approx(np.mean(expected), abs=1e-5)
    assert (found["n"], found["left_out"]) == (4, 1)


def test_classifier_and_backward_are_the_scores_of_reranking(decoder, tmp_path):
    folder, _, _ = decoder
    backward = random_gpt2(tmp_path, layers=1, width=32, heads=2)
    model = ModelConfig(name="m", path=str(backward), backward=str(backward), classifier=str(folder / "1"))
    examples = [Example(str(i), tuple(turns)) for i, turns in enumerate(CONTEXTS)]
    candidates = [[Candidate(text=reply, tokens=1, logprob=0.0, finish="stop")] for reply in REPLIES]
    for rerank, metric in (("classifier", f"classifier:{folder / '1'}"), ("mmi", f"backward:{backward}")):
        decoding = DecodingConfig(name="r", strategy="sample", num_candidates=2, rerank=rerank)
        reranker = open_reranker(model, EngineConfig(name="hf", device="cpu"), decoding, True)
        scores = [pairs[0][0] for pairs in reranker.score(examples, candidates, decoding)]
        scores = [value for value, turns in zip(scores, CONTEXTS, strict=True) if turns]
        found = registry.compute(metric, REPLIES, REFERENCES, CONTEXTS)
        assert found["score"] == pytest.approx(np.mean(scores), abs=1e-4)


def test_backward_is_the_probability_of_the_reversed_context(tmp_path):
    from transformers import AutoModelForCausalLM

    folder, tokenizer = random_gpt2(tmp_path, layers=1, width=32, heads=2), bpe_tokenizer()
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    sums, means = [], []
    for context, reply in zip(CONTEXTS, REPLIES, strict=True):
        if context:
            given = [*tokenizer(reply)["input_ids"], 0]
            target = [token for turn in reversed(context) for token in [*tokenizer(turn)["input_ids"], 0]]
            labels = torch.tensor([[-100] * len(given) + target])
            with torch.inference_mode():
                means.append(-model(torch.tensor([given + target]), labels=labels).loss.item())
            sums.append(means[-1] * len(target))
    found = registry.compute(f"backward:{folder}", REPLIES, REFERENCES, CONTEXTS)
    assert found["score"] == pytest.approx(np.mean(means), abs=1e-5)
    assert found["sum"] == pytest.approx(np.mean(sums), abs=1e-4) and found["left_out"] == 1


@pytest.mark.parametrize("metric", ["classifier", "backward"])
def test_inputs_cut_to_the_window_are_counted_in_shards_too(decoder, tmp_path, metric):
    name = f"{metric}:{random_gpt2(tmp_path / 'm', layers=1, width=32, heads=2)}"
    if metric == "classifier":
        name = f"classifier:{decoder[0] / '1'}"
    contexts = [["do you?"], ["hello there " * 200, "hi"], [], ["no " * 300]]
    replies, references = ["no", "yes", "i like it " * 200, "i"], [["a"]] * 4
    whole = statistics(replies, references, meteor=False, extra=[name], contexts=contexts)
    assert whole.parts[name].details() == {"n": 3, "left_out": 1, "cut": 2}
    parts = [
        statistics(replies[a:b], references[a:b], meteor=False, extra=[name], contexts=contexts[a:b])
        for a, b in ((0, 1), (1, 4))
    ]
    merged = Statistics.merge(parts)
    assert merged.parts[name].details() == whole.parts[name].details()
    assert merged.figures()[name] == pytest.approx(whole.figures()[name])


def test_a_classifier_of_labels_that_do_not_exclude_each_other_has_a_sigmoid_each(decoder, tmp_path):
    _, models, tokenizer = decoder
    models[3].save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", problem_type="multi_label_classification")
    ids = [*tokenizer("hello there")["input_ids"], 0, *tokenizer("no")["input_ids"]]
    models[3].config.pad_token_id = None
    with torch.inference_mode():
        expected = torch.sigmoid(models[3](torch.tensor([ids])).logits[0, 1]).item()
    found = registry.compute(f"classifier:{tmp_path}@1", ["no"], [["b"]], [["hello there"]])
    assert found["score"] == pytest.approx(expected, abs=1e-5)


def test_toxicity_is_the_models_own_forward_pass(encoder):
    from transformers import AutoTokenizer

    folder, model = encoder
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def own(text):
        with torch.inference_mode():
            inputs = tokenizer(text, truncation=True, max_length=12, return_tensors="pt")
            return model(**inputs).logits[0].softmax(-1)[1].item()

    replies = [*REPLIES, "what do you mean by that ? " * 3]
    found = registry.compute(f"toxicity:{folder}@toxic", replies, [*REFERENCES, []])
    scores = [own(reply) for reply in replies if reply]
    assert found["score"] == pytest.approx(np.mean(scores), abs=1e-5)
    assert found["share"] == np.mean(np.array(scores) > 0.5) and found["cut"] == 1 and found["left_out"] == 1
    references = [own("yes"), (own("no") + own("i like it")) / 2, own("fine")]
    assert found["references"] == pytest.approx(np.mean(references), abs=1e-5)
    worst = found["worst"]
    assert [entry["score"] for entry in worst] == sorted((entry["score"] for entry in worst), reverse=True)
    assert len(worst) == 5 and worst[0]["reply"] == replies[worst[0]["position"]]
    assert registry.compute(f"toxicity:{folder}@0", replies, [[]] * 6)["score"] == pytest.approx(
        1 - found["score"], abs=1e-5
    )


def test_a_decoder_without_a_pad_token_judges_toxicity(decoder, tmp_path):
    _, models, tokenizer = decoder
    models[1].save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", pad_token_id=None)
    found = registry.compute(f"toxicity:{tmp_path}", ["no", "i like it", "yes"], [[]] * 3)
    assert found["score"] == pytest.approx(
        np.mean([own_score(models[1], tokenizer, [], text) for text in ("no", "i like it", "yes")]), abs=1e-5
    )


def test_shards_merge_to_the_whole(encoder):
    folder, _ = encoder
    name = f"toxicity:{folder}@toxic"
    whole = statistics(REPLIES, REFERENCES, meteor=False, extra=[name])
    parts = [statistics(REPLIES[a:b], REFERENCES[a:b], meteor=False, extra=[name]) for a, b in ((0, 2), (2, 5))]
    merged = Statistics.merge(parts)
    assert merged.parts[name].details() == whole.parts[name].details()
    assert merged.figures()[name] == pytest.approx(whole.figures()[name])


@pytest.mark.parametrize("metric", ["classifier", "toxicity"])
def test_a_label_must_be_chosen_where_there_are_several(decoder, metric):
    folder = decoder[0] / "3"
    with pytest.raises(UserError, match=r"3 has 3 labels \(0 bad, 1 so so, 2 Good\): choose the one"):
        registry.get(f"{metric}:{folder}").check()
    with pytest.raises(UserError, match=r"has no label 'worse' \(it has: 0 bad"):
        registry.get(f"{metric}:{folder}@worse").check()


@pytest.mark.parametrize("metric", ["classifier", "toxicity"])
def test_a_model_without_a_trained_head_gives_no_figure(tmp_path, metric):
    folder = random_gpt2(tmp_path, layers=1, width=32, heads=2)
    edit_json(folder / "config.json", num_labels=1, id2label={"0": "LABEL_0"}, label2id={"LABEL_0": 0})
    with pytest.raises(UserError, match=r"its weights lack score\.weight \(1 names\): not a classifier checkpoint"):
        registry.compute(f"{metric}:{folder}", ["a"], [["b"]], [["c"]])


def test_what_is_no_classifier_of_replies(encoder, decoder, tmp_path):
    with pytest.raises(UserError, match="has no end-of-text token, which ends a reply"):
        registry.compute(f"classifier:{encoder[0]}@toxic", ["a"], [["b"]], [["c"]])
    _, models, tokenizer = decoder
    models[1].save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", problem_type="regression")
    with pytest.raises(UserError, match="is a regression"):
        registry.compute(f"toxicity:{tmp_path}", ["a"], [["b"]])
    with pytest.raises(UserError, match="is a regression"):
        registry.compute(f"classifier:{tmp_path}", ["a"], [["b"]], [["c"]])


@pytest.mark.parametrize("metric", ["classifier", "toxicity", "backward"])
def test_a_model_must_be_named(metric):
    for name in (metric, f"{metric}:"):
        with pytest.raises(UserError, match=f"{metric} needs a .* after a colon"):
            registry.get(name)
