"""The board of a reports folder: which runs share a table and a row, what is chosen, and what is not hidden."""

from __future__ import annotations

import csv
import json
import shutil
import statistics
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.report_runs import examples, replies, write_run

from dialoeval.cli.main import main
from dialoeval.config import ProtocolConfig
from dialoeval.errors import UserError
from dialoeval.metrics.registry import figure
from dialoeval.metrics.scores import Scores
from dialoeval.reports.board import BoardSettings, _folded, make_board
from dialoeval.reports.board_settings import fits
from dialoeval.reports.board_text import section_table, to_csv, to_json, to_latex, to_markdown
from dialoeval.runs.frame import ScoredRun
from dialoeval.runs.records import RunSettings

SEEDS = (3, 1, 2)
DATA = examples(20)
TOPK = {"name": "topk", "top_k": 10}


def sampled(folder: Path, seed: int, name: str = "", model: str = "toy", **more) -> Path:
    identity = {"generator": {"weights": model}, "decoding": TOPK, "seed": seed}
    return write_run(
        folder, DATA, replies(DATA, seed), name=name or f"{model}-topk-{seed}", model=model, decoding=TOPK,
        identity=identity, resamples=20, **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Path:
    """Three seeds, two widths of a beam, other data, another protocol, and a run of every other state."""
    folder = tmp_path_factory.mktemp("board") / "reports"
    for seed in SEEDS:
        sampled(folder, seed, extra=("self_bleu",))
    for beams in (5, 10):
        write_run(
            folder, DATA, replies(DATA, 7, beams / 12), name=f"toy-beam-{beams}", resamples=20, extra=("self_bleu",),
            decoding={"name": "beam", "num_beams": beams}, identity={"decoding": beams},
        )  # fmt: skip
    write_run(folder, DATA, replies(DATA, 8), name="big-greedy", model="big", resamples=20)
    other = examples(15, seed=9)
    write_run(folder, other, replies(other, 1), name="elsewhere", dataset={"name": "elsewhere"}, resamples=0)
    one = ProtocolConfig(name="none", slots=1)
    write_run(folder, DATA, replies(DATA, 1), name="changed", protocol=one, resamples=0)
    for name, status in (("half", "running"), ("broken", "failed")):
        write_run(folder, DATA, replies(DATA, 2), name=name, status=status, resamples=0)
    manifest = json.loads((folder / "broken" / "manifest.json").read_text("utf-8"))
    (folder / "broken" / "manifest.json").write_text(json.dumps(manifest | {"error": "out of memory"}), "utf-8")
    for name in ("altered", "headless", "unscored", "stale", "cut"):
        write_run(folder, DATA, replies(DATA, 2), name=name, resamples=0)
    (folder / "altered" / "replies.jsonl").write_text("{}\n", "utf-8")
    (folder / "headless" / "manifest.json").unlink()
    (folder / "unscored" / "scores.json").unlink()
    scores = json.loads((folder / "stale" / "scores.json").read_text("utf-8"))
    (folder / "stale" / "scores.json").write_text(json.dumps(scores | {"replies_sha256": "0"}), "utf-8")
    (folder / "cut" / "scores.json").write_text('{"schema": 1, "n": 2', "utf-8")
    (folder / "sweeps").mkdir()
    (folder / "notes").mkdir()
    return folder


def board(reports: Path, **chosen):
    return make_board([reports], BoardSettings(**chosen))


def names(section) -> list[str]:
    return [row.name for row in section.rows]


def figures(path: Path) -> dict:
    return json.loads((path / "scores.json").read_text("utf-8"))


def test_seeds_are_one_row_with_mean_and_standard_deviation(reports):
    row = next(row for row in board(reports).sections[0].rows if row.name == "toy topk")
    bleu = [figures(reports / f"toy-topk-{seed}")["bleu"][3] for seed in (1, 2, 3)]
    assert row.seeds == [1, 2, 3] and [run.name for run in row.runs] == [f"toy-topk-{seed}" for seed in (1, 2, 3)]
    assert row.get("bleu4") == pytest.approx(sum(bleu) / 3, abs=1e-12)
    assert row.spread("bleu4") == pytest.approx(statistics.stdev(bleu), abs=1e-12)
    cell = row.cell(figure("bleu4"))
    assert cell.low is None, "no interval of one run stands for the mean"
    assert str(cell) == f"{100 * sum(bleu) / 3:.2f}% (sd {100 * statistics.stdev(bleu):.2f})"
    text = to_markdown(board(reports))
    assert "3 (1, 2, 3)" in text and "standard deviation over seeds" in text


def test_each_seed_can_have_its_row(reports):
    found = [name for name in names(board(reports, each_seed=True).sections[0]) if "topk" in name]
    assert len(found) == 3 and len(set(found)) == 3


def test_a_figure_that_a_seed_lacks_has_no_mean(reports, tmp_path):
    sampled(tmp_path, 1, extra=("self_bleu",))
    sampled(tmp_path, 2)
    (row,) = board(tmp_path).sections[0].rows
    cell = row.cell(figure("self_bleu"))
    assert cell.value is None and cell.why == "not computed in 1 of 2 seeds"
    assert row.get("bleu4") is not None


def test_only_the_seed_folds(tmp_path):
    """Other weights, another decoding, another name, and a copy are no seeds."""
    for seed, model in ((1, "a"), (2, "a"), (3, "b")):
        sampled(tmp_path, seed, model=model)
    rows = board(tmp_path).sections[0].rows
    assert sorted(len(row.runs) for row in rows) == [1, 2]
    shutil.copytree(tmp_path / "a-topk-1", tmp_path / "copy")
    shown = board(tmp_path).sections[0]
    assert sorted(len(row.runs) for row in shown.rows) == [1, 1, 1, 1], "a copied run would count twice in the mean"
    assert any("one identity" in remark and "copy" in remark for remark in shown.remarks)


def test_other_data_and_other_protocols_have_tables_of_their_own(reports):
    shown = board(reports)
    assert [sorted(run.name for row in s.rows for run in row.runs) for s in shown.sections] == [
        ["big-greedy", "toy-beam-10", "toy-beam-5", "toy-topk-1", "toy-topk-2", "toy-topk-3"],
        ["changed"],
        ["elsewhere"],
    ]
    assert len({section.title for section in shown.sections}) == 3
    assert any(note.startswith("3 tables: ") and "cannot be compared" in note for note in shown.notes())
    assert to_markdown(shown).count("| System") == 3 and to_latex(shown).count("\\begin{tabular}") == 3
    rows = list(csv.DictReader(to_csv(shown).splitlines()))
    assert len({(row["data"], row["protocol"]) for row in rows}) == 2 and len({row["data"] for row in rows}) == 2
    assert len({section["data"] + json.dumps(section["protocol"]) for section in to_json(shown)["sections"]}) == 3


def test_floors_and_the_human_reply_are_not_ranked(tmp_path):
    """The human reply has the highest figures of all, and would take every first place."""
    import yaml

    for name, like in (("a", 0.2), ("b", 0.5), ("human", 1.0)):
        write_run(tmp_path, DATA, replies(DATA, 1, like), name=name, model=name, resamples=0)
    file = tmp_path / "human" / "config.yaml"
    config = yaml.safe_load(file.read_text("utf-8"))
    config["model"]["baseline"] = {"kind": "human"}
    file.write_text(yaml.safe_dump(config), "utf-8")
    shown = board(tmp_path)
    assert names(shown.sections[0]) == ["b greedy", "a greedy", "human (mark)"]
    table = section_table(shown, shown.sections[0])
    assert {row for row, _ in table.best()} <= {0, 1} and (0, 2) in table.best()
    assert "\\textbf" not in to_latex(shown).rsplit("human (mark)", 1)[1]


def test_the_same_data_under_two_names_are_the_same(tmp_path):
    for name in ("a", "b"):
        write_run(tmp_path, DATA, replies(DATA, 1), name=name, dataset={"name": name}, model=name, resamples=0)
    assert len(board(tmp_path).sections) == 1


def test_runs_without_figures_are_counted_and_named(reports, capsys):
    left = {run.name: (run.status, run.why) for run in board(reports).left_out}
    assert {name: status for name, (status, _) in left.items()} == {
        "half": "running", "broken": "failed", "altered": "damaged", "headless": "damaged", "cut": "damaged",
        "unscored": "without scores", "stale": "damaged",
    }  # fmt: skip
    assert left["broken"][1] == "out of memory" and "does not match the manifest" in left["altered"][1]
    assert main(["board", str(reports)]) == 0
    printed = capsys.readouterr().out
    assert "8 of 15 runs are shown." in printed and "4 damaged: altered: " in printed
    assert "1 failed: broken: out of memory" in printed and "1 running: half" in printed


def test_a_folder_without_a_complete_run_is_refused_and_says_why(tmp_path, capsys):
    write_run(tmp_path, DATA, replies(DATA, 2), name="half", status="running", resamples=0)
    for folder, message in (
        (tmp_path, "no run is complete and scored (1 running: half)"),
        (tmp_path / "half", "holds no runs"),
        (tmp_path / "none", "is not a folder of runs"),
    ):
        assert main(["board", str(folder)]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["decoding.num_beams=10"], ["toy-beam-10"]),
        (["num_beams=5,10"], ["toy-beam-10", "toy-beam-5"]),
        (["model=big"], ["big-greedy"]),
        (["model=TOY", "decoding=beam", "num_beams=10.0"], ["toy-beam-10"]),
        (["model=b*"], ["big-greedy"]),
        (["run=toy-topk-1"], ["toy-topk-1"]),
        (["dataset=elsewhere"], ["elsewhere"]),
        (["protocol.slots=1"], ["changed"]),
        (["scoring.meteor=false", "n=15"], ["elsewhere"]),
    ],
)
def test_filters(reports, filters, expected):
    shown = board(reports, filters=tuple(filters))
    assert sorted(run.name for section in shown.sections for row in section.rows for run in row.runs) == expected
    assert shown.filtered == 8 - len(expected)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (["num_beams"], "write KEY=VALUE"),
        (["=5"], "write KEY=VALUE"),
        (["bleu4=0.5"], "bleu4 is a figure; filters are on settings"),
        (["decoding.nun_beams=5"], "did you mean 'decoding.num_beams'"),
        (["name=5"], "can be model.name, decoding.name"),
        (["num_beams=7"], "the runs before this filter have decoding.num_beams "),
    ],
)
def test_filters_that_fit_nothing_are_refused(reports, filters, message):
    with pytest.raises(UserError, match=message):
        board(reports, filters=tuple(filters))


