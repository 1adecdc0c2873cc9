"""judgments.sqlite: every answer is committed before a page moves on, and none is ever changed or deleted."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialoeval.errors import UserError
from dialoeval.files import sha256_json
from dialoeval.judging.items import Item, Study, load_study
from dialoeval.judging.judgments import ItemKind, Judgment, Judgments, Standing
from dialoeval.judging.model_judge import read_models

_LOG = logging.getLogger(__name__)
VERSION = 1
_PATIENCE = 20  # seconds that a thread waits for its turn to write
AUTOMATIC = "automatic"  # the judge of ties that nobody saw

_SCHEMA = """
CREATE TABLE study(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE judges(
    judge TEXT PRIMARY KEY, token_sha256 TEXT UNIQUE NOT NULL, name TEXT, created_at REAL,
    status TEXT NOT NULL CHECK(status IN ('active', 'stopped', 'excluded')));
CREATE TABLE assignments(
    token TEXT PRIMARY KEY, item TEXT NOT NULL, judge TEXT NOT NULL REFERENCES judges, slot INT NOT NULL,
    left_system TEXT NOT NULL, given_at REAL NOT NULL, until REAL NOT NULL, done_at REAL,
    flags TEXT NOT NULL DEFAULT '', UNIQUE(item, judge));
CREATE TABLE answers(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL REFERENCES assignments, question TEXT NOT NULL,
    value TEXT NOT NULL, seconds REAL, at REAL NOT NULL);
CREATE INDEX answers_token ON answers(token);
CREATE TABLE comments(token TEXT NOT NULL REFERENCES assignments, text TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE events(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, judge TEXT, kind TEXT NOT NULL, detail TEXT);
CREATE TRIGGER answers_update BEFORE UPDATE ON answers BEGIN SELECT RAISE(ABORT, 'answers are append-only'); END;
CREATE TRIGGER answers_delete BEFORE DELETE ON answers BEGIN SELECT RAISE(ABORT, 'answers are append-only'); END;
"""


@dataclass(frozen=True)
class Assignment:
    """An item in the hands of a judge.

    Attributes:
        token: opaque name of the assignment, all that the page holds.
        left: the system shown as reply A; of a rating the system itself.
        answers: {question: value as stored}, empty until it is done.
    """

    token: str
    item: Item
    judge: str
    left: str
    answers: dict[str, str]

    @property
    def right(self) -> str | None:
        """The system shown as reply B."""
        return next((name for name in self.item.systems if name != self.left), None)


@dataclass(frozen=True)
class Progress:
    """How far a judge is.

    Attributes:
        done: items, of every kind.
        seconds: median time an item, or None.
        last: time of the last answer, in seconds since 1970, or None.
    """

    judge: str
    status: str
    done: int
    seconds: float | None
    last: float | None


def check_name(judge: str) -> None:
    """Refuse what is no name for a person who judges.

    Raises:
        UserError: it is empty, too long, has characters that cannot be seen, or is kept for ties or for models.
    """
    kept = judge == AUTOMATIC or judge.startswith("model:")
    if not judge.strip() or judge != judge.strip() or not judge.isprintable() or len(judge) > 100 or kept:
        raise UserError(f"{judge!r} is not a name for a judge")


def token_hash(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def failure(file: Path, error: sqlite3.Error) -> UserError:
    """Return what to do about an error of the database."""
    text, remedy = str(error), "restore a copy, or move the file away to start afresh"
    if any(part in text for part in ("readonly", "unable to open", "full")):
        remedy = "make the folder writable and the file in it, with free space on the disk"
    elif "locked" in text:
        remedy = "another program holds it; try again when that has ended"
    return UserError(f"cannot use {file}: {text}; {remedy}")


class Store:
    """The database of a study; one connection a thread.

    Raises:
        UserError: it is of a newer version, damaged, of other files than these, or cannot be written.
    """

    def __init__(self, study: Study, read_only: bool = False) -> None:
        self.study, self.read_only = study, read_only
        self.file = study.database
        self._local = threading.local()
        self._connections: dict[threading.Thread, sqlite3.Connection] = {}
        self._lock, self._turn = threading.Lock(), threading.Lock()
        if read_only and not self.file.is_file():
            raise UserError(_no_judgments(study))
        try:
            self._prepare()
        except sqlite3.Error as error:
            self.close()
            raise failure(self.file, error) from error
        except UserError:
            self.close()
            raise

    def _prepare(self) -> None:
        db = self.connection()
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise UserError(f"{self.file} has version {version}, this dialoeval reads {VERSION}: use a newer dialoeval")
        if (verdict := db.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
            raise UserError(
                f"{self.file} is damaged ({verdict}): restore a copy, or move the file away to start afresh"
            )
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if version != VERSION and not tables:  # new, or killed before its first commit
            if self.read_only:
                raise UserError(_no_judgments(self.study))
            with self.writing() as db:
                if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'answers'").fetchone():
                    for statement in _statements(_SCHEMA):
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {VERSION}")
            return
        if version != VERSION or not tables >= {"study", "judges", "assignments", "answers", "comments", "events"}:
            raise UserError(f"{self.file} holds no judgments of a study: move it away")
        if not self.read_only:
            with self.writing() as db:  # a file that is write-protected opens without complaint
                db.execute(f"PRAGMA user_version = {VERSION}")
        self.check_files()

    def check_files(self) -> None:
        """Refuse a study.yaml or items.jsonl other than the ones that the judges' answers belong to.

        Raises:
            UserError: a file has changed since the first judge.
        """
        known = {name: self.get(f"{name} sha256") for name in ("study.yaml", "items.jsonl")}
        if None in known.values():
            return
        for name, sha256 in self.study.hashes().items():
            if known[name] != sha256:
                raise UserError(
                    f"{self.study.path / name} has changed since the first judge: put the old file back, or copy the "
                    "folder without judgments.sqlite* to start another study"
                )

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            with self._lock:
                for thread in [thread for thread in self._connections if not thread.is_alive()]:
                    self._connections.pop(thread).close()  # a server's threads come and go
                db = self._connections[threading.current_thread()] = self._connect()
            db.execute("PRAGMA busy_timeout = 5000")
            db.execute("PRAGMA foreign_keys = ON")
            if not self.read_only:
                self._journal(db)
            self._local.db = db
        return db

    def _connect(self) -> sqlite3.Connection:
        if not self.read_only:
            return self._open("mode=rwc")
        db = self._open("mode=ro")
        try:
            db.execute("PRAGMA user_version")
        except sqlite3.OperationalError:
            # Where the folder cannot be written, a reader has no place for its files; without a log it needs none.
            db.close()
            if self.file.with_name(self.file.name + "-wal").exists():
                raise
            db = self._open("mode=ro&immutable=1")
        return db

    def _open(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.file.absolute().as_uri()}?{mode}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5, check_same_thread=False)

    def _journal(self, db: sqlite3.Connection) -> None:
        """Commit to the disk itself: the default of the write-ahead log loses the last commits at a power cut."""
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":  # a network disk
            db.execute("PRAGMA journal_mode = DELETE")
            if len(self._connections) == 1:
                _LOG.info("%s is on a disk without shared memory: a slower journal is used", self.file)
        db.execute("PRAGMA synchronous = FULL")

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the one write transaction; commit at the end, or roll back.

        Threads take turns here: SQLite lets the waiting ones try again at random, so that under load one may starve.
        """
        db = self.connection()
        if not self._turn.acquire(timeout=_PATIENCE):
            raise sqlite3.OperationalError("database is locked")
        try:
            db.execute("BEGIN IMMEDIATE")  # a transaction that reads first cannot wait for its turn to write
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for db in self._connections.values():
                db.close()
            self._connections.clear()
        self._local = threading.local()

    def get(self, key: str) -> str | None:
        """Return a value of the table `study`."""
        row = self.connection().execute("SELECT value FROM study WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def open_study(self) -> None:
        """Fix study.yaml and items.jsonl at the first call; refuse changed ones later.

        Raises:
            UserError: a file has changed since the first judge.
        """
        hashes = self.study.hashes()
        with self.writing() as db:
            for name, sha256 in hashes.items():
                db.execute("INSERT OR IGNORE INTO study VALUES(?, ?)", (f"{name} sha256", sha256))
            db.execute("INSERT OR IGNORE INTO study VALUES('opened_at', ?)", (str(time.time()),))
            db.execute("INSERT OR IGNORE INTO study VALUES('secret', ?)", (secrets.token_hex(16),))
        self.check_files()

    def add_judge(self, name: str) -> str:
        """Add a judge and return the token of the link; only its hash is kept.

        Raises:
            UserError: the name is taken or empty.
        """
        token, now = secrets.token_urlsafe(16), time.time()
        check_name(name)
        with self.writing() as db:
            if db.execute("SELECT 1 FROM judges WHERE judge = ?", (name,)).fetchone():
                raise UserError(f"there is a judge {name!r} already (--new-link {name} makes another link)")
            db.execute("INSERT INTO judges VALUES(?, ?, ?, ?, 'active')", (name, token_hash(token), name, now))
            _event(db, now, name, "added")
        return token

    def new_link(self, judge: str) -> str:
        """Return another token for a judge; the old one ends.

        Raises:
            UserError: there is no such judge.
        """
        from dialoeval.errors import nearest

        token = secrets.token_urlsafe(16)
        with self.writing() as db:
            done = db.execute("UPDATE judges SET token_sha256 = ? WHERE judge = ?", (token_hash(token), judge))
            if not done.rowcount:
                known = [row[0] for row in db.execute("SELECT judge FROM judges")]
                raise UserError(f"there is no judge {judge!r}{nearest(judge, known)}")
            _event(db, time.time(), judge, "new link")
        return token

    def new_organiser(self) -> str:
        """Return another token for the organiser's page; the old one ends."""
        token = secrets.token_urlsafe(16)
        with self.writing() as db:
            db.execute("INSERT OR REPLACE INTO study VALUES('organiser', ?)", (token_hash(token),))
        return token

    def judge_of(self, token: str) -> tuple[str, str] | None:
        """Return (judge, status) of a link's token, or None."""
        sql = "SELECT judge, status FROM judges WHERE token_sha256 = ?"
        row = self.connection().execute(sql, (token_hash(token),)).fetchone()
        return None if row is None else (row[0], row[1])

    def set_status(self, judge: str, status: str, why: str) -> bool:
        """Make a judge active, stopped or excluded; returns whether there is one of that name."""
        with self.writing() as db:
            changed = db.execute("UPDATE judges SET status = ? WHERE judge = ?", (status, judge)).rowcount
            if changed:
                _event(db, time.time(), judge, status, why)
        return bool(changed)

    def event(self, judge: str | None, kind: str, detail: str = "") -> None:
        """Note what happened."""
        with self.writing() as db:
            _event(db, time.time(), judge, kind, detail)

    def record(self, token: str, judge: str, answers: Mapping[str, str], comment: str = "") -> bool:
        """Commit a judge's answers to all questions of an item.

        The same answers again change nothing; other answers are a revision. A late answer is stored like any other.

        Returns:
            whether this judge has that assignment.
        """
        now = time.time()
        with self.writing() as db:
            sql = "SELECT given_at, done_at FROM assignments WHERE token = ? AND judge = ?"
            row = db.execute(sql, (token, judge)).fetchone()
            if row is None:
                return False
            latest = latest_answers(db, token)
            seconds = None if latest else max(0.0, now - row[0])
            for question, value in answers.items():
                if latest.get(question) != value:
                    sql = "INSERT INTO answers(token, question, value, seconds, at) VALUES(?, ?, ?, ?, ?)"
                    db.execute(sql, (token, question, value, seconds, now))
            if row[1] is None:
                db.execute("UPDATE assignments SET done_at = ? WHERE token = ?", (now, token))
            if comment and comment != _last_comment(db, token):
                db.execute("INSERT INTO comments VALUES(?, ?, ?)", (token, comment, now))
        return True

    def assignment(self, token: str, judge: str) -> Assignment | None:
        """Return an assignment of this judge."""
        db = self.connection()
        sql = "SELECT item, left_system FROM assignments WHERE token = ? AND judge = ?"
        row = db.execute(sql, (token, judge)).fetchone()
        if row is None:
            return None
        return Assignment(token, self.study.by_id[row[0]], judge, row[1], latest_answers(db, token))

    def comment(self, token: str) -> str:
        """Return the last comment on an assignment, or nothing."""
        return _last_comment(self.connection(), token)

    def last_done(self, judge: str) -> str | None:
        """Return the token of the judge's last finished assignment."""
        sql = (
            "SELECT s.token FROM assignments s JOIN answers a ON a.token = s.token WHERE s.judge = ? "
            "GROUP BY s.token ORDER BY MIN(a.seq) DESC LIMIT 1"
        )
        row = self.connection().execute(sql, (judge,)).fetchone()
        return None if row is None else str(row[0])

    def done(self, judge: str) -> int:
        """Return how many items a judge has finished."""
        sql = "SELECT COUNT(*) FROM assignments WHERE judge = ? AND done_at IS NOT NULL"
        return int(self.connection().execute(sql, (judge,)).fetchone()[0])

    def progress(self) -> list[Progress]:
        """Return every judge, in the order of joining."""
        import statistics

        db = self.connection()
        times: dict[str, dict[str, float]] = {}
        sql = (
            "SELECT s.judge, a.token, a.seconds FROM answers a JOIN assignments s USING(token) WHERE a.seconds NOT NULL"
        )
        for judge, token, seconds in db.execute(sql):
            times.setdefault(judge, {})[token] = seconds
        rows = db.execute(
            "SELECT j.judge, j.status, COUNT(s.done_at), MAX(s.done_at) FROM judges j LEFT JOIN assignments s "
            "ON s.judge = j.judge GROUP BY j.judge ORDER BY j.created_at, j.judge"
        )
        result = []
        for judge, status, done, last in rows:
            taken = list(times.get(judge, {}).values())
            result.append(Progress(judge, status, done, statistics.median(taken) if taken else None, last))
        return result

    def counts(self, now: float | None = None) -> tuple[int, int]:
        """Return (judgments that count towards the goal, items with all of theirs), automatic ties left out."""
        done = Counter(
            item
            for (item,) in self.connection().execute(
                "SELECT s.item FROM assignments s JOIN judges j USING(judge) "
                "WHERE s.done_at NOT NULL AND j.status != 'excluded'"
            )
        )
        k = self.study.design.judges_per_item
        per_item = [min(done[item.item], k) for item in self.study.judged]
        return sum(per_item), sum(n == k for n in per_item)


def latest_answers(db: sqlite3.Connection, token: str) -> dict[str, str]:
    """Return {question: last value} of an assignment."""
    rows = db.execute("SELECT question, value FROM answers WHERE token = ? ORDER BY seq", (token,))
    return dict(rows.fetchall())


def _last_comment(db: sqlite3.Connection, token: str) -> str:
    sql = "SELECT text FROM comments WHERE token = ? ORDER BY rowid DESC LIMIT 1"
    row = db.execute(sql, (token,)).fetchone()
    return "" if row is None else str(row[0])


def _no_judgments(study: Study) -> str:
    return f"{study.path} has no judgments yet: `dialoeval judge serve {study.path}` collects them"


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.strip().splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _event(db: sqlite3.Connection, at: float, judge: str | None, kind: str, detail: str = "") -> None:
    db.execute("INSERT INTO events(at, judge, kind, detail) VALUES(?, ?, ?, ?)", (at, judge, kind, detail))


def judgment_value(item: Item, left: str, value: str) -> int:
    """Return a stored answer as a judgment's value: a, same or b of a pair, the point of a rating."""
    if len(item.systems) == 1:
        return int(value)
    if value == "same":
        return 0
    return 1 if (value == "a") == (left == item.systems[0]) else -1


def judgments(study: Study | str | Path) -> Judgments:
    """Read every judgment of a study; works while the study is served.

    Raises:
        UserError: the folder or its database is damaged.
    """
    study = study if isinstance(study, Study) else load_study(study)
    rows: list[Judgment] = []
    excluded: frozenset[str] = frozenset()
    if study.database.is_file():
        store = Store(study, read_only=True)
        try:
            rows, excluded = _rows(store)
        except sqlite3.Error as error:
            raise UserError(f"cannot read {store.file}: {error}; restore a copy") from error
        finally:
            store.close()
    rows += _automatic(study)
    design = study.design
    models = read_models(study.path)
    for model in models:
        rows += model.judgments([*study.judged, *study.golds], design.questions)
    notes = [
        f"the replies of {name} are among the references that the runs are scored against: metrics of it are circular"
        for name, system in design.systems.items()
        if system.scored
    ]
    return Judgments(
        kind=design.kind,
        systems=tuple(design.systems),
        pairs=design.pairs,
        questions=design.questions,
        rows=rows,
        source=str(study.path),
        sha256=sha256_json([row.to_json() for row in rows]),
        judges_per_item=design.judges_per_item,
        excluded=excluded,
        models=frozenset(model.judge for model in models),
        words=_words(study.items),
        min_seconds=design.min_seconds,
        gold_pass=design.gold.passing,
        notes=tuple(notes),
    )


def _words(items: Sequence[Item]) -> dict[tuple[str, str], int]:
    """Return {(context, system): words of the reply}."""
    return {(item.example_id, system): len(text.split()) for item in items for system, text in item.replies.items()}


def _rows(store: Store) -> tuple[list[Judgment], frozenset[str]]:
    study, db = store.study, store.connection()
    db.execute("BEGIN")
    excluded = frozenset(row[0] for row in db.execute("SELECT judge FROM judges WHERE status = 'excluded'"))
    answers: dict[str, dict[str, tuple[str, float | None]]] = {}
    places: dict[str, tuple[str, str, str, str]] = {}
    revised: set[str] = set()
    sql = (
        "SELECT a.token, a.question, a.value, a.seconds, s.item, s.judge, s.left_system, s.flags "
        "FROM answers a JOIN assignments s USING(token) ORDER BY a.seq"
    )
    for token, question, value, seconds, *place in db.execute(sql):
        places.setdefault(token, (place[0], place[1], place[2], place[3]))
        given = answers.setdefault(token, {})
        if question in given:
            revised.add(token)
            seconds = given[question][1]
        given[question] = (value, seconds)
    db.execute("COMMIT")
    rows, done = [], Counter[str]()
    for token, (name, judge, left, flags) in places.items():
        if (item := study.by_id.get(name)) is None:
            raise UserError(f"{store.file} has judgments of an item that {study.path / 'items.jsonl'} lacks: {name}")
        standing = Standing.counted
        if item.kind == ItemKind.real and judge not in excluded:
            done[name] += 1
            standing = Standing.surplus if done[name] > study.design.judges_per_item else Standing.counted
        marks = tuple(filter(None, flags.split(","))) + (("revised",) if token in revised else ())
        for question in study.design.questions:
            if question.name not in answers[token]:
                continue
            value, seconds = answers[token][question.name]
            rows.append(
                Judgment(
                    item=name,
                    context=item.example_id,
                    systems=item.systems,
                    judge=judge,
                    question=question.name,
                    value=judgment_value(item, left, value),
                    shown_first=left if len(item.systems) == 2 else None,
                    seconds=None if seconds is None else round(seconds, 3),
                    kind=item.kind,
                    gold=item.gold_value(question.name),
                    standing=standing,
                    flags=marks,
                )
            )
    return rows, excluded


def _automatic(study: Study) -> list[Judgment]:
    """Return the ties of equal replies: one judgment for every judge that the study asks for."""
    return [
        Judgment(item.item, item.example_id, item.systems, AUTOMATIC, question.name, 0, standing=Standing.automatic)
        for item in study.automatic
        for _ in range(study.design.judges_per_item)
        for question in study.design.questions
    ]


def comments(store: Store) -> list[dict[str, Any]]:
    """Return the judges' comments as rows."""
    sql = "SELECT s.item, s.judge, c.text FROM comments c JOIN assignments s USING(token) ORDER BY c.rowid"
    return [{"item": item, "judge": judge, "text": text} for item, judge, text in store.connection().execute(sql)]
