"""The worker process, which maps the shared weights and asks its parent over a pipe for work until the pipe closes."""

from __future__ import annotations

import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from dialoeval.errors import UserError
from dialoeval.generation.engines.fast import memory, packing, recovery, weights_file
from dialoeval.generation.engines.fast.counters import Counters

if TYPE_CHECKING:
    from dialoeval.generation.engines.fast.pool import PipeEnd


def serve(connection: PipeEnd) -> None:
    """Map the weights, then run tasks until the pipe closes."""
    import torch

    torch.set_num_threads(1)
    blueprint, settings, processes = connection.recv()
    network = packing.pack(weights_file.load(blueprint), processes)
    connection.send(("ready", None))
    while True:
        kind, job = connection.recv()
        counters = Counters()

        def ask(count: int) -> list[Any]:
            connection.send(("more", count))
            answer: list[Any] = connection.recv()
            return answer

        if kind == "generate":
            for reply in recovery.generate(network, settings, job, ask, counters):
                connection.send(("results", [reply]))
        else:
            while batch := ask(1):
                numbers, pairs = zip(*batch, strict=True)
                connection.send(("results", list(zip(numbers, recovery.score(network, pairs, counters), strict=True))))
        counters.peak_bytes = memory.peak_bytes(network.device)
        connection.send(("done", counters))


def main() -> None:
    """Run a worker on the pipe whose file descriptor is the program's argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent stops its workers
    connection: PipeEnd = Connection(int(sys.argv[1]))
    try:
        serve(connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent has ended or closed the pipe
    except UserError as error:
        connection.send(("refused", str(error)))
    except Exception:
        connection.send(("failed", traceback.format_exc()))


if __name__ == "__main__":
    main()
