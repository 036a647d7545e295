"""The endpoint: its contract over ASGI, and once through a real uvicorn on loopback."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from rewriter.llm import LLMError
from rewriter.rewriter import Rewriter
from rewriter.server.app import check_port, create_app
from rewriter.server.cache import SingleFlightCache
from tests.rewriter.conftest import ScriptedLLM
from tests.rewriter.test_rewriter import make

pytest.importorskip("fastapi")


class SlowLLM(ScriptedLLM):
    """Waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.gate = threading.Event(), threading.Event()

    def generate(self, messages, n=1, params=None):
        self.started.set()
        self.gate.wait(10)
        return super().generate(messages, n, params)


def client(rewriter: Rewriter | None, **options: int) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=create_app(rewriter, **options))
    return httpx.AsyncClient(transport=transport, base_url="http://rewriter")


@pytest.fixture
async def http(scripted: ScriptedLLM) -> AsyncIterator[httpx.AsyncClient]:
    async with client(make(scripted)) as session:
        yield session


async def test_one_prompt_gets_one_choice(http, scripted):
    reply = await http.post("/v1/rewrite", json={"prompt": "a few red discs", "metadata": {"mine": 1}})
    body = reply.json()
    assert reply.status_code == 200
    assert body["choices"] == [
        {"index": 0, "prompt": "two red circles", "original_prompt": "a few red discs", "changed": True, "fallback_used": False,
         "reason": None, "violations": [], "reasoning": None}
    ]  # fmt: skip
    assert (body["model"], body["cached"], body["metadata"]) == ("rewriter", False, {"mine": 1})
    assert body["usage"] == {"prompt_tokens": 4, "completion_tokens": 3}
    assert "x-rewrite-fallback" not in reply.headers


async def test_several_prompts_and_choices_are_prompt_major(http):
    body = (
        await http.post("/v1/rewrite", json={"prompt": ["a pair of discs", "", "two dots"], "n": 2})
    ).json()
    assert [c["index"] for c in body["choices"]] == list(range(6))
    assert [c["original_prompt"] for c in body["choices"]] == ["a pair of discs"] * 2 + [""] * 2 + [
        "two dots"
    ] * 2


async def test_the_second_time_comes_from_the_cache(http, scripted):
    for cached in (False, True):
        body = (await http.post("/v1/rewrite", json={"prompt": "two dots"})).json()
        assert body["cached"] is cached
    assert body["usage"] == {"prompt_tokens": 0, "completion_tokens": 0}
    assert scripted.asked == ["two dots"]


async def test_another_target_or_seed_is_another_entry_and_unseeded_samples_are_not_kept(http, scripted):
    for extra in ({}, {"target": "sdxl"}, {"seed": 1, "temperature": 1.0}, {"max_words": 3}):
        await http.post("/v1/rewrite", json={"prompt": "two dots"} | extra)
    assert len(scripted.asked) == 4
    for _ in range(2):
        await http.post("/v1/rewrite", json={"prompt": "two dots", "temperature": 1.0})
    assert len(scripted.asked) == 6


async def test_several_choices_without_a_temperature_are_sampled(http, scripted):
    await http.post("/v1/rewrite", json={"prompt": "two dots", "n": 2})
    assert scripted.params[-1].temperature > 0


async def test_mode_off_returns_the_original_without_a_call(http, scripted):
    reply = await http.post("/v1/rewrite", json={"prompt": "two dots", "mode": "off", "on_failure": "error"})
    assert reply.json()["choices"][0]["reason"] == "off"
    assert reply.headers["x-rewrite-fallback"] == "off"
    assert scripted.asked == []


async def test_a_failing_model_gives_200_and_the_original_or_502_on_request():
    llm = ScriptedLLM(answers={"two dots": LLMError("gone")})
    async with client(make(llm)) as http:
        reply = await http.post("/v1/rewrite", json={"prompt": "two dots"})
        assert (reply.status_code, reply.headers["x-rewrite-fallback"]) == (200, "upstream_error")
        assert reply.json()["choices"][0]["prompt"] == "two dots"
        strict = await http.post("/v1/rewrite", json={"prompt": "two dots", "on_failure": "error"})
        assert (strict.status_code, strict.json()["detail"]) == (502, "no rewrite: upstream_error")
        llm.answers.clear()  # a failure is not kept
        assert (await http.post("/v1/rewrite", json={"prompt": "two dots"})).json()["choices"][0]["changed"]


async def test_a_missed_deadline_gives_the_original_or_504_and_the_answer_is_kept():
    llm = SlowLLM()
    async with client(make(llm)) as http:
        late = await http.post("/v1/rewrite", json={"prompt": "two dots", "deadline_ms": 50})
        assert (
            late.json()["choices"][0] | {"reason": "timeout", "prompt": "two dots"}
            == late.json()["choices"][0]
        )
        strict = await http.post(
            "/v1/rewrite", json={"prompt": "two dots", "deadline_ms": 50, "on_failure": "error"}
        )
        assert strict.status_code == 504
        llm.gate.set()
        for _ in range(100):
            reply = await http.post("/v1/rewrite", json={"prompt": "two dots"})
            if reply.json()["cached"]:
                break
            await asyncio.sleep(0.02)
        assert reply.json()["choices"][0]["changed"]
        assert llm.asked == ["two dots"]


