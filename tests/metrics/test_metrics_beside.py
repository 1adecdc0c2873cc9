"""Metrics of replies beside their references: repetition, copies, blandness, profanity; against sets of tuples."""

from __future__ import annotations

import string
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialoeval.config import ScoringConfig
from dialoeval.errors import UserError
from dialoeval.files import write_jsonl
from dialoeval.metrics import registry
from dialoeval.metrics.scores import score
from dialoeval.metrics.system_statistics import Statistics, statistics
from dialoeval.stats import approximate_randomization, paired_bootstrap

REPLIES = ["no no no no no", "I like it, I like it", "what?", "", "the cat sat on the mat again today"]
REFERENCES = [["yes", "no no"], ["i like it"], [], ["fine"], ["a dog sat on the mat again today", ""]]
CONTEXTS = [["do you?", "no?"], ["i like it", "really", "I like IT!"], ["what", "a", "b"], ["hi"], ["the cat sat on"]]
TEXT_METRICS = ("seq_rep", "context_copy", "self_loop", "commonest_reply")
TURN = st.text(st.sampled_from("aab .,'"), max_size=12)


def grams(words, n):
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def plain(text):
    return "".join(c for c in text.lower() if c not in string.punctuation).split()


def mean(values):
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None


@pytest.fixture
def train(tmp_path):
    turns = [["the cat sat on the mat", "No, no no no no no!"], ["a dog sat on the mat again, today", "i like it"]]
    write_jsonl(tmp_path / "train.jsonl", [{"turns": own} for own in turns * 3])
    return tmp_path / "train.jsonl", turns * 3


def test_seq_rep_is_the_mean_over_replies_and_not_the_share_of_all():
    found = registry.compute("seq_rep", REPLIES, REFERENCES)
    for n, key in ((4, "score"), (1, "1"), (2, "2"), (3, "3")):
        shares = [1 - len(set(own)) / len(own) for reply in REPLIES if (own := grams(reply.split(), n))]
        assert found[key] == pytest.approx(mean(shares))
    assert (found["n"], found["left_out"]) == (3, 2)
    assert found["score"] != pytest.approx(registry.compute("repetition", REPLIES, REFERENCES)["score"])
    for argument in ("tokens", ""):
        with pytest.raises(UserError, match="the number of a reply's tokens, not the tokens"):
            registry.get(f"seq_rep:{argument}")


def test_references_and_the_paired_difference_stand_beside():
    found = registry.compute("seq_rep", ["a a", "a b", "a a"], [["a a", "a b"], ["b b"], []])
    assert found["1"] == pytest.approx((0.5 + 0 + 0.5) / 3)
    assert found["1_references"] == pytest.approx((0.25 + 0.5) / 2)
    assert found["1_difference"] == pytest.approx((0.25 - 0.5) / 2)
    columns = [figure.name for figure in score(REPLIES, REFERENCES, scoring=ScoringConfig(
        meteor=False, extra=["profanity", "seq_rep"])).columns()]  # fmt: skip
    assert columns[-5:] == [
        "profanity", "profanity.references", "profanity.difference", "seq_rep", "seq_rep.references"
    ]  # fmt: skip


def test_what_is_said_again():
    found = registry.compute("self_loop", REPLIES, REFERENCES, CONTEXTS)
    # "I like it, I like it" is no former turn; a context of one turn has none of the replier
    assert (found["score"], found["n"], found["left_out"]) == (0, 3, 2)
    again = registry.compute("self_loop", ["Really?!", "i like it", "a"], [[]] * 3, [CONTEXTS[1]] * 3)
    assert again["score"] == pytest.approx(1 / 3) and again["any"] == pytest.approx(2 / 3)
    with pytest.raises(UserError, match="the replier has no former turn"):
        registry.compute("self_loop", ["a"], [[]], [["b"]])


@pytest.mark.parametrize("name", ["context_copy", "self_loop", "classifier:tiny@1", "backward:tiny-backward"])
@pytest.mark.parametrize("contexts", [None, [[], []], [[" "], []]])
def test_without_contexts_there_is_no_figure(name, contexts):
    with pytest.raises(UserError, match="needs the turns before each reply, and no reply has any"):
        registry.compute(name, ["a", "b"], [["a"], ["b"]], contexts)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(TURN, st.lists(TURN, max_size=3)), min_size=1, max_size=6))
