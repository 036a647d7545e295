"""The layout endpoints through a real uvicorn on loopback: rooms, edits, events, and what is said about bodies that cannot be answered."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from layout import synthesis
from layout.asking import Asked
from layout.schema import Scene
from layout.serialise import answer_text
from layout.server.schema import MAX_BODY_BYTES
from layout.server.service import LayoutService
from tests.layout.test_generate import Reciter

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")

SCENE = synthesis.draw("bedroom", "server", 0).scene


@dataclass
class Waiting(Reciter):
    """Recites when it is let go."""

    started: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)

    def complete(self, asked: Sequence[Asked], *, temperature: float, seed: int) -> list[str]:
        self.started.set()
        assert self.gate.wait(20)
        return super().complete(asked, temperature=temperature, seed=seed)


@contextmanager
def served(service: LayoutService) -> Iterator[httpx.Client]:
    from fastapi import FastAPI

    from layout.server.routes import build_router

    app = FastAPI()
    app.include_router(build_router(service))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            yield http
    finally:
        server.should_exit = True
        thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """A server whose model knows one room by heart."""
    with served(LayoutService(Reciter([answer_text(SCENE)]), name="reciter")) as client:
        yield client


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


ROOM = SCENE.room.model_dump(mode="json")
WHOLE = SCENE.model_dump(mode="json")


def test_a_room_comes_with_its_reports_and_its_plan(http):
    body = http.post("/v1/layouts", json={"request": "a bedroom", "room": ROOM, "n": 2, "svg": True}).json()
    assert Scene.model_validate(body["scene"]) == SCENE
    assert body["raw"] == body["scene"]
    assert (body["ok"], body["unmet"], body["model"]) == (True, [], "reciter")
    assert [a["parsed"] for a in body["answers"]] == [True, True]
    assert body["report"]["n_objects"] == len(SCENE.objects)
    assert body["svg"].startswith("<svg")


def test_a_size_and_a_type_will_do_for_a_room(http):
    body = http.post("/v1/layouts", json={"request": "desk at the window", "size": "3.4x3.6", "type": "bedroom", "n": 1}).json()  # fmt: skip
    assert body["scene"]["room"]["polygon"][2] == [340, 360]
    assert body["svg"] is None


def test_an_edit_keeps_the_rest_to_the_digit(http):
    name = next(o.id for o in SCENE.objects if not SCENE.by_id[o.id].on.startswith("wall"))
    body = http.post("/v1/layouts/edit", json={"request": f"remove {name}", "scene": WHOLE}).json()
    assert body["operations"] == [f"remove {name}"]
    assert (body["ok"], body["locality"], body["source"]) == (True, 1.0, "search")
    assert body["scene"]["objects"] == [o for o in WHOLE["objects"] if o["id"] != name and o["on"] != name]
    assert [c["what"] for c in body["changes"]] == ["removed"] * len(body["changes"])


def events(reply: httpx.Response) -> list[tuple[str, dict]]:
    found = []
    for block in reply.text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_stream_tells_how_far_it_is_and_ends_with_the_same_room(http):
    asked = {"request": "a bedroom", "room": ROOM, "n": 10}
    whole = http.post("/v1/layouts", json=asked).json()
    reply = http.post("/v1/layouts", json={**asked, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    *progress, last = events(reply)
    assert [e for e, _ in progress] == ["progress"] * len(progress)
    steps = [(d["stage"], d["done"], d["total"]) for _, d in progress]
    assert steps[:3] == [("plans", 0, 10), ("plans", 8, 10), ("rooms", 0, 10)]
    assert steps[-1] == ("rooms", 10, 10)
    assert last[0] == "result"
    assert last[1]["scene"] == whole["scene"]


def test_an_edit_streams_too(http):
    reply = http.post("/v1/layouts/edit", json={"request": "add a plant", "scene": WHOLE, "stream": True})
    found = events(reply)
    assert {"stage": "search", "done": 1, "total": 1} in [d for e, d in found if e == "progress"]
    assert found[-1][0] == "result"
    assert len(found[-1][1]["scene"]["objects"]) == len(SCENE.objects) + 1


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("", {"request": "something nice"}, 400, "type: 'something nice' does not say what room it is"),
        ("", {"request": "a bedroom", "size": "big"}, 400, "size: 'big' is no size"),
        ("", {"request": "a bedroom", "n": 65}, 422, "less than or equal to 64"),
        ("", {"request": "  "}, 422, "request"),
        ("", {"request": "a bedroom", "rooom": {}}, 422, "rooom"),
        ("", {"request": "a bedroom", "room": {**ROOM, "polygon": [[0, 0], [0, 300], [300, 300], [300, 0]]}}, 422, "clockwise"),
        ("", {"request": "a bedroom", "keep": WHOLE["objects"]}, 422, "give it as `room`"),
        ("", {"request": "a bedroom", "room": ROOM, "size": "3x3"}, 422, "leave `size` and `type` out"),
        ("", {"request": "x" * 2001, "room": ROOM}, 422, "at most 2000"),
        ("/edit", {"request": "wobble the bed", "scene": WHOLE}, 400, "request: 'wobble the bed': not understood; I know add"),
        ("/edit", {"request": "remove the bathtub", "scene": WHOLE}, 400, "request: 'remove the bathtub': there is no bathtub in the room"),
        ("/edit", {"request": "add a plant"}, 422, "scene"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_said_with_the_field(http, path, body, status, said):
    reply = http.post(f"/v1/layouts{path}", json=body)
    assert reply.status_code == status
    assert said in reply.text


def test_a_body_above_the_limit_is_refused_with_or_without_its_length(http):
    big = b" " * (MAX_BODY_BYTES + 1)
    head = {"content-type": "application/json"}
    assert http.post("/v1/layouts", content=big, headers=head).status_code == 413
    assert http.post("/v1/layouts", content=iter([big[:9], big]), headers=head).status_code == 413


def test_the_schema_is_in_the_openapi_document(http):
    document = http.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert schemas["LayoutRequest"]["properties"]["n"]["maximum"] == 64
    assert all("description" in p or "$ref" in p for p in schemas["EditRequest"]["properties"].values())
    for name, path in (("LayoutRequest", ""), ("EditRequest", "/edit")):
        responses = document["paths"][f"/v1/layouts{path}"]["post"]["responses"]
        assert "text/event-stream" in responses["200"]["content"]
        for example in schemas[name]["examples"]:  # the examples are answered
            assert http.post(f"/v1/layouts{path}", json=example | {"n": 1}).status_code == 200


def test_without_a_model_rooms_are_503_and_edits_are_searched():
    with served(LayoutService(None, why="no layout model: nothing there")) as http:
        reply = http.post("/v1/layouts", json={"request": "a bedroom"})
        assert (reply.status_code, reply.json()["detail"]) == (503, "no layout model: nothing there")
        body = http.post("/v1/layouts/edit", json={"request": "add a plant", "scene": WHOLE}).json()
        assert (body["source"], body["model"], body["ok"]) == ("search", None, True)
        assert http.get("/v1/layouts").json()["status"] == "no model"


def test_more_than_may_wait_are_turned_away_and_who_leaves_frees_the_model():
    model = Waiting([answer_text(SCENE)])
    asked = {"request": "a bedroom", "room": ROOM, "n": 1, "tries": 1, "stream": True}
    with served(LayoutService(model, max_waiting=1)) as http:
        with http.stream("POST", "/v1/layouts", json=asked):
            assert model.started.wait(20)
            reply = http.post("/v1/layouts", json=asked)
            assert (reply.status_code, reply.headers["retry-after"]) == (429, "5")
            assert http.get("/v1/layouts").json()["waiting"] == 1
        # The first client has left; its work ends at the next step, before the rooms are written.
        until(lambda: http.get("/v1/layouts").json()["abandoned"] == 1)
        model.gate.set()
        until(lambda: http.get("/v1/layouts").json()["waiting"] == 0)
        assert http.post("/v1/layouts", json=asked | {"stream": False}).status_code == 200
        assert sum(a.guide is not None for a in model.asked) == 1
