"""Bytes of live tensors: what an accelerator would have to hold, counted on any device and on tensors without storage.

`LiveBytes` sees every operation. A storage counts from when it is first seen until it is freed, once, however many views it has.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MIB = 2**20


class LiveBytes(TorchDispatchMode):
    """`with LiveBytes() as live: ...`; then `live.now` and `live.peak` in bytes.

    Tensors that no operation touches inside the block are not seen: `hold(module)` counts what was there before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak = 0, 0
        self._seen: dict[int, weakref.ref[Any]] = {}

    def hold(self, *modules: torch.nn.Module) -> None:
        """Count the parameters and buffers of these modules."""
        for module in modules:
            for value in (*module.parameters(), *module.buffers()):
                self._count(value)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs, out)):
            if isinstance(leaf, torch.Tensor):
                self._count(leaf)
        self.peak = max(self.peak, self.now)
        return out

    def _count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = id(storage)
        held = self._seen.get(key)
        if held is not None and held() is storage:
            return
        size = storage.nbytes()

        def gone(_: Any, key: int = key, size: int = size) -> None:
            self.now -= size
            self._seen.pop(key, None)

        self._seen[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)


class _Attention(torch.autograd.Function):
    """What fused attention keeps for its backward: inputs, output and a number a query, never the L x L scores."""

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out = q.new_empty(*q.shape[:-1], v.shape[-1])
        ctx.save_for_backward(q, k, v, out, q.new_empty(q.shape[:-1], dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, ...]:
        q, k, v, *_ = ctx.saved_tensors
        return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


@contextmanager
def fused_attention() -> Iterator[None]:
    """Inside, `scaled_dot_product_attention` takes the memory it takes on a device with a fused kernel; without storage it would be written
    out. For counting only: its values mean nothing."""

    def attend(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any
    ) -> torch.Tensor:
        return _Attention.apply(query, key, value)  # type: ignore[return-value]

    original = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = attend
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = original


def bytes_of(*modules: torch.nn.Module) -> int:
    """Bytes of the parameters and buffers of these modules, each storage once."""
    values = {id(v.untyped_storage()): v for m in modules for v in (*m.parameters(), *m.buffers())}
    return sum(v.untyped_storage().nbytes() for v in values.values())
