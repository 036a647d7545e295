"""`rewright serve` with rooms: a layout model that is not there is said, and the rewriter is served all the same."""

import httpx
import pytest

pytest.importorskip("fastapi")


def test_no_layout_model_is_a_reason_to_say_and_not_to_stop(tmp_path, capsys):
    from recipes.serve import layout_service

    off = layout_service("none")
    assert (off.backend, off.why) == (None, "this server was started with --layout-model none")
    missing = layout_service(str(tmp_path))
    assert missing.backend is None
    assert f"{tmp_path} holds no layout model" in missing.why
    assert "edits of rooms are, by search alone" in capsys.readouterr().err


async def test_both_routers_are_in_one_application():
    from layout.server.routes import build_router
    from recipes.serve import layout_service
    from rewriter.server.app import create_app

    app = create_app(None, routers=[build_router(layout_service("none"))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here") as http:
        assert (await http.get("/health")).json()["status"] == "loading"
        assert (await http.get("/v1/layouts")).json()["status"] == "no model"
        paths = (await http.get("/openapi.json")).json()["paths"]
        assert {"/v1/rewrite", "/v1/layouts", "/v1/layouts/edit"} <= set(paths)


def test_rooms_are_served_without_a_rewriter(tmp_path):
    """The command in a folder without a rewriter: it says how to go on without one, and does."""
    import socket
    import subprocess
    import sys
    import time

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "recipes.cli", "serve", "--port", port]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert refused.returncode != 0
    assert "--adapter none serves rooms alone" in refused.stderr
    server = subprocess.Popen([*command, "--adapter", "none"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        reply = None
        for _ in range(600):
            assert server.poll() is None
            try:
                reply = httpx.get(f"http://127.0.0.1:{port}/v1/layouts", timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        assert reply is not None
        assert (reply.json()["status"], reply.json()["model"]) == ("ok", "rooms_llama")
        body = {"request": "a bathroom", "size": "2.4x2.8", "n": 1, "tries": 1}
        made = httpx.post(f"http://127.0.0.1:{port}/v1/layouts", json=body, timeout=120)
        assert made.status_code == 200
        assert made.json()["scene"]["objects"]
    finally:
        server.terminate()
        server.wait(20)