def test_values_are_written_as_on_the_command_line():
    assert fits(None, "null") and fits(True, "true") and fits(1.0, "1") and fits("a,b", "a,b") and fits("b", "a, b")
    assert not fits(True, "1") and not fits(1, "true") and not fits("10", "1*0x") and not fits(10, "1*")


def test_the_best_comes_first_whatever_its_direction(reports):
    def values(**chosen):
        rows = board(reports, **chosen).sections[0].rows
        return [row.get(chosen["sort"]) for row in rows]

    up, down = values(sort="self_bleu"), values(sort="bleu4")
    assert figure("self_bleu").higher_is_better is False
    assert up[-1] is None and up[:-1] == sorted(up[:-1]), "the lowest error first, what is missing last"
    assert down == sorted(down, reverse=True)
    assert values(sort="bleu4", reverse=True) == sorted(down)
    assert values(sort="self_bleu", reverse=True)[-1] is None
    widths = [row.values["decoding.num_beams"] for row in board(reports, sort="num_beams").sections[0].rows]
    assert widths == sorted(widths)


def test_groups_follow_their_best_row(reports):
    section = board(reports, group="decoding", sort="bleu4").sections[0]
    assert sorted(name for name, _ in section.groups) == ["beam", "greedy", "topk"]
    tops = [rows[0].get("bleu4") for _, rows in section.groups]
    assert tops == sorted(tops, reverse=True) and len(section.rows) == 4
    table = section_table(board(reports, group="decoding"), section)
    assert [row[0] for row in table.rows if all(cell == "" for cell in row[1:])] == [name for name, _ in section.groups]


