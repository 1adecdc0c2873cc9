"""Plugins: names, configuration and datasets that installed wheels of other packages offer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

# The files of a whole plugin. Another kind of plugin is a file here and an entry point below.
PACKAGE_FILES = {
    "mypkg/__init__.py": "",
    "mypkg/talks.py": """\
from dialoeval.data.example import Dataset, Example, fingerprint
from dialoeval.errors import UserError


def check(options):
    for name in options:
        if name != "x":
            raise UserError(f"dataset.options.{name}: their_kind knows x only")


def load(config):
    count = config.options.get("x", 2)
    examples = tuple(Example(str(i), (f"hello {i}",), (f"hi {i}",)) for i in range(count))
    return Dataset(config.name, examples, fingerprint(examples))
""",
    "mypkg/conf/decoding/their_option.yaml": """\
# dialoeval run decoding=their_option        (sampling among 7 tokens)
defaults:
  - base_decoding
  - _self_

name: their_option
strategy: sample
top_k: 7
""",
    "mypkg/questions.py": """\
import numpy as np
from dialoeval.metrics import Figure, MeanMetric


class Questions(MeanMetric):
    name = "questions"
    description = "share of replies that ask a question, 0..1"
    figures = (Figure("questions", "Questions", percent=True, higher_is_better=None),)

    def per_reply(self, corpus):
        return np.array([float(reply.endswith("?")) for reply in corpus.hypotheses])

    def signature(self, corpus):
        return "questions|end:?"


METRIC = Questions
""",
    "mypkg/echo.py": """\
from dialoeval.errors import UserError
from dialoeval.generation.types import Candidate, CandidateSet, GeneratorDescription

VERSION, RUNS_HERE, KEYED_DRAWS = 1, False, True


def supports(model, decoding):
    return "it only repeats" if decoding.strategy == "beam" else None


def open_source(model, engine, decoding):
    if unknown := set(engine.options) - {"suffix"}:
        raise UserError(f"engine.options.{unknown.pop()}: echo knows suffix only")
    return Echo(engine.options.get("suffix", ""))


class Echo:
    def __init__(self, suffix):
        self.suffix = suffix

    def identity(self):
        return {"engine": "echo", "suffix": self.suffix}

    def describe(self):
        return GeneratorDescription(engine="echo")

    def chunk_size(self):
        return 2

    def prompt_length(self, example, decoding):
        return len(example.context)

    def candidates(self, examples, decoding, seed):
        for example in examples:
            text = example.context[-1] + self.suffix
            yield CandidateSet(example.id, (Candidate.of(text, 2, None, "stop"),), 0)

    def close(self):
        pass
""",
    "mypkg/longest.py": """\
DESCRIPTION = "words of the longest reply"


def compute(hypotheses, references, contexts=None):
    return {"score": max(len(reply.split()) for reply in hypotheses), "signature": "longest|tok:split"}
""",
    "mypkg/conf/decoding/greedy.yaml": "name: not the built-in one\n",
    "mypkg/conf/experiment/their_sweep.yaml": """\
# @package _global_
# dialoeval run experiment=their_sweep        (a sweep over k)
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      decoding: their_option
      decoding.top_k: 3,4
