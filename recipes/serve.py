"""`rewright serve`: a rewriter over HTTP."""

from __future__ import annotations

import argparse

from recipes.terminal import remark

_DESCRIPTION = """
Serve a trained rewriter: POST /v1/rewrite and GET /health. Where the model's answer cannot be used, the answer is the prompt itself
with "fallback_used": true, so that an image request never fails because of its rewriter.
"""
_EPILOG = """
examples:
  rewright serve                                     the newest rewriter in runs/, on 127.0.0.1:8000
  rewright serve --adapter runs/demo/rewriter --port 9000
  curl -s localhost:8000/v1/rewrite -H 'content-type: application/json' -d '{"prompt": "a couple of crimson discs"}'
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "serve",
        help="serve a rewriter over HTTP",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--adapter", help="the rewriter's folder (default: the newest runs/*/rewriter)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1: this machine only)"
    )
    parser.add_argument("--port", type=int, default=8000, help="port (default 8000)")
    parser.add_argument(
        "--backend",
        choices=("auto", "vllm", "transformers"),
        default="auto",
        help="what runs the model (default auto)",
    )


def run(args: argparse.Namespace) -> int:
    from recipes.runs import rewriter_folder
    from rewriter import Rewriter
    from rewriter.server.app import check_port, serve

    if not 1 <= args.port <= 65535:
        raise ValueError(f"--port {args.port}: give a number from 1 to 65535")
    check_port(args.host, args.port)  # before the model: loading takes seconds
    folder = rewriter_folder(args.adapter)
    remark(f"loading {folder}")
    rewriter = Rewriter.from_pretrained(str(folder), backend=args.backend)
    remark(f"POST http://{args.host}:{args.port}/v1/rewrite    GET http://{args.host}:{args.port}/health")
    serve(rewriter, host=args.host, port=args.port)
    return 0
