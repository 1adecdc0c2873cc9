"""A model as a judge: prompts, verdicts in both orders, answers on disk, and what a report says of it."""

from __future__ import annotations

import json
import math
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.judgment_rows import study as study_of

from dialoeval.cli.main import main
from dialoeval.config import EngineConfig, ModelConfig
from dialoeval.errors import UserError
from dialoeval.generation.types import Candidate
from dialoeval.judging.analysis import analyse
from dialoeval.judging.estimates import Settings
from dialoeval.judging.items import Item, load_study
from dialoeval.judging.judgments import DSTC7_STATEMENTS, PAPER_QUESTIONS
from dialoeval.judging.model_judge import Answer, judge_study, read_answers, read_models
from dialoeval.judging.model_local import LocalJudge
from dialoeval.judging.model_prompts import asks
from dialoeval.judging.model_server import ServerJudge
from dialoeval.judging.model_server import _answer as server_answer
from dialoeval.judging.model_trust import trust
from dialoeval.judging.store import judgments
from dialoeval.reports.judgments_text import to_markdown
from dialoeval.stats import Undefined


class Scripted:
    """A model that prefers by a rule: text of the replies shown, in order -> probabilities of A, B, C."""

    name = "scripted"

    def __init__(self, rule, stop_after=None):
        self.rule, self.asked, self.stop_after = rule, [], stop_after

    def identity(self):
        return {"model": "scripted"}

    def answer(self, questions):
        for ask in questions:
            if self.stop_after is not None and len(self.asked) >= self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(ask.key)
            first, second = (ask.user.split(f"\nReply {letter}: ")[1].split("\n")[0] for letter in "AB")
            yield Answer(ask.key, *self.rule(first, second))

    def close(self):
        pass


def longer_wins(first, second):
    a, b = len(first.split()), len(second.split())
    return ((0.5, 0.3, 0.2) if a > b else (0.3, 0.5, 0.2) if b > a else (0.2, 0.2, 0.6),)


def items(count=30, seed=1):
    rng = random.Random(seed)
    for i in range(count):
        replies = {name: " ".join(["word"] * rng.randint(1, 9)) + f" {name}" for name in ("x", "y")}
        yield Item(f"i{i}", f"c{i}", (f"hello {i}", "and now?"), replies)


def judged(tmp_path, rule, own=None):
    own = list(items()) if own is None else own
    answers, new = judge_study(tmp_path, own, PAPER_QUESTIONS[:1], Scripted(rule), lambda: None)
    assert new == 2 * len(own)
    words = {(item.example_id, name): len(text.split()) for item in own for name, text in item.replies.items()}
    return own, answers.judgments(own, PAPER_QUESTIONS[:1]), words


def test_a_pair_is_asked_in_both_orders_and_a_reply_once():
    item = next(items())
    both = asks(item.item, item.context, item.replies, PAPER_QUESTIONS)
    assert [ask.shown for ask in both] == [("x", "y"), ("y", "x")] * 3 and len({ask.key for ask in both}) == 6
    one = asks(item.item, item.context, {"x": ""}, DSTC7_STATEMENTS)
    assert len(one) == 2 and one[0].options == ("1", "2", "3", "4", "5") and "(no reply)" in one[0].user
    assert all("x" not in ask.plain.split("Reply")[0].split() for ask in both), "no system name"


def test_verdicts_do_not_depend_on_the_order_of_the_systems(tmp_path):
    own, rows, words = judged(tmp_path, longer_wins)
    for item, row in zip(own, rows, strict=True):
        x, y = (len(text.split()) for text in item.replies.values())
        assert row.value == (x > y) - (x < y) and not row.flags
        assert row.margin == pytest.approx(0.2 * row.value)
    (line,) = trust(rows, words)
    assert (line.turned, line.always_first, line.always_second, line.longer) == (0, 0, 0, 1.0)


def test_a_judge_of_positions_ties_everything_and_is_not_to_be_believed(tmp_path):
    _, rows, words = judged(tmp_path, lambda first, second: ((0.9, 0.05, 0.05),))
    assert {row.value for row in rows} == {0} and all(row.flags == ("turned",) for row in rows)
    assert {row.margin for row in rows} == {0}
    (line,) = trust(rows, words)
    assert (line.turned, line.always_first, line.averaged) == (30, 30, 0.5) and line.position_p < 1e-8
    assert (line.equal_length, line.averaged_p) == (Undefined("every judgment is a tie"), 1)  # not 50.0 ±0.0


