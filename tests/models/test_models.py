"""Models that cannot be had or are not what they should be, the hub's answers, end tokens, the release's weights."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.random_models import TEXTS, bpe_tokenizer, edit_json, random_gpt2, random_llama, scaled

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data import Example
from dialoeval.errors import UserError
from dialoeval.generation import open_generator
from dialoeval.generation.generator import ReplyGenerator
from dialoeval.generation.types import TokenRequest
from dialoeval.models import loading as models
from dialoeval.models.state_dict import load_release_weights

CPU = EngineConfig(device="cpu", workers=1)
SMALL = {"layers": 1, "width": 32, "heads": 2}


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory) -> Path:
    """A sound model folder that tests copy before they break it; its replies differ, and some end by themselves."""
    folder = random_gpt2(tmp_path_factory.mktemp("sound"), layers=2, width=32, heads=2, seed=3)
    return scaled(folder, matrices=12.0, last=25.0)


@pytest.fixture
def copy(gpt2, tmp_path) -> Path:
    return Path(shutil.copytree(gpt2, tmp_path / "model"))


def load(folder: str | Path, **settings) -> models.LoadedModel:
    return models.load(str(folder), **{"revision": None, "weights": None, "engine": CPU, **settings})


def fingerprint(model) -> str:
    return hashlib.sha256(model.get_input_embeddings().weight.detach().numpy().tobytes()).hexdigest()


# ---- the hub: a server that answers as the real one does, asked by a process that has nothing else ----


class Hub:
    """`folder`/OWNER/NAME/REVISION/FILE served by the hub's protocol; `refusals` are answers instead of files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refusals: dict[str, tuple[int, dict[str, str]]] = {}  # OWNER/NAME -> (status, headers)
        self.cut: set[str] = set()  # repositories whose weights break off in the middle
        self.asked: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def commit(name: str, revision: str) -> str:
        return hashlib.sha1(f"{name}@{revision}".encode()).hexdigest()

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of a GET."""
        parts = path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        parts = parts[2:] if api else parts
        name = "/".join(parts[:2])
        if name in self.refusals and not api:
            return *self.refusals[name], b""
        if not (self.folder / name).is_dir():
            # without a token the hub does not tell a private model from none
            return 401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b""
        kind, revision, *rest = [*parts[2:], "revision", "main"][: max(2, len(parts) - 2)]
        commits = {self.commit(name, path.name): path.name for path in (self.folder / name).iterdir()}
        revision = commits.get(revision, revision)
        if not (self.folder / name / revision).is_dir():
            return 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"Invalid rev id: {revision}"}, b""
        commit, found = self.commit(name, revision), (self.folder / name / revision).joinpath(*rest)
        if api and kind == "revision":
            answer = {"id": name, "modelId": name, "sha": commit, "siblings": [], "tags": []}
            return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()
        headers = {"X-Repo-Commit": commit}
        if kind != "resolve" or not found.is_file():
            return 404, headers | {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}, b""
        body = found.read_bytes()
        return 200, headers | {"ETag": f'"{hashlib.sha256(body).hexdigest()}"'}, body

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                path = unquote(urlsplit(self.path).path)
                hub.asked.append(f"{self.command} {path}")
                status, headers, body = hub.answer(path)
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    broken = "/".join(path.split("/")[1:3]) in hub.cut and path.endswith(".safetensors")
                    self.wfile.write(body[: len(body) // 2] if broken else body)
                    self.close_connection = broken

            def log_message(self, *_) -> None:
                pass

        return Handler


# huggingface_hub reads its settings when it is imported, so that they need a process of their own
USER = """
import contextlib, hashlib, io, json, sys, time
from dialoeval.cli.main import main
from dialoeval.config import EngineConfig
from dialoeval.models import hub
from dialoeval.models import loading as models