def test_columns_are_figures_and_settings(reports):
    shown = board(reports, columns=("num_beams", "bleu1", "self_bleu"))
    table = section_table(shown, shown.sections[0])
    assert table.headings == ("System", "Seeds", "decoding.num_beams", "BLEU-1", figure("self_bleu").heading)
    rows = {row.name: row.values for row in shown.sections[0].rows}
    assert rows["toy topk"]["run"] == "toy-topk-1, toy-topk-2, toy-topk-3", "no run's value stands for all"
    assert "self_bleu" in [column.name for column in board(reports).columns if not isinstance(column, str)], (
        "extra metrics"
    )
    with pytest.raises(UserError, match="did you mean 'bleu4'"):
        board(reports, columns=("bleu44",))
    with pytest.raises(UserError, match="did you mean 'bleu4'"):
        board(reports, sort="bleu44")


def test_a_figure_that_was_not_computed_alike_is_said(tmp_path):
    for name in ("a", "b"):
        write_run(tmp_path, DATA, replies(DATA, 1), name=name, model=name, extra=("rouge_l",), resamples=0)
    scores = figures(tmp_path / "b")
    scores["extra"]["rouge_l"]["signature"] += "|stemmer:other"
    scores["signatures"]["bleu"] = scores["signatures"]["bleu"].replace("version:dialoeval-", "version:dialoeval-9.")
    (tmp_path / "b" / "scores.json").write_text(json.dumps(scores), "utf-8")
    remarks = [remark for remark in board(tmp_path).sections[0].remarks if "not computed alike" in remark]
    assert [remark.split()[0] for remark in remarks] == ["ROUGE-L"], "another version of this package is the same way"


