"""One thread asks the language model; requests that arrive meanwhile go together into its next call."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rewriter.dialects import Dialect
from rewriter.llm import SamplingParams
from rewriter.rewriter import Rewriter
from rewriter.schema import RewriteResult


class Overloaded(RuntimeError):
    """More prompts are waiting than the server takes."""


@dataclass(frozen=True)
class Answer:
    """Results of one job and the tokens its share of the batch took (prompt, completion)."""

    results: tuple[RewriteResult, ...]
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class _Group:
    """What may share one call of the model."""

    n: int
    params: SamplingParams
    dialect: str


class Batcher:
    """Queue in front of a `Rewriter`. A back end is not thread-safe, so that one thread owns it."""

    def __init__(self, rewriter: Rewriter, *, max_waiting: int = 256, max_batch: int = 32):
        self.rewriter = rewriter
        self.max_waiting = max_waiting
        self.max_batch = max_batch
        self._waiting: list[tuple[_Group, str, Dialect, asyncio.Future[Answer]]] = []
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rewriter")
        self._runner: asyncio.Task[None] | None = None

    async def submit(
        self, prompts: Sequence[str], n: int, params: SamplingParams, dialect: Dialect
    ) -> list[Answer]:
        """One answer for each prompt. Raises Overloaded before anything is queued."""
        if len(self._waiting) + len(prompts) > self.max_waiting:
            raise Overloaded(f"{len(self._waiting)} prompts are waiting; the limit is {self.max_waiting}")
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Answer]] = [loop.create_future() for _ in prompts]
        group = _Group(n, params, dialect.name)
        self._waiting += [
            (group, prompt, dialect, future) for prompt, future in zip(prompts, futures, strict=True)
        ]
        if self._runner is None or self._runner.done():
            self._runner = loop.create_task(self._run())
        return list(await asyncio.gather(*futures))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            # Those who gave up (deadline) are not asked for.
            self._waiting = [job for job in self._waiting if not job[3].done()]
            if not self._waiting:
                return
            group = self._waiting[0][0]
            batch = [job for job in self._waiting if job[0] == group][: self.max_batch]
            taken = {id(job) for job in batch}
            self._waiting = [job for job in self._waiting if id(job) not in taken]
            try:
                answers = await loop.run_in_executor(
                    self._thread, self._call, group, [j[1] for j in batch], batch[0][2]
                )
            except Exception as error:  # noqa: BLE001 - the waiting requests must hear of it; the loop must go on
                for *_, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (*_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    def _call(self, group: _Group, prompts: list[str], dialect: Dialect) -> list[Answer]:
        tally = self.rewriter.llm.tally
        before = (tally.prompt_tokens, tally.completion_tokens)
        results = self.rewriter.rewrite(prompts, group.n, params=group.params, dialect=dialect)
        read, written = tally.prompt_tokens - before[0], tally.completion_tokens - before[1]
        share = [(read + i) // len(prompts) for i in range(len(prompts))]  # shares add up to the whole
        shares = [(written + i) // len(prompts) for i in range(len(prompts))]
        return [
            Answer(tuple(results[i * group.n : (i + 1) * group.n]), share[i], shares[i])
            for i in range(len(prompts))
        ]

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