time.sleep = lambda seconds: None  # huggingface_hub waits between its attempts
answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    ask = json.loads(line)
    if "endpoint" in ask:
        import huggingface_hub.constants
        huggingface_hub.constants.ENDPOINT = ask["endpoint"]
        hub.hub_answers.cache_clear()
        answer = {"hub_answers": hub.hub_answers()}
    elif "cli" in ask:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(ask["cli"])
        answer = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
    else:
        err = io.StringIO()
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(err):
            try:
                loaded = models.load(**{"revision": None, "weights": None, "engine": EngineConfig(device="cpu"), **ask})
                weights = loaded.model and loaded.model.get_input_embeddings().weight.detach().numpy().tobytes()
                answer = {"identity": loaded.identity, "tokens": len(loaded.tokenizer), "window": loaded.window,
                          "fingerprint": weights and hashlib.sha256(weights).hexdigest()}
            except Exception as error:
                answer = {"error": str(error), "kind": type(error).__name__}
        answer["printed"] = err.getvalue()
    print(json.dumps(answer), file=answers, flush=True)
"""


class User:
    """A process that loads models from a `Hub`, with a cache of its own."""

    def __init__(self, hub: Hub, cache: Path) -> None:
        self.cache = cache
        unset = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HF_HUB_CACHE"}
        unset |= {key for key in os.environ if key.lower() in ("http_proxy", "https_proxy", "all_proxy")}
        environment = {key: value for key, value in os.environ.items() if key not in unset}
        environment |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **what) -> dict:
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def refused(self, path: str, **settings) -> str:
        """The sentence with which `path` is refused."""
        answer = self.ask(path=path, **settings)
        assert answer.get("kind") == "UserError", answer
        assert answer["printed"] == "" and "\n" not in answer["error"], answer
        return answer["error"]

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


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
    "settings", [{}, {"revision": "v2"}, {"kind": "described"}], ids=["main", "revision", "described"]
)
def test_a_model_of_the_hub_is_known_by_its_commit(hub, user, settings):
    commit = hub.commit("someone/good", settings.get("revision", "main"))
    for revision in ({}, {"revision": commit}):
        assert user.ask(path="someone/good", **settings | revision)["identity"]["weights"] == f"commit:{commit}"


def test_what_another_program_needs_to_know_is_had_without_the_weights(hub, user):
    hub.asked.clear()
    answer = user.ask(path="someone/described", kind="described")
    assert answer["window"] == 128 and answer["fingerprint"] is None
    assert hub.asked and not [line for line in hub.asked if "safetensors" in line]


def test_pickled_weights_of_the_hub_load(user, gpt2):
    assert user.ask(path="someone/pickled")["fingerprint"] == fingerprint(load(gpt2).model)


@pytest.mark.parametrize(
    ("path", "settings", "sentence"),
    [
        ("someone/none", {}, "the hub has no model someone/none, or it is private (then set HF_TOKEN)"),
        ("someone/gated", {}, "someone/gated is gated: accept its terms on the hub, then set HF_TOKEN"),
        ("someone/asked", {}, "someone/asked is gated: accept its terms"),
        ("someone/good", {"revision": "v3"}, "someone/good has no such revision on the hub: check model.revision"),
        ("some one/good", {}, "neither a folder here nor a name that the hub could have"),
        ("someone/weightless", {}, "someone/weightless is not a model that can be loaded: "),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(user, path, settings, sentence):
    assert sentence in user.refused(path, **settings)


@pytest.mark.parametrize("name", ["nothing", "forbidden", "stale-token", "busy", "down"])
def test_a_hub_that_answers_is_not_called_out_of_reach(user, name):
    assert "cannot be reached" not in user.refused(f"someone/{name}")


def test_a_download_that_breaks_off_is_no_model_and_is_not_kept(hub, user, gpt2):
    assert "someone/cut" in user.refused("someone/cut")
    hub.cut.clear()
    assert user.ask(path="someone/cut")["fingerprint"] == fingerprint(load(gpt2).model)


def test_a_model_of_the_hub_without_a_tokenizer(user):
    assert "someone/untokenized" in user.refused("someone/untokenized")


def test_the_command_line_says_one_line(user, tmp_path):
    answer = user.ask(cli=["run", "model.path=someone/none", f"reports_dir={tmp_path}"])
    assert answer["code"] == 2 and answer["err"].startswith("dialoeval: the hub has no model someone/none")
    assert answer["err"].count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_without_a_network_the_cache_is_enough_and_nothing_waits(hub, user):
    before = user.ask(path="someone/good")
    assert user.ask(endpoint="https://hub.invalid") == {"hub_answers": False}
    hub.asked.clear()
    try:
        assert user.ask(path="someone/good") == before
        assert user.ask(path="someone/good", revision="v2")["fingerprint"] != before["fingerprint"]
        sentence = user.refused("someone/other")
        assert "not on this machine, and the hub cannot be reached" in sentence and "dialoeval fetch" in sentence
        assert "someone/good" in user.refused("someone/good", revision="v3")
        assert hub.asked == []
    finally:
        assert user.ask(endpoint=hub.address) == {"hub_answers": True}


# ---- folders that are no models ----


def without(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink()


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def lack_a_tensor(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["transformer.h.1.mlp.c_fc.weight"]
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def of_llama(folder: Path) -> None:
    shapes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 400, **shapes}))


def more_tokens_than_rows(folder: Path) -> None:
    tokenizer = bpe_tokenizer()
    tokenizer.add_tokens(["<one>", "<two>"])
    tokenizer.save_pretrained(folder)


def no_end(folder: Path) -> None:
    tokenizer = bpe_tokenizer()
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)


BROKEN = {
    "no config": (lambda f: without(f, "config.json"), "it has no config.json"),
    "config that is not JSON": (lambda f: cut_short(f / "config.json"), "not a valid JSON file"),
    "config without an architecture": (lambda f: edit_json(f / "config.json", model_type=None), "model_type"),
    "unknown architecture": (lambda f: edit_json(f / "config.json", model_type="no-such-kind"), "no-such-kind"),
    "architecture that writes nothing": (lambda f: edit_json(f / "config.json", model_type="vit"), "CausalLM"),
    "another architecture": (of_llama, "its weights lack"),
    "fewer layers": (
        lambda f: edit_json(f / "config.json", n_layer=1),
        r"its weights have transformer\.h\.1\.attn\.c_attn\.\w+, its config.json says that there are 1 layers",
    ),
    "another depth": (lambda f: edit_json(f / "config.json", n_layer=3), r"its weights lack transformer\.h\.2\."),
    "another width": (lambda f: edit_json(f / "config.json", n_embd=16), "cannot be loaded|can be loaded"),
    "no weights": (lambda f: without(f, "model.safetensors"), "model.safetensors"),
    "empty weights": (lambda f: (f / "model.safetensors").write_bytes(b""), "header too small"),
    "weights cut short": (lambda f: cut_short(f / "model.safetensors"), "incomplete"),
    "weights that lack a tensor": (lack_a_tensor, r"its weights lack transformer\.h\.1\.mlp\.c_fc\.weight \(1 names\)"),
    "tokenizer cut short": (lambda f: cut_short(f / "tokenizer.json"), "can be loaded"),
    "tokenizer of settings only": (lambda f: without(f, "tokenizer.json"), "tokenizer"),
    "tokenizer larger than the embedding": (more_tokens_than_rows, "tokenizer has 402 tokens, its embedding 400"),
    "tokenizer without an end": (no_end, "has no end-of-text token"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_folder_is_one_sentence(copy, what):
    load(copy)
    broken, sentence = BROKEN[what]
    broken(copy)
    with pytest.raises(UserError, match=sentence) as caught:
        load(copy)
    assert str(copy) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["lm", "described"])
def test_a_folder_without_any_tokenizer(copy, kind):
    without(copy, "tokenizer*")
    with pytest.raises(UserError, match="tokenizer"):
        load(copy, kind=kind)


def test_a_mismatch_says_which_weight(copy):
    edit_json(copy / "config.json", n_embd=16)
    with pytest.raises(UserError, match="transformer"):
        load(copy)


def test_a_language_model_is_no_classifier(copy):
    with pytest.raises(UserError, match=r"its weights lack score\.weight \(1 names\): not a classifier checkpoint"):
        load(copy, kind="classifier")


def test_a_folder_has_no_revisions(copy):
    for wanted in ({}, {"kind": "described"}):
        with pytest.raises(UserError, match=r"revision 'main' is for models of the hub: .* is a folder"):
            load(copy, revision="main", **wanted)


def test_the_command_line_names_a_broken_folder_in_one_line(copy, tmp_path, capsys):
    from dialoeval.cli.main import main

    cut_short(copy / "model.safetensors")
    assert main(["run", f"model.path={copy}", f"reports_dir={tmp_path}/reports"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"dialoeval: {copy} is not a model that can be loaded: ") and err.count("\n") == 1
    assert not (tmp_path / "reports").exists()


class Code:
    """A pickle of it runs code where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self):
        return (open, (self.mark, "w"))


