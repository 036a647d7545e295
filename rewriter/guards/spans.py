"""Parts of a prompt that are not language: quoted text, LoRA tags, weights, flags. They are kept byte for byte."""

import re
from collections import Counter
from typing import NamedTuple

_TAGS = re.compile(
    r"<(?:lora|lyco|hypernet|locon|lbw|ti|embedding):[^<>\n]{1,200}>"
    r"|\bembedding:[\w./-]+(?::[\d.]+)?"
    r"|\([^()\n]{1,200}:\s*[+-]?\d*\.?\d+\s*\)"  # (word:1.2)
    r"|\[[^\[\]\n]{0,200}:[^\[\]\n]{0,200}:\s*[\d.]+\s*\]|\[[^\[\]\n:]{1,200}:\s*[\d.]+\s*\]"  # [from:to:0.5], [word:10]
    r"|\(\([^()\n]{1,200}\)\)"  # ((word))
    r"|(?<![\w-])--[a-z]{1,20}(?:[ =][\w:.]+)?"  # --ar 16:9
    r"|\{[^{}\n|]{1,100}(?:\|[^{}\n|]{1,100})+\}|\b__[\w/-]+__",  # {a|b}, __wildcard__
    re.IGNORECASE,
)
_DOUBLE = re.compile(
    r'"([^"\n]{1,500})"|“([^“”\n]{1,500})”|„([^„“”\n]{1,500})[“”]|«\s?([^«»\n]{1,500}?)\s?»|「([^「」\n]{1,500})」|『([^『』\n]{1,500})』'
)
# An apostrophe inside a word, or after a plural ("dogs' bowls … cats'"), opens nothing: no letter before, no space after.
_SINGLE = re.compile(
    r"(?<![\w'’])['‘](?=\S)([^'’‘\n]{1,200}(?:['’](?=\w)[^'’‘\n]{1,200}){0,4})(?<=\S)['’](?!\w)"
)


_OPENING = re.compile("[\"'“„«「『‘’<([{_:-]")  # every tag and every quotation holds one of these


class Spans(NamedTuple):
    """What was found, and the text with each found part replaced by a mark that is no word."""

    quotes: tuple[str, ...]  # contents, without the marks
    tags: Counter[str]
    bare: str


def find_spans(text: str) -> Spans:
    """Tags first: what stands inside one is not quoted text, though quoted text may hold one."""
    if not _OPENING.search(text):
        return Spans((), Counter(), text)
    tags = Counter(m[0] for m in _TAGS.finditer(text))
    bare = _TAGS.sub(_blank, text) if tags else text  # as long as before: positions stay valid
    quotes: list[str] = []
    for pattern in (_DOUBLE, _SINGLE):
        quotes += [text[slice(*_content(m))] for m in pattern.finditer(bare)]
        bare = pattern.sub(_blank, bare)
    return Spans(tuple(quotes), tags, bare)


def _blank(match: re.Match[str]) -> str:
    return "§" * len(match[0])


def _content(match: re.Match[str]) -> tuple[int, int]:
    """Where the quoted text stands, without its marks."""
    return match.span(match.lastindex or 0)
