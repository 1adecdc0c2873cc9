"""Figures of runs as a model card, as evaluation results of the Hub, and as a citation."""

from __future__ import annotations

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from support.report_runs import examples, replies, write_run

from dialoeval.cli.main import main
from dialoeval.errors import UserError
from dialoeval.reports.share import citation, evaluation_results, model_card
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import load_run

DATA = examples(20)


def loaded(folder, name="a", seed=1, **settings):
    path = write_run(folder, DATA, replies(DATA, seed), name=name, extra=("rouge_l",), meteor=True, **settings)
    return load_run(RunFolder(path))


@pytest.fixture
def run(tmp_path):
    return loaded(tmp_path)


def test_the_hub_reads_the_card(run):
    card = ModelCard(model_card([run]))
    results = {result.metric_type: result for result in card.data.eval_results}
    assert set(results) >= {"nist2", "bleu4", "meteor", "distinct1", "avg_len", "rouge_l"}
    bleu = results["bleu4"]
    assert bleu.metric_value == pytest.approx(100 * run.scores["bleu4"], abs=1e-4)
    assert bleu.metric_args["signature"] == run.scores.signature_of("bleu4") and bleu.metric_args["unit"] == "percent"
    low, high = run.scores.interval("bleu4")
    assert bleu.metric_args["interval_95"] == pytest.approx([100 * low, 100 * high], abs=1e-4)
    assert bleu.dataset_args["fingerprint"] == run.dataset
    assert card.data.model_name == run.settings.model["name"]


def test_an_earlier_card_keeps_what_is_its_own(run, tmp_path):
    card = (
        "---\nlicense: mit\ntags:\n- dialogue\nmodel-index:\n- name: toy\n  results:\n  - task:\n      type: t\n"
        "    dataset:\n      type: d\n      name: D\n    metrics:\n    - type: wer\n      value: 9.5\n---\n\n# Über\n\n"
        "Text with --- in it.\n"
    )
    once = model_card([run], card=card)
    page = ModelCard(once)
    assert page.data.license == "mit" and page.data.tags == ["dialogue"] and "# Über\n\nText with --- in" in page.text
    assert [r.metric_value for r in page.data.eval_results if r.metric_type == "wer"] == [9.5]
    assert model_card([run], card=once) == once, "a second call changes nothing"
    other = loaded(tmp_path, name="b", seed=2, decoding={"name": "beam", "strategy": "beam", "num_beams": 10})
    both = ModelCard(model_card([other], card=once)).data.eval_results
    assert sorted(r.metric_name for r in both if r.metric_type == "bleu4") == ["BLEU-4 (beam)", "BLEU-4 (greedy)"]


def test_cards_that_would_mislead_are_refused(run, tmp_path):
    with pytest.raises(UserError, match="same decoding, dataset and protocol"):
        model_card([run, run])
    other = loaded(tmp_path, name="b", model="other")
    with pytest.raises(UserError, match="these runs are of toy, other: give --name"):
        model_card([run, other])
    for block in ("---\n- a\n---\n", "---\na: [\n---\n", "---\nmodel-index:\n- results: 3\n---\n"):
        with pytest.raises(UserError, match="damaged"):
            model_card([run], card=block)


def test_evaluation_results_are_read_by_the_hub(run):
    entries = parse_eval_result_entries(yaml.safe_load(evaluation_results(run, "owner/talks", ["bleu4"], "test")))
    assert [(entry.dataset_id, entry.task_id) for entry in entries] == [("owner/talks", "test")]
    assert entries[0].value == pytest.approx(100 * run.scores["bleu4"], abs=1e-4)
    assert run.scores.signature_of("bleu4") in entries[0].notes
    assert len(yaml.safe_load(evaluation_results(run, "owner/talks"))) > 5
    with pytest.raises(UserError, match="owner/name"):
        evaluation_results(run, "talks")
    with pytest.raises(UserError, match="choose one by --figures"):
        evaluation_results(run, "owner/talks", task="x")
    with pytest.raises(UserError, match="unknown figure 'bleu9'"):
        evaluation_results(run, "owner/talks", ["bleu9"])


def test_a_citation_has_all_that_is_needed(run):
    line = citation(run, "bleu4")
    low, high = (100 * edge for edge in run.scores.interval("bleu4"))
    assert line.startswith(
        f"BLEU-4 {100 * run.scores['bleu4']:.2f}% [{low:.2f}, {high:.2f}] (95% bootstrap interval; 20"
    )
    for part in (run.scores.signature_of("bleu4"), f"dialoeval {run.scores.version}", run.name, "toy greedy"):
        assert part in line
    assert "\n" not in line


def test_the_command(run, tmp_path, capsys):
    card = tmp_path / "README.md"
    assert main(["export", str(run.path), "--model-card", str(card), "--name", "my-model"]) == 0
    assert ModelCard.load(card).data.model_name == "my-model"
    assert main(["export", str(run.path), "--cite", "bleu4"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == citation(run, "bleu4")
    file = tmp_path / "r.yaml"
    assert (
        main(["export", str(run.path), "--eval-results", str(file), "--dataset-id", "o/n", "--figures", "bleu4"]) == 0
    )
    assert yaml.safe_load(file.read_text())[0]["dataset"] == {"id": "o/n", "task_id": "bleu4"}
    for wrong in (
        ["--eval-results", str(file)],
        ["--cite", "bleu4", "--figures", "bleu4"],
        ["--cite", "blue4"],
        ["--model-card", str(tmp_path)],
        ["--model-card", "-", "--task-id", "x"],
    ):
        assert main(["export", str(run.path), *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
