"""`dialoeval score`: files in, table and JSON out, clear errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dialoeval.cli.main import main
from dialoeval.errors import UserError

ROWS = [("b", "a cat sat", ["the cat sat"]), ("a", "yes", ["yes", "no"]), ("c", "", ["maybe so"])]


@pytest.fixture
def files(tmp_path):
    def write(name, lines):
        path = tmp_path / name
        path.write_text("".join(line + "\n" for line in lines), "utf-8")
        return str(path)

    return write


@pytest.fixture
def replies(files):
    return files("system.jsonl", [json.dumps({"id": i, "reply": reply}) for i, reply, _ in ROWS])


@pytest.fixture
def references(files):
    return files("refs.jsonl", [json.dumps({"id": i, "references": refs}) for i, _, refs in reversed(ROWS)])


def score(tmp_path, hypotheses, references, *more):
    out = tmp_path / "out" / "scores.json"
    arguments = ["score", "--hypotheses", *hypotheses, "--references", *references, "--no-meteor", "--out", str(out)]
    assert main([*arguments, *more]) == 0
    return json.loads(out.read_text("utf-8"))


def refused(capsys, *arguments):
    capsys.readouterr()
    assert main(["score", "--no-meteor", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("dialoeval: ") and error.count("\n") == 1
    return error


def test_json_has_the_promised_keys_and_a_table_is_printed(tmp_path, replies, references, capsys):
    scores = score(tmp_path, [replies], [references])
    assert scores["n"] == 3 and scores["meteor"] is None
    assert (len(scores["nist"]), len(scores["bleu"]), len(scores["entropy"]), len(scores["distinct"])) == (4, 4, 4, 2)
    assert scores["avg_len"] == pytest.approx(4 / 3)
    assert scores["counts"]["empty_replies"] == 1
    assert scores["signature"].startswith("protocol:none|")
    printed = capsys.readouterr().out
    assert "NIST-2" in printed and "system" in printed and "1 empty replies" in printed


def test_all_forms_of_the_same_input_give_the_same_figures(tmp_path, files, replies, references):
    expected = score(tmp_path, [replies], [references])
    tsv = files("refs.tsv", ["\t".join([i, *refs]) for i, _, refs in ROWS])
    text = files("system.txt", [reply for _, reply, _ in ROWS])
    by_line = files("plain.jsonl", [json.dumps({"references": refs}) for _, _, refs in ROWS])
    named = ("--map", "id=0")  # without it, the first column may be a reference: no id of a text tells
    for hypotheses, lists, *more in ((replies, tsv), (text, tsv, *named), (text, by_line), (replies, by_line)):
        found = score(tmp_path, [hypotheses], [lists], *more)
        assert {k: found[k] for k in ("nist", "bleu", "entropy", "distinct")} == {
            k: expected[k] for k in ("nist", "bleu", "entropy", "distinct")
        }
    columns = [files("r0.txt", ["the cat sat", "yes", "maybe so"]), files("r1.txt", ["a cat", "no", "no"])]
    assert score(tmp_path, [text], columns)["signature"].count("refs:2") == 1


def test_several_systems(tmp_path, files, replies, references, capsys):
    better = files("better.txt.jsonl", [json.dumps({"id": i, "reply": refs[0]}) for i, _, refs in ROWS])
    both = score(tmp_path, [replies, better], [references], "--segments", str(tmp_path / "s.jsonl"))
    assert list(both["systems"]) == ["system", "better.txt"]
    printed = capsys.readouterr().out
    assert printed.index("better.txt") < printed.index("| system")
    rows = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text("utf-8").splitlines()]
    assert [(row["system"], row["id"]) for row in rows[:3]] == [("system", "a"), ("system", "b"), ("system", "c")]
    named = files("all.jsonl", [json.dumps({"system": s, "id": i, "reply": r}) for s in "xy" for i, r, _ in ROWS])
    assert list(score(tmp_path, [named], [references])["systems"]) == ["x", "y"]


def test_parquet_segments(tmp_path, replies, references):
    score(tmp_path, [replies], [references], "--segments", str(tmp_path / "s.parquet"))
    from pyarrow import parquet

    table = parquet.read_table(tmp_path / "s.parquet").to_pylist()
    assert [row["id"] for row in table] == ["a", "b", "c"]
    assert set(table[0]) == {"id", "nist", "bleu", "length"}


def test_skip_bad_counts_what_it_leaves_out(tmp_path, files, references):
    lines = [json.dumps({"id": i, "reply": reply}) for i, reply, _ in ROWS[:2]]
    bad = files("bad.jsonl", [*lines, "{broken", json.dumps({"id": "z", "reply": "?"}), json.dumps({"id": 1})])
    counts = score(tmp_path, [bad], [references], "--skip-bad")["counts"]
    assert (counts["replies_left_out"], counts["references_without_reply"], counts["skipped_lines"]) == (1, 1, 2)


def test_mistakes_name_file_line_and_field(tmp_path, files, replies, references, capsys):
    def with_replies(name, lines):
        return refused(capsys, "--hypotheses", files(name, lines), "--references", references)

    one = json.dumps({"id": "a", "reply": "x"})
    assert "d.jsonl, line 2" in with_replies("d.jsonl", [one, one])
    assert 'line 1: field "reply"' in with_replies("f.jsonl", [json.dumps({"id": "a", "text": "x"})])
    assert "line 2: not JSON" in with_replies("j.jsonl", [one, "{"])
    assert "found list" in with_replies("l.jsonl", ["[1]"])
    assert "'zz' is not in the references" in with_replies("z.jsonl", [json.dumps({"id": "zz", "reply": "x"})])
    assert "has no reply (2 in all)" in with_replies("m.jsonl", [one])
    assert 'field "id" is missing' in with_replies("i.jsonl", [one, json.dumps({"reply": "x"})])
    assert "2 replies but 3 lists" in with_replies("t.txt", ["x", "y"])
    assert "e.txt is empty" in with_replies("e.txt", [])
    assert "there is no file" in refused(capsys, "--hypotheses", str(tmp_path / "no.txt"), "--references", references)
    arguments = ("--hypotheses", replies, "--references", references)
    assert "did you mean 'dstc7'" in refused(capsys, *arguments, "--protocol", "dstc")
    assert "did you mean 'rouge_l'" in refused(capsys, *arguments, "--extra", "rouge-l")
    short = files("short.txt", ["x"])
    assert "differ in length" in refused(capsys, "--hypotheses", replies, "--references", short, files("two.txt", "xy"))
    for flag, value in (("--resamples", "-1"), ("--segments", "s.csv")):
        with pytest.raises(SystemExit) as stop:
            main(["score", *arguments, flag, value])
        assert stop.value.code == 2


def test_an_old_result_stays_when_writing_fails(tmp_path, replies, references, capsys):
    folder = tmp_path / "scores.json"
    folder.mkdir()
    assert "cannot write" in refused(capsys, "--hypotheses", replies, "--references", references, "--out", str(folder))
    assert not list(tmp_path.glob(".scores*"))


@pytest.mark.oracle
def test_the_official_replies_in_one_call(tmp_path, shared):
    folder = shared / "dstc7"
    files = [str(folder / "replies.jsonl")], [str(folder / "references.jsonl")]
    found = score(tmp_path, *files, "--protocol", "dstc7", "--resamples", "0")["systems"]
    official = json.loads((folder / "official.json").read_text("utf-8"))
    assert set(found) == set(official)
    for name, scores in found.items():
        assert [f"{x:.4f}" for x in scores["nist"]] == [f"{official[name][f'nist{n}']:.4f}" for n in range(1, 5)]
        assert [f"{x:.4f}" for x in scores["bleu"]] == [f"{official[name][f'bleu{n}']:.4f}" for n in range(1, 5)]


def test_scoring_imports_nothing_heavy(tmp_path, replies, references):
    program = (
        "import sys; from dialoeval.cli.main import main; "
        f"main(['score', '--hypotheses', {replies!r}, '--references', {references!r}, '--no-meteor']); "
        "print([m for m in ('torch', 'transformers', 'hydra', 'evaluate', 'datasets', 'pandas', 'nltk', 'numba') "
        "if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}
    )
    assert run.stdout.splitlines()[-1] == "[]"


def test_warnings_are_printed_and_written(tmp_path, replies, references, files, capsys):
    assert "warnings" not in score(tmp_path, [replies], [references])
    assert "warning:" not in capsys.readouterr().err
    equal = files("equal.jsonl", [json.dumps({"id": i, "reply": "0.3|hello"}) for i in "abc"])
    scores = score(tmp_path, [equal], [references])
    assert [finding["kind"] for finding in scores["warnings"]] == ["equal_replies", "structure_in_replies"]
    error = capsys.readouterr().err
    assert "warning: equal: all 3 replies are equal, '0.3|hello': see" in error
    assert "warning: equal: 3 of 3 replies look like JSON, a row of a table or weighted text" in error


@pytest.fixture
def no_work(monkeypatch):
    """Scoring that fails the test: checks come before it."""

    def fail(*arguments, **options):
        raise AssertionError("work began before the checks")

    monkeypatch.setattr("dialoeval.metrics.system_statistics.statistics", fail)


def test_outputs_and_packages_are_checked_before_work(tmp_path, replies, references, capsys, monkeypatch, no_work):
    base = ["--hypotheses", replies, "--references", references]
    (tmp_path / "file").write_text("")
    for file, problem in (
        (tmp_path, "it is a folder"),
        (Path(os.devnull), "it is no regular file"),
        (tmp_path / "file" / "scores.json", "Not a directory"),
        (Path("/proc/nowhere/scores.json"), "cannot write"),
        (Path(replies), "would replace"),
        (tmp_path / ".." / tmp_path.name / "refs.jsonl", "would replace"),
    ):
        assert problem in refused(capsys, *base, "--out", str(file))
    segments = str(tmp_path / "s.jsonl")
    assert "what --out writes" in refused(capsys, *base, "--out", segments, "--segments", segments)
    assert "needs a model" in refused(capsys, *base, "--extra", "perplexity")
    assert "no folder" in refused(capsys, *base, "--extra", "perplexity:./nowhere")
    assert "no config.json" in refused(capsys, *base, "--extra", f"bertscore:{tmp_path}@2")
    monkeypatch.setattr("dialoeval.metrics.extra._models.EMBEDDED_ENCODER", "not-installed")
    assert "pip install" in refused(capsys, *base, "--extra", "embedding_relevance")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1_200_000))
    assert "only 1.2 MB are free" in refused(capsys, *base, "--out", str(tmp_path / "new" / "scores.json"))
    assert not (tmp_path / "new").exists()


def test_the_table_is_printed_whatever_happens_to_the_files(tmp_path, replies, references, capsys, monkeypatch):
    def fail(path, value):
        raise UserError(f"cannot write {path}: the disk broke")

    monkeypatch.setattr("dialoeval.files.write_json", fail)
    segments = tmp_path / "segments.jsonl"
    arguments = ["score", "--no-meteor", "--hypotheses", replies, "--references", references]
    assert main([*arguments, "--out", str(tmp_path / "s.json"), "--segments", str(segments)]) == 2
    printed = capsys.readouterr()
    assert "NIST-2" in printed.out and printed.err.startswith("dialoeval: cannot write") and "broke" in printed.err
    assert len(segments.read_text().splitlines()) == 3


def test_a_reader_that_goes_away_stops_no_file(tmp_path, replies, references, monkeypatch):
    def fail(*arguments, **options):
        raise BrokenPipeError

    monkeypatch.setattr("dialoeval.metrics.score_tables.score_table", fail)
    out = tmp_path / "scores.json"
    arguments = ["score", "--no-meteor", "--hypotheses", replies, "--references", references, "--out", str(out)]
    assert main(arguments) == 1
    assert json.loads(out.read_text())["n"] == 3


def test_what_the_protocol_holds_out_is_said(files, capsys):
    replies = files("system.jsonl", [json.dumps({"id": "1", "reply": "great, thanks!"})])
    references = files("r.jsonl", [json.dumps({"id": "1", "references": ["fine, you?", "great, thanks!"]})])
    main(["score", "--hypotheses", replies, "--references", references, "--protocol", "dstc7", "--no-meteor"])
    printed = capsys.readouterr().out
    assert "system: The protocol dstc7 holds out reference 1" in printed and "|held-out:1|" in printed
    main(["score", "--hypotheses", replies, "--references", references, "--no-meteor"])
    assert "holds out" not in capsys.readouterr().out


def test_a_reply_without_meteor_is_named_by_its_id(tmp_path, files, capsys):
    worst = " ".join(["no"] * 7000)
    texts = {"short": "a cat", "worst": worst}
    replies = files("system.jsonl", [json.dumps({"id": i, "reply": text}) for i, text in texts.items()])
    references = files("r.jsonl", [json.dumps({"id": i, "references": [text]}) for i, text in texts.items()])
    segments = tmp_path / "segments.jsonl"
    arguments = ["--hypotheses", replies, "--references", references, "--segments", str(segments), "--resamples", "0"]
    assert main(["score", *arguments]) == 0
    assert "system: without METEOR: worst" in capsys.readouterr().out
    rows = [json.loads(line) for line in segments.read_text().splitlines()]
    assert {row["id"]: row["meteor"] for row in rows}["worst"] is None and rows[0]["bleu"] is not None


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_any_name_prints_in_any_encoding_and_without_a_home(tmp_path, files, references, encoding):
    segments, out = str(tmp_path / "segments.parquet"), str(tmp_path / "scores.json")
    rows = [json.dumps({"id": i, "reply": reply}) for i, reply, _ in ROWS]
    replies = os.fsdecode(os.fsencode(str(tmp_path)) + b"/a\xff \xe4\xb8\xad.jsonl")  # not UTF-8: a lone surrogate
    os.rename(files("odd.jsonl", rows), replies)
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "DIALOEVAL_CACHE")}
    program = (
        "import pwd, sys\ndef nobody(uid): raise KeyError(uid)\npwd.getpwuid = nobody\n"
        "from dialoeval.paths import cache_dir\nfrom dialoeval.cli.main import main\n"
        "assert cache_dir().parent.samefile(sys.argv[1])\nsys.exit(main(sys.argv[2:]) or main(['list', 'models']))"
    )
    arguments = ["--hypotheses", replies, "--references", references, "--no-meteor", "--segments", segments]
    arguments += ["--out", out]
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), "score", *arguments],
        capture_output=True, encoding=encoding, check=False,
        env={**environment, "PYTHONIOENCODING": encoding, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert r"a\udcff" in run.stdout and ("\u4e2d" in run.stdout) == (encoding == "utf-8")
