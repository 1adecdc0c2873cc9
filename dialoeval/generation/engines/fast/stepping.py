"""One decode step of all rows; on CUDA replayed from graphs, since a small model's step is mostly kernel launches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from dialoeval.generation.engines.fast.cache import Cache
    from dialoeval.generation.engines.fast.network import Network

_SLOT_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 640, 768, 896, 1024)
_EXTENT_BUCKET = 64


class Stepper:
    """Runs the network on one new token a row."""

    def __init__(self, network: Network, cache: Cache):
        self.network, self.cache = network, cache

    def __call__(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        places: torch.Tensor,
        extent: int,
        rows: torch.Tensor | None,
    ) -> torch.Tensor:
        """Logits (rows, vocabulary).

        Args:
            tokens: (slots, rows) new tokens, positions: (slots, rows) theirs in the sequence, places: (slots, rows)
                theirs in the cache; all on the host.
            extent: cache positions in use, the new ones included.
            rows: numbers of the rows to compute; None: all.
        """
        self.cache.open(places)
        tokens, positions = tokens.reshape(-1), positions.reshape(-1)
        if rows is not None:
            tokens, positions = tokens[rows], positions[rows]
        hidden = self.network.hidden(tokens, positions, self.cache.step(places, extent, rows))
        return self.network.logits(hidden)


class GraphStepper(Stepper):
    """The same from CUDA graphs, one for each bucket of slots and of cache extent; ended rows are computed too."""

    def __init__(self, network: Network, cache: Cache):
        import torch

        super().__init__(network, cache)
        slots, rows, self.capacity = cache.bias.shape
        self.slots = slots
        self.inputs = torch.zeros(3, slots, rows, dtype=torch.long, device=network.device)
        self.graphs: dict[tuple[int, int], tuple[torch.cuda.CUDAGraph, torch.Tensor]] = {}
        self.pool = None

    def __call__(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        places: torch.Tensor,
        extent: int,
        rows: torch.Tensor | None,
    ) -> torch.Tensor:
        import torch

        count = len(tokens)
        slots = min(self.slots, next((size for size in _SLOT_BUCKETS if size >= count), self.slots))
        extent = min(self.capacity, -(-extent // _EXTENT_BUCKET) * _EXTENT_BUCKET)
        self.inputs[:, :count].copy_(torch.stack((tokens, positions, places)), non_blocking=True)
        self.cache.open(self.inputs[2, :count])
        if (slots, extent) not in self.graphs:
            self.graphs[slots, extent] = self._capture(slots, extent)
        graph, logits = self.graphs[slots, extent]
        graph.replay()
        logits = logits[: count * self.cache.rows]
        return logits if rows is None else logits[rows.to(logits.device)]

    def _capture(self, slots: int, extent: int) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
        """Record a step. The slots beyond those in use write at stale places of their own, which nobody reads."""
        import torch

        tokens, positions, places = self.inputs[:, :slots]

        def step() -> torch.Tensor:
            attend = self.cache.step(places, extent)
            return self.network.logits(self.network.hidden(tokens.reshape(-1), positions.reshape(-1), attend))

        # Once outside of the graph: libraries allocate their workspaces on first use. A side stream, as capture wants.
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            logits = step()
        self.pool = self.pool or graph.pool()
        return graph, logits
