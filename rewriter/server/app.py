"""A FastAPI application around one rewriter, and a blocking `serve` that says clearly why it cannot start."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from rewriter.rewriter import Rewriter


def create_app(
    rewriter: Rewriter | None,
    *,
    cache_entries: int = 4096,
    max_waiting: int = 256,
    routers: Sequence[Any] = (),
) -> Any:
    """The application: the rewrite routes, and `routers` of others beside them. Needs the `serve` extra (FastAPI)."""
    from fastapi import FastAPI

    from rewriter.server.routes import Service, build_router

    service = Service(rewriter, cache_entries=cache_entries, max_waiting=max_waiting)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if service.batcher:
            service.batcher.close()

    app = FastAPI(
        title="Rewright", summary="Prompt rewriting for image and video generators", lifespan=lifespan
    )
    app.state.rewriter_service = service
    for router in (build_router(service), *routers):
        app.include_router(router)
    return app


def check_port(host: str, port: int) -> None:
    """Raises OSError with one clear sentence if nothing can listen on host:port; cheap, so that it comes before loading a model."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot listen on {host}:{port} ({error.strerror}); choose another --port or --host",
            ) from error


def serve(rewriter: Rewriter | None, *, host: str = "127.0.0.1", port: int = 8000, **options: Any) -> None:
    """Serve until interrupted."""
    import uvicorn

    check_port(host, port)
    uvicorn.run(create_app(rewriter, **options), host=host, port=port, log_level="info")
