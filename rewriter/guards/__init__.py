"""Deterministic text guards: what a rewrite for a dialect must not do to the request.

`check` compares a rewrite with the original prompt by text alone, in well under a tenth of a millisecond, without a model. A
violation of severity "fail" means that the rewrite is not used (serving) or earns the floor (training); "warn" is counted and
reported. A guard that cannot tell stays silent: the image is judged against the original prompt in any case.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from rewriter.dialects import Dialect
from rewriter.guards import additions, attributes, counts, form, relations
from rewriter.guards.facts import Facts, read
from rewriter.guards.language import foreign_letters
from rewriter.guards.negation import affirmed_against, dropped
from rewriter.guards.numbers import lost_numbers

_WORD = re.compile(r"[^\W_]+")

CODES = {
    "empty": "nothing but white space",
    "copy": "the original again (it earns the baseline, not the floor)",
    "too_long": "more words or tokens than the target reads",
    "long": "probably more tokens than the target reads",
    "repetition": "the text runs in circles",
    "injection": "text for a judge or a chat model instead of the generator",
    "control_chars": "invisible characters that the original does not have",
    "quote": "quoted text is not there byte for byte",
    "quote_marks": "quoted text is there without its quotation marks",
    "invented_text": "quoted text that nobody asked for",
    "tag": "a LoRA tag, weight or flag is not there byte for byte",
    "invented_tag": "a LoRA tag, weight or flag that nobody asked for",
    "number": "an explicit number is lost or changed",
    "negation": "something that must not be there is stated",
    "negation_dropped": "something that must not be there is no longer mentioned",
    "negation_kept": "a negation in the prompt of a target that does not understand them",
    "language": "another language than the target's or the user's",
    "color": "a colour the user named is missing",
    "noun": "a thing of the target's vocabulary that the user named is missing",
    "binding": "a colour or a size moved to another thing",
    "relation": "a thing stands elsewhere than the user said",
    "letter": "another letter than the user named",
    "invented": "a thing or a colour that nobody asked for",
    "invented_color": "a colour for a thing whose colour was left open",
}


@dataclass(frozen=True)
class Violation:
    """One guard's finding. `code` is a key of CODES."""

    code: str
    message: str
    severity: Literal["fail", "warn"] = "fail"


def check(
    original: str, rewrite: str, dialect: Dialect, *, count_tokens: Callable[[str], int] | None = None
) -> list[Violation]:
    """All violations of `rewrite`, in a fixed order; an empty list is a clean rewrite.

    `count_tokens` is the target's own tokenizer if at hand; without it token limits are estimated and only warned of.
    """
    if not rewrite.strip():
        return [Violation("empty", "the rewrite is empty")]
    before, after = read(original, dialect.lexicon), read(rewrite, dialect.lexicon)
    found = list(_injection(before, after))
    if before.plain == after.plain:
        found += [*_quotes(before, after, dialect), *_tags(before, after, dialect)]  # these depend on case
        return [*found, Violation("copy", "the rewrite is the original prompt", "warn")]
    for guard in (_length, _repetition, _quotes, _tags, _language):
        found += guard(before, after, dialect)
    if (
        count_tokens is not None
        and dialect.max_tokens
        and (tokens := count_tokens(rewrite)) > dialect.max_tokens
    ):
        found.append(Violation("too_long", f"{tokens} tokens; {dialect.name} reads {dialect.max_tokens}"))
    for guard in (_numbers, _negation, _attributes):
        found += guard(before, after, dialect)
    return found


def failed(violations: list[Violation]) -> Violation | None:
    """The first violation that forbids using the rewrite, if any."""
    return next((v for v in violations if v.severity == "fail"), None)


def _injection(before: Facts, after: Facts) -> Iterator[Violation]:
    for text in form.injections(before.text, after.text, after.plain)[:3]:
        yield Violation("injection", f"{text[:60]!r} is not for the generator")
    if bad := form.control_characters(before.text, after.text):
        yield Violation("control_chars", f"invisible characters {', '.join(bad[:5])}")


def _length(before: Facts, after: Facts, dialect: Dialect) -> Iterator[Violation]:
    words = max(len(after.words), len(after.text.split()))
    # What was as long before is not the rewriter's fault: the prompt had to be kept.
    if words > max(dialect.max_words, len(before.words)):
        yield Violation("too_long", f"{words} words; {dialect.name} takes {dialect.max_words}")
    elif (
        dialect.max_tokens
        and (tokens := form.estimate_tokens(after.text, dialect.tokenizer)) > dialect.max_tokens
    ):
        yield Violation("long", f"about {tokens} tokens; {dialect.name} reads {dialect.max_tokens}", "warn")


