"""Worker processes on CPU: several processes of one thread each beat one process of several threads.

A worker is a fresh interpreter (nothing is forked, and the caller's main module is not imported again) that maps the
shared weights and asks over a pipe for work whenever it has room. Which worker answers a request changes no reply.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialoeval.errors import UserError
from dialoeval.generation.engines.fast import memory, packing, running, sharing
from dialoeval.generation.engines.fast.accounting import Accounts
from dialoeval.generation.types import TokenReply, TokenRequest

if TYPE_CHECKING:
    from dialoeval.generation.engines.fast.network import Network
    from dialoeval.generation.engines.fast.scoring import Pair

_STOP_SECONDS = 5.0  # a worker that does not end by itself in this time is killed


class Pool:
    """Workers that share one network."""

    def __init__(self, network: Network, settings: running.Settings, count: int):
        blueprint = sharing.save(network)
        self.connections: list[Connection] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        try:
            for _ in range(count):
                self._start()
            for connection in self.connections:
                self._send(connection, (blueprint, settings, count))
            for connection in self.connections:
                self._receive(connection)  # it has mapped the weights
        except BaseException:
            self.close()
            raise
        finally:
            os.unlink(blueprint.path)

    def generate(self, job: running.Job, requests: Sequence[TokenRequest], accounts: Accounts) -> Iterator[TokenReply]:
        """Yield the replies to `requests`, which workers take in order."""
        queue = deque(requests)

        def give(count: int) -> list[TokenRequest]:
            return [queue.popleft() for _ in range(min(count, len(queue)))]

        for replies in self._run(("generate", job), give, accounts):
            yield from replies

    def score(self, batches: Sequence[list[tuple[int, Pair]]], accounts: Accounts) -> Iterator[tuple[int, float]]:
        """Yield (number, score) of numbered pairs."""
        queue = deque(batches)
        for scores in self._run(("score", None), lambda _: queue.popleft() if queue else [], accounts):
            yield from scores

    def close(self) -> None:
        """End all workers."""
        for connection in self.connections:
            connection.close()  # a worker that waits for work sees the end of the pipe
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.connections, self.processes = [], []

    def _run(self, task: tuple[str, Any], give: Callable[[int], list[Any]], accounts: Accounts) -> Iterator[Any]:
        """Serve the workers until each is done; if anything goes wrong or the caller stops early, end them all."""
        finished = False
        try:
            for connection in self.connections:
                self._send(connection, task)
            busy = list(self.connections)
            while busy:
                for connection in wait(busy):
                    kind, content = self._receive(connection)
                    if kind == "more":
                        self._send(connection, give(content))
                    elif kind == "results":
                        yield content
                    else:
                        accounts.merge(content)
                        busy.remove(connection)
            finished = True
        finally:
            if not finished:
                self.close()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        root = str(Path(__file__).resolve().parents[4])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [sys.executable, "-m", "dialoeval.generation.engines.fast.workers", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )
        theirs.close()
        self.connections.append(Connection(ours.detach()))
        self.processes.append(process)

    def _send(self, connection: Connection, message: Any) -> None:
        try:
            connection.send(message)
        except OSError as error:
            raise self._death(connection) from error

    def _receive(self, connection: Connection) -> tuple[str, Any]:
        try:
            kind, content = connection.recv()
        except (EOFError, OSError) as error:
            raise self._death(connection) from error
        if kind == "refused":
            raise UserError(content)
        if kind == "failed":
            raise RuntimeError(f"a generation worker failed:\n{content}")
        return kind, content

    def _death(self, connection: Connection) -> UserError:
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


def serve(connection: Connection) -> None:
    """A worker's life: map the weights, then do tasks until the pipe is closed."""
    import torch

    torch.set_num_threads(1)
    blueprint, settings, processes = connection.recv()
    network = packing.pack(sharing.load(blueprint), processes)
    connection.send(("ready", None))
    while True:
        kind, job = connection.recv()
        accounts = Accounts()

        def ask(count: int) -> list[Any]:
            connection.send(("more", count))
            return connection.recv()

        if kind == "generate":
            for reply in running.generate(network, settings, job, ask, accounts):
                connection.send(("results", [reply]))
        else:
            while batch := ask(1):
                numbers, pairs = zip(*batch, strict=True)
                connection.send(("results", list(zip(numbers, running.score(network, pairs, accounts), strict=True))))
        accounts.peak_bytes = memory.peak_bytes(network.device)
        connection.send(("done", accounts))


def main() -> None:
    """Entry of the worker process; its argument is the number of the pipe's file descriptor."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    connection = Connection(int(sys.argv[1]))
    try:
        serve(connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone or has closed the pipe
    except UserError as error:
        connection.send(("refused", str(error)))
    except Exception:
        connection.send(("failed", traceback.format_exc()))


if __name__ == "__main__":
    main()
