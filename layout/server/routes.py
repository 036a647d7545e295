"""`POST /v1/layouts`, `POST /v1/layouts/edit` and `GET /v1/layouts`.

A body that is not of the schema is 422 with the place in it; words that cannot be carried out (no type of room, an unknown verb, furniture
that is not there) are 400 with a message that begins with the field; a room without a model 503; overload 429; too large a body 413.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from layout.asking import Step
from layout.edit import Edited, edit
from layout.editing.words import read
from layout.generate import Candidate, Generated, generate
from layout.parse import ParseFailure
from layout.report import Report
from layout.request import room_for
from layout.schema import Room, Scene
from layout.server.schema import (
    MAX_ANSWERS,
    MAX_BODY_BYTES,
    MAX_REQUEST_CHARS,
    Answer,
    Changed,
    EditRequest,
    EditResponse,
    LayoutRequest,
    LayoutResponse,
    Status,
)
from layout.server.service import LayoutService, Overloaded

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "The room; with `stream`, events."},
    400: {"description": "The words cannot be carried out; `detail` begins with the field."},
    413: {"description": "The body is too large."},
    429: {"description": "Too many requests are waiting; ask again after `Retry-After` seconds."},
}  # fmt: skip


class _Bounded(APIRoute):
    """A route that stops reading a body above the limit, said beforehand or not."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
                raise _too_large()
            size = 0

            async def receive() -> Any:
                nonlocal size
                message = await request.receive()
                size += len(message.get("body", b""))
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                return message

            return await handle(Request(request.scope, receive))

        return bounded


def _too_large() -> HTTPException:
    return HTTPException(
        413, f"the body has more than {MAX_BODY_BYTES} bytes; a room of 200 objects has 40,000"
    )


def build_router(service: LayoutService) -> APIRouter:
    """The routes over one service; mount them in any FastAPI app."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        yield
        service.close()

    router = APIRouter(route_class=_Bounded, tags=["layouts"], lifespan=lifespan)

    @router.post(
        "/v1/layouts",
        response_model=LayoutResponse,
        responses={**_STREAM, 503: {"description": "No layout model is loaded."}},
    )
    async def layouts(body: LayoutRequest) -> Any:
        """Furnish a room as a sentence says: the best of `n` answers of the layout model by the validator, mended within bounds."""
        backend = service.backend
        if backend is None:
            raise HTTPException(503, service.why)
        room = _room(body)

        def work(tell: Callable[[Step], None]) -> LayoutResponse:
            began = time.perf_counter()
            found = generate(
                backend, room, body.request, n=body.n, plan=body.plan, keep=body.keep, mend=body.repair,
                temperature=body.temperature, seed=body.seed, tries=body.tries, space=body.space, progress=tell,
            )  # fmt: skip
            return _layout_response(found, service.name or "", body.svg, began)

        return await _answer(service, work, body.stream)

    @router.post("/v1/layouts/edit", response_model=EditResponse, responses=_STREAM)
    async def edits(body: EditRequest) -> Any:
        """Change a furnished room as a sentence says; everything the edit is not about keeps its pose exactly."""
        try:
            read(body.request, body.scene)
        except ValueError as error:
            raise HTTPException(400, f"request: {error}") from error

        def work(tell: Callable[[Step], None]) -> EditResponse:
            began = time.perf_counter()
            done = edit(
                service.backend, body.scene, body.request, n=body.n, mend=body.repair, temperature=body.temperature,
                seed=body.seed, tries=body.tries, progress=tell,
            )  # fmt: skip
            return _edit_response(done, service.name, body.svg, began)

        return await _answer(service, work, body.stream)

    @router.get("/v1/layouts", response_model=Status)
    async def status() -> Status:
        """Whether a layout model is loaded, and how many requests wait for it."""
        loaded = service.backend is not None
        return Status(
            status="ok" if loaded else "no model",
            model=service.name,
            message=None if loaded else service.why,
            waiting=service.waiting,
            abandoned=service.abandoned,
            limits={
                "n": MAX_ANSWERS,
                "request_characters": MAX_REQUEST_CHARS,
                "body_bytes": MAX_BODY_BYTES,
                "waiting": service.max_waiting,
            },
        )

    return router


async def _answer(
    service: LayoutService, work: Callable[[Callable[[Step], None]], BaseModel], stream: bool
) -> Any:
    try:
        if stream:
            service.refuse_overload()  # while a status can still be sent
            return StreamingResponse(_events(service, work), media_type="text/event-stream")
        return await service.run(work)
    except Overloaded as error:
        raise HTTPException(429, str(error), headers={"Retry-After": "5"}) from error
    except ValidationError:
        raise
    except ValueError as error:
        raise HTTPException(400, f"request: {error}") from error


async def _events(
    service: LayoutService, work: Callable[[Callable[[Step], None]], BaseModel]
) -> AsyncIterator[str]:
    """Server-sent events: progress, then the result or what went wrong."""
    try:
        async for event in service.events(work):
            if isinstance(event, Step):
                told = {"stage": event.stage, "done": event.done, "total": event.total}
                yield _event("progress", json.dumps(told))
            else:
                yield _event("result", event.model_dump_json())
    except Exception as error:  # noqa: BLE001 - the status line is sent; only an event can tell the client
        status = 429 if isinstance(error, Overloaded) else 400 if isinstance(error, ValueError) else 500
        detail = str(error) if status != 500 else f"the room could not be made ({type(error).__name__})"
        yield _event("error", json.dumps({"status": status, "detail": detail}))


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"


def _room(body: LayoutRequest) -> Room:
    if body.room is not None:
        return body.room
    try:
        return room_for(body.request, body.size, body.type, body.seed)[0]
    except ValueError as error:
        raise HTTPException(400, f"{'type' if 'what room' in str(error) else 'size'}: {error}") from error


def _layout_response(found: Generated, model: str, svg: bool, began: float) -> LayoutResponse:
    best = found.best
    return LayoutResponse(
        id=f"lay-{uuid.uuid4().hex[:24]}", model=model, scene=found.scene, raw=best.scene if best else None, report=found.report,
        raw_report=best.report if best else None, ok=found.report is not None and found.report.ok, unmet=found.unmet,
        moves=found.repaired.moves if found.repaired else (), asked_for=found.spec,
        answers=tuple(_in_a_line(c) for c in found.candidates), svg=_drawn(found.scene, found.report) if svg else None,
        latency_ms=_since(began),
    )  # fmt: skip


def _edit_response(done: Edited, model: str | None, svg: bool, began: float) -> EditResponse:
    return EditResponse(
        id=f"lay-{uuid.uuid4().hex[:24]}", model=model, scene=done.scene, raw=done.raw, report=done.report,
        before_report=done.before_report, ok=done.ok, operations=tuple(str(op) for op in done.edits.operations),
        notes=done.notes, unmet=done.unmet, locality=done.locality, source=done.source, moves=done.moves,
        changes=tuple(Changed(id=c.id, what=c.what, before=c.before, after=c.after) for c in done.changes),
        svg=_drawn(done.scene, done.report) if svg else None, latency_ms=_since(began),
    )  # fmt: skip


def _in_a_line(candidate: Candidate) -> Answer:
    if isinstance(candidate.parsed, ParseFailure):
        return Answer(parsed=False, why=candidate.parsed.message)
    assert candidate.report is not None
    report = candidate.report
    return Answer(
        parsed=True, plan=candidate.parsed.plan, objects=report.n_objects, faults=dict(report.codes)
    )


def _drawn(scene: Scene | None, report: Report | None) -> str | None:
    from layout.render import plan, svg

    return svg(plan(scene, report)) if scene is not None else None


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
