"""The command `rewright`: one sub-command per module, imported only when it is asked for.

A module offers `add_parser(subparsers)`, which documents it, and `run(args) -> int`. `train` and `data` hand their arguments on,
because a training run has TRL's grammar.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

COMMANDS = {
    "demo": ("recipes.demo", "the whole loop in one go: data, SFT, GRPO, evaluation, report"),
    "train": ("recipes.train", "train from a YAML configuration"),
    "plan": ("recipes.plan", "predict the memory of a preference run"),
    "data": ("recipes.rewriter_data", "make the training data of the rewriter"),
    "pairs": ("recipes.pairs", "make preference pairs from your own model, or score a set anew"),
    "fifa": ("recipes.fifa", "choose the most useful preference pairs"),
    "rewrite": ("recipes.rewrite", "rewrite one prompt, or a file of prompts"),
    "generate": ("recipes.generate", "make images of a prompt"),
    "evaluate": (
        "recipes.evaluate",
        "measure a rewriter against its baselines on the same seeds, or a layout model",
    ),
    "report": ("recipes.report", "write report.html of an evaluation"),
    "layout": (
        "recipes.layout_cli",
        "furnished 3D rooms: make, check, measure, draw, export, view, navigate",
    ),
    "serve": ("recipes.serve", "serve a rewriter over HTTP"),
    "cache": ("recipes.cache", "look at or clear the cache of images and scores"),
    "doctor": ("recipes.doctor", "what is installed, what is missing, how to get it"),
    "bench": ("recipes.bench", "measure the speed of the parts"),
}
HANDED_ON = ("train", "data")  # these modules read their arguments themselves: main(argv)

_EPILOG = """
examples:
  rewright demo                                  everything, in about half an hour on two cores
  rewright rewrite "a couple of crimson discs"    with the newest rewriter in runs/
  rewright generate "two red circles" -o x.png
  rewright evaluate --prompts mine.jsonl --adapter runs/demo/rewriter

`rewright COMMAND --help` explains a command. `--debug` shows the traceback of an error.
"""


def build_parser(wanted: str | None = None) -> argparse.ArgumentParser:
    """The parser; only the sub-command `wanted` gets its arguments (None: all of them), the others their line of help."""
    parser = argparse.ArgumentParser(
        prog="rewright",
        description="Train, measure and serve language models that write for image generators, and train the generators on preferences.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, about) in COMMANDS.items():
        if name in HANDED_ON or (wanted is not None and name != wanted):
            subparsers.add_parser(name, help=about, add_help=False)
        else:
            import_module(module).add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 failed with one message, 2 wrong usage, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, format="%(name)s: %(message)s")
    # No model hub by default: a missing name must fail at once with a message and not after minutes of retries.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # ours say what matters
    if not debug:
        logging.getLogger("bitsandbytes").setLevel(
            logging.ERROR
        )  # it misses an optional CPU kernel that is not used
    command = words[0] if words else None
    if command != "serve":  # its server stops on signals by itself, and cleanly
        _stop_on_signals()
    try:
        if command in HANDED_ON:
            return import_module(COMMANDS[command][0]).main(words[1:]) or 0
        args = build_parser(command if command in COMMANDS else "").parse_args(words)
        return import_module(COMMANDS[args.command][0]).run(args)
    except KeyboardInterrupt as stop:
        sys.stderr.write("\nrewright: interrupted. " + " ".join(getattr(stop, "__notes__", ())) + "\n")
        return 130
    except BrokenPipeError:  # `rewright rewrite … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the last frame before the user: every failure becomes one message
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"rewright: {message_of(error)}\n")
        return 1


def _stop_on_signals() -> None:
    """Let `timeout`, `kill` and a closed terminal do what control-C does: say so, save, and end what was started.

    Once: `timeout` and make both pass the signal on, and the second one must not cut the first one's work short.
    """
    if threading.current_thread() is not threading.main_thread():
        return

    def stop(number: int, frame: object) -> NoReturn:
        for each in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP: let it
            signal.signal(number, stop)


def message_of(error: Exception) -> str:
    """What went wrong, in the fewest words. What we did not foresee names its class and where to look."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or error.title}: {e['msg']}" for e in error.errors())
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if isinstance(error, ModuleNotFoundError):
        return f"{text}; `rewright doctor` says what is missing and how to get it"
    if isinstance(error, ValueError | OSError) or type(error).__name__ in _EXPECTED:
        return text
    return f"{type(error).__name__}: {text} (unforeseen; the same command with --debug shows where)"


_EXPECTED = frozenset(
    {
        "BatchError",
        "CanaryDrift",
        "FloatingPointError",
        "LLMError",
        "RewardOutage",
        "ScoreUnavailable",
        "StageFailed",
    }
)  # by name: their modules may be unloaded


if __name__ == "__main__":
    sys.exit(main())
