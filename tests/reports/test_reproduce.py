"""The paper's tables beside what is measured; scipy is the oracle of the exact tests."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from support.report_runs import examples, replies, write_run

from dialoeval.cli.main import main
from dialoeval.config import ProtocolConfig, ScoringConfig
from dialoeval.config.compose import group
from dialoeval.data.dstc7_release import read_release
from dialoeval.data.example import Example, fingerprint
from dialoeval.errors import UserError
from dialoeval.metrics.figures import PAPER_TABLE
from dialoeval.metrics.scores import score
from dialoeval.reports.paper import PAPER, Known, KnownData, human_evaluation, known, published, table_of
from dialoeval.reports.reproduce import PROMPT, reproduce, to_json, to_table
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.identity import decoding_settings
from dialoeval.stats import exact_interval, sign_test


def figures(line):
    return {column.name: cell.value for column, cell in zip(PAPER_TABLE, line.cells, strict=True)}


def test_published_figures_are_complete_and_have_a_source():
    names = {column.name for column in PAPER_TABLE}
    for name in PAPER:
        table = published().tables[name]
        assert all(set(row) == names for row in table.rows.values()) and table.title
        assert table_of(name).notes == ()
    assert published().source and published().organisers.source and published().release.source


def test_carried_figures_are_the_sources(shared):
    theirs = json.loads((shared / "paper" / "tables.json").read_text("utf-8"))
    for name in PAPER:
        assert published().tables[name].rows == theirs[name]["rows"]
    assert [vars(row) for row in published().judgments] == theirs["human_evaluation"]["rows"]
    organisers = json.loads((shared / "dstc7" / "official_2208.json").read_text("utf-8"))["systems"]
    assert published().organisers.systems == organisers
    official = json.loads((shared / "dstc7" / "official.json").read_text("utf-8"))
    for system, carried in published().release.systems.items():
        assert all(official[system][name] == value for name, value in carried.items())


@pytest.mark.oracle
@pytest.mark.parametrize(("wins", "losses"), [(0, 5), (3, 3), (2671, 2816), (12, 40), (7, 0), (3281, 882)])
def test_exact_tests_are_scipys(wins, losses):
    binomtest = pytest.importorskip("scipy.stats").binomtest
    theirs = binomtest(wins, wins + losses)
    assert sign_test(wins, losses) == pytest.approx(theirs.pvalue, rel=1e-7, abs=1e-300)
    low, high = theirs.proportion_ci(method="exact")
    assert exact_interval(wins, wins + losses) == pytest.approx((low, high), abs=1e-9)


def test_no_judgments_tell_nothing():
    assert exact_interval(0, 0) == (0.0, 1.0) and sign_test(0, 0) == 1.0


def test_human_evaluation_covers_all_published_pairs():
    table = human_evaluation()
    assert len(table.rows) == 9
    row = next(row for row in table.rows if row[0] == "relevance: DialoGPT 345M vs Human")
    assert row[1:4] == ("2671", "513", "2816") and row[6] == "0.052"


@pytest.mark.oracle
def test_human_row_of_the_reddit_set_from_public_replies(shared):
    expected = json.loads((shared / "reddit6k" / "expected.json").read_text("utf-8"))
    human = reproduce("reddit6k", shared / "reddit6k", [])[0]
    measured = figures(human.measured[0])
    assert human.system == "Human" and human.published[0].label == "the paper"
    assert measured["entropy4"] == pytest.approx(expected["entropy"][3], abs=1e-9)
    assert measured["distinct1"] == pytest.approx(100 * expected["distinct"][0], abs=1e-9)
    assert measured["distinct2"] == pytest.approx(100 * expected["distinct"][1], abs=1e-9)
    assert measured["avg_len"] == pytest.approx(expected["avg_len"], abs=1e-9)
    assert measured["nist4"] is None and "not public" in human.measured[0].cells[0].why


@pytest.mark.oracle
def test_released_systems_have_the_official_figures(shared):
    official = json.loads((shared / "dstc7" / "official.json").read_text("utf-8"))
    rows = {row.system: row for row in reproduce("dstc7", shared / "dstc7", [])}
    for system, theirs in official.items():
        row = rows[f"{system} (released replies)"]
        measured = figures(row.measured[0])
        for name in ("nist2", "nist4"):
            assert measured[name] == pytest.approx(theirs[name], abs=5.1e-5)
        for name in ("bleu2", "bleu4"):
            assert measured[name] == pytest.approx(100 * theirs[name], abs=5.1e-3)
        assert measured["meteor"] == pytest.approx(100 * theirs["meteor"], abs=1e-6)
        assert measured["entropy4"] == pytest.approx(theirs["entropy4"], abs=1e-9)
        assert measured["distinct2"] == pytest.approx(100 * theirs["div2"], abs=1e-9)
        assert [line.label.split(",")[0] for line in row.published] == ["official tools", "organisers"]


def submission(folder, *, fields=7):
    """Three contexts in the task's own files; a submission that answers two, and one whose reply is not told."""
    folder.mkdir(exist_ok=True)
    refs = [f"k{i}\t3|first {i}\t2|the human said {i}\t1|third {i} ." for i in range(3)]
    (folder / "test.refs.txt").write_text("\n".join(refs) + "\n")
    head = ["sub", "conv", "1", "1", "START EOS hi"]
    lines = ["\t".join([f"k{i}", *head, text][:fields]) for i, text in enumerate(["first 0", "x y", "__UNDISCLOSED__"])]
    (folder / "TeamB.convos.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_submissions_in_the_tasks_own_format(tmp_path):
    systems = {system.name: system for system in read_release(submission(tmp_path / "d"))}
    assert systems["Human"].replies == ["the human said 0", "the human said 1", "the human said 2"]
    assert systems["TeamB"].ids == ["k0", "k1"] and systems["TeamB"].references[0][1] == "the human said 0"
    (tmp_path / "d" / "test.2k.txt").write_text("k1\nk2\n")
    systems = {system.name: system for system in read_release(tmp_path / "d")}
    assert systems["Human"].ids == ["k1", "k2"]
    assert systems["TeamB"].ids == ["k1"] and systems["TeamB"].left_out == 1
    rows = {row.system: row for row in reproduce("dstc7", tmp_path / "d", [])}
    team = rows["TeamB (released replies)"]
    assert team.published[0].label == "organisers, 2,208 contexts"
    assert "1 replies without references left out" in team.measured[0].source
    assert "of which these are a part" in team.measured[0].source


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda d: None, "neither references.jsonl nor test.refs.txt"),
        (lambda d: submission(d, fields=6), "TeamB.convos.txt, line 1: expected 7"),
        (
            lambda d: [
                (d / "references.jsonl").write_text('{"id": "a", "references": ["x"]}\n'),
                (d / "replies.jsonl").write_text('{"system": "S", "id": "a", "reply": 1}\n'),
            ],
            'replies.jsonl, line 1: field "reply"',
        ),
        (
            lambda d: [
                (d / "references.jsonl").write_text('{"id": "a", "references": ["x"]}\n'),
                (d / "replies.jsonl").write_text('{"system": "S", "id": "b", "reply": "x"}\n'),
            ],
            "none of the 1 ids of system 'S' has references",
        ),
        (
            lambda d: [
                (d / "references.jsonl").write_text('{"id": "a", "references": ["x"]}\n'),
                (d / "replies.jsonl").write_text('{"system": "S", "id": "a", "reply": "x"}\n' * 2),
            ],
            "line 2: 'S' has a second reply",
        ),
    ],
)
def test_malformed_releases_are_named(tmp_path, make, said):
    make(tmp_path)
    with pytest.raises(UserError) as error:
        read_release(tmp_path)
    assert said in str(error.value)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    data = examples(8)
    on = {"dataset": {"name": "reddit6k", "kind": "reddit6k"}, "protocol": ProtocolConfig(name="reddit6k")}
    said = replies(data, 1)
    beam = {"name": "beam", "strategy": "beam"}
    write_run(
        folder, data, said, name="paper", model="microsoft/DialoGPT-medium", decoding=beam | {"num_beams": 10}, **on
    )
    write_run(
        folder, data, said, name="width5", model="microsoft/DialoGPT-medium", decoding=beam | {"num_beams": 5}, **on
    )
    write_run(
        folder, data, said, name="elsewhere", model="microsoft/DialoGPT-medium", decoding=beam | {"num_beams": 10}
    )
    write_run(folder, data, said, name="other", model="gpt2", **on)
    write_run(folder, data, said, name="half", model="microsoft/DialoGPT-medium", status="running", **on)
    broken = write_run(folder, data, said, name="broken", model="microsoft/DialoGPT-small", **on)
    (broken / "scores.json").write_text("{")
    return folder


