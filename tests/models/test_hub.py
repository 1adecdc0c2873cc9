"""Models of the hub: what it gives, what it refuses, and what happens without it."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file
from support.fake_hub import Hub, User
from support.model_folders import SMALL, fingerprint, load
from support.random_models import random_gpt2


@pytest.fixture(scope="module")
def hub(tmp_path_factory, gpt2):
    folder = tmp_path_factory.mktemp("hub")
    shutil.copytree(gpt2, folder / "someone/good/main")
    random_gpt2(folder / "someone/good/v2", **SMALL, seed=5)
    shutil.copytree(gpt2, folder / "someone/pickled/main")
    state = folder / "someone/pickled/main/model.safetensors"
    torch.save(load_file(state), state.with_name("pytorch_model.bin"))
    state.unlink()
    for name, missing in [("nothing", "*"), ("untokenized", "tokenizer*"), ("weightless", "model.safetensors")]:
        shutil.copytree(gpt2, folder / f"someone/{name}/main")
        for path in (folder / f"someone/{name}/main").glob(missing):
            path.unlink()
    for name in ("gated", "asked", "forbidden", "stale-token", "busy", "down", "cut", "described"):
        shutil.copytree(gpt2, folder / f"someone/{name}/main")
    served = Hub(folder)
    gated = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model is restricted"}
    served.refusals = {
        "someone/gated": (401, gated),
        "someone/asked": (403, gated),  # logged in, but the terms are not accepted
        "someone/forbidden": (403, {"X-Error-Message": "This token may not read this"}),
        "someone/stale-token": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
        "someone/busy": (429, {}),
        "someone/down": (503, {}),
    }
    served.cut = {"someone/cut"}
    yield served
    served.close()


@pytest.fixture(scope="module")
def user(hub, tmp_path_factory):
    asking = User(hub, tmp_path_factory.mktemp("cache"))
    yield asking
    asking.close()


def test_a_model_of_the_hub_is_downloaded_once(hub, user, gpt2):
    answer = user.ask(path="someone/good")
    assert answer["fingerprint"] == fingerprint(load(gpt2).model) and answer["tokens"] == 400
    assert answer["printed"] == ""  # no bars, no hints
    hub.asked.clear()
    assert user.ask(path="someone/good") == answer
    assert not [line for line in hub.asked if line.startswith("GET /someone/")], "downloaded again"


def test_a_revision_has_its_own_weights(hub, user):
    main, other = user.ask(path="someone/good"), user.ask(path="someone/good", revision="v2")
    assert other["fingerprint"] == fingerprint(load(hub.folder / "someone/good/v2").model) != main["fingerprint"]
    by_commit = user.ask(path="someone/good", revision=hub.commit("someone/good", "v2"))
    assert by_commit["fingerprint"] == other["fingerprint"]


@pytest.mark.parametrize(
    "settings", [{}, {"revision": "v2"}, {"describe": True}], ids=["main", "revision", "described"]
)
def test_a_model_of_the_hub_is_known_by_its_commit(hub, user, settings):
    commit = hub.commit("someone/good", settings.get("revision", "main"))
    for revision in ({}, {"revision": commit}):
        assert user.ask(path="someone/good", **settings | revision)["identity"]["weights"] == f"commit:{commit}"


def test_what_another_program_needs_to_know_is_had_without_the_weights(hub, user):
    hub.asked.clear()
    answer = user.ask(path="someone/described", describe=True)
    assert answer["window"] == 128 and answer["fingerprint"] is None
    assert hub.asked and not [line for line in hub.asked if "safetensors" in line]


def test_pickled_weights_of_the_hub_load(user, gpt2):
    assert user.ask(path="someone/pickled")["fingerprint"] == fingerprint(load(gpt2).model)


@pytest.mark.parametrize(
    ("path", "settings", "sentence"),
    [
        ("someone/none", {}, "the Hub has no model someone/none, or it is private (then set HF_TOKEN)"),
        ("someone/gated", {}, "someone/gated is gated: accept its terms on the Hub, then set HF_TOKEN"),
        ("someone/asked", {}, "someone/asked is gated: accept its terms"),
        ("someone/good", {"revision": "v3"}, "someone/good has no such revision on the Hub: check model.revision"),
        ("some one/good", {}, "neither a local folder nor a valid Hub name"),
        ("someone/weightless", {}, "someone/weightless is not a model that can be loaded: "),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(user, path, settings, sentence):
    assert sentence in user.refused(path, **settings)


@pytest.mark.parametrize("name", ["nothing", "forbidden", "stale-token", "busy", "down"])
def test_a_hub_that_answers_is_not_called_out_of_reach(user, name):
    assert "cannot be reached" not in user.refused(f"someone/{name}")


def test_a_download_that_breaks_off_is_not_a_model_and_is_not_kept(hub, user, gpt2):
    assert "someone/cut" in user.refused("someone/cut")
    hub.cut.clear()
    assert user.ask(path="someone/cut")["fingerprint"] == fingerprint(load(gpt2).model)


def test_a_model_of_the_hub_without_a_tokenizer(user):
    assert "someone/untokenized" in user.refused("someone/untokenized")


def test_the_command_line_says_one_line(user, tmp_path):
    answer = user.ask(cli=["run", "model.path=someone/none", f"reports_dir={tmp_path}"])
    assert answer["code"] == 2 and answer["err"].startswith("dialoeval: the Hub has no model someone/none")
    assert answer["err"].count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_without_a_network_the_cache_is_enough_and_nothing_waits(hub, user):
    before = user.ask(path="someone/good")
    assert user.ask(endpoint="https://hub.invalid") == {"hub_answers": False}
    hub.asked.clear()
    try:
        assert user.ask(path="someone/good") == before
        assert user.ask(path="someone/good", revision="v2")["fingerprint"] != before["fingerprint"]
        sentence = user.refused("someone/other")
        assert "not on this machine, and the Hub cannot be reached" in sentence and "dialoeval fetch" in sentence
        assert "someone/good" in user.refused("someone/good", revision="v3")
        assert hub.asked == []
    finally:
        assert user.ask(endpoint=hub.address) == {"hub_answers": True}
