"""Flags, completion, output for scripts: everything is done, or refused in one sentence with exit code 2."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.run_fakes import FakeGenerator, write_dataset

from dialoeval.cli import output
from dialoeval.cli.completion import SCRIPTS, candidates
from dialoeval.cli.flags import TAKEN, parse
from dialoeval.cli.main import VERBS, main
from dialoeval.errors import UserError
from dialoeval.metrics import score
from dialoeval.runs import runner

CHEAP = ["scoring.meteor=false", "scoring.resamples=0"]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Overrides of a run of the fake in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "open_generator", lambda model, engine, decoding: FakeGenerator(engine, decoding))
    return ["dataset=file", f"dataset.path={write_dataset(tmp_path, 4)}", "model.path=fake", *CHEAP]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--resolve"], ["--resolve needs --cfg"]),
        (["run", "--package", "model"], ["--package needs --cfg"]),
        (["run", "--cfg", "job", "--package", "modle"], ["modle", "did you mean 'model'"]),
        (["run", "--shell-completion"], ["dialoeval completion bash"]),
        (["run", "-sc", "install=bash"], ["dialoeval completion bash"]),
        (["train", "--shell-completion"], ["dialoeval completion bash"]),
        (["run", "--experimental-rerun", "x"], ["--experimental-rerun", "resumes"]),
        (["run", "--config-name", "x"], ["--config-dir"]),
        (["run", "--config-path=x"], ["--config-dir"]),
        (["run", "--foo"], ["unknown flag --foo"]),
        (["run", "--multrun"], ["did you mean '--multirun'"]),
        (["train", "--resovle"], ["did you mean '--resolve'"]),
        (["train", "-m"], ["belongs to dialoeval run"]),
        (["run", "--cfg", "jbo"], ["did you mean 'job'"]),
        (["run", "--cfg"], ["expected job, hydra, all"]),
        (["run", "--info", "--cfg", "job"], ["--cfg does not go with --info"]),
        (["run", "--json", "--quiet"], ["--json does not go with --quiet"]),
        (["run", "--fail-fast"], ["add -m"]),
        (["run", "~engine"], ["~engine", "write engine=VALUE"]),
        (["train", "~model"], ["~model", "write model=VALUE"]),
        (["run", "engine=1"], ["unknown engine '1'"]),
        (["run", "-m", "engine=1"], ["unknown engine '1'"]),
        (["run", "decoding=null"], ["unknown decoding 'null'"]),
        (["run", "seed=1,2"], ["add -m for a sweep"]),
        (["run", "hydra/launcher=basic"], ["no effect on a single run"]),
        (["run", "hydra.run.dir=x"], ["no effect on a single run"]),
        (["run", "decoding.top_k=abc"], ["decoding.top_k must be a whole number, for example 64, not 'abc'"]),
        (["run", "decoding.top_p=abc"], ["decoding.top_p must be a number, for example"]),
        (["run", "scoring.meteor=perhaps"], ["scoring.meteor must be true or false"]),
        (["run", "scoring.extra=3"], ["scoring.extra must be a list, for example [bertscore]"]),
        (["run", "scoring.extra={a:1}"], ["scoring.extra must be a list"]),
        (["run", "decoding.top_k=null"], ["decoding.top_k cannot be null"]),
        (["run", "seed=${x}"], ["${x} stands for no setting"]),
        (["run", "tracker=[1]"], ["tracker must be one name"]),
        (["run", "model.path=[1]"], ["model.path must be text"]),
        (["run", "scoring={a:1}"], ["scoring.KEY=VALUE"]),
        (["train", "training.learning_rate=abc"], ["training.learning_rate must be a number"]),
        (["inspect", "--jsno", "a.jsonl"], ["did you mean '--json'"]),
    ],
)
def test_refused_in_one_sentence(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("dialoeval: ") and printed.err.count("\n") == 1 and printed.out == ""
    for word in words:
        assert word in printed.err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_launcher_names_its_extra(monkeypatch, capsys):
    from dialoeval.config.compose import to_user_error

    for name, extra in (("joblib", "parallel"), ("submitit_slurm", "slurm")):
        error = to_user_error(ValueError(f"Could not find 'hydra/launcher/{name}'\n\nAvailable options:"), "config")
        assert str(error) == f"hydra/launcher={name} needs a package: pip install 'dialoeval[{extra}]'"


@pytest.mark.parametrize("verb", ["run", "train"])
def test_flags_that_print(verb, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for flags, word in (
        (["--cfg", "job"], "name: tiny"),
        (["-c", "job", "--resolve"], "name: tiny"),
        (["--cfg=job", "-p", "model"], "# @package model"),
        (["--cfg", "hydra"], "hydra:"),
        (["--info", "defaults"], "Defaults List"),
        (["--version"], "Hydra 1."),
    ):
        assert main([verb, *flags]) == 0
        assert word in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


_ARGUMENTS = st.one_of(
    st.sampled_from([*TAKEN["run"], "-m", "-c", "job", "-sc", "--config-name", "decoding=beam", "~x", "=", "a=b", "-"]),
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), max_size=8),
)


@settings(max_examples=200, deadline=None)
@given(arguments=st.lists(_ARGUMENTS, max_size=5), verb=st.sampled_from(["run", "train"]))
def test_any_flags_are_taken_or_refused(arguments, verb):
    flags = None
    with contextlib.suppress(UserError):
        flags = parse(verb, arguments)
    if flags is not None:
        assert set(flags.given) <= set(TAKEN[verb])
        assert all(argument in arguments or argument.startswith("hydra.searchpath") for argument in flags.overrides)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.sampled_from(["seed", "decoding.top_k", "decoding.temperature", "engine", "scoring.extra", "dataset.limit"]),
    value=st.sampled_from(["1", "-1", "x", "null", "1.5", "[1]", "{a:1}", "", "1,2", "'x'", "true", "${x}", "nan"]),
    verb=st.sampled_from(["run", "train"]),
)
def test_any_value_is_taken_or_refused(capsys, key, value, verb):
    code = main([verb, "--cfg", "job", f"{key}={value}"])
    printed = capsys.readouterr()
    assert code in (0, 2) and "Traceback" not in printed.err
    assert printed.err.count("\n") == (1 if code else 0)


def test_output_for_scripts_is_one_object_and_nothing_else(data, tmp_path, capsys):
    def printed(*arguments):
        assert main(list(arguments)) == 0
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        return json.loads(out)

    run = printed("run", *data, "--json")
    assert run["name"] == "fake greedy" and run["generated"] == 4 and run["scores"]["n"] == 4
    other = printed("run", *data, "--json", "decoding=beam")
    assert printed("show", "fake-greedy", "--json", "--replies", "2")["replies"][1]["id"] == "d1"
    listed = printed("list", "--json")
    assert "beam" in listed["decodings"] and {row["status"] for row in listed["runs"]} == {"complete"}
    compared = printed("compare", run["run"], other["run"], "--json", "--trials", "9", "--resamples", "9")
    assert compared["schema"] == 1
    files = ["--references", f"{run['run']}/references.jsonl"]
    scores = printed("score", "--hypotheses", f"{run['run']}/replies.jsonl", *files, "--no-meteor", "--json")
    assert scores["bleu"] == run["scores"]["bleu"]
    imported = printed("import", "--replies", f"{run['run']}/replies.jsonl", *files, "--no-meteor", "--json")
    assert imported["runs"][0]["scores"]["n"] == 4
    seen = printed("inspect", "dialogues.jsonl", "--json")
    assert seen["examples"] == 4 and seen["first"][0]["prompt"]
    assert printed("run", "--dry-run", *data[:2], "--json")["examples"] == 4


def test_quiet_prints_nothing_of_a_good_run_and_one_line_of_a_bad_one(data, capsys):
    assert main(["run", *data, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["run", *data, "--quiet", "decoding.top_k=x"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("width", [200, 110, 60, 20])
def test_tables_fit_the_terminal_and_are_whole_in_a_pipe(width, monkeypatch):
    systems = [("a system", score(["well yes", "no", "so it is"] * 9, [["yes well"], ["no"], ["so it was"]] * 9))]
    whole = output.scores_text(systems)
    assert len(whole.splitlines()) == 3 and "±" in whole
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stdout", Terminal())
    lines = [line for line in output.scores_text(systems).splitlines() if line.startswith("|")]
    shortest = max(len(line) for line in whole.splitlines())
    assert max(map(len, lines)) <= max(width, 30) and (width < shortest or lines == whole.splitlines())
    headings = [cell.strip() for line in lines[::3] for cell in line.split("|")[1:-1]]
    assert [name for name in headings if name != "System"] == [
        cell.strip() for cell in whole.splitlines()[0].split("|")[2:-1]
    ]


def test_a_log_has_no_progress_bar_and_no_colour(data, tmp_path):
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for file in files:
        file.write_text("so it is\nwell yes\n" * 40)
    command = [sys.executable, "-m", "dialoeval", "score", "--hypotheses", str(files[0]), "--references", str(files[1])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0 and not re.search(r"\x1b|\r|it/s|%\|", done.stdout + done.stderr)


def test_other_systems_are_told_at_once(monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "win32")
    assert main(["list"]) == 2
    assert "WSL" in capsys.readouterr().err


def test_completion_knows_verbs_flags_groups_settings_and_runs(data, capsys):
    assert main(["run", *data]) == 0
    (run,) = candidates("dialoeval show fake")
    assert run.startswith("fake-greedy-file-")
    assert candidates("dialoeval ru") == ["run"] and set(VERBS) < set(candidates("dialoeval "))
    assert candidates("dialoeval run decoding=be") == ["decoding=beam"]
    assert candidates("dialoeval run -m decoding=greedy,be") == ["decoding=greedy,beam"]
    assert "decoding.num_beams=" in candidates("dialoeval run decoding.nu")
    assert candidates("dialoeval run tracker=m") == ["tracker=mlflow"]
    assert candidates("dialoeval run scoring.meteor=t") == ["scoring.meteor=true"]
    assert candidates("dialoeval train training.output") == ["training.output_dir="]
    assert candidates("dialoeval compare --corr") == ["--correction"]
    assert "--fail-fast" in candidates("dialoeval run --") and candidates("dialoeval nothing x") == []
    for verb in VERBS:
        assert "--help" in candidates(f"dialoeval {verb} --"), verb


def test_completion_imports_nothing_heavy():
    program = (
        "import sys\nfrom dialoeval.cli.completion import candidates\n"
        "for line in ('', 'run --', 'run decoding=', 'run model', 'train training.', 'show ', 'compare --', 'list '):\n"
        "    candidates('dialoeval ' + line)\n"
        "heavy = {'torch', 'hydra', 'transformers', 'datasets', 'pandas', 'numba', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="NOT CHECKED: no bash")
def test_bash_completes(tmp_path):
    command = tmp_path / "dialoeval"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m dialoeval "$@"\n')
    command.chmod(0o755)
    program = SCRIPTS["bash"] + (
        'for COMP_LINE in "dialoeval ru" "dialoeval run decoding=be" "dialoeval run engi"; do\n'
        "  COMP_POINT=${#COMP_LINE}; _dialoeval; echo ${COMPREPLY[@]}\ndone\n"
    )
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, env=environment, timeout=60)
    verbs, options, groups = done.stdout.splitlines()
    assert (verbs, options) == ("run", "beam") and "engine=" in groups.split(), done.stderr
