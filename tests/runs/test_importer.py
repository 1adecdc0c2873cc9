"""`dialoeval import`: replies from elsewhere become runs that everything reads like any other."""

from __future__ import annotations

import json

import pytest

import dialoeval as de
from dialoeval.cli.main import main
from dialoeval.runs.folder import RunFolder
from tests.support.report_runs import examples, replies, write_run

DATA = examples(12)


@pytest.fixture
def files(tmp_path):
    said = replies(DATA, 3)
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("other", "gold", "turns")}
    rows = {
        "other": [{"id": e.id, "reply": reply} for e, reply in zip(DATA, said, strict=True)],
        "gold": [{"id": e.id, "references": list(e.references)} for e in DATA],
        "turns": [{"id": e.id, "context": list(e.context)} for e in reversed(DATA)],
    }
    for name, lines in rows.items():
        paths[name].write_text("".join(json.dumps(row) + "\n" for row in lines), "utf-8")
    return {name: str(path) for name, path in paths.items()}


def imported(tmp_path, files, *more):
    before = set((tmp_path / "reports").glob("*"))
    arguments = ["--replies", files["other"], "--references", files["gold"], "--no-meteor"]
    assert main(["import", *arguments, "--reports-dir", str(tmp_path / "reports"), *more]) == 0
    return sorted(set((tmp_path / "reports").glob("*")) - before)


def refused(capsys, *arguments):
    capsys.readouterr()
    assert main(["import", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("dialoeval: ") and error.count("\n") == 1
    return error


def test_the_folder_is_complete_and_found_again(tmp_path, files):
    (folder,) = imported(tmp_path, files, "--contexts", files["turns"], "--name", "Système 1")
    names = {"manifest.json", "replies.jsonl", "references.jsonl", "scores.json", "segments.jsonl", "report.md",
             "config.yaml", "environment.json"}  # fmt: skip
    assert names <= {file.name for file in folder.iterdir()}
    run = de.load_run(folder)
    assert run.hypotheses == replies(DATA, 3) and run.contexts == [list(e.context) for e in DATA]
    assert run.references == [list(e.references) for e in DATA] and run.settings.name == "Système 1 imported"
    assert run.environment.engine == "imported" and run.scores.n == 12
    bytes_before = {name: (folder / name).read_bytes() for name in names}
    assert imported(tmp_path, files, "--contexts", files["turns"], "--name", "Système 1") == []
    assert {name: (folder / name).read_bytes() for name in names} == bytes_before
    again = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert again["status"] == "complete" and len(again["identity"]["generator"]["replies_sha256"]) == 64
    # the file's format and name do not make another run
    table = tmp_path / "table.tsv"
    table.write_text("".join(f"{e.id}\t{r}\n" for e, r in zip(DATA, replies(DATA, 3), strict=True)), "utf-8")
    same = {**files, "other": str(table)}
    assert imported(tmp_path, same, "--contexts", files["turns"], "--name", "Système 1") == []


def test_another_protocol_scores_again_only(tmp_path, files):
    (folder,) = imported(tmp_path, files)
    said, scores = (folder / "replies.jsonl").read_bytes(), RunFolder(folder).scores()
    assert imported(tmp_path, files, "--protocol", "dstc7") == []
    assert (folder / "replies.jsonl").read_bytes() == said
    assert RunFolder(folder).scores().protocol.name == "dstc7" != scores.protocol.name


def test_compare_report_list_and_show_read_it(tmp_path, files, capsys):
    reports = tmp_path / "reports"
    own = write_run(reports, DATA, replies(DATA, 9), name="own")
    own_files = {**files, "gold": str(own / "references.jsonl")}
    (folder,) = imported(tmp_path, own_files, "--contexts", str(own / "replies.jsonl"))
    options = ["--reports-dir", str(reports)]
    capsys.readouterr()
    assert main(["compare", str(own), str(folder), *options, "--resamples", "50", "--trials", "50"]) == 0
    assert "other imported" in capsys.readouterr().out
    assert main(["report", str(own), str(folder), "--out", str(tmp_path / "page.html")]) == 0
    assert "other imported" in (tmp_path / "page.html").read_text("utf-8")
    assert main(["show", str(folder)]) == 0
    assert main(["list", "runs", *options]) == 0
    assert folder.name in capsys.readouterr().out
    assert "imported" in list(de.list_runs(reports)["engine"])


def test_two_systems_and_samples(tmp_path, files, capsys):
    second = tmp_path / "second.jsonl"
    second.write_text("".join(json.dumps({"id": e.id, "reply": "no"}) + "\n" for e in DATA), "utf-8")
    reports = ["--reports-dir", str(tmp_path / "reports"), "--no-meteor"]
    both = ["--replies", files["other"], str(second), "--references", files["gold"], *reports]
    assert main(["import", *both]) == 0
    assert len(list((tmp_path / "reports").glob("*"))) == 2
    assert "2 systems" in refused(capsys, *both, "--name", "x")
    assert "--samples systems" in refused(capsys, *both, "--samples", "mean")
    short = tmp_path / "short.jsonl"
    short.write_text(json.dumps({"id": DATA[0].id, "context": ["x"]}) + "\n", "utf-8")
    assert "has no context" in refused(capsys, *both, "--contexts", str(short))
    line = tmp_path / "short.txt"
    line.write_text("a context\n", "utf-8")
    assert "1 contexts for 12 examples" in refused(capsys, *both, "--contexts", str(line))


def test_text_files_keep_the_order_of_lines(tmp_path):
    for name, lines in {"h": ["a b", "c d"], "r": ["a c", "c d e"], "c": ["hi EOS you", "so"]}.items():
        (tmp_path / f"{name}.txt").write_text("".join(line + "\n" for line in lines), "utf-8")
    run = de.import_replies(
        tmp_path / "h.txt",
        tmp_path / "r.txt",
        tmp_path / "c.txt",
        name="mine",
        meteor=False,
        reports_dir=tmp_path / "x",
    )
    assert (run.ids, run.hypotheses, run.contexts) == (["1", "2"], ["a b", "c d"], [["hi", "you"], ["so"]])


def test_the_human_reply_of_the_6k_set_is_part_of_the_data_of_imported_and_generated_runs(tmp_path, files):
    lines = ["hi EOS you there\t9|yes it is\t5|no not here\t1|well it is", "what is it\t7|not now\t2|not here now"]
    reddit = tmp_path / "test.refs.txt"
    reddit.write_text("\n".join(lines) + "\n")
    dataset = de.load_dataset("reddit6k", overrides=[f"dataset.path={reddit}"])
    said = tmp_path / "said.txt"
    said.write_text("yes\nno\n")
    files = {"other": str(said), "gold": str(reddit)}
    turns = tmp_path / "turns.jsonl"
    turns.write_text("".join(json.dumps({"id": e.id, "context": e.context}) + "\n" for e in dataset.examples))
    (folder,) = imported(tmp_path, files, "--contexts", str(turns), "--protocol", "reddit6k")
    run = de.load_run(folder)
    assert run.dataset == dataset.fingerprint and run.human == {"1": "well it is", "2": "not here now"}
    assert run.references == [["yes it is", "no not here"], ["not now"]]
    assert run.scores.counts["human_replies_kept_apart"] == 2
    assert "human reply of 2 contexts apart from their references" in (folder / "report.md").read_text("utf-8")
    files = {"other": str(folder / "replies.jsonl"), "gold": str(folder / "references.jsonl")}
    (again,) = imported(tmp_path, files, "--contexts", str(folder / "replies.jsonl"), "--protocol", "reddit6k")
    assert de.load_run(again).dataset == dataset.fingerprint