def write_code(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps({"transformer.wte.weight": Code(mark)}, protocol=2))
    pickle.loads(path.read_bytes())
    assert mark.exists(), "the trap does not work"
    mark.unlink()


def test_code_in_a_folder_never_runs(copy, tmp_path):
    mark = tmp_path / "ran"
    write_code(copy / "pytorch_model.bin", mark)
    load(copy)  # safetensors are preferred
    (copy / "model.safetensors").unlink()
    with pytest.raises(UserError, match="can be loaded"):
        load(copy)
    (copy / "mine.py").write_text(f"open({str(mark)!r}, 'w')\n")
    edit_json(copy / "config.json", model_type="mine", auto_map={"AutoConfig": "mine.C", "AutoModelForCausalLM": "m.M"})
    with pytest.raises(UserError, match="custom code"):
        load(copy)
    assert not mark.exists()


# ---- several end tokens ----

EXAMPLES = [Example(f"e{i}", tuple(TEXTS[i % 3 : i % 3 + 1 + i % 4])) for i in range(12)]
GREEDY = DecodingConfig(name="greedy", strategy="greedy", max_new_tokens=12)
TOPK = DecodingConfig(name="topk", strategy="sample", top_k=20, max_new_tokens=12)
BEAM = DecodingConfig(name="beam", strategy="beam", num_beams=3, max_new_tokens=8)