def test_complete_runs_of_the_papers_models_on_its_data_are_rows(runs):
    rows = {row.system: row for row in reproduce("reddit6k", None, [RunFolder(p) for p in sorted(runs.iterdir())])}
    [line] = rows["DialoGPT 345M beam"].measured
    assert line.label == (
        "claimed: weights by name only; prompt not the release's; 8 examples, not 6,000; data by name only; "
        "decoding by name only"
    )
    assert str(runs / "paper") in line.source and "8 examples" in line.source and "max_new_tokens=64" in line.source
    assert rows["dialogpt-medium beam 5"].measured and not rows["dialogpt-medium beam 5"].published
    assert "no complete run of dialogpt-medium (greedy)" in rows["DialoGPT 345M"].missing
    assert "scores.json, line 1" in rows["broken"].missing
    assert "no folder with human.ref.6k.txt was given" in rows["Human"].missing
    assert not {"elsewhere", "other", "half"} & set(rows)
    text = to_table(rows.values()).to_markdown()
    assert "DialoGPT 345M beam, difference" in text
    values = next(row for row in to_json("reddit6k", rows.values())["rows"] if row["system"] == "DialoGPT 345M beam")
    measured, paper = values["measured"][0]["figures"], values["published"][0]["figures"]
    assert values["differences"][0]["nist4"] == pytest.approx(measured["nist4"] - paper["nist4"])