def test_context_copy_counts_ngrams_of_turns(examples):
    replies, contexts = [reply for reply, _ in examples], [turns for _, turns in examples]
    if not any(turn.strip() for turns in contexts for turn in turns):
        return
    found = registry.compute("context_copy", replies, [[]] * len(replies), contexts)
    for n, key in ((2, "score"), (4, "4")):
        shares = []
        for reply, turns in examples:
            there = {gram for turn in turns for gram in grams(plain(turn), n)}
            own = grams(plain(reply), n) if any(map(str.strip, turns)) else []
            shares.append(sum(gram in there for gram in own) / len(own) if own else None)
        assert found[key] == (None if mean(shares) is None else pytest.approx(mean(shares)))


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(len(REPLIES))), st.integers(1, 4))
def test_order_and_shards_change_no_figure(order, cut):
    def of(positions):
        return statistics(*([values[i] for i in positions] for values in (REPLIES, REFERENCES)), meteor=False,
                          extra=TEXT_METRICS, contexts=[CONTEXTS[i] for i in positions])  # fmt: skip

    whole = of(range(len(REPLIES))).figures()
    parts = [of(part) for part in (order[:cut], order[cut:]) if max(len(CONTEXTS[i]) for i in part) > 1]
    merged = Statistics.merge(parts) if len(parts) == 2 else of(order)
    for name, values in merged.figures().items():
        if name.partition(".")[0] in TEXT_METRICS:
            assert values == pytest.approx(whole[name], nan_ok=True), name


def test_the_commonest_reply():
    found = registry.compute("commonest_reply", ["Yes.", "yes", "no", "maybe"], [["a"], ["a", "b"], ["b"], []])
    assert found["score"] == 0.5 and found["references"] == pytest.approx(2 / 3)
    assert found["of_replies"]["commonest"][0] == {"text": "yes", "count": 2}
    one = statistics(["yes"] * 30 + ["no"] * 10, [["a"]] * 40, meteor=False, extra=["commonest_reply"])
    other = statistics([f"reply {i}" for i in range(40)], [["a"]] * 40, meteor=False, extra=["commonest_reply"])
    result = paired_bootstrap(one, other)["commonest_reply"]
    assert (result.a, result.b) == (0.75, 1 / 40) and result.high < -0.5 and result.p_value < 0.01
    assert approximate_randomization(one, other)["commonest_reply"].p_value < 0.01
    low, high = score(["yes"] * 30 + ["no"] * 10, [[]] * 40, scoring=ScoringConfig(
        meteor=False, extra=["commonest_reply"])).interval("commonest_reply")  # fmt: skip
    assert 0.5 < low < 0.75 < high < 0.95


@pytest.mark.parametrize("with_contexts", [True, False])
def test_copying_is_what_brute_force_finds(train, with_contexts):
    file, dialogues = train
    contexts = CONTEXTS if with_contexts else None
    found = registry.compute(f"copying:{file}", REPLIES, REFERENCES, contexts)
    turns = [plain(turn) for dialogue in dialogues for turn in dialogue]
    whole, longest = [], []
    for reply in map(plain, REPLIES):
        best = [n for n in range(1, len(reply) + 1) if any({*grams(reply, n)} & {*grams(t, n)} for t in turns)]
        longest.append(max(best, default=0) if reply else None)
        whole.append(float(longest[-1] == len(reply)) if len(reply) >= 6 else None)
    assert found["score"] == pytest.approx(mean(whole)) and found["longest"] == pytest.approx(mean(longest))
    assert found["references"] == 1.0  # the one reference of 6 words stands in the training data
    assert found["8"] == (0.0 if with_contexts else None) and found["8_references"] == (1.0 if with_contexts else None)
    assert "train:" in found["signature"] and found["training_turns"] == 12


