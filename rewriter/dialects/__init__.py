"""Target profiles: what a generator understands, and therefore what a rewrite for it may and must do.

One YAML file per target in this folder, read into a frozen `Dialect`; the guards and the rewriter's skip rules follow it.
Figures in the files are facts about the public models (prompt lengths of their text encoders, caption style), not tuning.
"""

from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Literal

from pydantic import Field

from rewriter.lexicon import Lexicon
from rewriter.schema import Strict


class Dialect(Strict):
    """What holds for one target. Defaults are those of a general text-to-image model with a large text encoder."""

    name: str
    about: str  # one sentence for people
    media: Literal["image", "video"] = "image"
    template: str = "faithful"  # the template to ask with when a rewriter names none
    language: Literal["keep", "translate"] = "keep"
    target_language: str = "en"  # of rewrites, where `language` is translate
    negation: Literal["keep", "resolve"] = "keep"
    numbers: Literal["keep", "resolve"] = "keep"
    quotes: Literal["keep", "content", "free"] = "keep"  # content: the letters, without their quotation marks
    tags: Literal["keep", "free"] = "keep"  # <lora:…>, (word:1.2), --flags
    attributes: Literal["keep", "warn", "off"] = "warn"  # colours of the lexicon, and what they are bound to
    max_words: int = Field(default=200, ge=1)
    max_tokens: int | None = None  # of the text encoder, start and end tokens included
    tokenizer: Literal["clip", "t5", "llm", "word"] = "t5"
    skip_above_words: int = Field(
        default=120, ge=1
    )  # a longer prompt is detailed enough and goes through as it is
    max_prompt_chars: int = Field(default=4000, ge=1)
    colors: dict[str, list[str]] = Field(
        default_factory=dict
    )  # canonical word -> what else means it, in any language
    nouns: dict[str, list[str]] = Field(default_factory=dict)
    sizes: dict[str, list[str]] = Field(default_factory=dict)
    generic: list[str] = Field(
        default_factory=list
    )  # nouns too general to be held against a rewrite ("shape")
    vague: dict[str, tuple[int, int]] = Field(
        default_factory=dict
    )  # "few": the counts that a rewrite may resolve it to
    hollow: dict[str, str] = Field(default_factory=dict)  # noun -> what it is without its filling

    @cached_property
    def lexicon(self) -> Lexicon:
        return Lexicon.build(
            colors=self.colors,
            nouns=self.nouns,
            sizes=self.sizes,
            generic=self.generic,
            vague=self.vague,
            hollow=self.hollow,
        )


def dialect_names() -> list[str]:
    return sorted(p.name.removesuffix(".yaml") for p in files(__name__).iterdir() if p.name.endswith(".yaml"))


@lru_cache
def load_dialect(name: str) -> Dialect:
    """The packaged profile called `name`. Raises ValueError naming the known ones."""
    import yaml

    if name not in dialect_names():
        raise ValueError(f"unknown dialect {name!r}; known: {', '.join(dialect_names())}")
    fields = yaml.safe_load((files(__name__) / f"{name}.yaml").read_text(encoding="utf-8"))
    if not fields.get("colors"):  # the eleven basic colours, for every profile that lists none of its own
        fields["colors"] = yaml.safe_load((files(__name__) / "basic_colors.yml").read_text(encoding="utf-8"))
    return Dialect(name=name, **fields)