KNOWN = Known(
    {"dialogpt-medium": ("sha256:medium",), "dialogpt-small": (), "dialogpt-reverse": ("sha256:reverse",)},
    {"reddit6k": KnownData(8, (fingerprint(examples(8)),))},
)
GENERATOR = {"weights": "sha256:medium", "prompt": PROMPT}
BEAM = decoding_settings(group("decoding", "beam"))


def labels(tmp_path, monkeypatch, *, path="models/DialoGPT-medium", protocol="reddit6k", option="beam", **identity):
    """The rows of one run whose identity is the published one but for `identity`: {system: label or reason}."""
    monkeypatch.setattr("dialoeval.reports.reproduce.known", lambda: KNOWN)
    data = examples(8)
    settings = {key: value for key, value in vars(group("decoding", option)).items() if value is not None}
    folder = write_run(
        tmp_path,
        data,
        replies(data, 1),
        model=path,
        decoding=settings,
        dataset={"name": "reddit6k", "kind": "reddit6k"},
        protocol=group("protocol", protocol) if isinstance(protocol, str) else protocol,
        identity={"generator": GENERATOR, "decoding": decoding_settings(group("decoding", option))} | identity,
    )
    rows = reproduce("reddit6k", None, [RunFolder(folder)])
    said = {row.system: row.measured[0].label for row in rows if row.measured}
    return said | {row.system: row.missing for row in rows if row.missing and not row.published}


