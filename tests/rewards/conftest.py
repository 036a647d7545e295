"""Bridges over a deterministic colour generator and exact readings of it: no model, no network, no files outside tmp."""

from collections.abc import Callable
from typing import Any

import pytest

from rewards.bridge import Bridge
from rewards.retries import RetryPolicy
from rewards.store import Store
from rewards.testing import Brightness, ColourGenerator

FAST = RetryPolicy(extra_tries=2, backoff_s=0.01)


@pytest.fixture
def make_bridge() -> Callable[..., Bridge]:
    """A bridge without guards, two images per prompt, an empty cache in memory and quick retries."""

    def make(generator: Any = None, reward: Any = None, **options: Any) -> Bridge:
        options = {
            "images_per_prompt": 2,
            "store": Store(":memory:"),
            "retries": FAST,
            "deadline_s": 120.0,
            "call_timeout_s": 60.0,
            **options,
        }
        return Bridge(generator or ColourGenerator(), reward or Brightness(), **options)

    return make


@pytest.fixture
def call() -> Callable[..., Any]:
    """Call a bridge as TRL does; returns (rewards, metrics, extras)."""
    import asyncio

    def run(bridge: Bridge, prompts: list[str], completions: list[Any], **columns: Any) -> Any:
        metrics: dict[str, float] = {}
        extras: dict[str, list[Any]] = {}
        columns = {"prompt_text": prompts, "row_id": [f"row {p}" for p in prompts], **columns}
        rewards = asyncio.run(
            bridge(
                prompts=[[{"role": "user", "content": p}] for p in prompts],
                completions=[
                    c if isinstance(c, list) else [{"role": "assistant", "content": c}] for c in completions
                ],
                completion_ids=[[1]] * len(prompts),
                log_metric=metrics.__setitem__,
                log_extra=extras.__setitem__,
                **columns,
            )
        )
        return rewards, metrics, extras

    return run
