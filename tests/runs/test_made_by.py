"""A report and `dialoeval show` name everything that made the replies."""

from __future__ import annotations

import json

import pytest
from support.random_models import random_gpt2

from dialoeval.cli.main import main
from dialoeval.config.compose import compose
from dialoeval.errors import UserError
from dialoeval.generation.prompts import Prompter
from dialoeval.reports import write_html
from dialoeval.runs import runner


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A chat model with sampling settings of its own."""
    path = random_gpt2(tmp_path_factory.mktemp("model") / "m", window=256)
    template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
    tokenizer = json.loads((path / "tokenizer_config.json").read_text())
    (path / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"chat_template": template}))
    written = {"eos_token_id": 0, "temperature": 0.6, "top_p": 0.9, "do_sample": True, "max_new_tokens": 5}
    (path / "generation_config.json").write_text(json.dumps(written))
    return path


def run(folder, tmp_path, *overrides):
    few = ["dataset.limit=4", "scoring.meteor=false", "scoring.resamples=0", "engine.device=cpu", "engine.workers=1"]
    return runner.run(compose("config", [f"model.path={folder}", f"reports_dir={tmp_path}", *few, *overrides]))


def test_a_report_names_models_prompt_engine_and_what_was_ignored(folder, tmp_path, capsys):
    back = random_gpt2(tmp_path / "back", seed=1)
    done = run(folder, tmp_path, f"model.backward={back}", "decoding=mmi", "decoding.max_new_tokens=6",
               "decoding.num_candidates=2", "model.prompt=chat", "model.system_prompt='Be <kind>.'")  # fmt: skip
    environment = json.loads((done.folder.path / "environment.json").read_text())["generator"]
    reranker = environment["reranker"]
    assert reranker["kind"] == "mmi" and reranker["model"]["path"] == str(back)
    assert reranker["model"]["weights"] != environment["model"]["weights"]
    assert environment["prompt"]["chat_template"].startswith("sha256:")
    assert environment["generation_config"]["temperature"] == 0.6 and not environment["generation_config_taken"]
    capsys.readouterr()
    assert main(["show", str(done.folder.path)]) == 0
    shown = capsys.readouterr().out
    for line in (
        f"model: {folder} (weights {environment['model']['weights']}, tokenizer ",
        f"backward model: {back} (weights {reranker['model']['weights']}, tokenizer ",
        "prompt: chat\n",
        "system prompt: Be <kind>.\n",
        f"chat template: {environment['prompt']['chat_template']}\n",
        "engine: fast (",
        "engine version: ",
        "precision: fp32\n",
        "generation settings of the checkpoint: do_sample=True, max_new_tokens=5, temperature=0.6, top_p=0.9, "
        "ignored (decoding=checkpoint takes them)\n",
    ):
        assert line in shown
    report = (done.folder.path / "report.md").read_text("utf-8")
    assert "- backward model: " in report and "- prompt: chat\n" in report and "Be &lt;kind" in report
    assert "ignored (decoding=checkpoint takes them)" in report
    write_html([done.folder.path], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert reranker["model"]["weights"] in page and environment["prompt"]["chat_template"] in page


def test_a_report_says_that_a_checkpoints_settings_were_taken(folder, tmp_path):
    done = run(folder, tmp_path, "decoding=checkpoint")
    report = (done.folder.path / "report.md").read_text("utf-8")
    assert "top\\_p=0.9, taken\n" in report and "- decoding.temperature: 0.6\n" in report
    assert "backward" not in report.split("## Settings")[1].split("## Signatures")[0]
    again = run(folder, tmp_path, "decoding=checkpoint")
    assert again.generated == 0 and again.folder.path == done.folder.path


def test_a_system_prompt_that_no_prompt_reads_is_no_part_of_the_identity():
    plain = compose("config", ["model=smollm2", "model.prompt=dialogpt"]).model
    assert Prompter(plain, None).identity()["system_prompt"] is None


def test_a_metric_whose_model_is_missing_is_said_before_generation(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "open_generator", lambda *_: pytest.fail("opened"))
    with pytest.raises(UserError, match="no/such/encoder"):
        run(folder, tmp_path, "scoring.extra=['bertscore:./no/such/encoder']")