@pytest.mark.parametrize(
    ("identity", "label"),
    [
        ({}, "measured here"),
        ({"generator": GENERATOR | {"weights": "sha256:other"}}, "claimed: weights by name only"),
        ({"generator": "old"}, "claimed: weights by name only; prompt not the release's"),
        ({"generator": GENERATOR | {"prompt": PROMPT | {"max_turns": 1}}}, "claimed: prompt not the release's"),
        ({"dataset": "other"}, "claimed: data by name only"),
        ({"decoding": None}, "claimed: decoding by name only"),
        (
            {"decoding": BEAM | {"length_penalty": 0.5, "max_new_tokens": 30}},
            "claimed: decoding not the release's (length_penalty=0.5, not 1.0, max_new_tokens=30, not 64)",
        ),
        (
            {"decoding": BEAM | {"min_new_tokens": 5, "max_new_tokens": 64}},
            "claimed: decoding not the release's (min_new_tokens=5, not 0)",
        ),
    ],
)
def test_a_run_is_the_papers_row_only_if_everything_is_proven(tmp_path, monkeypatch, identity, label):
    assert labels(tmp_path, monkeypatch, **identity) == {"DialoGPT 345M beam": label}


def test_another_number_of_examples_is_said(tmp_path, monkeypatch):
    few = Known(KNOWN.weights, {"reddit6k": KnownData(6000, KNOWN.data["reddit6k"].fingerprints)})
    monkeypatch.setitem(globals(), "KNOWN", few)
    assert labels(tmp_path, monkeypatch) == {"DialoGPT 345M beam": "claimed: 8 examples, not 6,000"}


def test_known_weights_win_over_a_folders_name(tmp_path, monkeypatch):
    assert labels(tmp_path, monkeypatch, path="models/DialoGPT-large") == {"DialoGPT 345M beam": "measured here"}
    assert labels(tmp_path / "b", monkeypatch, path="checkpoints/mine") == {"DialoGPT 345M beam": "measured here"}


@pytest.mark.parametrize(("backward", "proven"), [("sha256:reverse", True), ("sha256:medium", False)])
def test_the_backward_model_of_mmi_must_be_known_too(tmp_path, monkeypatch, backward, proven):
    generator = GENERATOR | {"reranker": {"kind": "mmi", "weights": backward}}
    label = "measured here" if proven else "claimed: backward weights by name only"
    assert labels(tmp_path, monkeypatch, option="mmi", generator=generator) == {"DialoGPT 345M MMI": label}


def test_a_protocol_of_that_name_with_other_settings_is_not_measured(tmp_path, monkeypatch):
    protocol = ProtocolConfig(name="reddit6k", slots=5)
    said = labels(tmp_path, monkeypatch, protocol=protocol)
    assert said == {"run": "it was scored with other settings than those of protocol reddit6k (slots=5, not 0)"}


def test_no_hash_is_carried_that_could_not_be_checked():
    assert known().weights.keys() == {"dialogpt-small", "dialogpt-medium", "dialogpt-large", "dialogpt-reverse"}
    assert {name: data.examples for name, data in known().data.items()} == {"dstc7": 2208, "reddit6k": 6000}
    hashes = [*known().weights.values(), *(data.fingerprints for data in known().data.values())]
    assert all(value.startswith(("commit:", "sha256:")) for values in known().weights.values() for value in values)
    assert all(isinstance(values, tuple) for values in hashes)


