"""`POST /v1/rewrite` and `GET /health`.

A rewriter that fails does not fail the image: the answer is 200 with the original prompt, `fallback_used` and the header
`x-rewrite-fallback`; a client that wants an error instead sends `"on_failure": "error"` (502, or 504 for a missed deadline).
Bad input is 422, overload 429 with Retry-After, a rewriter not loaded yet 503.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from rewriter.dialects import Dialect, load_dialect
from rewriter.llm import SamplingParams
from rewriter.rewriter import Rewriter, fall_back
from rewriter.schema import RewriteChoice, RewriteRequest, RewriteResponse, RewriteResult, Usage
from rewriter.server.batching import Answer, Batcher, Overloaded
from rewriter.server.cache import SingleFlightCache, cache_key

_NOT_KEPT = {"upstream_error", "timeout"}
_SAMPLED_TEMPERATURE = 0.7  # for n > 1 without a temperature: n greedy rewrites would be one


class Service:
    """The state behind the routes: one rewriter, its queue and its cache. `rewriter` None means: not loaded."""

    def __init__(self, rewriter: Rewriter | None, *, cache_entries: int = 4096, max_waiting: int = 256):
        self.rewriter = rewriter
        self.batcher = Batcher(rewriter, max_waiting=max_waiting) if rewriter else None
        self.cache: SingleFlightCache[Answer] = SingleFlightCache(
            cache_entries, keep=lambda answer: all(r.reason not in _NOT_KEPT for r in answer.results)
        )
        self.started = time.monotonic()

    async def rewrite(self, request: RewriteRequest) -> tuple[list[Answer], bool]:
        """(an answer for each prompt, whether all came from the cache)."""
        assert self.rewriter is not None
        assert self.batcher is not None
        dialect = self._dialect(request)
        if request.mode == "off":
            return [_original(p, "off", request.n) for p in request.prompts], False
        params = self._params(request)
        answers = await asyncio.gather(
            *(self._one(prompt, request, params, dialect) for prompt in request.prompts)
        )
        return [answer for answer, _ in answers], all(hit for _, hit in answers)

    async def _one(
        self, prompt: str, request: RewriteRequest, params: SamplingParams, dialect: Dialect
    ) -> tuple[Answer, bool]:
        assert self.rewriter is not None
        assert self.batcher is not None
        batcher = self.batcher

        async def compute() -> Answer:
            return (await batcher.submit([prompt], request.n, params, dialect))[0]

        repeatable = params.temperature == 0 or params.seed is not None
        key = cache_key(
            prompt=prompt,
            revision=self.rewriter.revision,
            template=self.rewriter.template.fingerprint,
            target=dialect.model_dump(mode="json"),
            params=[params.max_tokens, params.temperature, params.top_p, params.seed],
            n=request.n,
        )
        work: Awaitable[tuple[Answer, bool]] = (
            self.cache.get(key, compute) if repeatable else _uncached(compute)
        )
        try:
            return await asyncio.wait_for(work, timeout=request.deadline_ms / 1000)
        except TimeoutError:
            return _original(prompt, "timeout", request.n), False

    def _dialect(self, request: RewriteRequest) -> Dialect:
        assert self.rewriter is not None
        if request.model not in (None, self.rewriter.name):
            raise HTTPException(
                422, f"model {request.model!r} is not served here; this is {self.rewriter.name!r}"
            )
        try:
            dialect = load_dialect(request.target) if request.target else self.rewriter.dialect
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        if request.max_words is not None:
            dialect = dialect.model_copy(update={"max_words": min(request.max_words, dialect.max_words)})
        return dialect

    def _params(self, request: RewriteRequest) -> SamplingParams:
        assert self.rewriter is not None
        base = self.rewriter.params
        temperature = base.temperature if request.temperature is None else request.temperature
        if request.n > 1 and request.temperature is None and temperature == 0:
            temperature = _SAMPLED_TEMPERATURE
        return SamplingParams(base.max_tokens, temperature, base.top_p, request.seed)


async def _uncached(compute: Callable[[], Awaitable[Answer]]) -> tuple[Answer, bool]:
    return await compute(), False


def _original(prompt: str, reason: str, n: int) -> Answer:
    return Answer((fall_back(prompt, reason),) * n, 0, 0)


def build_router(service: Service) -> APIRouter:
    """The routes over one service; mount them in any FastAPI app."""
    router = APIRouter()

    @router.post("/v1/rewrite", response_model=RewriteResponse)
    async def rewrite(request: RewriteRequest, response: Response) -> RewriteResponse:
        if service.rewriter is None:
            raise HTTPException(
                503, "the rewriter is not loaded yet; ask /health", headers={"Retry-After": "5"}
            )
        start = time.perf_counter()
        try:
            answers, cached = await service.rewrite(request)
        except Overloaded as error:
            raise HTTPException(429, str(error), headers={"Retry-After": "1"}) from error
        results = [result for answer in answers for result in answer.results]
        _report_fallback(request, results, response)
        return RewriteResponse(
            id=f"rw-{uuid.uuid4().hex[:24]}",
            created=int(time.time()),
            model=service.rewriter.name,
            revision=service.rewriter.revision,
            choices=[_choice(i, result, request.include_reasoning) for i, result in enumerate(results)],
            usage=_usage(answers, cached),
            latency_ms=round((time.perf_counter() - start) * 1000, 2),
            cached=cached,
            metadata=request.metadata,
        )

    @router.get("/health")
    async def health(request: Request) -> dict[str, Any]:
        loaded = service.rewriter is not None
        body: dict[str, Any] = {
            "status": "ok" if loaded else "loading",
            "uptime_s": round(time.monotonic() - service.started, 1),
        }
        if service.rewriter is not None:
            body |= {
                "model": service.rewriter.name,
                "revision": service.rewriter.revision,
                "dialect": service.rewriter.dialect.name,
            }
            body |= {
                "licence": service.rewriter.licence,
                "cache": {"entries": len(service.cache), "hits": service.cache.hits},
            }
        return body

    return router


def _report_fallback(request: RewriteRequest, results: Sequence[RewriteResult], response: Response) -> None:
    """The header with the first reason; for strict clients an error where the model, not a skip rule, is the reason."""
    reasons = [r.reason for r in results if r.reason]
    if not reasons:
        return
    response.headers["x-rewrite-fallback"] = reasons[0]
    if request.on_failure == "error":
        wrong = [r for r in reasons if r not in ("off", "empty", "too_long", "structured", "control_tokens")]
        if wrong:
            raise HTTPException(
                504 if "timeout" in wrong else 502,
                f"no rewrite: {wrong[0]}",
                headers={"x-rewrite-fallback": wrong[0]},
            )


def _choice(index: int, result: RewriteResult, include_reasoning: bool) -> RewriteChoice:
    return RewriteChoice(
        index=index,
        prompt=result.prompt,
        original_prompt=result.original,
        changed=result.changed,
        fallback_used=result.fallback_used,
        reason=result.reason,
        violations=result.violations,
        reasoning=result.think if include_reasoning else None,
    )


def _usage(answers: Sequence[Answer], cached: bool) -> Usage:
    if cached:
        return Usage()
    return Usage(
        prompt_tokens=sum(a.prompt_tokens for a in answers),
        completion_tokens=sum(a.completion_tokens for a in answers),
    )