""",
}
ENTRY_POINTS = {
    "datasets": {"their_kind": "mypkg.talks", "file": "mypkg.nothing"},
    "metrics": {"questions": "mypkg.questions", "longest": "mypkg.longest", "rouge_l": "mypkg.nothing"},
    "engines": {"echo": "mypkg.echo", "hf": "mypkg.nothing"},
    "conf": {"mypkg": "mypkg.conf"},
}


def install(site, name, version, files, entry_points):
    """Write a wheel and let pip install it into the folder `site`."""
    info = f"{name}-{version}.dist-info"
    groups = [
        f"[dialoeval.{kind}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
        for kind, points in entry_points.items()
    ]
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "\n".join(groups),
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    wheel = site.parent / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in (files | {f"{info}/RECORD": record}).items():
            archive.writestr(path, text)
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check", "--upgrade", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugin") / "site"
    install(folder, "mypkg", "1.2", PACKAGE_FILES, ENTRY_POINTS)
    return folder


def dialoeval(*arguments, sites=(), folder, code=0):
    """Run a verb in a process of its own; return what it printed."""
    path = os.pathsep.join([*map(str, sites), str(Path(__file__).resolve().parents[1])])
    done = subprocess.run(
        [sys.executable, "-m", "dialoeval", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


RUN = ("run", "dataset.kind=their_kind", "scoring.meteor=false", "scoring.resamples=0", "decoding.max_new_tokens=3")


def test_an_option_of_a_plugin_composes(site, tmp_path):
    printed = dialoeval("run", "--cfg", "job", "decoding=their_option", sites=[site], folder=tmp_path)
    assert "  name: their_option\n" in printed and "  top_k: 7\n" in printed
    printed = dialoeval("run", "--cfg", "job", "decoding=greedy", sites=[site], folder=tmp_path)
    assert "  name: greedy\n" in printed, "a built-in option wins"
    assert "their_option" in dialoeval("run", "--help", sites=[site], folder=tmp_path)
    error = dialoeval("run", "--cfg", "job", "decoding=their_optoin", sites=[site], folder=tmp_path, code=2)
    assert "did you mean 'their_option'" in error


def test_an_experiment_of_a_plugin_is_a_sweep(site, tmp_path):
    assert "2 of 2 jobs complete" in dialoeval(
        *RUN, "experiment=their_sweep", "dataset.options.x=1", sites=[site], folder=tmp_path
    )


def test_what_plugins_offer_is_listed(site, tmp_path):
    listed = dialoeval("list", "decodings", sites=[site], folder=tmp_path).splitlines()
    (line,) = [line for line in listed if "their_option" in line]
    assert line.endswith("sampling among 7 tokens (from mypkg 1.2)")
    listed = dialoeval("list", "datasets", sites=[site], folder=tmp_path)
    assert "dataset.kind=their_kind (from mypkg 1.2)" in listed
    assert "dataset.kind=file " not in listed, "a built-in kind wins"


def test_a_dataset_of_a_plugin_runs_and_is_in_the_identity(site, tmp_path):
    dialoeval(*RUN, "dataset.options.x=3", sites=[site], folder=tmp_path)
    (folder,) = (tmp_path / "reports").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["identity"]["plugin"] == "mypkg==1.2" and manifest["examples"] == 3
    assert "  options:\n    x: 3\n" in (folder / "config.yaml").read_text()


def test_a_metric_of_a_plugin_is_a_metric_like_any(site, tmp_path):
    (tmp_path / "h.txt").write_text("how are you?\ni am fine\n")
    (tmp_path / "r.txt").write_text("hello\nhi\n")
    files = [
        "--hypotheses",
        "h.txt",
        "--references",
        "r.txt",
        "--no-meteor",
        "--out",
        "s.json",
        "--segments",
        "s.jsonl",
    ]
    printed = dialoeval("score", *files, "--extra", "questions,longest,rouge_l", sites=[site], folder=tmp_path)
    assert "Questions" in printed and "questions|end:?|plugin:mypkg==1.2" in printed
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scores["extra"]["questions"]["score"] == 0.5 and scores["intervals"]["questions"] == [0.0, 1.0]
    assert scores["extra"]["longest"] == {"score": 3.0, "signature": "longest|tok:split|plugin:mypkg==1.2"}
    assert "longest" not in scores["intervals"] and "plugin" not in scores["extra"]["rouge_l"]["signature"]
    assert [json.loads(line)["questions"] for line in (tmp_path / "s.jsonl").read_text().splitlines()] == [1.0, 0.0]
    assert "questions" in dialoeval("list", "metrics", sites=[site], folder=tmp_path)
    dialoeval(*RUN, "dataset.options.x=2", "scoring.extra=[questions]", sites=[site], folder=tmp_path)
    (folder,) = (tmp_path / "reports").glob("tiny-*")
    for plugins_installed in ([site], []):  # a report of it can be read without the plugin too
        assert "questions" in dialoeval("show", str(folder), sites=plugins_installed, folder=tmp_path).lower()
    error = dialoeval("score", *files, "--extra", "questoins", sites=[site], folder=tmp_path, code=2)
    assert "did you mean 'questions'" in error
    error = dialoeval(*RUN, "scoring.extra=[questions]", folder=tmp_path, code=2)
    assert "unknown dataset kind" in error or "unknown metric" in error


def test_a_metric_of_a_plugin_must_be_what_it_says(tmp_path):
    files = {
        "odd/__init__.py": "",
        "odd/questions.py": PACKAGE_FILES["mypkg/questions.py"],
        "odd/words.py": "def compute(h, r, c=None):\n    return {'score': 'many'}\n",
        "odd/constant.py": "ANSWER = {'score': 1.0}\n\n\ndef compute(h, r, c=None):\n    return ANSWER\n",
    }
    points = {name: f"odd.{name}" for name in ("words", "constant")}
    points |= {"other": "odd.questions", "nist": "odd.questions"}
    install(tmp_path / "site", "odd", "1", files, {"metrics": points})
    (tmp_path / "h.txt").write_text("a b\nc\n")
    score = ["score", "--hypotheses", "h.txt", "h.txt", "--references", "h.txt", "--no-meteor", "--extra"]
    for name, message in (
        ("other", "the plugin 'other' of odd==1 is the metric 'questions': the two names must be equal"),
        ("nist", "nist is one of the paper's metrics"),
        ("words", "the metric words returned what is not a number"),
    ):
        error = dialoeval(*score[:3], *score[4:], name, sites=[tmp_path / "site"], folder=tmp_path, code=2)
        assert message in error
    (tmp_path / "g.txt").write_text("a\nc\n")
    two = ["score", "--hypotheses", "h.txt", "g.txt", "--references", "h.txt", "--no-meteor", "--extra", "constant"]
    assert dialoeval(*two, sites=[tmp_path / "site"], folder=tmp_path).count("constant = 1.0") == 2


def test_an_engine_of_a_plugin_makes_replies_and_is_in_the_identity(site, tmp_path):
    run = [*RUN, "engine.name=echo", "dataset.options.x=3"]
    dialoeval(*run, "engine.options.suffix=_X", sites=[site], folder=tmp_path)
    (folder,) = (tmp_path / "reports").iterdir()
    rows = [json.loads(line) for line in (folder / "replies.jsonl").read_text().splitlines()]
    assert [row["reply"] for row in rows] == ["hello 0_X", "hello 1_X", "hello 2_X"]
    identity = json.loads((folder / "manifest.json").read_text())["identity"]["generator"]
    assert identity["plugin"] == "mypkg==1.2" and identity["suffix"] == "_X"
    assert "- engine: echo" in (folder / "report.md").read_text()
    dialoeval(*run, "engine.options.suffix=_Y", sites=[site], folder=tmp_path)
    assert len(list((tmp_path / "reports").iterdir())) == 2, "another suffix is another run"
    for setting, message in (("engine.options.x=1", "echo knows suffix only"), ("decoding=beam", "it only repeats")):
        assert message in dialoeval(*run, setting, sites=[site], folder=tmp_path, code=2)
    assert "engine.name=echo: no such engine" in dialoeval("run", "engine.name=echo", folder=tmp_path, code=2)
    listed = dialoeval("list", "engines", sites=[site], folder=tmp_path)
    assert "echo (from mypkg 1.2)" in listed


def test_options_are_checked(site, tmp_path):
    error = dialoeval(*RUN, "dataset.options.y=3", sites=[site], folder=tmp_path, code=2)
    assert "dataset.options.y: their_kind knows x only" in error
    error = dialoeval("run", "dataset.options.x=1", sites=[site], folder=tmp_path, code=2)
    assert "dataset.options.x: the dataset kind chitchat has no options" in error
    assert not (tmp_path / "reports").exists()


def test_without_its_package_a_name_is_unknown(tmp_path):
    error = dialoeval(*RUN, folder=tmp_path, code=2)
    assert "unknown dataset kind 'their_kind'" in error and "chitchat" in error
    error = dialoeval("run", "decoding=their_option", folder=tmp_path, code=2)
    assert "unknown decoding 'their_option'" in error


def test_two_packages_of_one_name(site, tmp_path):
    files = {path.replace("mypkg", "other"): text for path, text in PACKAGE_FILES.items()}
    points = {"datasets": {"their_kind": "other.talks"}, "conf": {"other": "other.conf"}}
    install(tmp_path / "site", "other", "0.1", files, points)
    both = [site, tmp_path / "site"]
    error = dialoeval(*RUN, sites=both, folder=tmp_path, code=2)
    assert "two packages offer datasets named 'their_kind': mypkg==1.2 and other==0.1" in error
    for arguments in (["run", "decoding=their_option"], ["run", "--cfg", "job", "decoding=their_option"]):
        error = dialoeval(*arguments, sites=both, folder=tmp_path, code=2)
        assert "two packages offer decoding=their_option: mypkg==1.2 and other==0.1" in error
    assert "two packages offer decoding=their_option" in dialoeval("list", sites=both, folder=tmp_path)
    printed = dialoeval("run", "--cfg", "job", "decoding=beam", sites=both, folder=tmp_path)
    assert "num_beams: 10" in printed, "who does not ask for the name has no error"


def test_a_broken_plugin_stops_only_who_asks_for_it(tmp_path):
    files = {"broken/__init__.py": "raise ImportError('no module of theirs\\nat all')\n"}
    points = {"datasets": {"bad": "broken.talks"}, "engines": {"worse": "broken.engine"}, "conf": {"c": "broken.conf"}}
    install(tmp_path / "site", "broken", "3", files, points)
    sites = [tmp_path / "site"]
    error = dialoeval("run", "dataset.kind=bad", sites=sites, folder=tmp_path, code=2)
    assert error.startswith(
        "dialoeval: the plugin 'bad' of broken==3 cannot be imported: ImportError: no module of theirs"
    )
    assert error.count("\n") == 1
    listed = dialoeval("list", sites=sites, folder=tmp_path)
    assert "dataset.kind=bad (from broken 3)" in listed and "engine.name=worse (from broken 3)" in listed
    done = dialoeval("run", "--cfg", "job", sites=sites, folder=tmp_path)
    assert "kind: chitchat" in done


def test_doctor_reports_every_broken_plugin(tmp_path, site, monkeypatch):
    files = {"broken/__init__.py": "raise ImportError('theirs')\n"}
    points = {"datasets": {"bad": "broken.talks"}, "engines": {"worse": "broken.engine"}, "conf": {"c": "broken.conf"}}
    install(tmp_path / "site", "broken", "3", files, points)
    from dialoeval import plugins

    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    faults = plugins.faults()
    assert len(faults) == 3 and all("broken==3" in fault for fault in faults)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path[1:]])
    assert sorted(fault.split("'")[1] for fault in plugins.faults()) == ["file", "hf", "rouge_l"]
    assert all("of mypkg==1.2" in fault and "mypkg.nothing" in fault for fault in plugins.faults())