def test_answers_survive_an_interruption_and_are_not_asked_again(tmp_path):
    own, first = list(items()), Scripted(longer_wins, stop_after=13)
    with pytest.raises(KeyboardInterrupt):
        judge_study(tmp_path, own, PAPER_QUESTIONS, first, lambda: None)
    (file,) = (tmp_path / "models").iterdir()
    with open(file, "a") as stream:
        stream.write('{"key": "cut sho')
    second = Scripted(longer_wins)
    answers, new = judge_study(tmp_path, own, PAPER_QUESTIONS, second, lambda: None)
    assert new == 180 - 13 and not set(first.asked) & set(second.asked) and len(answers.answers) == 180
    assert read_answers(file).answers == answers.answers
    file.write_text(file.read_text() + "no json\n")
    with pytest.raises(UserError, match="is damaged"):
        read_answers(file)


def test_a_refusal_is_recorded_and_not_counted(tmp_path):
    _, rows, words = judged(tmp_path, lambda first, second: (None, "content_filter"))
    assert all(row.refusal == "content_filter" and row.margin is None for row in rows) and trust(rows, words) == ()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of tiny's greedy replies against people's."""
    folder = tmp_path_factory.mktemp("model-judge")
    assert main(["run", f"reports_dir={folder}", "dataset.limit=12", "protocol=none"]) == 0
    (run,) = folder.glob("tiny-greedy-*")
    made = folder / "study"
    command = ["judge", "new", f"tiny={run}", "--human", "0", "--human-scored", "--contexts", "10", "--no-gold"]
    command += ["--studies-dir", str(folder), "--name", "study"]
    assert main(command) == 0
    return made


def test_a_local_model_judges_a_study_and_the_report_says_how_far_to_believe_it(study, capsys):
    assert main(["judge", "model", str(study), "model=tiny"]) == 0
    assert "60 new answers" in capsys.readouterr().out
    assert main(["judge", "model", str(study), "model=tiny"]) == 0
    assert ": 0 new answers, 60 in all" in capsys.readouterr().out
    found = judgments(study)
    assert found.models == {"model:tiny"} and len(found.rows) == 30
    analysis = analyse(found, Settings(resamples=100))
    model = analysis.models[0]
    assert analysis.people.answers == 0 and 0 < model.refused < 30, "long questions exceed the window of tiny"
    assert model.tables.answers == 30 - model.refused
    text = to_markdown(analysis)
    assert "Model as judge: model:tiny" in text and "the verdict turned with the order on" in text
    assert main(["judge", "report", str(study), "--resamples", "100", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"][0]["trust"]
    assert main(["judge", "report", str(study), "--resamples", "100"]) == 0
    printed = capsys.readouterr().out
    assert "no answers of people; " in printed and "of a model, model:tiny" in printed
    assert "Model as judge: model:tiny" in printed and "the verdict turned with the order on" in printed


def test_a_local_model_gives_probabilities_that_do_not_depend_on_the_batch(study):
    opened = load_study(study)
    own = asks(opened.items[0].item, opened.items[0].context, opened.items[0].replies, PAPER_QUESTIONS)
    judge = LocalJudge(ModelConfig(name="tiny", path="tiny"), EngineConfig(name="hf"))
    together = {answer.key: answer.probabilities for answer in judge.answer(own)}
    for ask in own:
        (alone,) = judge.answer([ask])
        assert alone.probabilities == pytest.approx(together[ask.key], abs=1e-5)
        assert sum(alone.probabilities) == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=tiny"], "give one study"),
        (["STUDY"], "name the model that judges"),
        (["STUDY", "model=tiny", "seed=1"], "seed=1 has no effect on a judge"),
        (["STUDY", "model=tiny", "engine=vllm"], "does not score options"),
        (["nowhere", "model=tiny"], "nowhere"),
    ],
)
def test_bad_input_is_one_sentence(study, capsys, arguments, message):
    assert main(["judge", "model", *[str(study) if a == "STUDY" else a for a in arguments]]) == 2
    assert message in capsys.readouterr().err


class _Judge(BaseHTTPRequestHandler):
    """A server whose model answers A; the last words of the question choose its manners."""

    manners = "logprobs"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": " A"}
        choice = {"message": message, "finish_reason": "stop"}
        status = 200
        if self.manners == "logprobs":
            top = [{"token": token, "logprob": math.log(p)} for token, p in ((" A", 0.6), ("B", 0.2), ("x", 0.1))]
            choice["logprobs"] = {"content": [{"token": " A", "logprob": math.log(0.6), "top_logprobs": top}]}
        elif self.manners == "no logprobs" and {"logprobs", "top_logprobs"} & set(body):
            status = 400
        elif self.manners == "chatty":
            message["content"] = "Well, both are fine."
        elif self.manners == "refuses":
            choice["finish_reason"], message["content"] = "content_filter", ""
        field = next((name for name in ("top_logprobs", "logprobs") if name in body), None)
        error = {"error": {"message": f"{field} is not supported", "param": field}}
        data = json.dumps({"choices": [choice]} if status == 200 else error).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize(
    ("manners", "probabilities", "refusal"),
    [
        ("logprobs", (0.75, 0.25, 0.0), None),
        ("no logprobs", (1.0, 0.0, 0.0), None),
        ("chatty", None, "answered 'Well, both are fine.', which is no option"),
        ("refuses", None, "the server's content filter"),
    ],
)
def test_a_server_judges_by_log_probabilities_or_one_word(manners, probabilities, refusal, monkeypatch):
    monkeypatch.setattr(_Judge, "manners", manners)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        engine = EngineConfig(name="openai", base_url=f"http://127.0.0.1:{server.server_port}/v1", retries=0)
        judge = ServerJudge(ModelConfig(name="m", path="m", prompt="chat"), engine)
        item = next(items())
        answers = list(judge.answer(asks(item.item, item.context, item.replies, PAPER_QUESTIONS[:1])))
        judge.close()
    finally:
        server.shutdown()
        server.server_close()
    assert len(answers) == 2
    for answer in answers:
        assert answer.refusal == refusal
        assert answer.probabilities == (probabilities and pytest.approx(probabilities))


def test_a_kill_in_the_middle_of_the_first_line_loses_nothing(tmp_path):
    own = list(items(4))
    judge_study(tmp_path, own, PAPER_QUESTIONS[:1], Scripted(longer_wins), lambda: None)
    (file,) = (tmp_path / "models").glob("*.jsonl")
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in (0, 1, len(lines[0]) - 1, len(lines[0]), len(lines[0]) + 5, len(whole) - 1, len(whole)):
        file.write_bytes(whole[:cut])
        read = read_models(tmp_path)
        assert [model.judge for model in read] == (["model:scripted"] if cut >= len(lines[0]) else [])
        again = Scripted(longer_wins)
        judge_study(tmp_path, own, PAPER_QUESTIONS[:1], again, lambda: None)
        assert len(again.asked) == 8 - max(0, whole[:cut].count(b"\n") - 1)
        assert sorted(file.read_bytes().splitlines()[1:]) == sorted(whole.splitlines()[1:])


def test_two_models_of_one_name_are_two_judges(tmp_path):
    own = list(items(4))
    for size in (1, 2):
        answerer = Scripted(longer_wins)
        answerer.identity = lambda size=size: {"model": "scripted", "size": size}
        judge_study(tmp_path, own, PAPER_QUESTIONS[:1], answerer, lambda: None)
        assert len(answerer.asked) == 8  # another identity answers for itself
    names = [model.judge for model in read_models(tmp_path)]
    assert len(set(names)) == 2 and all(name.startswith("model:scripted ") for name in names)
    rows = [row for model in read_models(tmp_path) for row in model.judgments(own, PAPER_QUESTIONS[:1])]
    found = analyse(study_of(rows, models=frozenset(names)), Settings(20))
    assert [model.tables.answers for model in found.models] == [4, 4]


@pytest.mark.parametrize(
    ("text", "first_token", "refusal"),
    [
        ("I'm sorry, I cannot", {"I": math.log(0.99), "A": math.log(0.001)}, 'answered "I\'m sorry, I cannot", which'),
        ("The first: A", {"The": math.log(0.6), "A": math.log(0.3)}, None),  # near enough to answering with a letter
        ("B, I think", {}, None),
    ],
)
def test_an_answer_that_is_no_option_is_a_refusal_whatever_its_unlikely_beginnings(text, first_token, refusal):
    item = next(items())
    ask = asks(item.item, item.context, item.replies, PAPER_QUESTIONS[:1])[0]
    answer = server_answer(ask, Candidate(text, 8, None, "stop", first_token=first_token))
    assert (answer.refusal or "").startswith(refusal or "") and (answer.refusal is None) == (refusal is None)
    if refusal is None:
        assert sum(answer.probabilities) == pytest.approx(1)


def test_two_processes_at_once_ask_everything_once(tmp_path):
    own, together = list(items(6)), threading.Barrier(2)
    judges = [Scripted(longer_wins), Scripted(longer_wins)]

    def judge(answerer):
        together.wait()
        judge_study(tmp_path, own, PAPER_QUESTIONS[:1], answerer, lambda: None)

    threads = [threading.Thread(target=judge, args=(answerer,)) for answerer in judges]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(answerer.asked) for answerer in judges) == [0, 12]
    (file,) = (tmp_path / "models").glob("*.jsonl")
    assert len(file.read_text().splitlines()) == 13
