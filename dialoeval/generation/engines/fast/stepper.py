"""One decoding step of all rows. On CUDA it is replayed from graphs, since kernel launches dominate small models."""

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
    """A decoding step: the network on one new token per row."""

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
        """Return the logits (rows, vocabulary).

        Args:
            tokens: (slots, rows) new tokens, on the host.
            positions: (slots, rows) their positions in the sequences, on the host.
            offsets: (slots, rows) their positions in the cache, on the host.
            extent: number of cache positions in use, new tokens included.
            rows: numbers (slot * rows + row) of the rows to compute; None: all.
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
        """Return the final hidden states (rows, width) of the new tokens, and store their keys and values."""
        self.cache.open(offsets)
        tokens, positions = tokens.reshape(-1), positions.reshape(-1)
        if rows is not None:
            tokens, positions = tokens[rows], positions[rows]
        return self.network.hidden(tokens, positions, self.cache.step(offsets, extent, rows))


class GraphStepper(Stepper):
    """A decoding step from CUDA graphs, one per bucket of slots and of cache extents.

    The layers compute ended rows too. The output head is not part of the graphs: it is a single launch, only running
    rows need it, and the logits of every graph would fill the memory.
    """

    def __init__(self, network: Network, cache: Cache):
        import torch

        super().__init__(network, cache)
        self.slots, self.rows, _ = cache.bias.shape
        head = network.weights["head"]
        # Graphs read and write fixed addresses, so these two tensors are never replaced.
        self.inputs = torch.zeros(3 * self.slots * self.rows, dtype=torch.long, device=network.device)
        self.hidden = head.new_zeros(self.slots * self.rows, head.shape[1])
        self.graphs: dict[tuple[int, int], Callable[[], object]] = {}  # replay functions by slots and extent
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
        """Return the logits (rows, vocabulary); see `Stepper.__call__`."""
        import torch

        count = len(tokens)
        slots = min(self.slots, next((size for size in _SLOT_BUCKETS if size >= count), self.slots))
        extent = -(-extent // ALIGNMENT) * ALIGNMENT  # at most the capacity, which is a multiple too
        # Unused slots of the bucket run token 0 at position 0, which the next prompt overwrites. Their rows attend to
        # it: attention over nothing may be NaN.
        inputs = torch.zeros(3, slots, self.rows, dtype=torch.long)
        inputs[:, :count] = torch.stack((tokens, positions, offsets))
        self._inputs(slots).copy_(inputs)  # a blocking copy: the host's tensor is freed after this call
        if (slots, extent) not in self.graphs:
            self.graphs[slots, extent] = self._record(self._step(slots, extent))
        self.graphs[slots, extent]()
        hidden = self.hidden[: count * self.rows]
        return self.network.logits(hidden if rows is None else hidden[rows.to(hidden.device)])

    def _inputs(self, slots: int) -> torch.Tensor:
        """Return tokens, positions and offsets (3, slots, rows), contiguous, so that one copy fills them."""
        return self.inputs[: 3 * slots * self.rows].view(3, slots, self.rows)

    def _step(self, slots: int, extent: int) -> Callable[[], None]:
        """Return a step from `inputs` to `hidden` that leaves no new tensors and never waits for the device."""
        tokens, positions, offsets = self._inputs(slots)
        target = self.hidden[: slots * self.rows]

        def step() -> None:
            target.copy_(self._hidden(tokens, positions, offsets, extent))

        return step

    def _record(self, step: Callable[[], None]) -> Callable[[], object]:
        """Record a step, which also runs, and return its replay function."""
        import torch

        with torch.cuda.device(self.network.device):  # captures use the current device
            if self.stream is None:
                # A separate stream: cuBLAS has a workspace per stream, which torch frees with any graph of the stream.
                self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            current = torch.cuda.current_stream()
            self.stream.wait_stream(current)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.stream(self.stream):
                # First run the step outside of the graph: libraries choose kernels and allocate workspaces on first
                # use, and an out-of-memory error here does not break a capture.
                try:
                    step()
                finally:
                    current.wait_stream(self.stream)  # after an error too: the step's tensors may be freed next
                with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                    step()
        self.pool = graph.pool()  # shared: graphs run one at a time, and their results are elsewhere
        return graph.replay
