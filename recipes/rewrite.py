"""`rewright rewrite`: one prompt from the command line, or a file of prompts, resumable."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.terminal import remark, say

if TYPE_CHECKING:
    from rewriter import Rewriter
    from rewriter.schema import RewriteResult

SAMPLED_TEMPERATURE = 0.7  # of --n above 1, as the server has it: n greedy rewrites would be one

_DESCRIPTION = """
Rewrite prompts with a trained rewriter. Where the model's answer cannot be used (it changes a colour, loses a number or a negation, is no
prompt at all), the prompt itself is returned, unchanged.
"""
_EPILOG = """
examples:
  rewright rewrite "a couple of crimson discs, nothing else"
  rewright rewrite --input prompts.txt --output rewritten.jsonl      one prompt per line; .jsonl and .csv with a "prompt" column too
  rewright rewrite "a fox" --adapter runs/grpo/rewriter --n 4

A run over a file goes on where it was stopped when the same command is given again.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "rewrite",
        help="rewrite one prompt, or a file of prompts",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prompt", nargs="?", help="the prompt to rewrite (or --input)")
    parser.add_argument("--input", type=Path, help="file of prompts: .txt, .jsonl or .csv")
    parser.add_argument("--output", type=Path, help="JSONL file for the rewrites (needed with --input)")
    parser.add_argument("--adapter", help="the rewriter's folder (default: the newest runs/*/rewriter)")
    parser.add_argument(
        "--backend",
        choices=("auto", "vllm", "transformers"),
        default="auto",
        help="what runs the model (default auto)",
    )
    parser.add_argument("--n", type=int, default=1, help="rewrites per prompt (default 1)")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the whole result of a single prompt, with reason and violations",
    )


def run(args: argparse.Namespace) -> int:
    if args.n < 1:
        raise ValueError(f"--n {args.n}: give a number of rewrites from 1 on")
    if (args.prompt is None) == (args.input is None):
        raise ValueError("give either a prompt or --input FILE (and --output FILE)")
    if args.input is not None:
        return _file(args)
    from recipes.runs import rewriter_folder
    from rewriter import Rewriter

    # One prompt does not pay for starting an engine.
    backend = "transformers" if args.backend == "auto" else args.backend
    rewriter = Rewriter.from_pretrained(str(rewriter_folder(args.adapter)), backend=backend)
    for result in _answers(rewriter, args.prompt, args.n):
        say(
            json.dumps(result.model_dump(exclude_none=True), ensure_ascii=False)
            if args.json
            else result.prompt
        )
        if result.fallback_used:
            remark(f"(returned unchanged: {result.reason})")
    return 0


def _answers(rewriter: Rewriter, prompt: str, n: int) -> list[RewriteResult]:
    """n rewrites of one prompt. Raises LLMError where the model did not answer: who asks for a rewrite wants to know."""
    from rewriter.llm import LLMError

    params = rewriter.params
    if n > 1 and params.temperature == 0:
        params = replace(params, temperature=SAMPLED_TEMPERATURE)
    log, cause = logging.getLogger("rewriter.rewriter"), []

    def keep(record: logging.LogRecord) -> bool:
        """The rewriter logs a traceback and falls back; here it becomes the one message of the command."""
        cause.extend([record.exc_info[1]] if record.exc_info else ())
        return not record.exc_info

    log.addFilter(keep)
    try:
        results = rewriter.rewrite([prompt], n=n, params=params)
    finally:
        log.removeFilter(keep)
    if any(result.reason == "upstream_error" for result in results):
        error = cause[0] if cause else None
        raise LLMError(f"the model did not answer: {error or 'no reason given'}") from error
    return results


def _file(args: argparse.Namespace) -> int:
    from recipes.runs import rewriter_folder
    from recipes.terminal import progress
    from rewriter import Rewriter
    from rewriter.batch import rewrite_file
    from rewriter.datasets import read_prompts

    if args.output is None:
        raise ValueError(
            "--input needs --output FILE.jsonl: that is where the rewrites go, and where an interrupted run goes on"
        )
    if args.n != 1:
        raise ValueError("--n is for a single prompt; a file gets one rewrite per prompt")
    total = len(read_prompts(args.input))  # a bad file costs no model start
    rewriter = Rewriter.from_pretrained(str(rewriter_folder(args.adapter)), backend=args.backend)
    finished = 0
    with progress("prompts", total) as ticker:

        def moved(done: int, _: int) -> None:
            nonlocal finished
            ticker.advance(done - finished)
            finished = done

        try:
            summary = rewrite_file(rewriter, args.input, args.output, on_progress=moved)
        except KeyboardInterrupt as stop:
            stop.add_note(f"What is done is in {args.output}; the same command goes on there.")
            raise
    say(
        f"{args.output}: {summary.total} prompts, {summary.skipped} were there, {summary.written} written, "
        f"{summary.changed} changed, {summary.fallbacks} returned as they were"
    )
    return 0
