"""Runs of baselines: the official scores, references and the human reply, identities, the floors of a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from support.random_models import random_gpt2

from dialoeval.cli.main import main
from dialoeval.config.compose import compose
from dialoeval.config.schema import BaselineKind
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.files import read_json
from dialoeval.generation import open_generator
from dialoeval.reports.compare import compare
from dialoeval.runs.floor import floor
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.made_by import made_by
from dialoeval.runs.reader import load_run, short_names
from dialoeval.runs.records import system_name
from dialoeval.runs.runner import run

CHEAP = ["scoring.meteor=false", "scoring.resamples=20"]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty working directory with a test file, each reply with two references, and a training file."""
    monkeypatch.chdir(tmp_path)
    test = [
        {"id": f"e{i}", "context": ["so", f"how is {i % 4}"], "references": [f"it is {i} fine", f"well {i}"]}
        for i in range(9)
    ]
    train = [{"id": f"t{i}", "turns": [f"how is {i % 5}", f"fine {i % 3}", f"why {i}", "because"]} for i in range(7)]
    for name, rows in (("test", test), ("train", train)):
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


DATA = ["dataset=file", "dataset.path=test.jsonl", *CHEAP]
TRAIN = ["model.baseline.dataset=conversations", "model.baseline.settings.path=train.jsonl"]


def replied(model: str, *more: str) -> RunFolder:
    return run(compose("config", [f"model=baseline-{model}", *DATA, *more])).folder