def generator(folder: Path, decoding: DecodingConfig, engine: str = "auto", **settings) -> ReplyGenerator:
    made = EngineConfig(name=engine, device="cpu", workers=1)
    return open_generator(ModelConfig(name="m", path=str(folder), **settings), made, decoding)


def tokens(made: ReplyGenerator, decoding: DecodingConfig) -> dict[str, tuple[tuple[int, ...], str]]:
    """example -> (tokens, finish) of an engine."""
    requests = [TokenRequest(e.id, made.source.prompter.build(e.context, 100).token_ids) for e in EXAMPLES]
    return {
        reply.example_id: (reply.token_ids, reply.finish)
        for reply in made.source.engine.generate(requests, decoding, 7)
    }


def second_end(found: dict[str, tuple[tuple[int, ...], str]]) -> int:
    """A token in the middle of some replies and absent from others."""
    for reply, _ in found.values():
        for token in reply[2:]:
            having = sum(token in other for other, _ in found.values())
            if having < len(found):
                return token
    raise AssertionError("every reply has the same tokens")


@pytest.mark.parametrize("decoding", [GREEDY, TOPK], ids=["greedy", "topk"])
def test_replies_stop_at_any_end_token(gpt2, copy, decoding):
    plain = tokens(generator(gpt2, decoding, "hf"), decoding)
    other = second_end(plain)
    edit_json(copy / "generation_config.json", eos_token_id=[other, 0])
    made = generator(copy, decoding)
    assert made.source.loaded.eos_ids == (0, other)
    assert made.describe().engine == "hf"
    assert made.describe().reason == f"fast cannot: {copy} ends replies with 2 tokens"
    expected = {
        name: (reply[: reply.index(other)], "stop") if other in reply else (reply, finish)
        for name, (reply, finish) in plain.items()
    }
    assert expected != plain
    assert tokens(made, decoding) == expected
    # the end token that was drawn counts in the reply's probability
    requests = [made.source.prompter.build(example.context, 100).token_ids for example in EXAMPLES]
    targets = []
    for name, (reply, finish) in expected.items():
        end = (other if other in plain[name][0] else 0,) if finish == "stop" else ()
        targets.append((requests[[e.id for e in EXAMPLES].index(name)], (*reply, *end)))
    logprobs = dict(zip(expected, made.source.engine.score(targets), strict=True))
    for reply in made.reply(EXAMPLES, decoding, 7):
        assert reply.logprob == pytest.approx(logprobs[reply.id], abs=1e-3)
        assert (reply.tokens, reply.finish) == (len(expected[reply.id][0]), expected[reply.id][1])


