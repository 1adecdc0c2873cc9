"""Talking to a model: the replies of a chat are a run's, and nothing said is lost."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import select
import signal
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import chat_server

from dialoeval.chat.session import Session
from dialoeval.chat.talk import Talk
from dialoeval.cli.chat_terminal import Streamed
from dialoeval.cli.main import main
from dialoeval.config.compose import compose
from dialoeval.data import load as load_dataset
from dialoeval.errors import UserError
from dialoeval.files import read_jsonl
from dialoeval.runs.runner import run

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def loaded():
    """Wait for the models that a command has left behind: no other test may load one at the same time."""
    yield
    for thread in threading.enumerate():
        if thread.name == "loading":
            thread.join()


@pytest.fixture
def opened():
    talks = []

    def make(*overrides, **session):
        talks.append(Talk(overrides, Session(session.pop("name", "s"), **session), session.get("file")))
        return talks[-1]

    yield make
    for talk in talks:
        talk.close()


def rerun(file, tmp_path, *overrides):
    config = compose(
        "config",
        [
            "dataset=conversations",
            f"dataset.path={file}",
            f"reports_dir={tmp_path}",
            "scoring.meteor=false",
            "scoring.resamples=0",
            *overrides,
        ],
    )
    return {row.id: row.reply for row in run(config).folder.replies()}


@pytest.mark.parametrize("settings", [["decoding=greedy"], ["decoding=topk", "seed=3"], ["decoding=mmi"]])
@pytest.mark.parametrize("window", [0, 2])
def test_the_replies_are_those_of_a_run(opened, tmp_path, settings, window):
    talk = opened(*settings, name="talk", window=window)
    for text in ("hello there", "how  are you?", "what do you like?"):
        talk.say(text)
    talk.save(tmp_path / "chats.jsonl")
    replies = rerun(tmp_path / "chats.jsonl", tmp_path, *settings, f"dataset.context_turns={window}")
    assert replies == {f"talk:{i}": talk.session.turns[i].text for i in (1, 3, 5)}
    if window:
        assert talk.session.example("user").context == tuple(turn.text for turn in talk.session.turns[-2:])


def test_a_retry_is_the_reply_under_the_next_seed(opened, tmp_path):
    talk = opened("seed=7", name="talk")
    talk.say("hello")
    drawn = [talk.retry().text for _ in range(3)]
    assert len(set(drawn)) > 1
    made = talk.session.turns[1].made
    assert (made.seed, made.settings) == (10, ("seed=7",))
    talk.save(tmp_path / "chats.jsonl")
    assert rerun(tmp_path / "chats.jsonl", tmp_path, "decoding=topk", "seed=10") == {"talk:1": drawn[-1]}
    talk.change("decoding=greedy")
    with pytest.raises(UserError, match="greedy draws nothing"):
        talk.retry()


def test_an_empty_reply_leaves_the_history_as_in_the_saved_file(opened, tmp_path, monkeypatch):
    talk = opened("decoding=greedy", name="talk")
    speaker = talk.speaker
    reply = type(speaker).reply
    talk.say("hello")

    def silent(self, *arguments):
        said, made = reply(self, *arguments)
        return type(said)("x", "", 0, -1.0, "stop"), made

    with monkeypatch.context() as patch:
        patch.setattr(type(speaker), "reply", silent)
        talk.say("say nothing")
    talk.say("and now?")
    talk.save(tmp_path / "chats.jsonl")
    replies = rerun(tmp_path / "chats.jsonl", tmp_path, "decoding=greedy", "dataset.context_turns=5")
    assert replies["talk:5"] == talk.session.turns[5].text
    assert len(replies) == 2, "the empty reply is none"


def test_undo_reset_set_and_why(opened):
    talk = opened("decoding=mmi", "decoding.num_candidates=4", name="talk")
    with pytest.raises(UserError, match="no reply yet"):
        talk.why()
    with pytest.raises(UserError, match="nothing has been said"):
        talk.undo()
    first = talk.say("hello").text
    talk.say("well")
    talk.undo()
    assert [turn.text for turn in talk.session.turns] == ["hello", first]
    why = talk.why()
    assert why.prompt == "hello<|endoftext|>" and len(why.made.candidates) == 4
    assert max(why.made.candidates, key=lambda one: one.score).text == first
    wrongs = ("decoding.topk=3", "decoding=grredy", "turns=x", "turns=²", "turns=-1", "model", "dataset=chitchat")
    for wrong in (*wrongs, "decoding.num_beams=0", "turns=2 seed=x", "=1", "decoding.=1", "~decoding=1", "seed=1,2"):
        with pytest.raises(UserError):
            talk.change(wrong)
    assert talk.config.decoding.name == "mmi" and talk.session.window == 5
    talk.change("decoding=topk decoding.rerank=mmi  decoding.num_candidates=3 turns=1")
    assert (talk.config.decoding.num_candidates, talk.config.decoding.name) == (3, "topk")
    assert talk.session.window == 1
    talk.reset()
    talk.reset()
    assert talk.session.name == "talk.3" and talk.session.turns == [] and talk.session.window == 1


def test_a_chat_is_saved_loaded_and_goes_on(opened, tmp_path):
    file = tmp_path / "chats.jsonl"
    talk = opened("decoding=greedy", name="a")
    talk.file = file
    talk.say("hello")
    before = read_rows(file)
    assert before[0]["replies"][0]["settings"] == ["decoding=greedy"] and before[0]["replies"][0]["turn"] == 1
    talk.reset()
    talk.say("hi")
    again = opened("decoding=topk")
    assert again.load(file) == ["decoding=greedy"]
    again.file = file
    assert again.session.name == "a.2"
    again.say("and then?")
    rows = read_rows(file)
    assert [row["id"] for row in rows] == ["a", "a.2"] and rows[0] == before[0]
    assert [reply["settings"] for reply in rows[1]["replies"]] == [["decoding=greedy"], ["decoding=topk"]]
    examples = load_dataset(compose("config", ["dataset=conversations", f"dataset.path={file}"]).dataset).examples
    assert [example.id for example in examples] == ["a:1", "a.2:1", "a.2:3"]


def read_rows(file):
    return [row for _, row in read_jsonl(file)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no chat"),
        ('{"id": "a", "turns": "hi"}\n', "no list of turns"),
        ('{"id": "a", "turns": [{"role": "assistant", "text": "hi"}]}\n', "turn 1 .* role user"),
        ('{"id": "a", "turns": [], "replies": [{"turn": 1}]}\n', "replies are damaged"),
        ('{"id": "a", "turns": [{"role": "user", "text": "hi"}, {"role": "system", "text": "x"}]}\n', "turn 2 .* or"),
        ('{"id": "a", "turns": [], "replies": 5}\n', "replies are damaged"),
        ('{"id": "a", "turns": [], "replies": [MADE]}\n', "no turn 1"),
        ('{"id": "a", "turns": [{}, {}], "replies": [MADE]}\n', "turn 1 is not"),
        ('{"id": "a", "turns": [{}, {}], "replies": [SEED]}\n', "seed is '0'"),
        ('{"id": "a", "turns": [{}, {}], "replies": [SETTINGS]}\n', "settings is no list"),
        ('{"id": 5, "turns": []}\n', "line 1 is not a saved chat"),
        ("nothing\n", "line 1"),
    ],
)
def test_a_file_that_is_no_chat(opened, tmp_path, content, message):
    file = tmp_path / "chats.jsonl"
    made = {"turn": 1, "settings": [], "turns_seen": 5, "seed": 0, "tokens": 1, "logprob": -1.0, "finish": "stop"}
    for name, value in (("MADE", made), ("SEED", made | {"seed": "0"}), ("SETTINGS", made | {"settings": "abc"})):
        content = content.replace(f"[{name}]", f"[{json.dumps(value)}]")
    file.write_text(content)
    talk = opened("decoding=greedy")
    with pytest.raises(UserError, match=message):
        talk.load(file)
    assert talk.session.name == "s"


def test_an_interrupted_reply_adds_nothing(opened, monkeypatch):
    talk = opened("decoding=greedy")

    def interrupted(*arguments):
        raise KeyboardInterrupt

    talk.say("hello")
    monkeypatch.setattr(type(talk.speaker), "reply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        talk.say("go on")
    assert len(talk.session.turns) == 2


def test_the_command_reads_a_pipe(tmp_path, capsys, monkeypatch):
    file = tmp_path / "chats.jsonl"
    lines = ["hello", "/foo", "", "/undo now", "/set", "/why", f"/save {tmp_path}/copy.jsonl", "/quit", "not read"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    assert main(["chat", "decoding=greedy", "--name", "p", "--save", str(file)]) == 2, "three lines were refused"
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == json.loads(file.read_text())["turns"][1]["text"]
    assert "prompt: hello<|endoftext|>" in out and err.count("dialoeval: ") == 3
    assert (tmp_path / "copy.jsonl").read_bytes() == file.read_bytes()


def test_turns_in_a_row_are_saved_and_loaded(opened, tmp_path):
    file = tmp_path / "chats.jsonl"
    file.write_text('{"id": "a", "turns": [{"role": "user", "text": "hi"}]}\n')
    talk = opened("decoding=topk", name="x")
    talk.load(file)
    with pytest.raises(UserError, match="no reply yet"):
        talk.retry()
    assert [turn.text for turn in talk.session.turns] == ["hi"]
    reply = talk.say("are you there?").text
    talk.save(file)
    talk.load(file)
    assert [turn.role for turn in talk.session.turns] == ["user", "user", "assistant"]
    assert rerun(file, tmp_path, "decoding=topk") == {f"a:{len(talk.session.turns) - 1}": reply}
    talk.undo()
    assert [turn.text for turn in talk.session.turns] == ["hi"]


def test_a_retry_after_loading_is_a_new_draw(opened, tmp_path):
    talk = opened("seed=3", name="a")
    talk.say("hello")
    talk.retry()
    talk.save(tmp_path / "chats.jsonl")
    other = opened("seed=3")
    other.load(tmp_path / "chats.jsonl")
    other.retry()
    assert other.session.turns[1].made.seed == 5
    other.change("seed=100")
    other.retry()
    assert other.session.turns[1].made.seed == 100


def test_a_new_conversation_replaces_none_in_the_file(opened, tmp_path):
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(f'{{"id": "{name}", "turns": []}}\n' for name in ("a.2", "a.3")))
    talk = opened("decoding=greedy", name="a")
    talk.file = file
    talk.reset()
    talk.say("hello")
    assert [row["id"] for row in read_rows(file)] == ["a.2", "a.3", "a.4"]
    (tmp_path / "run.jsonl").write_text('{"id": "1", "references": ["hi"]}\n')
    with pytest.raises(UserError, match="line 1 is not a saved chat"):
        talk.save(tmp_path / "run.jsonl")
    assert "hello" not in (tmp_path / "run.jsonl").read_text()


def test_nobody_waits_for_a_model_that_loads(monkeypatch):
    loading, go = threading.Event(), threading.Event()

    def slowly(*arguments):
        loading.set()
        go.wait(60)
        raise UserError("late")

    monkeypatch.setattr("dialoeval.chat.talk.open_generator", slowly)
    monkeypatch.setattr("sys.stdin", io.StringIO("/quit\n"))
    try:
        assert main(["chat", "--no-save"]) == 0
        assert loading.wait(10) and not go.is_set()
    finally:
        go.set()


def test_what_is_printed_as_it_comes_is_the_reply(capsys):
    streamed = Streamed()
    for text in ("He", "Hello", "Hello", "Hello there"):
        streamed(text)
    assert capsys.readouterr().out == "Hello there"
    streamed("Good day")  # a server's second try
    assert capsys.readouterr().out == "\nGood day"


def test_a_terminal_shows_replies_as_they_come(tmp_path):
    command = [sys.executable, "-m", "dialoeval", "chat", "decoding=greedy", "--name", "p", "--save", "chats.jsonl"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # tests in the background inherit that it is ignored
        os.execve(sys.executable, command, os.environ | {"PYTHONPATH": str(ROOT), "TERM": "dumb"})
    shown, key = b"", b""
    keys = iter([b"\x03", b"hello\n", b"//slash\n", b"/why\n", b"\x04"])
    with contextlib.suppress(OSError):  # the terminal closes
        while True:
            if not select.select([terminal], [], [], 3)[0]:
                if key == b"\x03":  # a Ctrl-C between the prompt and the wait for keys is heard at the next key
                    os.write(terminal, key)
                continue
            shown += os.read(terminal, 4096)
            if shown.endswith(b"> ") and (key := next(keys, b"")):
                os.write(terminal, key)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    (row,) = read_rows(tmp_path / "chats.jsonl")
    lines = shown.decode().replace("\r", "").splitlines()
    assert [turn["text"] for turn in row["turns"]][::2] == ["hello", "/slash"]
    assert all(turn["text"] in lines for turn in row["turns"][1::2]), lines
    assert "(/quit or Ctrl-D leaves)" in lines and any(line.startswith("prompt: hello<") for line in lines)


def test_a_baseline_talks(opened):
    talk = opened("model=baseline-copy")
    assert talk.say("hello").text == "hello"
    talk.change("decoding=topk model=tiny")
    assert talk.say("hello").logprob < 0


def test_a_server_talks(opened, tmp_path):
    with chat_server.running() as server:
        settings = ("engine=openai", f"engine.base_url={server.url}", "model=custom", "model.path=x")
        talk = opened(*settings, name="served")
        assert talk.config.decoding.name == "nucleus", "the protocol has no top-k"
        assert talk.say("hello").text == "HELLO"
        refusal = chat_server.completion(None, refusal="I must not")
        server.plan = lambda body, before: refusal
        talk.change("engine.on_refusal=record")
        assert talk.say("well?").refusal == talk.session.turns[-1].made.refusal == "I must not"
        talk.save(tmp_path / "chats.jsonl")
        assert opened(name="b").load(tmp_path / "chats.jsonl")[:1] == ["engine=openai"]
        server.plan = lambda body, before: chat_server.error(401, "no key")
        with pytest.raises(UserError, match="401"):
            talk.say("again")
    assert len(talk.session.turns) == 4


@pytest.mark.parametrize("line", ["caf\udce9", "a\ud800b"])
def test_a_line_that_is_no_text_is_refused(opened, line):
    talk = opened("decoding=greedy")
    with pytest.raises(UserError, match="not UTF-8"):
        talk.say(line)
    assert talk.session.turns == []


@given(st.text(min_size=1).filter(lambda text: text.split()))
@settings(max_examples=25, deadline=None)
def test_any_text_can_be_said_saved_and_loaded(small_talk, text):
    talk, file = small_talk
    talk.session.turns.clear()
    talk.say(text)
    talk.save(file)
    kept = list(talk.session.turns)
    talk.load(file)
    assert talk.session.turns == kept


@pytest.fixture(scope="module")
def small_talk(tmp_path_factory):
    talk = Talk(["decoding=greedy", "decoding.max_new_tokens=3"], Session("any"))
    yield talk, tmp_path_factory.mktemp("chats") / "any.jsonl"
    talk.close()


def test_two_models_talk(tmp_path, capsys):
    file = tmp_path / "chats.jsonl"
    arguments = ["chat", "decoding=greedy", "--self", "--opening", "hi", "--turns-of", "3", "--save", str(file)]
    assert main([*arguments, "--name", "two", "--", "decoding=topk", "seed=5"]) == 0
    (row,) = read_rows(file)
    assert [turn["role"] for turn in row["turns"]] == ["user", "assistant", "user", "assistant"]
    assert [reply["settings"][0] for reply in row["replies"]] == ["decoding=greedy", "decoding=topk", "decoding=greedy"]
    assert capsys.readouterr().out.splitlines() == [f"{turn['role']}: {turn['text']}" for turn in row["turns"]]
    replies = rerun(file, tmp_path, "decoding=topk", "seed=5", "dataset.columns.replies_by=user")
    assert replies == {"two:2": row["turns"][2]["text"]}


@pytest.mark.parametrize(
    "arguments",
    [
        ["model"],
        ["dataset=chitchat"],
        ["--turns", "-1"],
        ["--self"],
        ["--opening", "hi"],
        ["--", "model=tiny"],
        ["--load", "nothing.jsonl", "--no-save"],
        ["decoding=beem", "--no-save"],
        ["--load", "nothing.jsonl", "--name", "a"],
        ["--load", ".", "--no-save"],
        ["--web", "--self", "--opening", "hi"],
        ["--web", "--port", "70000", "--no-save"],
        ["--web", "--public-url", "judge.example", "--no-save"],
        ["--web", "--host", "no.such.host.invalid", "--no-save"],
        ["model=custom", "model.path=/nowhere", "--no-save"],
    ],
)
def test_what_is_refused_is_one_line(arguments, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\n"))
    assert main(["chat", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
