"""Which item a judge sees next, and which reply on the left."""

from __future__ import annotations

import math
import secrets
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass

from dialoeval.judging.design import GoldRule
from dialoeval.judging.items import Item, Study, order_key
from dialoeval.judging.judgments import ItemKind
from dialoeval.judging.store import Assignment, Store, judgment_value, latest_answers

GAP = 20  # items between two of one context, and before a repeat


@dataclass(frozen=True)
class Nothing:
    """There is no item for a judge now; `minutes` says when another judge's lease ends, if that may bring one."""

    minutes: int | None = None


@dataclass(frozen=True)
class _Own:
    """An assignment of the judge."""

    token: str
    item: Item
    left: str
    until: float
    done: bool


def next_item(store: Store, judge: str, now: float | None = None) -> Assignment | Nothing:
    """Return the judge's open item, or lease another: in one transaction, so that no two judges collide."""
    now = time.time() if now is None else now
    with store.writing() as db:
        return _Desk(store.study, db, judge, now).next_item()


class _Desk:
    """The state of a study as one transaction sees it."""

    def __init__(self, study: Study, db: sqlite3.Connection, judge: str, now: float) -> None:
        self.study, self.design, self.db, self.judge, self.now = study, study.design, db, judge, now
        sql = "SELECT token, item, left_system, until, done_at FROM assignments WHERE judge = ? ORDER BY rowid"
        self.own = [
            _Own(token, study.by_id[item], left, until, done is not None)
            for token, item, left, until, done in db.execute(sql, (judge,))
        ]
        self.taken: Counter[str] = Counter()  # judgments that count, and live leases
        self.sides: Counter[tuple[str, str]] = Counter()
        self.lapsed: Counter[tuple[str, str]] = Counter()  # sides that a judge may yet come back to

    def next_item(self) -> Assignment | Nothing:
        for own in self.own:  # reload, second tab, crash: nothing changes
            if not own.done and own.until > self.now:
                return self._assignment(own)
        self._count()
        for own in self.own:
            if not own.done and (own.item.kind != ItemKind.real or self.taken[own.item.item] < self._k):
                until = self.now + 60 * self.design.lease_minutes
                self.db.execute(
                    "UPDATE assignments SET given_at = ?, until = ? WHERE token = ?", (self.now, until, own.token)
                )
                return self._assignment(own)
        done = [own for own in self.own if own.done]
        real = sum(own.item.kind == ItemKind.real for own in done)
        if self.design.max_per_judge is not None and real >= self.design.max_per_judge:
            return Nothing()
        if (choice := self._real()) is None:
            return Nothing(self._minutes())
        if (gold := self._gold(done, real)) is not None:
            return self._lease(gold, self._side(gold))
        if (again := self._repeat(done, real)) is not None:
            return again
        item, repeated = choice
        return self._lease(item, self._side(item), "repeat_context" if repeated else "")

    def _count(self) -> None:
        """Count the judgments and live leases of every item."""
        sql = (
            "SELECT item, left_system, done_at NOT NULL OR (until > ? AND status = 'active') AS holds, COUNT(*) "
            "FROM assignments JOIN judges USING(judge) WHERE status != 'excluded' GROUP BY item, left_system, holds"
        )
        for item, left, holds, n in self.db.execute(sql, (self.now,)):
            if holds:
                self.taken[item] += n
                self.sides[item, left] += n
            else:
                self.lapsed[item, left] += n

    @property
    def _k(self) -> int:
        return self.design.judges_per_item

    def _assignment(self, own: _Own) -> Assignment:
        return Assignment(own.token, own.item, self.judge, own.left, latest_answers(self.db, own.token))

    def _real(self) -> tuple[Item, bool] | None:
        """Return the next real item, and whether the judge has seen its context."""
        mine = {own.item.item for own in self.own}
        seen = {own.item.example_id: place for place, own in enumerate(self.own)}
        # With too few judges for a context to be new to each, a block is finished before the next opens.
        enough = self._active() >= self._k * len(self.design.units)
        best: list[Item] = []
        best_key: tuple[int, ...] | None = None
        for item in self.study.judged:
            taken = self.taken[item.item]
            if taken >= self._k or item.item in mine:
                continue
            place = seen.get(item.example_id)
            rank = 0 if place is None else 1 if len(self.own) - place >= GAP else 2
            order = (rank, item.block) if enough else (int(rank == 2), item.block, rank)
            key = (*order, (place or 0) if rank == 2 else 0, taken)
            if best_key is None or key < best_key:
                best, best_key = [item], key
            elif key == best_key:
                best.append(item)
        if not best:
            return None
        item = min(best, key=lambda item: order_key(self.design.seed, self.judge, item.item))
        return item, item.example_id in seen

    def _active(self) -> int:
        return int(self.db.execute("SELECT COUNT(*) FROM judges WHERE status = 'active'").fetchone()[0])

    def _gold(self, done: list[_Own], real: int) -> Item | None:
        """Return a gold item if one is due: the first ones, as many again after a failure, then a share."""
        tried = [own for own in done if own.item.kind == ItemKind.gold]
        first = self.design.gold.first
        wanted = first
        if (
            len(tried) >= first
            and gold_share(self.db, [(own.token, own.item, own.left) for own in tried]) < self.design.gold.passing
        ):
            wanted = 2 * first
        if len(tried) >= wanted + math.floor(self.design.gold.share * real + 1e-9):
            return None
        mine = {own.item.item for own in self.own}
        seen = {own.item.example_id for own in self.own}
        left = [item for item in self.study.golds if item.item not in mine]

        def order(item: Item) -> tuple[bool, str]:  # a small study has gold items of the contexts that it judges
            return item.example_id in seen, order_key(self.design.seed, self.judge, item.item)

        return min(left, key=order, default=None)

    def _repeat(self, done: list[_Own], real: int) -> Assignment | None:
        """Lease an item that the judge did long ago, sides swapped, if one is due."""
        repeated = {own.item.item for own in self.own if own.item.kind == ItemKind.repeat}
        if len(repeated) >= math.floor(self.design.repeats * real + 1e-9):
            return None
        old = [own for own in done[: max(0, len(done) - GAP)] if own.item.kind == ItemKind.real]
        left = [own for own in old if own.item.again().item not in repeated]
        if not left:
            return None
        own = min(left, key=lambda own: order_key(self.design.seed, self.judge, "again", own.item.item))
        other = next((name for name in own.item.systems if name != own.left), own.left)
        return self._lease(own.item.again(), other)

    def _side(self, item: Item) -> str:
        """Return the system that was on the left less often; on equality the one that the item's own bit names.

        Where the sides will be equal in the end, the side of an expired lease is left to the judge who had it.
        """
        if len(item.systems) == 1:
            return item.systems[0]
        first, second = reversed(item.systems) if item.swapped else item.systems
        a, b = self.sides[item.item, first], self.sides[item.item, second]
        if a == b and self.taken[item.item] < self._k - 1:
            a, b = self.lapsed[item.item, first], self.lapsed[item.item, second]
        return first if a <= b else second

    def _lease(self, item: Item, left: str, flags: str = "") -> Assignment:
        token, until = secrets.token_urlsafe(16), self.now + 60 * self.design.lease_minutes
        self.db.execute(
            "INSERT INTO assignments VALUES(?, ?, ?, ?, ?, ?, ?, NULL, ?)",
            (token, item.item, self.judge, self.taken[item.item], left, self.now, until, flags),
        )
        return Assignment(token, item, self.judge, left, {})

    def _minutes(self) -> int | None:
        """Return in how many minutes the first lease of another judge ends, if an item may then be free."""
        mine = {own.item.item for own in self.own}
        open_items = {item.item for item in self.study.judged if item.item not in mine}
        sql = (
            "SELECT item, until FROM assignments JOIN judges USING(judge) "
            "WHERE done_at IS NULL AND until > ? AND status = 'active'"
        )
        ends = [until for item, until in self.db.execute(sql, (self.now,)) if item in open_items]
        return max(1, math.ceil((min(ends) - self.now) / 60)) if ends else None


