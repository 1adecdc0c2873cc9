"""One decode step of all rows; on CUDA replayed from graphs, since a small model's step is mostly kernel launches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dialoeval.generation.engines.fast.cache import ALIGNMENT

if TYPE_CHECKING:
    import torch

    from dialoeval.generation.engines.fast.cache import Cache
    from dialoeval.generation.engines.fast.network import Network

_SLOT_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 640, 768, 896, 1024)


class Stepper:
    """Runs the network on one new token a row."""

    def __init__(self, network: Network, cache: Cache):
        self.network, self.cache = network, cache

    def __call__(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        offsets: torch.Tensor,
        extent: int,
        rows: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return logits (rows, vocabulary).

        Args:
            tokens: (slots, rows) new tokens, positions: (slots, rows) theirs in the sequence, offsets: (slots, rows)
                theirs in the cache; all on the host.
            extent: cache positions in use, the new ones included.
            rows: numbers of the rows to compute; None: all.
        """
        return self.network.logits(self._hidden(tokens, positions, offsets, extent, rows))

    def _hidden(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        offsets: torch.Tensor,
        extent: int,
        rows: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return final hidden states (rows, width) of the new tokens, and keep their keys and values."""
        self.cache.open(offsets)
        tokens, positions = tokens.reshape(-1), positions.reshape(-1)
        if rows is not None:
            tokens, positions = tokens[rows], positions[rows]
        return self.network.hidden(tokens, positions, self.cache.step(offsets, extent, rows))


class GraphStepper(Stepper):
    """The same from CUDA graphs, one for each bucket of slots and of cache extent.

    Ended rows go through the layers too. The output head stays outside of the graphs: it is one launch, it is needed
    for the rows still running alone, and logits held by every graph would fill the memory.
    """

    def __init__(self, network: Network, cache: Cache):
        import torch

        super().__init__(network, cache)
        self.slots, self.rows, _ = cache.bias.shape
        head = network.weights["head"]
        # A graph reads and writes the addresses it was recorded with, so these two are never replaced.
        self.inputs = torch.zeros(3 * self.slots * self.rows, dtype=torch.long, device=network.device)
        self.hidden = head.new_zeros(self.slots * self.rows, head.shape[1])
        self.graphs: dict[tuple[int, int], Callable[[], object]] = {}  # by slots and extent: what replays the step
        self.pool: Any = None  # torch has no public type for it
        self.stream: torch.cuda.Stream | None = None

    def __call__(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        offsets: torch.Tensor,
        extent: int,
        rows: torch.Tensor | None,
    ) -> torch.Tensor:
        import torch

        count = len(tokens)
        slots = min(self.slots, next((size for size in _SLOT_BUCKETS if size >= count), self.slots))
        extent = -(-extent // ALIGNMENT) * ALIGNMENT  # no more than the capacity, which is such a multiple too
        # Slots that only fill up the bucket run token 0 at place 0. They are not in use: the next prompt overwrites
        # that place. Their rows open it, as all rows do theirs: one that looks at nothing may be not-a-number.
        inputs = torch.zeros(3, slots, self.rows, dtype=torch.long)
        inputs[:, :count] = torch.stack((tokens, positions, offsets))
        self._inputs(slots).copy_(inputs)  # and waits for it, since the host's tensor is gone after this call
        if (slots, extent) not in self.graphs:
            self.graphs[slots, extent] = self._record(self._step(slots, extent))
        self.graphs[slots, extent]()
        hidden = self.hidden[: count * self.rows]
        return self.network.logits(hidden if rows is None else hidden[rows.to(hidden.device)])

    def _inputs(self, slots: int) -> torch.Tensor:
        """Return (3, slots, rows) tokens, positions and offsets; contiguous, so that one copy fills it."""
        return self.inputs[: 3 * slots * self.rows].view(3, slots, self.rows)

    def _step(self, slots: int, extent: int) -> Callable[[], None]:
        """Return a step from `inputs` to `hidden` that allocates nothing that outlives it and never waits."""
        tokens, positions, offsets = self._inputs(slots)
        target = self.hidden[: slots * self.rows]

        def step() -> None:
            target.copy_(self._hidden(tokens, positions, offsets, extent))

        return step

    def _record(self, step: Callable[[], None]) -> Callable[[], object]:
        """Record a step, which may run meanwhile, and return what replays it."""
        import torch

        with torch.cuda.device(self.network.device):  # capture is of the current device, which may be another one
            if self.stream is None:
                # Its own: cuBLAS keeps a workspace for each stream, and torch frees it with any graph recorded there.
                self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            current = torch.cuda.current_stream()
            self.stream.wait_stream(current)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.stream(self.stream):
                # Once outside of the graph: libraries choose kernels and allocate workspaces on first use. And memory
                # that does not suffice shows here, where running out does not spoil a capture.
                try:
                    step()
                finally:
                    current.wait_stream(self.stream)  # even then: what the step uses may be freed next
                with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                    step()
        self.pool = graph.pool()  # shared, since graphs never run at the same time and leave nothing in it
        return graph.replay