async def test_equal_requests_at_once_are_one_call_and_different_ones_share_a_batch():
    llm = SlowLLM()
    async with client(make(llm)) as http:
        first = asyncio.create_task(http.post("/v1/rewrite", json={"prompt": "first dots"}))
        await asyncio.to_thread(llm.started.wait, 5)
        others = [
            asyncio.create_task(http.post("/v1/rewrite", json={"prompt": p}))
            for p in ("two dots", "two dots", "a duo", "2 red")
        ]
        await asyncio.sleep(0.2)
        llm.gate.set()
        replies = await asyncio.gather(first, *others)
    assert all(r.status_code == 200 for r in replies)
    assert sorted(llm.asked) == ["2 red", "a duo", "first dots", "two dots"]
    assert llm.batches == [1, 3]


async def test_overload_is_429_with_retry_after():
    llm = SlowLLM()
    async with client(make(llm), max_waiting=2) as http:
        first = asyncio.create_task(http.post("/v1/rewrite", json={"prompt": "first dots"}))
        await asyncio.to_thread(llm.started.wait, 5)
        waiting = asyncio.create_task(http.post("/v1/rewrite", json={"prompt": ["a duo", "2 red"]}))
        await asyncio.sleep(0.1)
        refused = await http.post("/v1/rewrite", json={"prompt": "two dots"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        llm.gate.set()
        assert (await first).status_code == (await waiting).status_code == 200


BAD = [
    ({}, "prompt"), ({"prompt": 3}, "prompt"), ({"prompt": []}, "1 to 64 prompts"), ({"prompt": "a", "n": 0}, "n"),
    ({"prompt": "a", "temprature": 1}, "temprature"), ({"prompt": "a", "mode": "magic"}, "mode"),
    ({"prompt": "a", "target": "sdxxl"}, "unknown dialect 'sdxxl'"), ({"prompt": "a", "model": "gpt"}, "model 'gpt' is not served here"),
    ({"prompt": "x" * 100_001}, "the limit is 100000"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), BAD)
async def test_bad_input_is_422_and_says_what_is_wrong(http, body, message):
    reply = await http.post("/v1/rewrite", json=body)
    assert reply.status_code == 422
    assert message in reply.text


async def test_a_prompt_of_20000_characters_goes_through_as_it_came(http, scripted):
    prompt = "red circle " * 1819
    choice = (await http.post("/v1/rewrite", json={"prompt": prompt})).json()["choices"][0]
    assert (choice["prompt"], choice["reason"]) == (prompt, "too_long")
    assert scripted.asked == []


async def test_reasoning_is_sent_on_request_only():
    llm = ScriptedLLM(default="<think>count</think><answer>two red circles on a table</answer>")
    async with client(make(llm, "general", "promptenhancer")) as http:
        replies = [
            (await http.post("/v1/rewrite", json={"prompt": "two discs", "include_reasoning": x})).json()
            for x in (False, True)
        ]
    assert [r["choices"][0]["reasoning"] for r in replies] == [None, "count"]


async def test_health_tells_what_is_served(http):
    body = (await http.get("/health")).json()
    assert (body["status"], body["model"], body["dialect"], body["cache"]["entries"]) == (
        "ok",
        "rewriter",
        "shapes",
        0,
    )


async def test_before_the_model_is_loaded_the_answer_is_503():
    async with client(None) as http:
        assert (await http.get("/health")).json()["status"] == "loading"
        reply = await http.post("/v1/rewrite", json={"prompt": "two dots"})
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")


async def test_the_cache_forgets_the_oldest_and_keeps_no_failure():
    cache: SingleFlightCache[int] = SingleFlightCache(2, keep=lambda value: value >= 0)

    async def give(value: int) -> int:
        return value

    for key, value in (("a", 1), ("b", 2), ("a", 0), ("c", 3), ("d", -1)):
        await cache.get(key, lambda value=value: give(value))
    assert await cache.get("a", lambda: give(9)) == (1, True)
    assert await cache.get("b", lambda: give(9)) == (9, False)
    assert await cache.get("d", lambda: give(9)) == (9, False)


async def test_an_error_in_the_computation_reaches_all_who_wait_and_is_not_kept():
    cache: SingleFlightCache[int] = SingleFlightCache(2)

    async def fail() -> int:
        await asyncio.sleep(0.01)
        raise LLMError("gone")

    answers = await asyncio.gather(*(cache.get("a", fail) for _ in range(3)), return_exceptions=True)
    assert [str(a) for a in answers] == ["gone"] * 3
    assert len(cache) == 0


def test_a_port_in_use_is_one_clear_sentence():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            OSError,
            match=rf"cannot listen on 127.0.0.1:{port} \(Address already in use\); choose another --port",
        ):
            check_port("127.0.0.1", port)


def test_a_real_server_answers_on_loopback(scripted):
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(create_app(make(scripted)), host="127.0.0.1", port=0, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
            assert http.get("/health").json()["status"] == "ok"
            body = http.post("/v1/rewrite", json={"prompt": "zwei rote Scheiben"}).json()
            assert body["choices"][0]["prompt"] == "two red circles"
    finally:
        server.should_exit = True
        thread.join(10)
    assert not thread.is_alive()