def gold_share(db: sqlite3.Connection, tried: list[tuple[str, Item, str]]) -> float:
    """Return the share of gold questions answered rightly; 1 if there is none."""
    right = total = 0
    for token, item, left in tried:
        for question, value in latest_answers(db, token).items():
            gold = item.gold_value(question)
            if gold is not None:
                total += 1
                right += gold_passed(judgment_value(item, left, value), gold, len(item.systems) == 1)
    return right / total if total else 1.0


def gold_passed(value: int, gold: int, rating: bool) -> bool:
    """Return whether an answer to a gold item is right: a rating may be one point off."""
    return abs(value - gold) <= 1 if rating else value == gold


def check_gold(store: Store, judge: str) -> bool:
    """Exclude a judge who failed the gold items twice, if that is the study's rule; returns whether it did.

    The rule is applied once: an organiser who lets the judge go on has the last word.
    """
    gold = store.study.design.gold
    if gold.rule != GoldRule.exclude or not gold.first:
        return False
    db = store.connection()
    if db.execute("SELECT 1 FROM events WHERE judge = ? AND kind = 'excluded'", (judge,)).fetchone():
        return False
    sql = "SELECT token, item, left_system FROM assignments WHERE judge = ? AND done_at NOT NULL"
    rows = [(token, store.study.by_id[item], left) for token, item, left in db.execute(sql, (judge,))]
    tried = [row for row in rows if row[1].kind == ItemKind.gold]
    if len(tried) < min(2 * gold.first, len(store.study.golds)) or (share := gold_share(db, tried)) >= gold.passing:
        return False
    return store.set_status(judge, "excluded", f"gold items: {share:.0%} of {len(tried)} right")