def _repetition(before: Facts, after: Facts, dialect: Dialect) -> Iterator[Violation]:
    if (part := form.repetition(after.words)) and not form.repetition(before.words):
        yield Violation("repetition", f"{part!r} comes again and again")


def _quotes(before: Facts, after: Facts, dialect: Dialect) -> Iterator[Violation]:
    if dialect.quotes == "free":
        return
    if dialect.quotes == "content":
        words = set(_WORD.findall(after.text)) if before.spans.quotes else set()
        for text in dict.fromkeys(before.spans.quotes):
            # Lower case may be paraphrased; "HA" may be a letter H and a letter A.
            kept = words.issuperset(_WORD.findall(text)) or (text.isupper() and words.issuperset(text))
            if not kept and not text.islower():
                yield Violation("quote", f"{text!r} must stay as it is")
        return
    for text in dict.fromkeys(before.spans.quotes):
        if text in after.spans.quotes:
            continue
        if text in after.text and len(text) > 1:
            yield Violation("quote_marks", f"{text!r} lost its quotation marks", "warn")
        else:
            yield Violation("quote", f"{text!r} must stay as it is, in quotation marks")
    said = before.text.lower()
    for text in after.spans.quotes:
        if text.lower() not in said:
            yield Violation("invented_text", f"{text!r} was not asked for")


def _tags(before: Facts, after: Facts, dialect: Dialect) -> Iterator[Violation]:
    if dialect.tags == "free" or not (before.spans.tags or after.spans.tags):
        return
    for tag, count in (before.spans.tags - after.spans.tags).items():
        yield Violation("tag", f"{tag!r} must stay as it is{f' ({count} times)' if count > 1 else ''}")
    for tag in after.spans.tags - before.spans.tags:
        yield Violation("invented_tag", f"{tag!r} was not asked for")


def _language(before: Facts, after: Facts, dialect: Dialect) -> Iterator[Violation]:
    if dialect.language == "translate":
        wanted = dialect.target_language
        if foreign_letters(after.spans.bare) > 0.2 and wanted in ("en", "de", "fr", "es", "it", "pt"):
            yield Violation("language", f"letters of another script; {dialect.name} reads {wanted}")
        elif after.language not in (wanted, None):
            yield Violation("language", f"reads as {after.language!r}; {dialect.name} reads {wanted!r}")
    elif before.language and after.language and before.language != after.language:
        yield Violation("language", f"asked in {before.language!r}, answered in {after.language!r}")


def _numbers(before: Facts, after: Facts, dialect: Dialect) -> Iterator[Violation]:
    resolve = dialect.numbers == "resolve"
    split_up = counts.split_numbers(before, after) if resolve and before.numbers else ()
    for value in lost_numbers(
        before.numbers, before.word_set, after.numbers, after.word_set, resolve, split_up
    ):
        yield Violation("number", f"{value:g} is asked for and not said")


def _negation(before: Facts, after: Facts, dialect: Dialect) -> Iterator[Violation]:
    stated = list(affirmed_against(before.tokens, before.negated, after.tokens, after.negated))
    for thing in stated:
        yield Violation("negation", f"{thing!r} must not be there and is stated")
    if dialect.negation == "keep":
        for thing in dropped(before.negated, before.tokens, after.tokens):
            yield Violation("negation_dropped", f"that {thing!r} must not be there is no longer said", "warn")
    else:
        for phrase in after.negated.phrases:
            yield Violation(
                "negation_kept", f"{dialect.name} draws {' '.join(phrase.keys)!r} when it is named", "warn"
            )


def _attributes(before: Facts, after: Facts, dialect: Dialect) -> Iterator[Violation]:
    if dialect.attributes == "off":
        return
    severity: Literal["fail", "warn"] = "fail" if dialect.attributes == "keep" else "warn"
    for word in attributes.lost_colors(before, after):
        yield Violation("color", f"{word!r} is asked for and not said", severity)
    for word in attributes.lost_nouns(before, after):
        yield Violation("noun", f"{word!r} is asked for and not said", severity)
    for message in attributes.changed_bindings(before, after):
        yield Violation("binding", message, severity)
    for message in attributes.changed_sizes(before, after):
        yield Violation("binding", message, severity)
    for message in relations.changed_relations(before, after):
        yield Violation("relation", message, severity)
    for message in additions.changed_letters(before, after):
        yield Violation("letter", message, severity)
    for thing in additions.invented_things(before, after):
        yield Violation("invented", f"{thing!r} was not asked for", severity)
    for certain, thing in additions.invented_colors(before, after):
        yield (
            Violation("invented", f"{thing!r} was not asked for", severity)
            if certain
            else Violation("invented_color", f"{thing!r}: the colour was left open", "warn")
        )
    for message in counts.changed_counts(before, after):
        yield Violation("number", message, severity)
