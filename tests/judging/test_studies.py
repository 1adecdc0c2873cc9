"""Making and reading studies: sampling, sides, the human reply, the surface check, and bad input."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from support.judging import HELD_OUT, ROOT, runs, study
from support.report_runs import examples, replies, write_run

from dialoeval.cli.main import main
from dialoeval.config import ProtocolConfig
from dialoeval.errors import UserError
from dialoeval.judging.design import APART, Display
from dialoeval.judging.items import load_study
from dialoeval.judging.judgments import Standing, StudyKind
from dialoeval.judging.new import Options, describe, make_study
from dialoeval.judging.store import Store, judgments
from dialoeval.judging.texts import shown


def test_a_larger_study_contains_the_smaller(tmp_path):
    small = study(tmp_path, name="small", contexts=5)
    large = study(tmp_path, name="large", contexts=20)
    texts = {item.item: (item.context, item.replies) for item in large.judged}
    assert len(small.judged) == 5 and all(texts[i.item] == (i.context, i.replies) for i in small.judged)
    assert study(tmp_path, name="other", contexts=5, seed=1).judged != small.judged
    assert load_study(small.path).judged == small.judged


def test_pairs_items_sides_and_gold(tmp_path):
    made = study(tmp_path, contexts=11, human=True)
    assert made.design.pairs == (("zebrafinch", "quokkamodel"), ("zebrafinch", "human"), ("quokkamodel", "human"))
    for pair in made.design.pairs:
        swapped = [item.swapped for item in made.judged if item.systems == pair]
        assert len(swapped) == 11 and abs(2 * sum(swapped) - 11) == 1
    human = next(item for item in made.judged if "human" in item.replies)
    reference = dict(zip((e.id for e in examples(40, references=3)), examples(40, references=3), strict=True))
    assert human.replies["human"] == reference[human.example_id].references[1]
    used = {item.example_id for item in made.judged}
    assert made.golds and not used & {item.example_id for item in made.golds}
    for item in made.golds:
        assert item.replies["fitting"] == reference[item.example_id].references[0] != item.replies["random"]
    against = study(tmp_path, name="against", human=True, against="human")
    assert against.design.pairs == (("zebrafinch", "human"), ("quokkamodel", "human"))
    assert made.design.systems["human"].index == 1 and not made.design.systems["human"].scored


def test_the_human_reply_must_not_be_scored_against(tmp_path):
    data = examples(8, references=2)
    write_run(tmp_path, data, replies(data, 1), name="r", protocol=ProtocolConfig(name="none"))
    from dialoeval.runs.folder import RunFolder
    from dialoeval.runs.reader import load_run

    one = {"a": load_run(RunFolder(tmp_path / "r"))}
    with pytest.raises(UserError, match=r"scored against reference 0.*protocol.held_out=0"):
        make_study(one, Options(human=True), tmp_path / "s", tmp_path)
    made = make_study(one, Options(human=True, human_scored=True), tmp_path / "s", tmp_path)
    assert made.design.systems["human"].scored and "circular" in judgments(made).notes[0]
    with pytest.raises(UserError, match="no example of a has a reference 7"):
        make_study(one, Options(human=True, human_index=7), tmp_path / "t", tmp_path)


def test_equal_replies(tmp_path):
    data = examples(20, references=3)
    first = replies(data, 1)
    second = [text + " " if i < 8 else text + " indeed" for i, text in enumerate(first)]
    said = {"zebrafinch": first, "quokkamodel": second}
    pair = runs(tmp_path / "reports", 20, said)
    ties = make_study(pair, Options(), tmp_path / "tie", tmp_path)
    automatic = judgments(ties).rows
    assert len(ties.automatic) == 8 and len(automatic) == 8 * 3 * 3
    assert {(row.value, row.standing) for row in automatic} == {(0, Standing.automatic)}
    from dialoeval.judging.design import Identical

    dropped = make_study(pair, Options(identical=Identical.drop), tmp_path / "drop", tmp_path)
    assert len(dropped.judged) == 12 and not judgments(dropped).rows
    show = make_study(pair, Options(identical=Identical.show), tmp_path / "show", tmp_path)
    assert len(show.judged) == 20 and not show.automatic


def test_ratings_show_each_reply_of_each_system(tmp_path):
    made = study(tmp_path, kind=StudyKind.likert, contexts=7, human=True)
    assert [len(item.replies) for item in made.judged] == [1] * 21 and made.design.pairs == ()
    assert {item.systems for item in made.golds} == {("random",)} and made.design.questions[0].points[0][0] == 1


def test_the_surface_check(tmp_path):
    data = examples(20, references=3)
    plain = replies(data, 1)
    cased = [text.capitalize() + " ." if i % 5 else text + " so" for i, text in enumerate(plain)]
    pair = runs(tmp_path / "reports", 20, {"zebrafinch": plain, "quokkamodel": cased})
    text = "\n".join(describe(make_study(pair, Options(), tmp_path / "s", tmp_path)))
    assert "judges can tell zebrafinch from quokkamodel by letter case (0% vs 80%); consider `display: uncased`" in text
    assert (
        "spaces before punctuation (0% vs 80%)" in text and "20 contexts, 20 items, 3 judges each: 60 judgments" in text
    )
    made = make_study(pair, Options(display=Display.uncased), tmp_path / "u", tmp_path)
    assert "letter case" not in "\n".join(describe(made))


def test_texts_as_judges_see_them():
    assert shown("Hi THERE", Display.uncased) == "hi there"
    assert shown("i do n't know , ok ( yes ) .", Display.detokenized) == "i don't know, ok (yes)."
    assert shown("a\u200bb\x00\n\tc\ud800", Display.as_is) == "a[U+200B]b[U+0000]\n\tc[U+D800]"
    assert shown("👩\u200d👧 می\u200cخواهم", Display.as_is) == "👩\u200d👧 می\u200cخواهم"


BAD = [
    (
        "kind: pairwise",
        "kind: pairwize",
        r"line 3: field kind must be one of pairwise, likert, not 'pairwize'.*'pairwise'",
    ),
    ("judges_per_item: 3", "judges_per_item: 0", "field judges_per_item must be at least 1, not 0"),
    ("judges_per_item: 3", "judges_per_item: three", "field judges_per_item must be a whole number, not 'three'"),
    ("judges_per_item: 3", "judges_per_item: true", "field judges_per_item must be a whole number, not True"),
    ("judges_per_item: 3", "judge_per_item: 3", "field judge_per_item is unknown.*'judges_per_item'"),
    ("- quokkamodel\n", "- quokkamodels\n", r"field pairs\[0\] names the unknown system 'quokkamodels'.*'quokkamodel'"),
    ("- quokkamodel\n", "- zebrafinch\n", "compares 'zebrafinch' with itself"),
    ("  pass: 0.7", "  pass: 7", "field gold.pass must be at most 1"),
    ("  pass: 0.7", "  passed: 0.7", "field gold.passed is unknown.*'pass'"),
    ("schema: 1", "schema: 2", "field schema is 2, this version reads 1"),
    ("contexts: 10", "contexts: 11", "was not made from .*: it has 10 contexts, not 11"),
    ("contexts: 10", "", "field contexts is missing"),
    ("seed: 12345", "seed: 1\nseed: 2", "field seed is there twice"),
    ("comment: false", "comment: [", "not YAML"),
    ("comment: false", "comment: 'no'", "field comment must be true or false"),
    ("schema: 1", "schema: 1\n- x", "not YAML"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD)
def test_bad_study_files_name_line_and_field(tmp_path, old, new, message):
    made = study(tmp_path)
    file = made.path / "study.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as caught:
        load_study(made.path)
    assert "study.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_damaged_items_and_databases(tmp_path, monkeypatch):
    made = study(tmp_path)
    text = (made.path / "items.jsonl").read_text()
    (made.path / "items.jsonl").write_text(text.replace('"kind": "real"', '"kind": "unreal"', 1))
    with pytest.raises(UserError, match=r"items.jsonl, line 1 is not an item of a study"):
        load_study(made.path)
    (made.path / "items.jsonl").write_text(text)
    Store(made).close()
    newer = sqlite3.connect(made.database)
    newer.execute("PRAGMA user_version = 9")
    newer.close()
    with pytest.raises(UserError, match="has version 9, this dialoeval reads 1"):
        Store(made)
    made.database.write_bytes(b"no database at all, but long enough to be read as one" * 50)
    with pytest.raises(UserError, match=r"cannot use .*judgments\.sqlite"):
        Store(made)
    made.database.unlink()
    made.database.mkdir()
    with pytest.raises(UserError, match="make the folder writable"):
        Store(made)


def refused(capsys, *arguments: str) -> str:
    assert main(["judge", *arguments]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1 and "Traceback" not in text
    return text


def test_bad_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "reports"
    runs(folder, 20)
    data = examples(20, references=3)
    other = [type(e)(e.id, (*e.context, "and more"), e.references) for e in data]
    write_run(folder, other, replies(data, 4), name="run-othercontexts", protocol=HELD_OUT)
    strange = [type(e)("x" + e.id, e.context, e.references) for e in data]
    write_run(folder, strange, replies(data, 5), name="run-strange", protocol=HELD_OUT)
    write_run(folder, data, replies(data, 6), name="run-failed", protocol=HELD_OUT, status="failed")
    pair = ["zebrafinch", "quokkamodel"]
    assert "not complete: failed" in refused(capsys, "new", "zebrafinch", "failed")
    assert "is not a run folder" in refused(capsys, "new", "zebrafinch", "nothing")
    assert "id d0000: contexts of" in refused(capsys, "new", "zebrafinch", "othercontexts")
    assert "no example ids in common" in refused(capsys, "new", "zebrafinch", "strange")
    assert "only 20 contexts in common; --contexts 20 or less" in refused(capsys, "new", *pair, "--contexts", "21")
    assert "needs two systems" in refused(capsys, "new", "zebrafinch")
    assert "is named twice" in refused(capsys, "new", "zebrafinch", "zebrafinch")
    assert "are the same run" in refused(capsys, "new", "a=zebrafinch", "b=zebrafinch")
    assert "did you mean 'good'" in refused(capsys, "new", "good=zebrafinch", "quokkamodel", "--against", "god")
    assert "--judges-per-item must be at least 1" in refused(capsys, "new", *pair, "--judges-per-item", "0")
    assert main(["judge", "new", *pair, "--name", "fine", "--judges-per-item", "2"]) == 0
    assert "a majority may not exist" in capsys.readouterr().out
    assert "is a study already" in refused(capsys, "new", *pair, "--name", "fine")
    assert "is not a study folder" in refused(capsys, "serve", "fin")
    assert "unknown: judge 'sevre'; did you mean 'serve'?" in refused(capsys, "sevre")
    assert main(["judge", "status", "fine"]) == 0 and "0 of 40 judgments" in capsys.readouterr().out
    assert main(["judge", "export", "fine"]) == 0
    file = folder / "run-zebrafinch" / "replies.jsonl"
    file.write_text(file.read_text() + "\n")
    assert "is not the one this study was made from" in refused(capsys, "serve", "fine")
    assert main(["judge", "--help"]) == 0 and "correlate" in capsys.readouterr().out


def test_without_the_extra_one_sentence_says_what_to_install(tmp_path, capsys, monkeypatch):
    import sys

    made = study(tmp_path)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'dialoeval[judge]'" in refused(capsys, "serve", str(made.path))


def test_pages_are_in_the_package():
    pages = {file.name for file in (ROOT / "dialoeval" / "judging" / "pages").iterdir()}
    assert {"judge.html", "judge.js", "organiser.html", "help.html"} <= pages
    assert list((ROOT / "dialoeval" / "serving").rglob("style.css"))


def test_a_human_reply_that_the_data_hold_apart_is_the_system(tmp_path):
    data = [replace(e, human=f"human {e.id}") for e in examples(12, references=2)]
    write_run(tmp_path, data, replies(data, 1), name="r", protocol=ProtocolConfig(name="reddit6k"))
    from dialoeval.runs.folder import RunFolder
    from dialoeval.runs.reader import load_run

    run = load_run(RunFolder(tmp_path / "r"))
    assert run.human == {e.id: e.human for e in data} and run.references[0] == list(data[0].references)
    made = load_study(make_study({"a": run}, Options(human=True), tmp_path / "s", tmp_path).path)
    assert made.design.systems["human"].index == APART and not made.design.systems["human"].scored
    assert {item.example_id: item.replies["human"] for item in made.judged} == run.human
    assert made.check_sources() == []
    with pytest.raises(UserError, match="scored against reference 0"):
        make_study({"a": run}, Options(human=True, human_index=0), tmp_path / "t", tmp_path)
    for name, others in (
        ("without", [replace(e, human=None) for e in data]),
        ("other", [replace(e, human="x") for e in data]),
    ):
        write_run(tmp_path, others, replies(data, 2), name=name, protocol=ProtocolConfig(name="reddit6k"))
    pair = {"b": load_run(RunFolder(tmp_path / "without")), "a": run}
    both = make_study(pair, Options(human=True), tmp_path / "u", tmp_path)
    assert both.design.systems["human"].run == str(run.path)
    with pytest.raises(UserError, match="references of a and c differ"):
        make_study(
            {"a": run, "c": load_run(RunFolder(tmp_path / "other"))}, Options(human=True), tmp_path / "v", tmp_path
        )
