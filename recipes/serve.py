"""`rewright serve`: a rewriter and a layout model over HTTP."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.terminal import remark

if TYPE_CHECKING:
    from layout.server.service import LayoutService

_DESCRIPTION = """
Serve a trained rewriter: POST /v1/rewrite and GET /health. Where the model's answer cannot be used, the answer is the prompt itself
with "fallback_used": true, so that an image request never fails because of its rewriter.

Rooms beside it: POST /v1/layouts furnishes one, POST /v1/layouts/edit changes one; with "stream": true both tell how far they are.
/openapi.json has the schemas, GET /v1/layouts says whether a layout model is loaded. Without one, edits are placed by search alone.
"""
_EPILOG = """
examples:
  rewright serve                                     the newest rewriter in runs/, on 127.0.0.1:8000
  rewright serve --adapter runs/demo/rewriter --port 9000
  rewright serve --adapter none                      rooms alone, without a rewriter
  curl -s localhost:8000/v1/rewrite -H 'content-type: application/json' -d '{"prompt": "a couple of crimson discs"}'
  curl -s localhost:8000/v1/layouts -H 'content-type: application/json' -d '{"request": "a bedroom with a desk", "size": "3.4x3.6"}'
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "serve",
        help="serve a rewriter over HTTP",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--adapter", help="the rewriter's folder (default: the newest runs/*/rewriter), or none: rooms alone"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1: this machine only)"
    )
    parser.add_argument("--port", type=int, default=8000, help="port (default 8000)")
    parser.add_argument(
        "--backend",
        choices=("auto", "vllm", "transformers"),
        default="auto",
        help="what runs the rewriter (default auto)",
    )
    parser.add_argument(
        "--layout-model",
        help="folder of a layout model, or none (default: the embedded one)",
    )


def run(args: argparse.Namespace) -> int:
    from layout.server.routes import build_router
    from recipes.runs import rewriter_folder
    from rewriter import Rewriter
    from rewriter.server.app import check_port, serve

    if not 1 <= args.port <= 65535:
        raise ValueError(f"--port {args.port}: give a number from 1 to 65535")
    check_port(args.host, args.port)  # before the model: loading takes seconds
    rewriter = None
    if args.adapter != "none":
        try:
            folder = rewriter_folder(args.adapter)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}; --adapter none serves rooms alone") from error
        remark(f"loading {folder}")
        rewriter = Rewriter.from_pretrained(str(folder), backend=args.backend)
    rooms = build_router(layout_service(args.layout_model))
    at = f"http://{args.host}:{args.port}"
    remark(f"POST {at}/v1/rewrite    POST {at}/v1/layouts    POST {at}/v1/layouts/edit    GET {at}/health")
    serve(rewriter, host=args.host, port=args.port, routers=[rooms])
    return 0


def layout_service(model: str | None) -> LayoutService:
    """The layout model to serve. One that cannot be loaded is no reason not to serve the rewriter: it is said, here and to who asks."""
    from layout.server.service import LayoutService
    from recipes.layout_generate import load_backend

    if model == "none":
        return LayoutService(None, why="this server was started with --layout-model none")
    try:
        backend = load_backend(model, "transformers")
    except ValueError as error:
        remark(f"rooms are not served: {error}; edits of rooms are, by search alone")
        return LayoutService(None, why=f"no layout model: {error}")
    return LayoutService(backend, name="rooms_llama" if model is None else Path(model).name)