def test_a_long_reply_that_stands_whole_in_training(tmp_path):
    words = [f"w{i}" for i in range(50)]
    write_jsonl(tmp_path / "t.jsonl", [{"turns": ["hi", "x " + " ".join(words) + " y"]}])
    replies = [" ".join(words), " ".join([*words[:49], "z"]), " ".join(words[:34])]
    found = registry.compute(f"copying:{tmp_path / 't.jsonl'}", replies, [[]] * 3)
    assert found["score"] == pytest.approx(2 / 3) and found["longest"] == pytest.approx((50 + 32 + 34) / 3)


def test_bland_is_the_papers_rule(train):
    file, dialogues = train
    counts = Counter(gram for dialogue in dialogues for turn in dialogue for gram in grams(plain(turn), 3))
    found = registry.compute(f"bland:{file}@5", REPLIES, REFERENCES)
    expected = []
    for reply in REPLIES:
        own = grams(plain(reply), 3)
        expected.append(float(sum(counts[gram] > 5 for gram in own) >= 0.9 * len(own)) if own else None)
    assert found["score"] == pytest.approx(mean(expected)) and found["largest_count"] == max(counts.values())
    with pytest.raises(UserError, match=r"has 69 words, too few to see a tri-gram more than 1,000 times"):
        registry.compute(f"bland:{file}", REPLIES, REFERENCES)


def test_a_training_file_with_an_at_sign_in_its_folder(tmp_path):
    (tmp_path / "a@b").mkdir()
    write_jsonl(tmp_path / "a@b" / "t.jsonl", [{"turns": ["a b c", "a b c"]}] * 2)
    assert registry.get(f"bland:{tmp_path / 'a@b' / 't.jsonl'}").often == 1000
    assert registry.compute(f"bland:{tmp_path / 'a@b' / 't.jsonl'}@3", ["A b, c."], [[]])["score"] == 1.0


@pytest.mark.parametrize("name", ["bland", "copying", "copying:"])
def test_training_data_must_be_named(name):
    with pytest.raises(UserError, match="needs the training data after a colon"):
        registry.get(name).check()


def test_training_data_that_is_not_there_or_has_no_words(tmp_path):
    with pytest.raises(UserError, match="'chitchat-trian' is neither a dataset; did you mean 'chitchat-train'"):
        registry.get("copying:chitchat-trian").check()
    with pytest.raises(UserError, match="a number must follow '@'"):
        registry.get("bland:chitchat-train@often")
    write_jsonl(tmp_path / "t.jsonl", [{"turns": ["...", "!?"]}])
    with pytest.raises(UserError, match="has no words"):
        registry.compute(f"copying:{tmp_path / 't.jsonl'}", REPLIES, REFERENCES)


def test_profanity_finds_words_and_phrases_at_word_bounds(tmp_path):
    (tmp_path / "words.txt").write_text("Darn\nblow up\nsh!t\ndarn it all\n\n", "utf-8")
    replies = ["DARN it", "darned", "they blow  up things", "blowup", "oh sh!t.", "darn it all, darn"]
    found = registry.compute(f"profanity:{tmp_path / 'words.txt'}", replies, [["darn", "ok"], ["ok"], [], [], [], []])
    assert found["score"] == pytest.approx(4 / 6) and found["references"] == 0.25
    assert found["difference"] == pytest.approx((0.5 + 0) / 2)
    assert found["by_word"] == {"darn": 2, "blow up": 1, "darn it all": 1, "sh!t": 1}
    (tmp_path / "other.txt").write_text("sh!t\nblow up\ndarn\ndarn it all", "utf-8")
    same = registry.compute(f"profanity:{tmp_path / 'other.txt'}", replies, [[]] * 6)
    assert same["signature"].split("sha:")[1] == found["signature"].split("sha:")[1]
    (tmp_path / "empty.txt").write_text("\n \n", "utf-8")
    with pytest.raises(UserError, match=r"the word list empty\.txt is empty"):
        registry.get(f"profanity:{tmp_path / 'empty.txt'}").check()


def test_the_list_of_better_profanity_is_read_without_its_code():
    pytest.importorskip("better_profanity")
    found = registry.compute("profanity", ["what the fuck", "nice class", "god"], [[], [], []])
    assert found["by_word"] == {"fuck": 1, "god": 1} and found["references"] is None
    assert found["signature"].startswith("profanity|list:better-profanity-0.7.0|sha:")
