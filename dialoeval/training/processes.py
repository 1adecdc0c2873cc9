"""The processes of a training that `accelerate launch` started: who computes what, and who writes.

Every process reads the data and takes the same steps. The first one alone writes, and reads what was written. An error
of one process that the user can put right is an error of all.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from dialoeval.errors import UserError

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

Result = TypeVar("Result")
Item = TypeVar("Item")


class LostProcess(Exception):
    """Another process of the training has ended; it tells why."""


def rank() -> int:
    """Return the number of this process among those that the launcher started; 0 where there is no launcher."""
    return int(os.environ.get("RANK", "0"))


def first_here() -> bool:
    """Return whether this process is the first that the launcher started on its machine."""
    return int(os.environ.get("LOCAL_RANK", rank())) == 0


@dataclass(frozen=True)
class Processes:
    """The processes of a training, as seen from one of them.

    Attributes:
        number: of this process, from 0.
        count: of all processes.
        accelerator: device and precision of this process; None: this process alone, for evaluation.
    """

    number: int
    count: int
    accelerator: Accelerator | Any

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.number == 0

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        device: torch.device = self.accelerator.device
        return device

    def part(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items of this process: every `count`-th."""
        return items[self.number :: self.count]

    def limit(self, micro_batch_tokens: int, batch_tokens: int) -> int:
        """Return the greatest tokens of a micro-batch: few enough that every process has one in most steps."""
        return micro_batch_tokens if self.count == 1 else min(micro_batch_tokens, -(-batch_tokens // self.count))

    def sum_numbers(self, numbers: Sequence[float]) -> list[float]:
        """Return the sums of numbers over all processes, in double precision."""
        if self.count == 1:
            return list(numbers)
        import torch

        sums = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        self._all_reduce([sums])
        return [float(number) for number in sums.tolist()]

    def sum_gradients(self, weights: Iterable[torch.nn.Parameter]) -> None:
        """Sum the gradients over all processes; a weight that none of them used keeps none."""
        if self.count == 1:
            return
        import torch

        trained = [weight for weight in weights if weight.requires_grad]
        used = torch.tensor([float(weight.grad is not None) for weight in trained], device=self.device)
        self._all_reduce([used])
        gradients: list[torch.Tensor] = []
        for weight, by in zip(trained, used.tolist(), strict=True):
            if by:
                weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
                gradients.append(weight.grad)
        self._all_reduce(gradients)

    def share(self, value: Any) -> Any:
        """Return the first process's value: a nest of dicts and lists, whose tensors travel one by one."""
        if self.count == 1:
            return value
        tensors: list[Any] = []
        skeleton = self.share_object(_taken_out(value, tensors) if self.first else None)
        shapes = self.share_object([(tensor.shape, tensor.dtype) for tensor in tensors])
        return _put_back(skeleton, [self._shared(tensor, *shape) for tensor, shape in _pairs(tensors, shapes)])

    def share_weights(self, model: Any) -> None:
        """Give every process the first one's weights, which rounding on another machine may have changed."""
        if self.count == 1:
            return
        import torch.distributed as dist

        with _connected():
            for tensor in (*model.parameters(), *model.buffers()):
                dist.broadcast(tensor.data, src=0)

    def share_object(self, value: Any) -> Any:
        """Return the first process's value, which is pickled."""
        if self.count == 1:
            return value
        from accelerate.utils import broadcast_object_list

        with _connected():
            return broadcast_object_list([value], from_process=0)[0]

    def on_first(self, work: Callable[[], Result]) -> Result:
        """Return to every process what the first one's work returns, or raise its `UserError` in each."""
        if self.count == 1:
            return work()
        result, error = self.share_object(_tried(work) if self.first else None)
        if error is not None:
            raise UserError(error)
        return result  # type: ignore[no-any-return]

    def everywhere(self, work: Callable[[], Result]) -> Result:
        """Do some work in every process; a `UserError` of any is raised in each, naming the process."""
        if self.count == 1:
            return work()
        from accelerate.utils import gather_object

        result, error = _tried(work)
        with _connected():
            errors: list[str | None] = gather_object([error])
        for number, text in enumerate(errors):
            if text is not None:
                raise UserError(text if number == 0 else f"process {number} of {self.count}: {text}")
        return result  # type: ignore[return-value]  # without an error there is a result

    def check_equal(self, value: Any, what: str) -> None:
        """Check that a value is the same in every process.

        Raises:
            UserError: it is not; the message names the process and its machine.
        """
        if self.count == 1:
            return
        from accelerate.utils import gather_object

        with _connected():
            found = gather_object([(platform.node(), value)])
        for number, (host, other) in enumerate(found):
            if other != found[0][1]:
                raise UserError(
                    f"process {number} on {host} has other {what} than process 0 on {found[0][0]}: every machine needs "
                    "the same files and settings"
                )

    def end(self) -> None:
        """Leave the group of processes, after a training that has ended well."""
        if self.count > 1:
            self.accelerator.end_training()

    def _all_reduce(self, tensors: Sequence[torch.Tensor]) -> None:
        import torch.distributed as dist

        with _connected():
            for handle in [dist.all_reduce(tensor, async_op=True) for tensor in tensors]:
                handle.wait()

    def _shared(self, tensor: Any, shape: Any, dtype: Any) -> Any:
        import torch
        import torch.distributed as dist

        sent = torch.empty(shape, dtype=dtype) if tensor is None else tensor
        sent = sent.to(self.device).contiguous()
        with _connected():
            dist.broadcast(sent, src=0)
        return sent


ALONE = Processes(0, 1, None)


def open_processes(cpu: bool, mixed_precision: str) -> Processes:
    """Return the processes that the launcher started; one without a launcher.

    Args:
        cpu: compute on the CPU, even if there is a GPU.
        mixed_precision: "no" or "bf16".

    Raises:
        UserError: the launcher was configured for a way of sharing that is not supported.
    """
    import torch
    from accelerate import Accelerator, DistributedType

    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    # without a GPU, accelerate would take each of several processes for one alone
    accelerator = Accelerator(cpu=cpu or (several and not torch.cuda.is_available()), mixed_precision=mixed_precision)
    plain = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
    if accelerator.distributed_type not in plain:
        raise UserError(
            f"accelerate is configured for {accelerator.distributed_type.value}: every process needs a whole model "
            "here (accelerate launch --multi_gpu)"
        )
    return Processes(accelerator.process_index, accelerator.num_processes, accelerator)


def _tried(work: Callable[[], Result]) -> tuple[Result | None, str | None]:
    """Return (result, None) or (None, text of a UserError)."""
    try:
        return work(), None
    except UserError as error:
        return None, str(error)


@contextlib.contextmanager
def _connected() -> Iterator[None]:
    """Turn the loss of a connection, for which the backends have no type of their own, into `LostProcess`."""
    try:
        yield
    except RuntimeError as error:
        raise LostProcess(str(error)) from error


def _taken_out(value: Any, tensors: list[Any]) -> Any:
    """Return a nest whose tensors are replaced by their places in `tensors`, which receives them."""
    import torch

    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return _Place(len(tensors) - 1)
    if isinstance(value, dict):
        return {key: _taken_out(entry, tensors) for key, entry in value.items()}
    return [_taken_out(entry, tensors) for entry in value] if isinstance(value, list) else value


def _put_back(value: Any, tensors: Sequence[Any]) -> Any:
    if isinstance(value, _Place):
        return tensors[value.number]
    if isinstance(value, dict):
        return {key: _put_back(entry, tensors) for key, entry in value.items()}
    return [_put_back(entry, tensors) for entry in value] if isinstance(value, list) else value


def _pairs(tensors: Sequence[Any], shapes: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(tensors or [None] * len(shapes), shapes, strict=True)


@dataclass(frozen=True)
class _Place:
    """Stands for a tensor."""

    number: int
