"""The command line: help without heavy imports, mistakes in one line with exit code 2, list, show, doctor."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest
from support.run_fakes import FakeGenerator, write_dataset

from dialoeval.cli.main import VERBS, main
from dialoeval.runs import runner

HEAVY = ["torch", "hydra", "transformers", "datasets", "pandas", "numba", "nltk", "numpy", "omegaconf"]


def test_help_of_every_verb_imports_nothing_heavy():
    program = (
        "import sys, contextlib, io\n"
        "from dialoeval.cli.main import VERBS, main\n"
        "for verb in [*VERBS, None]:\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "        try:\n"
        "            code = main([verb, '--help'] if verb else ['--help'])\n"
        "        except SystemExit as stop:\n"
        "            code = stop.code\n"
        "    assert not code and 'usage' in out.getvalue().lower(), verb\n"
        f"    heavy = set({HEAVY}) & set(sys.modules)\n"
        "    assert not heavy, (verb, heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], ["unknown verb 'rnu'", "did you mean 'run'"]),
        (["run", "decoding=beem"], ["did you mean 'beam'"]),
        (["run", "decoding.num_beam=2"], ["num_beams"]),
        (["run", "decoding.num_beams=x"], ["decoding.num_beams"]),
        (["run", "-m", "decoding=greedy,beem"], ["beam"]),
        (["run", "--config-dir", "/nowhere"], ["/nowhere"]),
        (["run", "-m", "--info"], ["--info"]),
        (["run", "dataset=file", "dataset.path=/nowhere.jsonl"], ["/nowhere.jsonl"]),
        (["run", "model.path=/nowhere"], ["/nowhere"]),
        (["run", "tracker=wandbb"], ["did you mean 'wandb'"]),
        (["show", "nothing"], ["nothing is not a run folder"]),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("dialoeval: ") and err.count("\n") == 1
    for word in words:
        assert word in err
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_a_process_of_its_own_shows_no_traceback(tmp_path):
    command = [sys.executable, "-m", "dialoeval", "run", "decoding=beem"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("dialoeval: ") and done.stderr.count("\n") == 1 and "'beam'" in done.stderr


def test_what_the_library_logs_is_printed_once_as_plain_text_on_stderr(capsys, monkeypatch):
    def verb(arguments):
        logging.getLogger("dialoeval.data.columns").info("3 bad rows skipped")
        logging.getLogger("another_package").info("of no interest")
        return 0

    # a handler that another library gave the root logger prints nothing a second time
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(sys.stdout)])
    monkeypatch.setattr("dialoeval.cli.list.main", verb)
    for _ in range(2):
        assert main(["list"]) == 0
        printed = capsys.readouterr()
        assert printed.err == "3 bad rows skipped\n" and not printed.out


def test_hydras_own_flags(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--cfg", "job", "decoding=beam"]) == 0
    assert "num_beams: 10" in capsys.readouterr().out
    assert main(["run", "--hydra-help"]) == 0
    assert "--multirun" in capsys.readouterr().out
    assert main(["run", "--cfg", "job", "decoding=beem"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_users_own_options(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "decoding").mkdir(parents=True)
    (tmp_path / "mine" / "decoding" / "wide.yaml").write_text(
        "defaults: [base_decoding, _self_]\nname: wide\nstrategy: beam\nnum_beams: 30\n"
    )
    assert main(["run", "--config-dir", "mine", "--cfg", "job", "decoding=wide"]) == 0
    assert "num_beams: 30" in capsys.readouterr().out


def test_list_and_show(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "open_generator", lambda model, engine, decoding: FakeGenerator(engine, decoding))
    data = ["dataset=file", f"dataset.path={write_dataset(tmp_path, 3)}", "scoring.meteor=false", "scoring.resamples=9"]
    assert main(["run", "model.path=fake", *data]) == 0
    first = capsys.readouterr().out
    assert "| fake greedy |" in first and "report: reports/fake-greedy-file-" in first
    assert main(["run", "model.path=fake", *data]) == 0
    assert "nothing to generate" in capsys.readouterr().out

    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    for word in ("dialogpt-medium", "beam", "chitchat", "dstc7", "beam_width", "meteor", "complete, 3 examples"):
        assert word in listed
    assert main(["list", "experiments"]) == 0
    assert "@package" not in capsys.readouterr().out
    assert main(["show", "fake-greedy", "--replies", "2"]) == 0
    shown = capsys.readouterr().out
    assert "status: complete" in shown and "NIST-2" in shown and shown.count("  > ") == 2

    manifest = next((tmp_path / "reports").glob("fake-*/manifest.json"))
    manifest.write_text("{")
    assert main(["list", "runs"]) == 0
    assert "damaged" in capsys.readouterr().out
    assert main(["show", "fake-greedy"]) == 2


def test_run_sweep_and_show_print_warnings(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "open_generator", lambda model, engine, decoding: FakeGenerator(engine, decoding))
    rows = [{"id": str(i), "context": [f"User: {word}"], "references": [f"r {i}"]} for i, word in enumerate("abc")]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    data = ["dataset=file", "dataset.path=d.jsonl", "scoring.meteor=false", "scoring.resamples=0", "model.path=fake"]
    said = "3 of 3 contexts begin with a speaker's name, such as 'User: a': cut it off, or it counts as words\n"
    assert main(["run", *data]) == 0
    assert f"warning: fake greedy: {said}" in capsys.readouterr().err
    assert main(["show", "fake-greedy"]) == 0
    assert said in capsys.readouterr().err
    assert main(["run", "-m", *data, "seed=1,2"]) == 0
    assert said in capsys.readouterr().err
    assert "contexts begin with a speaker" in next((tmp_path / "reports").rglob("leaderboard.md")).read_text("utf-8")


def test_doctor(capsys):
    code = main(["doctor", "--offline"])
    out = capsys.readouterr().out
    for word in ("Python 3.", "torch ", "cache:", "METEOR"):
        assert word in out
    states = [line.split()[0] for line in out.splitlines()]
    assert set(states) <= {"ok", "note", "broken"}
    assert code == (1 if "broken" in states else 0)


def test_every_verb_is_a_module():
    from importlib.util import find_spec

    assert all(find_spec(f"dialoeval.cli.{module}") for module, _ in VERBS.values())