def test_constant_on_dstc7_has_the_official_scores(shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = ["dataset=dstc7", f"dataset.path={shared / 'dstc7'}", "dataset.allow_empty_context=true", "protocol=dstc7"]
    result = run(compose("config", ["model=baseline-constant", *data, "scoring.resamples=0"]))
    official = read_json(shared / "dstc7" / "official.json")["Constant"]
    figures = result.scores.figures
    for name, value in official.items():
        if name != "n_lines":
            decimals = 4 if name.startswith(("nist", "bleu")) else 9
            assert round(figures[name.replace("div", "distinct")], decimals) == round(value, decimals), name
    with pytest.raises(UserError, match=r"46 of 1000 examples of dstc7 have no human reply: .* index 1, .* has 1$"):
        run(compose("config", ["model=baseline-human", *data]))


def test_human_on_dstc7_is_scored_as_the_released_human_replies_are(shared, tmp_path, monkeypatch):
    """Against the same references, without the human reply among them."""
    from dialoeval.metrics.scores import score

    monkeypatch.chdir(tmp_path)
    lines = (shared / "dstc7" / "references.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if len(row["references"]) > 1][:60]
    Path("references.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    data = ["dataset=dstc7", "dataset.path=references.jsonl", "dataset.allow_empty_context=true", "protocol=dstc7"]
    result = run(compose("config", ["model=baseline-human", *data, "scoring.resamples=0"]))
    rows.sort(key=lambda row: row["id"])
    held, others = [row["references"][1] for row in rows], [row["references"] for row in rows]
    assert [row.reply for row in result.folder.replies()] == [" ".join(text.split()) for text in held]
    assert result.scores.figures == score(held, others, "dstc7").figures
    assert result.scores.figures["bleu4"] < 0.5  # not scored against itself


def test_human_on_reddit6k_is_the_last_column(here):
    Path("six.tsv").write_text("hi EOS how are you\t3|fine thanks\t2|not bad\t1|i am human\n" * 3, encoding="utf-8")
    data = ["dataset=reddit6k", "dataset.path=six.tsv", "protocol=reddit6k", *CHEAP]
    folders = [run(compose("config", [f"model=baseline-{kind}", *data])).folder for kind in ("human", "constant")]
    assert [row.reply for row in folders[0].replies()] == ["i am human"] * 3
    assert folders[0].references() == folders[1].references() == {str(i): ["fine thanks", "not bad"] for i in (1, 2, 3)}
    assert folders[0].scores().figures["bleu1"] < 0.2  # against itself it would be 1


def test_human_needs_a_reply_that_no_row_is_scored_against(here):
    with pytest.raises(
        UserError, match=r"9 of 9 examples of file have no human reply apart from the references.*held_o"
    ):
        replied("human")
    folder = replied("human", "protocol.held_out=1")
    assert [row.reply for row in folder.replies()] == [f"well {i}" for i in range(9)]
    assert folder.scores().figures["bleu1"] < 0.5 and folder.scores().protocol.held_out == 1
    other = replied("human", "protocol.held_out=0")
    assert other.path != folder.path and next(iter(other.replies())).reply == "it is 0 fine"
    with pytest.raises(UserError, match=r"9 of 9 examples of file have no human reply: .* index 2"):
        replied("human", "protocol.held_out=2")
    rows = Path("test.jsonl").read_text("utf-8").replace('["it is 3 fine", "well 3"]', '["it is 3 fine"]')
    Path("test.jsonl").write_text(rows, encoding="utf-8")
    with pytest.raises(UserError, match=r"1 of 9 examples of file have no reference beside the human reply .*'e3'"):
        replied("human", "protocol.held_out=0")
    alone = replied("human", "protocol.held_out=0", "model.baseline.without_references=true")
    assert alone.scores().figures.keys().isdisjoint({"bleu4", "nist4"}) and alone.scores().figures["avg_len"] == 4
    assert [row.reply for row in alone.replies()][3] == "it is 3 fine"
    with pytest.raises(UserError, match="have no reference, and so no human reply"):
        replied("human", "model.baseline.without_references=true", "dataset.columns.references=[]")


def test_a_human_run_takes_no_reply_from_another(here):
    """Its reply follows from the references, which another run with the same contexts may have otherwise."""
    replied("human", "protocol.held_out=1")
    text = Path("test.jsonl").read_text("utf-8").replace('"well ', '"oh ')
    Path("test.jsonl").write_text(text, encoding="utf-8")
    assert next(iter(replied("human", "protocol.held_out=1").replies())).reply == "oh 0"


def test_a_raised_limit_reuses_keyed_draws(here):
    few = run(compose("config", ["model=baseline-random", *DATA, *TRAIN, "dataset.limit=4"]))
    more = run(compose("config", ["model=baseline-random", *DATA, *TRAIN]))
    assert (more.reused, more.generated) == (4, 5)
    apart = run(compose("config", ["model=baseline-random", *DATA, *TRAIN, "reports_dir=apart", "engine.chunk=2"]))
    assert apart.folder.replies_file.read_bytes() == more.folder.replies_file.read_bytes()
    assert few.folder.replies() == more.folder.replies()[:4]


def test_the_identity_has_what_decides_the_replies(here):
    def identity(kind: str, *more: str) -> dict:
        return replied(kind, *more).existing_manifest().identity

    random = identity("random", *TRAIN)
    assert random["seed"] == 0 and identity("random", *TRAIN, "seed=3") == random | {"seed": 3}
    assert identity("copy")["seed"] is None and "training_set" not in identity("copy")["generator"]["baseline"]
    by = [identity("bm25", *TRAIN, *more)["generator"]["baseline"] for more in ((), ("model.baseline.by=reply",))]
    assert (
        by[0] == by[1] | {"by": "context"} and by[0]["training_set"] == random["generator"]["baseline"]["training_set"]
    )
    Path("train.jsonl").write_text(Path("train.jsonl").read_text("utf-8").replace("because", "since"), encoding="utf-8")
    changed = identity("random", *TRAIN)["generator"]["baseline"]["training_set"]
    assert changed != by[0]["training_set"]
    assert identity("constant", "model.baseline.text=ok")["generator"]["baseline"]["text"] == "ok"


def test_a_model_has_no_trace_of_baselines(here):
    path = random_gpt2(here / "model")
    folder = run(compose("config", [f"model.path={path}", "model.name=m", *DATA, "decoding.max_new_tokens=3"])).folder
    assert "baseline" not in folder.settings_file.read_text("utf-8")
    assert "baseline" not in json.dumps(folder.existing_manifest().identity)


def test_the_training_set_must_not_be_the_test_set(here):
    with pytest.raises(UserError, match="is the run's own test set: name another with"):
        replied("bm25", "model.baseline.dataset=file", "model.baseline.settings.path=./test.jsonl", "dataset.limit=2")
    lines = Path("test.jsonl").read_text("utf-8").splitlines(keepends=True)
    Path("part.jsonl").write_text("".join(lines[:4]), encoding="utf-8")
    part = ["model.baseline.dataset=file", "model.baseline.settings.path=part.jsonl"]
    with pytest.raises(UserError, match=r"own test set \(every pair of it is an example\)"):
        replied("random", *part)
    Path("part.jsonl").write_text("".join(lines[:4]) + '{"id": "x:1", "context": ["a"], "references": ["b"]}\n')
    folder = replied("bm25", *part)  # documents of the examples' own ids are left out
    assert all(row.retrieved.document // 2 != i for i, row in enumerate(folder.replies()) if i < 4)
    scores = folder.scores()
    assert scores.counts["replies_from_equal_contexts"] == sum(r.retrieved.equal_context for r in folder.replies()) == 5


def test_replies_that_nothing_speaks_for_are_counted(here):
    rows = [{"id": f"q{i}", "context": [text], "references": ["x"]} for i, text in enumerate(["how", "zzz", "?"])]
    Path("odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    scores = replied("bm25", *TRAIN, "dataset.path=odd.jsonl").scores()
    assert scores.counts["replies_without_a_matching_word"] == 2
    assert "replies_without_a_matching_word" not in replied("bm25", *TRAIN).scores().counts


def test_pairs_in_both_sets_are_told(here, caplog):
    Path("train.jsonl").write_text(
        Path("train.jsonl").read_text("utf-8") + '{"id": "q", "turns": ["How is 2", "it is 2  fine", "x"]}\n', "utf-8"
    )
    replied("frequent", *TRAIN)
    assert "1 of 9 examples have a last turn and a reference that conversations has as a pair too" in caplog.text


@pytest.mark.parametrize("kind", list(BaselineKind))
def test_a_report_says_what_the_row_is(kind, here, monkeypatch):
    monkeypatch.setenv("DIALOEVAL_CACHE", str(here / "cache"))
    if kind == "dense":
        pytest.importorskip("sentence_transformers")
    more = TRAIN if kind in ("random", "frequent", "bm25", "dense") else []
    folder = replied(kind, "protocol.held_out=1", *more)
    told = made_by(folder.settings(), folder)
    assert told[0].startswith(f"model: none, but the baseline {kind}") and told[-1].endswith("nothing is decoded")
    assert any("conversations, 21 pairs" in line for line in told) == bool(more)
    page = folder.report_file.read_text("utf-8")
    assert "decoding." not in page and f"baseline-{kind}" in page
    assert [row.logprob for row in folder.replies()] == [None] * 9
    assert not [found for found in folder.scores().warnings if found.kind == "equal_replies"]


def test_a_leaderboard_ranks_neither_floors_nor_mark(here, capsys):
    models = ",".join(f"baseline-{kind}" for kind in ("human", "constant", "copy"))
    assert main(["run", "-m", f"model={models}", *DATA, "protocol.held_out=1"]) == 0
    (folder,) = Path("reports/sweeps").iterdir()
    lines = [line for line in (folder / "leaderboard.md").read_text("utf-8").splitlines() if line.startswith("|")]
    names = [line.split("|")[1].strip() for line in lines[2:]]  # below the headings, of one table
    assert names == ["baseline-copy", *sorted(names[1:], reverse=True)]
    assert sorted(names[1:]) == ["baseline-constant (floor)", "baseline-human (mark)"]
    runs = [load_run(RunFolder(path.parent)) for path in Path("reports").glob("*/manifest.json")]
    assert len({run.dataset for run in runs}) == 1, "a page shows the human reply beside the others, not on other data"
    assert main(["board"]) == 0
    assert capsys.readouterr().out.count("## ") == 0, "one table"
    assert (folder / "report.html").is_file()


def test_the_floors_of_a_report(here, capsys):
    copied = replied("copy", "protocol.held_out=1")
    assert main(["report", str(copied.path), "--out", "r.html", "--floor", *TRAIN]) == 0
    assert "note:" not in capsys.readouterr().err
    rows = Path("r.md").read_text("utf-8").splitlines()[2:6]
    names = ["baseline-copy", "baseline-constant (floor)", "baseline-random (floor)", "baseline-human (mark)"]
    assert [row.split("|")[1].strip() for row in rows] == names and all("±" in row or "[" in row for row in rows)
    made = floor([copied], TRAIN)  # nothing new: the rows are those that `run` makes
    ran = [
        replied(kind, "protocol.held_out=1", *more)
        for kind, more in (("constant", []), ("random", TRAIN), ("human", []))
    ]
    assert [path.resolve() for path in made.runs] == [folder.path.resolve() for folder in ran]
    runs = [load_run(copied), *(load_run(folder) for folder in ran)]
    assert short_names(runs) == names
    assert [c.names[1] for c in compare(runs)] == names[1:]  # comparable: same data, same references


def test_floors_that_cannot_be_are_told(here, capsys):
    copied = replied("copy")
    own = ["model.baseline.dataset=file", "model.baseline.settings.path=test.jsonl"]
    assert main(["report", str(copied.path), "--out", "r.html", "--floor", *own]) == 0
    told = capsys.readouterr().err
    assert "note: no row baseline-random: " in told and "own test set" in told
    assert "note: baseline-human is scored without references: " in told
    assert "baseline-human (mark)" in Path("r.md").read_text("utf-8")
    page = Path("r.html").read_text("utf-8")
    assert "Tests against the baseline, baseline-copy" in page and "different data" not in page
    assert page.count('"e0"') == 1, "the human reply stands beside the others"


@pytest.mark.parametrize("setting", ["model=tiny", "dataset=chitchat", "seed=5", "model.baseline.kind=copy"])
def test_a_floor_has_no_settings_but_its_training_set(here, capsys, setting):
    copied = replied("copy")
    assert main(["report", str(copied.path), "--out", "r.html", "--floor", setting]) == 2
    assert f"{setting!r} is no setting of a floor" in capsys.readouterr().err
    assert len(list(Path("reports").iterdir())) == 1 and not Path("r.html").exists()


def test_a_floor_needs_a_complete_run(here):
    copied = replied("copy")
    copied.scores_file.unlink()
    copied.settings_file.unlink()  # as after a failed scoring
    with pytest.raises(UserError, match="is not complete: run it again first"):
        floor([copied], TRAIN)


def test_floors_of_imported_replies(here):
    Path("said.txt").write_text("".join(f"so {i}\n" for i in range(9)), encoding="utf-8")
    arguments = ["import", "--replies", "said.txt", "--references", "test.jsonl", "--name", "theirs", "--no-meteor"]
    if main(arguments) != 0:
        pytest.fail("the import failed")
    (folder,) = [path.parent for path in Path("reports").glob("theirs*/manifest.json")]
    made = floor([RunFolder(folder)], TRAIN)
    assert len(made.runs) == 3
    assert load_run(RunFolder(made.runs[0])).references == load_run(RunFolder(folder)).references


def test_baselines_neither_train_nor_judge(here):
    with pytest.raises(UserError, match="is a baseline without weights: there is nothing to train"):
        compose("train", ["model=baseline-copy", "training.output_dir=x", "dataset=chitchat-train"])
    from dialoeval.judging.model_open import open_judge

    config = compose("config", ["model=baseline-copy"])
    with pytest.raises(UserError, match="it cannot judge"):
        open_judge(config.model, config.engine)


def test_names():
    assert system_name("tiny", "greedy", None) == "tiny greedy"
    assert system_name("mine", "greedy", "constant") == "mine (floor)" and system_name("x", "greedy", "bm25") == "x"


def test_the_preview_shows_a_baseline(here, capsys):
    assert main(["run", "--dry-run", "model=baseline-bm25", *TRAIN, *DATA]) == 0
    assert "how is 0" in capsys.readouterr().out and not Path("reports").exists()


def test_the_dataset_of_a_run_is_as_the_api_reads_it(here):
    """`open_generator` works on examples alone, as every engine does."""
    config = compose("config", ["model=baseline-copy"])
    generator = open_generator(config.model, config.engine, config.decoding)
    (reply,) = generator.reply([Example("x", ("a", "b  c"))], config.decoding, 0)
    assert reply.text == "b c" and yaml.safe_load(json.dumps(generator.identity()))["engine"] == "baseline"