def test_beams_and_the_shortest_reply_know_all_end_tokens(gpt2, copy):
    other = second_end(tokens(generator(gpt2, BEAM, "hf"), BEAM))
    edit_json(copy / "generation_config.json", eos_token_id=[0, other])
    found = tokens(generator(copy, BEAM), BEAM)
    assert not any({0, other} & set(reply) for reply, _ in found.values())
    assert any(finish == "stop" for _, finish in found.values())
    shortest = DecodingConfig(name="g", strategy="greedy", max_new_tokens=12, min_new_tokens=6)
    found = tokens(generator(copy, shortest), shortest)
    assert min(len(reply) for reply, _ in found.values()) >= 6


def test_the_fast_engine_refuses_several_end_tokens(copy):
    edit_json(copy / "generation_config.json", eos_token_id=[0, 5])
    with pytest.raises(UserError, match=r"engine=fast cannot run this: .* ends replies with 2 tokens .*engine=auto"):
        generator(copy, GREEDY, "fast")


def test_one_end_token_in_a_list_is_one(gpt2, copy):
    edit_json(copy / "generation_config.json", eos_token_id=[0])
    made = generator(copy, GREEDY, "fast")
    assert made.describe().engine == "fast" and made.source.loaded.eos_ids == (0,)
    made.close()


def test_another_end_token_is_another_model(copy):
    ends = []
    for more in ([0], [0, 5], [0, 6]):
        edit_json(copy / "generation_config.json", eos_token_id=more)
        ends.append(json.dumps(load(copy).identity))
    assert len(set(ends)) == 3


def test_an_end_token_that_is_not_the_tokenizers_counts(copy):
    edit_json(copy / "generation_config.json", eos_token_id=5)
    assert load(copy).eos_ids == (0, 5)


def test_a_backward_model_may_have_several_end_tokens(gpt2, copy):
    edit_json(copy / "generation_config.json", eos_token_id=[0, 5])
    mmi = DecodingConfig(name="mmi", strategy="sample", top_k=10, num_candidates=2, rerank="mmi", max_new_tokens=4)
    made = generator(gpt2, mmi, backward=str(copy))
    assert made.describe().engine == "fast" and made.reranker.engine.name == "hf"
    made.close()
    with pytest.raises(UserError, match=r"engine=fast cannot run this: .*ends replies with 2 tokens"):
        generator(gpt2, mmi, "fast", backward=str(copy))


# ---- weight files of the DialoGPT release ----


def released(folder: Path) -> dict[str, torch.Tensor]:
    """A model's weights as the DialoGPT authors' files have them: half precision, their name of the output head."""
    state = {name: tensor.half() for name, tensor in load(folder).model.state_dict().items()}
    state["lm_head.decoder.weight"] = state.pop("lm_head.weight")
    return state


def renamed(state: dict[str, torch.Tensor], old: str, new: str) -> dict[str, torch.Tensor]:
    return {new + name.removeprefix(old): tensor for name, tensor in state.items()}


