"""Configuration: every option composes and fits its schema; errors name the mistake."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

import dialoeval.config
from dialoeval.cli.main import main
from dialoeval.config import DecodingConfig, Direction, Dtype, EngineConfig, RunConfig, Tracker, TrainConfig
from dialoeval.config.compose import GROUPS, compose, group, is_sweep, known_keys
from dialoeval.config.groups import find_option, group_options
from dialoeval.config.schema import Strategy
from dialoeval.errors import UserError
from dialoeval.paths import conf_dir
from dialoeval.runs.sweep import plan

NEEDED = {"custom": ["model.path=x"], "file": ["dataset.path=x"], "hub": ["dataset.path=x"],
          "dstc7": ["dataset.path=x"], "reddit6k": ["dataset.path=x"], "conversations": ["dataset.path=x"]}  # fmt: skip
FILE = ["dataset=file", "dataset.path=x"]
EVERY = [(name, option) for name in GROUPS if name != "training" for option in group_options(name)]


@pytest.mark.parametrize(("name", "option"), EVERY)
def test_every_option_composes(name, option):
    needed = [] if name == "protocol" else NEEDED.get(option, [])
    config = compose("config", [f"{name}={option}", *needed])
    assert isinstance(config, RunConfig) and isinstance(getattr(config, name), GROUPS[name])
    first = (conf_dir() / name / f"{option}.yaml").read_text().splitlines()[0]
    assert first.startswith("# dialoeval ") and option in first, "the first line of a file is the command that uses it"


@pytest.mark.parametrize("option", group_options("training"))
def test_every_training_composes(option):
    assert isinstance(compose("train", [f"training={option}", "training.output_dir=x", *FILE]), TrainConfig)


@pytest.mark.parametrize("option", group_options("decoding"))
def test_the_printed_configuration_has_every_key(option, capsys):
    assert main(["run", "--cfg", "job", f"decoding={option}"]) == 0
    printed = OmegaConf.create(capsys.readouterr().out)
    assert set(printed.decoding) == {field.name for field in dataclasses.fields(GROUPS["decoding"])}
    written = set(printed) | {f"{name}.{key}" for name in printed for key in getattr(printed[name], "keys", list)()}
    written |= {f"dataset.columns.{key}" for key in printed.dataset.columns}
    unset = {"dataset.options", "engine.options", *(key for key in known_keys("config") if "model.baseline" in key)}
    assert written == set(known_keys("config")) - unset  # printed only if they are set
    assert group("decoding", option).name == option


@pytest.mark.parametrize(("name", "option"), [(name, option) for name in GROUPS for option in group_options(name)])
def test_a_file_says_only_what_it_is_about(name, option):
    """No file repeats a default of the schema, except its display name."""

    def repeated(written, default):
        for key, value in written.items():
            if isinstance(value, dict) and value:
                yield from repeated(value, default[key])
            elif key != "name" and value == default[key]:
                yield key

    written = OmegaConf.to_container(OmegaConf.load(find_option(name, option).file))
    written.pop("defaults")
    default = OmegaConf.to_container(OmegaConf.structured(GROUPS[name]), enum_to_str=True)
    assert list(repeated(written, default)) == []


def test_plain_text_becomes_an_enumeration():
    config = DecodingConfig(name="x", strategy="sample")
    assert config.strategy is Strategy.sample
    assert all(member.name == member.value for kind in (Dtype, Tracker, Direction, Strategy) for member in kind)
    with pytest.raises(UserError, match=r"engine.dtype must be fp32, bf16 or fp16, not 'fp61'; did you mean 'fp16'\?"):
        EngineConfig(dtype="fp61")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["decoding.top_k=5"], "decoding.top_k=5 has no effect"),
        (["decoding=beam", "decoding.num_beams=0"], "decoding.num_beams=0: must be at least 1"),
        (["decoding=beam", "decoding.early_stopping=sometimes"], "true, false or never"),
        (["decoding=topk", "decoding.num_candidates=4"], "needs decoding.rerank"),
        (["engine.dtype=int8"], "engine.dtype must be fp32, bf16 or fp16, not 'int8'"),
        (["engine.retries=-1"], "engine.retries=-1: must be 0 or more"),
        (["dataset.limit=0"], "dataset.limit must be at least 1"),
        (["scoring.resamples=-1"], "scoring.resamples=-1"),
        (["dataset.options=1"], "dataset.options"),
    ],
)
def test_values_out_of_range_are_named(overrides, message):
    with pytest.raises(UserError, match=re.escape(message)):
        compose("config", overrides)


def test_a_sweep_is_planned_whatever_its_values():
    """A job with invalid values fails alone, when it runs."""
    assert len(plan(["decoding=greedy,topk", "decoding.top_k=5,10"])) == 4


def imported(code, modules):
    """Return those of the modules that a piece of code imports, run in its own process."""
    code = f"import sys; {code}; print(*sorted({set(modules)} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.split()


def test_schemas_import_no_omegaconf():
    assert imported("from dialoeval.config import RunConfig", ["omegaconf", "hydra", "yaml"]) == []


def test_help_imports_no_schema():
    code = "from dialoeval.cli.main import main; main(['run', '--help'])"
    assert imported(code, ["dialoeval.config.schema", "hydra", "importlib.metadata", "yaml"]) == []


def test_the_schemas_are_exported():
    assert dir(dialoeval.config) == dialoeval.config.__all__
    for name in dialoeval.config.__all__:
        assert getattr(dialoeval.config, name).__module__ == "dialoeval.config.schema"


@pytest.mark.parametrize("name", group_options("experiment"))
def test_every_experiment_composes(name):
    overrides = [f"experiment={name}"]
    if not is_sweep(overrides):
        config = compose("config", [*overrides, "dataset.path=x"])
        assert config.protocol.name == config.dataset.name == name.split("_")[1]
        assert config.model.path == "microsoft/DialoGPT-medium"
        return
    jobs = plan(overrides)
    assert len(jobs) == len({tuple(job) for job in jobs}) >= 4


def test_experiments_sweep_what_they_say():
    assert [job[0] for job in plan(["experiment=decodings"])] == [
        f"decoding={name}" for name in ("greedy", "beam", "topk", "nucleus", "temperature")
    ]
    widths = [compose("config", job).decoding.num_beams for job in plan(["experiment=beam_width"])]
    assert widths == [1, 2, 5, 10]
    warmth = [compose("config", job).decoding.temperature for job in plan(["experiment=temperature"])]
    assert warmth == [0.4, 0.6, 0.8, 1.0, 1.2]
    assert len(plan(["experiment=decoding_grid"])) == 12


def test_the_command_line_wins_over_an_experiment():
    jobs = plan(["experiment=beam_width", "decoding.num_beams=3,4", "dataset.limit=7"])
    assert [compose("config", job).decoding.num_beams for job in jobs] == [3, 4]
    assert all(compose("config", job).dataset.limit == 7 for job in jobs)


def test_the_plus_of_other_hydra_applications_is_taken():
    assert is_sweep(["+experiment=beam_width"])
    config = compose("config", ["+experiment=paper_dstc7_beam", "dataset.path=x"])
    assert config.decoding.name == "beam"


def test_ranges_and_choices():
    jobs = plan(["decoding=beam,greedy", "decoding.num_beams=range(1,4)", "seed=choice(3,5)"])
    assert len(jobs) == 12 and jobs[0] == ["decoding=beam", "decoding.num_beams=1", "seed=3"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["decodin=beam"], ["decodin", "decoding"]),
        (["decoding=beem"], ["unknown decoding 'beem'", "did you mean 'beam'", "greedy"]),
        (["model=dialogpt-medum"], ["dialogpt-medium"]),
        (["experiment=beam_widht"], ["beam_width"]),
        (["decoding.num_beam=3"], ["num_beam", "num_beams"]),
        (["decoding.num_beams=three"], ["decoding.num_beams", "three"]),
        (["decoding.temperature=hot"], ["decoding.temperature", "hot"]),
        (["decoding.strategy=beams"], ["decoding.strategy", "beams"]),
        (["dataset.limit=1.5"], ["dataset.limit", "1.5"]),
        (["sed=1"], ["sed", "seed"]),
        (["model=custom"], ["model.path must be set"]),
        (["+decoding.colour=red"], ["decoding.colour"]),
        (["+colour=red"], ["colour"]),
        (["decoding.num_beams="], ["decoding.num_beams"]),
        (["decoding"], ["decoding"]),
        (["decoding.num_beams=[1"], ["num_beams"]),
    ],
)
def test_mistakes_are_named(overrides, words):
    with pytest.raises(UserError) as caught:
        compose("config", overrides)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("overrides", "word"),
    [(["decoding=greedy,beem"], "beam"), (["decoding.num_beam=1,2"], "num_beams"), (["seed=1,x"], "seed"),
     (["hydra/sweeper=nothing"], "sweeper")],
)  # fmt: skip
def test_mistakes_in_sweeps_stop_before_the_first_job(overrides, word):
    with pytest.raises(UserError, match=word):
        plan(overrides)
