"""The modules for Hugging Face's `evaluate`, loaded offline from their folders."""

from __future__ import annotations

import pytest

import dialoeval
from dialoeval import metrics
from dialoeval.errors import UserError
from dialoeval.metrics.evaluate_modules import NAMES, path

REPLIES = ["i do not know", "yes, i like it a lot"]
REFERENCES = [["i don't know", "no idea"], ["yes i like it"]]


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory):
    module = pytest.importorskip("evaluate")
    module.config.HF_MODULES_CACHE = str(tmp_path_factory.mktemp("modules"))
    return module


def load(evaluate, name, tmp_path):
    return evaluate.load(path(name), cache_dir=str(tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_every_module_loads_from_its_folder_and_computes(evaluate, name, tmp_path):
    module = load(evaluate, name, tmp_path)
    assert isinstance(module, evaluate.EvaluationModule)
    if "references" in str(module.features):
        result = module.compute(predictions=REPLIES, references=REFERENCES)
    else:
        result = module.compute(predictions=REPLIES)
    expected = {
        "nist_mteval": ("nist", lambda: metrics.nist(REPLIES, REFERENCES)[3]),
        "bleu_mteval": ("bleu", lambda: metrics.bleu(REPLIES, REFERENCES)[3]),
        "meteor_1_5": ("meteor", lambda: metrics.meteor(REPLIES, REFERENCES)),
        "entropy_n": ("entropy", lambda: metrics.entropy(REPLIES)[3]),
        "distinct_n": ("distinct2", lambda: metrics.distinct(REPLIES)[1]),
    }[name]
    assert result[expected[0]] == expected[1]()


def test_batches_and_single_reference_strings(evaluate, tmp_path):
    module = load(evaluate, "bleu_mteval", tmp_path)
    for reply, references in zip(REPLIES, REFERENCES, strict=True):
        module.add(prediction=reply, reference=references)
    assert module.compute()["bleu_by_order"] == metrics.bleu(REPLIES, REFERENCES)
    plain = load(evaluate, "bleu_mteval", tmp_path).compute(predictions=REPLIES, references=["i know", "yes"])
    assert plain["bleu_by_order"] == metrics.bleu(REPLIES, [["i know"], ["yes"]])


def test_unknown_name_says_the_nearest():
    with pytest.raises(UserError, match="nist_mteval"):
        path("nist")


def test_every_module_takes_a_protocol_and_any_lists(evaluate, tmp_path):
    figures = dialoeval.score(REPLIES, REFERENCES, "dstc7", resamples=0).figures
    for name, key, figure in (
        ("nist_mteval", "nist", "nist4"),
        ("bleu_mteval", "bleu", "bleu4"),
        ("meteor_1_5", "meteor", "meteor"),
        ("entropy_n", "entropy", "entropy4"),
        ("distinct_n", "distinct1", "distinct1"),
    ):
        module = load(evaluate, name, tmp_path)
        inputs = {"references": (iter(refs) for refs in REFERENCES)} if "references" in str(module.features) else {}
        assert module.compute(predictions=iter(REPLIES), **inputs, protocol="dstc7")[key] == figures[figure]
    with pytest.raises(UserError, match="did you mean 'dstc7'"):
        load(evaluate, "entropy_n", tmp_path).compute(predictions=REPLIES, protocol="dstc8")


@pytest.mark.parametrize("value", [None, float("nan"), {"a": 1}, 7, b"a"])
def test_what_is_no_text_is_refused_with_its_place(evaluate, value, tmp_path):
    module = load(evaluate, "bleu_mteval", tmp_path)
    for references, place in (([value], r"references\[0\]"), ([["a", value]], r"references\[0\]\[1\]")):
        with pytest.raises(UserError, match=place):
            module.compute(predictions=["a"], references=references)
    with pytest.raises(UserError, match=r"hypotheses\[0\]"):
        module.compute(predictions=[value], references=[["a"]])
    with pytest.raises(UserError, match="references is"):
        module.compute(predictions=["a"], references={"a": ["b"]})
