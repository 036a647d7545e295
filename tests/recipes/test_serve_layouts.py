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