NAMES = {
    "release": lambda state: state,
    "body without its prefix": lambda state: renamed(state, "transformer.", ""),
    "data-parallel": lambda state: renamed(state, "", "module."),
    "data-parallel body": lambda state: renamed(renamed(state, "transformer.", ""), "", "module."),
    "wrapped": lambda state: renamed(state, "", "model."),
    "data-parallel and wrapped": lambda state: renamed(state, "", "module.model."),
    "no head": lambda state: {name: value for name, value in state.items() if not name.startswith("lm_head")},
    "transformers' head": lambda state: {name.replace(".decoder", ""): value for name, value in state.items()},
    "old buffers": lambda state: (
        state
        | {f"transformer.h.{i}.attn.bias": torch.ones(1, 1, 128, 128).tril() for i in range(2)}
        | {f"transformer.h.{i}.attn.masked_bias": torch.tensor(-1e4) for i in range(2)}
    ),
}


@pytest.fixture(scope="module")
def blank(tmp_path_factory) -> Path:
    """A model of the same size and other weights, which are to be replaced."""
    return random_gpt2(tmp_path_factory.mktemp("blank"), layers=2, width=32, heads=2, seed=8)


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_released_weights_under_every_name(gpt2, blank, tmp_path, names, form):
    state = NAMES[names](released(gpt2))
    path = str(tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pkl"))
    if form == "safetensors":
        save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    model = load(blank, weights=path).model
    for name, tensor in load(gpt2).model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor.half().float()), name
    assert model.lm_head.weight is model.transformer.wte.weight and model.dtype == torch.float32


def test_a_llamas_weights_load_too(tmp_path):
    one, other = random_llama(tmp_path / "one", seed=1), random_llama(tmp_path / "other", seed=2)
    torch.save(load_file(one / "model.safetensors"), tmp_path / "weights.pt")
    model = load(other, weights=str(tmp_path / "weights.pt")).model
    for name, tensor in load(one).model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_weights_are_part_of_what_a_model_is(gpt2, blank, tmp_path):
    torch.save(released(gpt2), tmp_path / "one.pkl")
    torch.save(released(blank), tmp_path / "two.pkl")
    settings = [{}, {"weights": str(tmp_path / "one.pkl")}, {"weights": str(tmp_path / "two.pkl")}]
    assert len({generator(blank, GREEDY, **some).identity()["weights"] for some in settings}) == 3
    one, two = (models.load_for_training(ModelConfig(name="m", path=str(blank), **some))[0] for some in settings[1:])
    assert fingerprint(one) != fingerprint(two)


def test_backward_weights_score_candidates(gpt2, blank, tmp_path):
    forward = random_gpt2(tmp_path / "forward", **SMALL, seed=1, sharpen=2.0)
    torch.save(NAMES["data-parallel body"](released(gpt2)), tmp_path / "reverse.pkl")
    whole = load(gpt2).model.half().float()
    whole.save_pretrained(tmp_path / "rounded")
    bpe_tokenizer().save_pretrained(tmp_path / "rounded")
    mmi = DecodingConfig(name="mmi", strategy="sample", top_k=10, num_candidates=3, rerank="mmi", max_new_tokens=6)

    def candidates(**backward):
        made = generator(forward, mmi, "hf", **backward)
        return {r.id: r.candidates for r in made.reply(EXAMPLES[:4], mmi, 0)}, made.identity()["reranker"]["weights"]

    expected, _ = candidates(backward=str(tmp_path / "rounded"))
    bare, bare_identity = candidates(backward=str(blank))
    found, identity = candidates(backward=str(blank), backward_weights=str(tmp_path / "reverse.pkl"))
    assert found == expected != bare
    assert identity != bare_identity


@pytest.mark.parametrize("role", ["weights", "backward_weights"])
def test_code_in_weights_is_refused(gpt2, blank, tmp_path, role):
    write_code(tmp_path / "trap.pkl", tmp_path / "ran")
    rerank = {"strategy": "sample", "num_candidates": 2, "rerank": "mmi"}
    decoding = DecodingConfig(name="d", **(rerank if role == "backward_weights" else {"strategy": "greedy"}))
    with pytest.raises(UserError, match=r"trap\.pkl is not a plain file of weights"):
        generator(blank, decoding, "hf", backward=str(gpt2), **{role: str(tmp_path / "trap.pkl")})
    assert not (tmp_path / "ran").exists()