def test_every_format_has_the_figures_of_the_scores(reports, tmp_path, capsys):
    files = [tmp_path / f"board.{ending}" for ending in ("html", "md", "csv", "tex", "json")]
    outs = [text for file in files for text in ("--out", str(file))]
    assert main(["board", str(reports), "--filter", "run=toy-beam-10", *outs]) == 0
    assert capsys.readouterr().out.count("written: ") == 5
    scores = figures(reports / "toy-beam-10")
    (row,) = csv.DictReader((tmp_path / "board.csv").read_text("utf-8").splitlines())
    (section,) = json.loads((tmp_path / "board.json").read_text("utf-8"))["sections"]
    for found in (row, section["rows"][0]):
        low, high = scores["intervals"]["bleu4"]
        for name, value in (("bleu4", scores["bleu"][3]), ("bleu4_low", low), ("bleu4_high", high)):
            assert float(found[name]) == pytest.approx(value, rel=1e-8)
    assert row["runs"] == "toy-beam-10" and row["system"] == "toy beam" and row["n"] == "20"
    printed = f"{100 * scores['bleu'][3]:.2f}"
    assert f"{printed}%" in (tmp_path / "board.md").read_text("utf-8")
    latex = (tmp_path / "board.tex").read_text("utf-8")
    assert f"& {printed} &" in latex and latex.count("\\label{tab:board-1}") == 1
    assert main(["board", str(reports), "--json", "--filter", "run=toy-beam-10"]) == 0
    assert json.loads(capsys.readouterr().out)["sections"] == [section]
    assert main(["board", str(reports), "--out", str(tmp_path / "board.pdf")]) == 2


