"""The paper in miniature: from a made dump to the table, by the commands of a user."""

from __future__ import annotations

import csv
import json

import pytest

from dialoeval.cli.main import main
from dialoeval.cli.reproduce_mini import ROWS
from dialoeval.corpus.synthetic import ANSWERS, Thread, base36, with_answers

pytestmark = pytest.mark.slow
SIZE = ["--talks", "250", "--contexts", "40", "--steps", "12"]


@pytest.mark.timeout(900)
def test_from_a_dump_to_the_table(tmp_path, capsys):
    out = tmp_path / "mini"
    command = ["reproduce", "mini", "--out", str(out), *SIZE]
    assert main(command) == 0
    printed = capsys.readouterr().out
    for row in csv.DictReader((out / "table.csv").read_text().splitlines()):
        system = row["system"]
        assert system in ROWS and f"| {system} " in printed
        if not system.startswith("DialoGPT"):  # trained for 12 steps, the model has little to say
            assert float(row["nist2"]) > 0 and float(row["avg_len"]) > 2, system
    lines = (out / "test.refs.txt").read_text().splitlines()
    assert len(lines) > 20 and all(len(line.split("\t")) > ANSWERS for line in lines)
    runs = {folder.name.split("-")[0]: folder for folder in (out / "reports").iterdir() if folder.is_dir()}
    said = [json.loads(line)["reply"] for line in (runs["baseline_human"] / "replies.jsonl").read_text().splitlines()]
    assert said == [line.split("\t")[-1].partition("|")[2] for line in lines], "the human reply is the last column"
    training = json.loads((out / "backward" / "training.json").read_text())
    assert training["run"]["training"]["direction"] == "backward"
    before = (out / "table.csv").read_bytes()
    assert main(command) == 0
    assert (out / "table.csv").read_bytes() == before
    assert main([*command[:-1], "13"]) == 2
    assert "was begun with --talks 250 --contexts 40 --steps 12" in capsys.readouterr().err


def test_the_commands_are_printed(capsys, tmp_path):
    assert main(["reproduce", "mini", "--commands", "--out", str(tmp_path / "m")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    assert len(lines) == 5 + len(ROWS) and all(line.startswith("dialoeval ") for line in lines)
    assert not (tmp_path / "m").exists()
    assert main(["reproduce", "mini", "--steps", "0"]) == 2


def test_answers_are_of_similar_turns_and_never_the_same():
    talks = [["hi", f"i like {what}", f"me too {i}"] for i, what in enumerate(["tea", "tea", "tea", "cats", "cats"])]
    talks.append(["hi", "i like tea", "me too 0"])  # the same answer again
    threads = with_answers(talks, 2, 2)
    assert threads[0] == Thread("hi", ("i like tea", "me too 0"), ("me too 1", "me too 2"))
    assert threads[3].answers[0] == "me too 4"
    assert all(thread.turns[-1] not in thread.answers for thread in threads)


def test_ids_are_base_36():
    assert [base36(n) for n in (0, 35, 36, 36**4)] == ["0", "z", "10", "10000"]
    assert all(int(base36(n), 36) == n for n in range(0, 10**6, 9973))
