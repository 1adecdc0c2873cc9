"""The Python face: what `import dialoeval as de` offers, with its signatures, laziness, objects and errors."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import dialoeval as de
from dialoeval import api

SMALL = ["dataset.limit=4", "decoding.max_new_tokens=8", "scoring.meteor=false", "scoring.resamples=20"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of the embedded model, in a reports folder of their own."""
    folder = tmp_path_factory.mktemp("face") / "reports"
    overrides = [*SMALL, f"reports_dir={folder}"]
    return folder, [de.run(model="tiny", decoding=name, overrides=overrides) for name in ("greedy", "topk")]


def test_every_exported_name_is_there_listed_and_documented():
    assert set(dir(de)) == set(de.__all__) and sorted(de.__all__) == de.__all__
    for name in de.__all__:
        assert inspect.getdoc(getattr(de, name)), name
    functions = {name for name in de.__all__ if inspect.isfunction(getattr(de, name))}
    assert functions == set(api.__all__) - {"Comparisons"}


def test_help_shows_the_signatures():
    for name in set(api.__all__) - {"Comparisons"}:
        parameters = inspect.signature(getattr(de, name)).parameters.values()
        assert all(p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters), name
        assert all(p.annotation is not p.empty for p in parameters), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        de.nothing  # noqa: B018


def test_importing_it_imports_nothing_heavy():
    program = (
        "import sys; import dialoeval; "
        "print([m for m in ('numpy', 'torch', 'pandas', 'omegaconf', 'hydra', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[]\n"


def test_a_run_from_python_is_the_run_of_the_command_line(runs, tmp_path, capsys):
    from dialoeval.cli.main import main

    folder, (greedy, _) = runs
    assert main(["run", *SMALL, f"reports_dir={folder}"]) == 0
    assert "nothing to generate" in capsys.readouterr().out
    assert greedy.scores.n == 4 and greedy.path.parent == folder
    assert de.load_run(greedy.name[-12:], folder).scores == greedy.scores
    assert de.load_run(greedy) is greedy


def test_runs_are_compared_by_object_path_and_name(runs):
    folder, (greedy, topk) = runs
    for first in (greedy, greedy.path, str(greedy.path), "tiny-greedy"):
        comparisons = de.compare(
            [first, topk], figures=["nist4", "distinct2"], trials=50, resamples=50, reports_dir=folder
        )
        assert len(comparisons) == 1 and list(comparisons[0].bootstrap) == ["nist4", "distinct2"]
    assert comparisons.to_markdown().startswith("# tiny topk against tiny greedy")
    frame = comparisons.to_frame()
    assert list(frame["figure"]) == ["nist4", "distinct2"] and {"p_adjusted", "low", "high"} <= set(frame.columns)
    assert repr(comparisons).count("\n") == 0 and "<table" in comparisons._repr_html_()


def test_a_models_folder_and_a_file_of_dialogues_are_taken_as_they_are(tmp_path):
    file = tmp_path / "it's.jsonl"
    file.write_text('{"id": "1", "context": ["hi"], "references": ["hello"]}\n')
    dataset = de.load_dataset(file)
    assert [example.references for example in dataset.examples] == [("hello",)]
    assert len(de.load_dataset("chitchat", overrides=["dataset.limit=3"]).examples) == 3
    from dialoeval.paths import assets_dir

    generator, config = de.open_generator(assets_dir() / "tiny", overrides=["decoding.max_new_tokens=5"])
    (reply,) = generator.reply(dataset.examples, config.decoding, 0)
    assert reply.id == "1" and config.model.path == str(assets_dir() / "tiny")
    generator.close()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: de.run(model="tinny"), "unknown model 'tinny'; did you mean 'tiny'"),
        (lambda: de.run(decoding="beem"), "unknown decoding 'beem'; did you mean 'beam'"),
        (lambda: de.run(overrides=["decoding.widht=3"]), "unknown setting 'decoding.widht'"),
        (lambda: de.load_run("nothing-like-it", "/nowhere"), "is not a run folder"),
        (lambda: de.load_dataset("/nowhere.jsonl"), "/nowhere.jsonl"),
        (lambda: de.score(["a"], [["b"]], "dstc8"), "unknown protocol 'dstc8'"),
        (lambda: de.score(["a"], [["b"]], extra=["rogue_l"]), "did you mean 'rouge_l'"),
        (lambda: de.compare([]), "at least two runs"),
        (lambda: de.compare("tiny"), "runs is not a list"),
        (lambda: de.compare(None), "runs is not a list"),
        (lambda: de.compare([1, 2]), "a run must be a name or a path, not int"),
        (lambda: de.compare(["a", "b"], figures=[3]), "figures is a list of strings; 3 is not one"),
        (lambda: de.compare(["a", "b"], resamples="5"), "resamples is a whole number, not '5'"),
        (lambda: de.load_run(None), "a run must be a name or a path"),
        (lambda: de.list_runs(None), "reports_dir must be a name or a path"),
        (lambda: de.list_runs(__file__), "is not a folder of runs"),
        (lambda: de.run(overrides=None), "overrides is a list of strings; None is not one"),
        (lambda: de.score(["a"], [["b"]], extra=[3]), "extra is a list of strings; 3 is not one"),
        (lambda: de.score(["a"], [["b"]], resamples=True), "resamples is a whole number, not True"),
        (lambda: de.score(["a"], [["b"]], meteor="no"), "meteor is True or False, not 'no'"),
        (lambda: de.score(["a"], [["b"]], protocol=3), "protocol is a name such as 'dstc7', not int"),
        (lambda: de.run(None), "model must be a name or a path, not NoneType"),
        (lambda: de.score(["a"], [["b"]], extra="rogue_l"), "did you mean 'rouge_l'"),
        (lambda: de.load_dataset(overrides="dataset.limt=3"), "unknown setting 'dataset.limt'"),
    ],
)
def test_mistakes_are_one_sentence(call, message):
    with pytest.raises(de.UserError, match=message):
        call()
