"""Small files in the shape in which dialogue datasets are published, with what they hold, for the presets' tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Published:
    """A file, or the files of a folder, and the examples in it.

    Attributes:
        preset: the option of conf/dataset/.
        files: {name: text}; the first is dataset.path, or its folder if there are several.
        examples: (context, references) of each.
        system: the system text of the first example.
    """

    preset: str
    files: dict[str, str]
    examples: list[tuple[list[str], list[str]]]
    system: str | None = None

    def write(self, folder: Path) -> Path:
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        return folder if len(self.files) > 1 else folder / next(iter(self.files))


def _lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _said(*turns: str, **more: object) -> list[dict[str, object]]:
    return [{"text": turn, **more} for turn in turns]


TALK = ["Hi , Jim .", "Hello ! How are you ?", "Fine , thanks ."]
REPLIES = [([TALK[0]], [TALK[1]]), (TALK[:2], [TALK[2]])]
REFERENCES = [f"reference {i}" for i in range(5)]
EMPATHETIC = """conv_id,utterance_idx,context,prompt,speaker_idx,utterance,selfeval,tags
hit:0_conv:1,1,sentimental,I remember_comma_ fireworks.,1,"Oh" I said_comma_ it was dark.,5|5|5_2|2|5,
hit:0_conv:1,2,sentimental,I remember_comma_ fireworks.,0,Was this a friend?,5|5|5_2|2|5,
hit:0_conv:2,2,afraid,I am afraid.,3,Why?,5|5|5_5|5|5,
hit:0_conv:2,1,afraid,I am afraid.,2,I am afraid of the dark.,5|5|5_5|5|5,
"""
CONVAI2 = """1 your persona: i like to ski.
2 your persona: my wife hates me.
3 hi , how are you ?\ti am great , and you ?\t\tbad|good|i am great , and you ?
4 tired .\tgo to bed !\t\tno|go to bed !
1 your persona: i am a teacher.
2 __SILENCE__\thello .
3 what do you do ?\ti teach .
"""
TREE = {
    "message_tree_id": "t",
    "tree_state": "ready_for_export",
    "prompt": {
        "message_id": "t",
        "text": "What is a noun?",
        "role": "prompter",
        "replies": [
            {
                "message_id": "a",
                "parent_id": "t",
                "text": "A word for a thing.",
                "role": "assistant",
                "replies": [{"message_id": "p", "text": "Thanks!", "role": "prompter", "replies": [
                    {"message_id": "c", "text": "You are welcome.", "role": "assistant", "replies": []}]}],
            },
            {"message_id": "b", "parent_id": "t", "text": "A name.", "role": "assistant", "replies": []},
            {"message_id": "d", "text": "spam", "role": "assistant", "deleted": True, "replies": []},
        ],
    },
}  # fmt: skip
FLAT = [
    {"message_id": "t", "parent_id": None, "text": "What is a noun?", "role": "prompter"},
    {"message_id": "b", "parent_id": "t", "text": "A name.", "role": "assistant"},
    {"message_id": "a", "parent_id": "t", "text": "A word for a thing.", "role": "assistant"},
]
CORNELL = {
    "movie_lines.txt": (
        "L195 +++$+++ u2 +++$+++ m0 +++$+++ CAMERON +++$+++ Well, I thought we'd start.\n"
        "L194 +++$+++ u0 +++$+++ m0 +++$+++ BIANCA +++$+++ Can we make this quick?\n"
        "L196 +++$+++ u0 +++$+++ m0 +++$+++ BIANCA +++$+++ Not the hacking one.\n"
        "L198 +++$+++ u2 +++$+++ m0 +++$+++ CAMERON +++$+++ \n"
    ),
    "movie_conversations.txt": (
        "u0 +++$+++ u2 +++$+++ m0 +++$+++ ['L194', 'L195', 'L196']\nu0 +++$+++ u2 +++$+++ m0 +++$+++ ['L196', 'L198']\n"
    ),
}
UBUNTU = (
    "Context,Ground Truth Utterance,Distractor_0\n"
    '"anyone here ? __eou__ help __eou__ __eot__ with what ? __eou__ __eot__",wifi __eou__ it is slow __eou__,no\n'
)
UBUNTU_TRAIN = 'Context,Utterance,Label\nhi __eou__ __eot__,hello __eou__,1.0\nhi __eou__ __eot__,"a, b __eou__",0.0\n'
TAXI = ("A taxi.", "Where to?", "Home.", "Booked.")
WOZ_GOAL = {"taxi": {}, "message": []}
WIZARD = {
    "chosen_topic": "Blue",
    "persona": "i like blue.",
    "wizard_eval": 5,
    "dialog": [
        {"speaker": "0_Wizard", "text": "Blue is nice."},
        {"speaker": "1_Apprentice", "text": "Why?"},
        {"speaker": "0_Wizard", "text": "It is the sky's color."},
    ],
}
TOPICAL = {
    "t_1": {
        "article_url": "AB",
        "config": "C",
        "content": [
            {"message": "Do you like cats?", "agent": "agent_1", "sentiment": "Happy"},
            {"message": "I do.", "agent": "agent_2", "sentiment": "Happy"},
        ],
        "conversation_rating": {},
    }
}
BST = {
    "personas": [["i ski."], ["i swim."]],
    "context_dataset": "convai2",
    "free_turker_utterance": "Hi.",
    "guided_turker_utterance": "Hello.",
    "additional_context": "",
    "dialog": [[0, "Do you ski?"], [1, "No, I swim."]],
}
BST_HUB = {
    "personas": ["i ski.", "i swim."],
    "previous_utterance": ["Hi.", "Hello."],
    "free_messages": ["Do you ski?"],
    "guided_messages": ["No, I swim."],
}
BST_REPLIES = [
    (["Hi."], ["Hello."]),
    (["Hi.", "Hello."], ["Do you ski?"]),
    (["Hi.", "Hello.", "Do you ski?"], ["No, I swim."]),
]
CHAT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": [{"type": "text", "text": "hello"}, {"type": "text", "text": "there"}]},
    {"role": "user", "content": "weather?"},
    {"role": "assistant", "content": None, "tool_calls": []},
    {"role": "tool", "content": "{}"},
    {"role": "assistant", "content": "sunny"},
]
SHARED = [
    {"from": "system", "value": "Be kind."},
    {"from": "human", "value": "hi"},
    {"from": "gpt", "value": "hello there"},
    {"from": "human", "value": "weather?"},
    {"from": "gpt", "value": "sunny"},
]
CHAT_REPLIES = [(["hi"], ["hello there"]), (["hi", "hello there", "weather?"], ["sunny"])]

PUBLISHED = [
    Published("dailydialog", {"dialogues_test.txt": " __eou__ ".join([*TALK, "\n"])}, REPLIES),
    Published("dailydialog", {"test.json": _lines({"topic": "x", "dialogue": _said(*TALK, act="a")})}, REPLIES),
    Published("dailydialog", {"test.jsonl": _lines({"dialog": TALK, "act": [1, 2, 3], "emotion": [0, 0, 0]})}, REPLIES),
    Published(
        "dailydialog_multiref",
        {"multireftest.json": _lines({"fold": "test", "topic": "x", "dialogue": [
            *_said(*TALK[:2], responses=REFERENCES), *_said(TALK[2])]})},
        [(TALK[:1], REFERENCES), (TALK[:2], REFERENCES)],
    ),
    Published(
        "convai2",
        {"valid_self_original.txt": CONVAI2},
        [
            (["hi , how are you ?"], ["i am great , and you ?"]),
            (["hi , how are you ?", "i am great , and you ?", "tired ."], ["go to bed !"]),
            (["hello .", "what do you do ?"], ["i teach ."]),
        ],
        "your persona: i like to ski.\nyour persona: my wife hates me.",
    ),
    Published(
        "empathetic",
        {"test.csv": EMPATHETIC},
        [(['"Oh" I said, it was dark.'], ["Was this a friend?"]), (["I am afraid of the dark."], ["Why?"])],
    ),
    Published("topical_chat", {"test_freq.json": json.dumps(TOPICAL)}, [(["Do you like cats?"], ["I do."])]),
    Published(
        "wizard", {"test.json": json.dumps([WIZARD])}, [(["Blue is nice.", "Why?"], ["It is the sky's color."])]
    ),
    Published("blended_skill_talk", {"test.json": json.dumps([BST])}, BST_REPLIES),
    Published("blended_skill_talk", {"test.jsonl": _lines(BST_HUB)}, BST_REPLIES),
    Published(
        "multiwoz",
        {"data.json": json.dumps({"SNG1.json": {"goal": WOZ_GOAL, "log": _said(*TAXI)}})},
        [(["A taxi."], ["Where to?"]), (["A taxi.", "Where to?", "Home."], ["Booked."])],
    ),
    Published(
        "multiwoz",
        {"dialogues_001.json": json.dumps([{"dialogue_id": "SNG1.json", "services": ["taxi"], "turns": [
            {"speaker": "USER", "utterance": "A taxi.", "turn_id": "0", "frames": []},
            {"speaker": "SYSTEM", "utterance": "Where to?", "turn_id": "1", "frames": []}]}], indent=2)},
        [(["A taxi."], ["Where to?"])],
    ),
    Published(
        "cornell",
        CORNELL,
        [
            (["Can we make this quick?"], ["Well, I thought we'd start."]),
            (["Can we make this quick?", "Well, I thought we'd start."], ["Not the hacking one."]),
        ],
    ),
    Published("ubuntu", {"test.csv": UBUNTU}, [(["anyone here ? help", "with what ?"], ["wifi it is slow"])]),
    Published("ubuntu", {"train.csv": UBUNTU_TRAIN}, [(["hi"], ["hello"])]),
    Published("messages", {"chats.jsonl": _lines({"messages": CHAT})}, CHAT_REPLIES, "Be kind."),
    Published(
        "messages", {"sharegpt.json": json.dumps([{"id": "x", "conversations": SHARED}])}, CHAT_REPLIES, "Be kind."
    ),
    Published(
        "oasst",
        {"trees.jsonl": _lines(TREE)},
        [
            (["What is a noun?"], ["A word for a thing.", "A name."]),
            (["What is a noun?", "A word for a thing.", "Thanks!"], ["You are welcome."]),
        ],
    ),
    Published("oasst", {"messages.jsonl": _lines(*FLAT)}, [(["What is a noun?"], ["A name.", "A word for a thing."])]),
    Published(
        "dialogpt_tsv", {"train.tsv": "0.0 hi EOS 1.0 hello\t1.0 i am fine\n"}, [(["hi", "hello"], ["i am fine"])]
    ),
    Published(
        "reddit6k",
        {"test.refs.txt": "hi EOS what ?\t0.5|this\t0.3|that\t0.1|human\n"},
        [(["hi", "what ?"], ["this", "that"])],
    ),
    Published(
        "dstc7",
        {
            "test.refs.txt": "k1\t0.5|first\t0.3|second\n",
            "test.convos.txt": "k1\tsub\tconv\t1\t1\tSTART EOS hi there\t__UNDISCLOSED__\n",
        },
        [(["hi there"], ["first", "second"])],
    ),
]  # fmt: skip