def test_equal_replies_to_a_set_without_dialogues_are_not_dialogpts(tmp_path, shared, capsys):
    lines = (shared / "dstc7" / "references.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:50]]
    data = [Example(row["id"], (), tuple(row["references"])) for row in rows]
    folder = write_run(
        tmp_path,
        data,
        ["i do not know"] * len(data),
        model="models/DialoGPT-medium",
        dataset={"name": "dstc7", "kind": "dstc7"},
        protocol=group("protocol", "dstc7"),
    )
    scores = json.loads((folder / "scores.json").read_text("utf-8"))
    scores.pop("warnings")  # as an earlier version wrote it
    (folder / "scores.json").write_text(json.dumps(scores), "utf-8")
    assert main(["reproduce", "dstc7", "--runs", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "run: not measured: all 50 replies are equal, 'i do not know'" in printed
    assert "50 of 50 contexts are empty" in printed and "DialoGPT 345M, not measured" not in printed
    assert "DialoGPT 345M, claimed" not in printed and "DialoGPT 345M, measured here" not in printed


def test_command_writes_every_format(runs, tmp_path, capsys):
    for ending in ("md", "json", "csv", "tex", "html"):
        assert main(["reproduce", "reddit6k", "--runs", str(runs), "--out", str(tmp_path / f"r.{ending}")]) == 0
    printed = capsys.readouterr().out
    assert "DialoGPT 345M beam, claimed: weights by name only; prompt not" in printed and "Human evaluation" in printed
    assert "not measured: no complete run" in printed
    assert json.loads((tmp_path / "r.json").read_text("utf-8"))["table"] == "reddit6k"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text("utf-8"))))
    assert rows[0]["system"] == "Human, the paper" and rows[0]["nist4"] == "4.25"
    assert "Human evaluation" in (tmp_path / "r.html").read_text("utf-8")
    assert (tmp_path / "r.tex").read_text("utf-8").count("\\\\") > 7


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reddit6k", "--data", "nowhere"], "nowhere is not a folder"),
        (["reddit6k", "--runs", "nowhere"], "nowhere is not a folder"),
        (["reddit6k", "--data", "."], "has no human.ref.6k.txt"),
        (["dstc7", "--out", "x.pdf"], "must end in one of"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1


def test_the_human_row_of_the_rebuilt_reddit_set_is_scored_like_every_other(tmp_path):
    lines = ["hi EOS you\t9|yes it is so\t5|no not here\t1|well it is so", "what\t7|not now\t2|not here now"]
    (tmp_path / "test.scored_refs.txt").write_text("\n".join(lines) + "\n")
    [human] = reproduce("reddit6k", tmp_path, [])[0].measured
    expected = score(
        ["well it is so", "not here now"],
        [["yes it is so", "no not here"], ["not now"]],
        "reddit6k",
        ScoringConfig(resamples=0),
    )
    measured = figures(human)
    assert measured["bleu2"] == pytest.approx(100 * expected.get("bleu2")) and measured["bleu2"] > 0
    assert measured["meteor"] == pytest.approx(100 * expected.get("meteor"))
    assert "the last column of 2 lines" in human.source
    (tmp_path / "human.ref.6k.txt").write_text("a b\nc d\n")
    assert len(reproduce("reddit6k", tmp_path, [])[0].measured) == 2


def test_a_run_that_may_count_the_human_reply_among_the_references_says_so(tmp_path, capsys):
    on = {"dataset": {"name": "reddit6k", "kind": "reddit6k"}, "protocol": ProtocolConfig(name="reddit6k")}
    beam = {"name": "beam", "strategy": "beam", "num_beams": 10}
    data = examples(8)
    apart = [replace(e, human="so it is") for e in data]
    for name, made in (("old", data), ("new", apart)):
        write_run(tmp_path, made, replies(data, 1), name=name, model="DialoGPT-medium", decoding=beam, **on)
    rows = reproduce("reddit6k", None, [RunFolder(tmp_path / "old"), RunFolder(tmp_path / "new")])
    old, new = next(row for row in rows if row.system == "DialoGPT 345M beam").measured
    assert "the human reply is not kept apart" in old.source and "human" not in new.source
    counted = [replace(e, references=(*e.references, "so it is")) for e in data]
    write_run(tmp_path, counted, replies(data, 1), name="older", model="DialoGPT-medium", decoding=beam, **on)
    assert main(["compare", str(tmp_path / "older"), str(tmp_path / "new")]) == 2
    assert "are not on the same data" in capsys.readouterr().err
