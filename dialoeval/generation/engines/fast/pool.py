"""The pool of worker processes on CPU, where several single-threaded processes are faster than several threads.

A worker is a new interpreter (not a fork, and it does not import the caller's main module) that maps the shared
weights and asks over a pipe for work whenever it has free slots. A reply does not depend on the worker.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dialoeval.errors import UserError
from dialoeval.generation.engines.fast import weights_file
from dialoeval.generation.engines.fast.counters import Counters
from dialoeval.generation.engines.fast.job import Job, Settings
from dialoeval.generation.types import TokenReply, TokenRequest

if TYPE_CHECKING:
    from dialoeval.generation.engines.fast.network import Network
    from dialoeval.generation.engines.fast.scoring import Pair

PipeEnd: TypeAlias = "Connection[Any, Any]"
_STOP_SECONDS = 5.0  # after this time a worker is killed


class Pool:
    """Worker processes that share one network.

    Raises:
        UserError: the weights do not fit a temporary folder, or a worker ended.
    """

    def __init__(self, network: Network, settings: Settings, count: int):
        blueprint = weights_file.save(network)
        self.connections: list[PipeEnd] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        try:
            for _ in range(count):
                self._start()
            for connection in self.connections:
                self._send(connection, (blueprint, settings, count))
            for connection in self.connections:
                self._receive(connection)  # "ready": the weights are mapped
        except BaseException:
            self.close()
            raise
        finally:
            os.unlink(blueprint.path)

    def generate(self, job: Job, requests: Sequence[TokenRequest], counters: Counters) -> Iterator[TokenReply]:
        """Yield the replies to `requests`, which the workers start in order."""
        queue = deque(requests)

        def give(count: int) -> list[TokenRequest]:
            return [queue.popleft() for _ in range(min(count, len(queue)))]

        for replies in self._run(("generate", job), give, counters):
            yield from replies

    def score(self, batches: Sequence[list[tuple[int, Pair]]], counters: Counters) -> Iterator[tuple[int, float]]:
        """Yield (number, score) of numbered pairs."""
        queue = deque(batches)
        for scores in self._run(("score", None), lambda _: queue.popleft() if queue else [], counters):
            yield from scores

    def close(self) -> None:
        """Stop all workers."""
        for connection in self.connections:
            connection.close()  # ends a worker that waits for work
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.connections, self.processes = [], []

    def _run(self, task: tuple[str, Any], give: Callable[[int], list[Any]], counters: Counters) -> Iterator[Any]:
        """Yield the results of a task until every worker is done; on an error or an early stop, stop all workers."""
        finished = False
        try:
            for connection in self.connections:
                self._send(connection, task)
            busy = list(self.connections)
            while busy:
                ready = wait(busy)
                for connection in [connection for connection in busy if connection in ready]:
                    kind, content = self._receive(connection)
                    if kind == "more":
                        self._send(connection, give(content))
                    elif kind == "results":
                        yield content
                    else:
                        counters.merge(content)
                        busy.remove(connection)
            finished = True
        finally:
            if not finished:
                self.close()

    def _start(self) -> None:
        parent, child = socket.socketpair()
        root = str(Path(__file__).resolve().parents[4])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [sys.executable, "-m", "dialoeval.generation.engines.fast.worker", str(child.fileno())],
            pass_fds=[child.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )
        child.close()
        connection: PipeEnd = Connection(parent.detach())
        self.connections.append(connection)
        self.processes.append(process)

    def _send(self, connection: PipeEnd, message: Any) -> None:
        try:
            connection.send(message)
        except OSError as error:
            raise self._death(connection) from error

    def _receive(self, connection: PipeEnd) -> tuple[str, Any]:
        try:
            kind, content = connection.recv()
        except (EOFError, OSError) as error:
            raise self._death(connection) from error
        if kind == "refused":
            raise UserError(content)
        if kind == "failed":
            raise RuntimeError(f"a generation worker failed:\n{content}")
        return kind, content

    def _death(self, connection: PipeEnd) -> UserError:
        process = self.processes[self.connections.index(connection)]
        try:
            code = process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        hint = " (the system does this when memory runs out)" if code == -signal.SIGKILL else ""
        return UserError(
            f"a generation worker (process {process.pid}) ended {how}{hint}; run again with a smaller engine.slots, or "
            "with engine.workers=1"
        )
