"""`rewright cache`: what the cache of images and scores holds, and emptying it."""

from __future__ import annotations

import argparse
import json

from recipes.terminal import say

_DESCRIPTION = """
Images and scores are kept in $REWRIGHT_CACHE (or ~/.cache/rewright), addressed by their content: the same rewrite on the same seed is
drawn and scored once, whatever run asks for it. The least recently used go first when the cache is full; clearing it loses time only.
"""
_EPILOG = """
examples:
  rewright cache                 what it holds
  rewright cache stats --json    the same for a program
  rewright cache clear           forget all images and scores (converted base models stay)
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "cache",
        help="look at or clear the cache of images and scores",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "action", nargs="?", choices=("stats", "clear"), default="stats", help="stats (default) or clear"
    )
    parser.add_argument("--path", help="another cache folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from rewards.store import Store

    store = Store(args.path)
    try:
        if args.action == "clear":
            freed = store.clear()
            say(
                json.dumps({"freed_bytes": freed})
                if args.json
                else f"cleared {store.folder}: {size_words(freed)} freed"
            )
            return 0
        found = store.stats()
    finally:
        store.close()
    if args.json:
        say(json.dumps(found, indent=2))
        return 0
    say(f"folder   {found['folder']}")
    say(
        f"images   {found['images']:,} ({size_words(found['image_bytes'])}), reached by {found['links']:,} prompts and seeds"
    )
    say(f"scores   {found['scores']:,}")
    say(f"in all   {size_words(found['bytes'])} of {size_words(found['max_bytes'])}")
    return 0


def size_words(count: int) -> str:
    """Bytes for people: 1536 -> '1.5 KiB'."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError(count)