def test_report_takes_the_folder_of_runs(reports, tmp_path, capsys):
    out = tmp_path / "all.html"
    assert main(["report", f"{reports}/", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "left out of the report: 1 failed: broken: out of memory" in printed.err
    rows = list(csv.DictReader(out.with_suffix(".csv").read_text("utf-8").splitlines()))
    assert len(rows) == 8
    assert "\\textbf" not in out.with_suffix(".tex").read_text("utf-8"), "no best figure among different data"
    (tmp_path / "some").mkdir()
    shutil.copytree(reports / "half", tmp_path / "some" / "half")
    assert main(["report", str(tmp_path / "some"), "--out", str(out)]) == 2
    assert "no run is complete and scored (1 running: half)" in capsys.readouterr().err


def test_names_of_models_are_text_in_every_format(tmp_path, capsys):
    hostile = '<img src=x onerror="alert(1)">|&_%'
    write_run(tmp_path, DATA, replies(DATA, 1), name="run", model=hostile, resamples=0)
    write_run(tmp_path, DATA, replies(DATA, 2), name="other", resamples=0)
    out = tmp_path / "board.html"
    assert main(["board", str(tmp_path), "--out", str(out)]) == 0
    page = out.read_text("utf-8")
    assert "<img" not in page and "&lt;img" in page
    assert "Content-Security-Policy" in page and "http://" not in page and "https://" not in page
    rows = list(csv.DictReader(to_csv(board(tmp_path)).splitlines()))
    assert hostile in [row["model"] for row in rows]


def test_the_board_is_a_frame_in_python(reports):
    import dialoeval as de

    frame = de.board(reports, columns=["bleu4", "top_k"], filters=["decoding=topk"])
    (row,) = frame.to_dict("records")
    assert row["seeds"] == [1, 2, 3] and row["decoding.top_k"] == 10 and row["n"] == 20 and row["bleu4_sd"] > 0
    assert set(de.board(reports)["data"]) == {
        run.data for s in board(reports).sections for r in s.rows for run in r.runs
    }
    with pytest.raises(UserError, match="columns is a list of strings"):
        de.board(reports, columns=[1])
    with pytest.raises(UserError, match="expected model or decoding"):
        de.board(reports, group="seed")


def test_a_folder_named_twice_counts_once(reports):
    twice = make_board([reports, f"{reports}/../reports"], BoardSettings())
    assert twice.notes()[0] == board(reports).notes()[0]
    assert [run.name for run in twice.left_out] == [run.name for run in board(reports).left_out]


KINDS = st.tuples(st.sampled_from("ab"), st.sampled_from([None, 0, 1, 2]))


@settings(max_examples=200, deadline=None)
@given(st.lists(KINDS, max_size=8).flatmap(lambda kinds: st.tuples(st.just(kinds), st.permutations(range(len(kinds))))))
def test_seeds_fold_in_any_order(drawn):
    """Every run is in one row; a row of several holds all seeds of one model, each once; no order changes a row."""
    kinds, order = drawn
    empty = Scores(0, {}, {}, {"nist": ""}, ProtocolConfig(), {}, 0)
    runs = [
        ScoredRun(
            f"r{i}", Path(f"r{i}"), {"w": model, "seed": seed}, empty, RunSettings({"model": {"name": model}}), ""
        )
        for i, (model, seed) in enumerate(kinds)
    ]
    rows = _folded([runs[i] for i in order], each_seed=False)
    assert sorted(run.name for row in rows for run in row) == sorted(run.name for run in runs)
    for model in "ab":
        seeds = [seed for name, seed in kinds if name == model]
        own = [[run.identity["seed"] for run in row] for row in rows if row[0].identity["w"] == model]
        together = None not in seeds and len(set(seeds)) == len(seeds)
        assert own == ([sorted(seeds)] if seeds else []) if together else len(own) == len(seeds)