NOT_WEIGHTS = {
    "a web page": b"<!DOCTYPE html><html>",
    "a large-file pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
    "words": b"hello",
    "an empty file": b"",
    "an empty pickle": b"\x80\x02.",
    "a pickle that ends early": b"\x80\x02K",
    "bytes": bytes(range(0x41, 0x60)),
}


@pytest.mark.parametrize("what", NOT_WEIGHTS)
def test_files_that_are_no_weights(blank, tmp_path, what):
    (tmp_path / "weights.pkl").write_bytes(NOT_WEIGHTS[what])
    with pytest.raises(UserError, match=r"weights\.pkl is not a plain file of weights"):
        load(blank, weights=str(tmp_path / "weights.pkl"))


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_weights_cut_short(gpt2, blank, tmp_path, form):
    path = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pkl")
    if form == "safetensors":
        shutil.copy(gpt2 / "model.safetensors", path)
    else:
        torch.save(released(gpt2), path, _use_new_zipfile_serialization=form == "zip")
    load(blank, weights=str(path))
    cut_short(path)
    with pytest.raises(UserError, match=r"weights\.\w+ is not a plain file of weights"):
        load(blank, weights=str(path))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_any_damage_to_weights_is_an_error_that_says_so(gpt2, blank, tmp_path):
    path, model = tmp_path / "weights.pkl", load(blank).model
    torch.save(released(gpt2), path, _use_new_zipfile_serialization=False)
    whole, generator_of_bytes = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(3):
            data[generator_of_bytes.randrange(3000)] = generator_of_bytes.randrange(256)
        path.write_bytes(bytes(data))
        try:
            load_release_weights(model, str(path))
        except UserError:
            refused += 1
    assert refused > 100


MISFITS = {
    "nested": (lambda state: {"state_dict": state}, "is not a state dict"),
    "list": (lambda state: list(state.values()), "is not a state dict"),
    "empty": (lambda state: {}, r"it misses 'transformer\.h\.0"),
    "numbered": (lambda state: dict(enumerate(state.values())), "is not a state dict"),
    "deeper": (lambda state: state | {"transformer.h.2.ln_1.weight": torch.ones(32)}, r"does not know 'transformer\.h"),
    "one missing": (
        lambda state: {name: value for name, value in state.items() if name != "transformer.ln_f.bias"},
        r"it misses 'transformer\.ln_f\.bias' \(0 unknown, 1 missing names\)",
    ),
    "shorter": (
        lambda state: state | {"transformer.wpe.weight": torch.zeros(64, 32)},
        r"transformer\.wpe\.weight is \(64, 32\), the model's \(128, 32\)",
    ),
    "another head": (
        lambda state: state | {"lm_head.decoder.weight": state["lm_head.decoder.weight"] + 1},
        "its output head is not its token embedding",
    ),
}


@pytest.mark.parametrize("what", MISFITS)
def test_weights_of_another_model(gpt2, blank, tmp_path, what):
    change, sentence = MISFITS[what]
    torch.save(change(released(gpt2)), tmp_path / "weights.pkl")
    with pytest.raises(UserError, match=sentence):
        load(blank, weights=str(tmp_path / "weights.pkl"))


def test_a_decoder_of_another_depth_than_its_encoder(tmp_path):
    from transformers import BartConfig, BartForConditionalGeneration

    tokenizer = bpe_tokenizer()
    config = BartConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=32, pad_token_id=0,
        bos_token_id=0, eos_token_id=0, decoder_start_token_id=0, forced_eos_token_id=None,
    )  # fmt: skip
    BartForConditionalGeneration(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = models.load(str(tmp_path), revision=None, weights=None, engine=CPU)
    assert loaded.encoder_decoder and loaded.commit is None
    edit_json(tmp_path / "config.json", decoder_layers=1)
    with pytest.raises(UserError, match=r"have model\.decoder\.layers\.1\..* says that there are 1 layers"):
        models.load(str(tmp_path), revision=None, weights=None, engine=CPU)
