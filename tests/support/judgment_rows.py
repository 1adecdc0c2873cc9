"""Judgments for tests: studies of two systems and more, made from lists of values."""

from __future__ import annotations

import random

from dialoeval.judging.judgments import DSTC7_STATEMENTS, PAPER_QUESTIONS, Judgment, Judgments, StudyKind

PAIR = ("a", "b")


def preferences(values, **changes):
    """A study of one pair and one question; `values` is [[value of each judge] of each context]."""
    rows = [
        Judgment(f"i{c}", f"c{c}", PAIR, f"j{k}", "relevance", value, shown_first="a" if (c + k) % 2 else "b")
        for c, of_context in enumerate(values)
        for k, value in enumerate(of_context)
    ]
    return study(rows, **changes)


def study(rows, **changes):
    """A study of pairs with the rows, and what is needed around them."""
    pairs = tuple(dict.fromkeys(row.systems for row in rows)) or (PAIR,)
    names = list(dict.fromkeys(row.question for row in rows)) or ["relevance"]
    fields = {
        "kind": StudyKind.pairwise,
        "systems": tuple(dict.fromkeys(name for pair in pairs for name in pair)),
        "pairs": pairs,
        "questions": tuple(question for question in PAPER_QUESTIONS if question.name in names),
        "rows": rows,
        "source": "study",
        "sha256": "0" * 64,
    }
    return Judgments(**(fields | changes))


def ratings(values, **changes):
    """A study of ratings; `values` is {system: [[point of each judge] of each context]}, for both statements."""
    rows = [
        Judgment(f"i{c}{system}", f"c{c}", (system,), f"j{k}", question.name, point)
        for system, contexts in values.items()
        for c, of_context in enumerate(contexts)
        for k, point in enumerate(of_context)
        for question in DSTC7_STATEMENTS
    ]
    fields = {
        "kind": StudyKind.likert,
        "systems": tuple(values),
        "pairs": (),
        "questions": DSTC7_STATEMENTS,
        "rows": rows,
        "source": "ratings",
        "sha256": "0" * 64,
    }
    return Judgments(**(fields | changes))


def coin_flips(contexts, judges=3, seed=1, questions=PAPER_QUESTIONS, pool=20):
    """Judgments of pairs of three systems by judges who flip coins."""
    rng = random.Random(seed)
    rows = []
    for c in range(contexts):
        pair = [("a", "b"), ("a", "human"), ("b", "human")][c % 3]
        for k in rng.sample(range(pool), judges):
            seconds = rng.uniform(1, 30)
            left = rng.choice(pair)
            for question in questions:
                value = rng.choice([1, 0, -1])
                rows.append(Judgment(f"i{c}", f"c{c}", pair, f"j{k}", question.name, value, left, seconds))
    return study(rows, min_seconds=2.0, judges_per_item=judges)
