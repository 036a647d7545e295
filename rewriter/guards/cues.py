"""Words that begin a negation, words that only look as if they did, and words that end its scope. English first, then what de/fr/es add."""

from rewriter.lexicon import Token, wordset

HARD, SOFT, SKIP, TAKEN_BACK, RESTATED, NONE = "hard", "soft", "skip", "taken back", "restated", "none"

_NOT_DO = "don't|dont|do not|doesn't|doesnt|does not|didn't|did not|wouldn't|wouldnt|would not"
_ADVERBS = "", "really ", "particularly ", "much ", "actually ", "especially ", "even "

_SEQUENCES_OF = {
    # What follows must not be there.
    HARD: "|".join(f"{no} {adverb}like" for no in _NOT_DO.split("|") for adverb in _ADVERBS)
    + "|forget about|get rid of|getting rid of|not a fan of|not a big fan of|not fond of|no fan of|no fans of|never mind the|minus the|"
    "free of|free from|devoid of|absence of|lack of|instead of|rather than|anything but|other than|leave out|leaving out|"
    "any color but|any colour but|any color except|any colour except|any shape but|any shape except|keep out|can't stand|cannot stand|anstatt|statt|au lieu de|en lugar de|en vez de|nothing",
    # What follows is not what is asked for now, or an exception of some rule: there, but not as the rule says.
    SOFT: "last time|you drew|you painted|you gave me|previously|"
    "except|except for|excepting|besides|apart from|aside from|but for|außer|sauf|excepto|salvo",
    # A negation word that negates nothing, or nothing that could be checked.
    SKIP: "not only|not just|nothing but|nothing except|nothing else|nothing more|no doubt|no more than|no fewer than|no less than|"
    "not more than|not less than|not fewer than|no bigger than|no other|no others|no additional|no extra|no further|no more|"
    "no matter|no need|no idea|no problem|none other than|none else|why not|if not|or not|whether or not|not necessarily|not yet|"
    "not all|not every|not both|not sure|not matter|not care|without any other|without other|without anything else|without further|"
    "not any other|don't forget|do not forget|dont forget|not forget|never forget|don't miss|do not miss|don't leave out|"
    "do not leave out|don't omit|do not omit|don't skip|don't care|dont care|don't mind|don't know|doesn't matter|doesnt matter|"
    "don't you|dont you|why don't you|isn't it|aren't they|wouldn't it|couldn't you|can't you|won't you|wouldn't you|not without|"
    "nicht nur|pas seulement|no solo|no sólo|nicht vergessen|n'oublie pas|no olvides",
    # What was said before is taken back; what of it still holds is unclear.
    TAKEN_BACK: ", sorry ,|no wait|wait no|wait , no|no , wait|scratch that|i mean|no sorry|no , sorry|sorry , no|correction :|"
    "? no ,|or no ,|oh no ,|- no ,|– no ,|— no ,|. . no ,|… no ,",
    # The same again in other words.
    RESTATED: "i . e .|namely|in other words|that is to say",
}

STOP = wordset(
    "but with on in at by for from under over left right above below near beside besides next to inside "
    "outside behind before after between around across along into onto upon beneath underneath atop "
    "against through of off than as like that which who whose where while when because so then just "
    "only instead rather is are was were be been being has have had will would should must can could "
    "may might there here if though although yet still sondern aber mit auf im in am an bei von zu vor "
    "hinter neben über unter links rechts ist sind sur dans avec mais est sont à au aux gauche droite "
    "pero sino con en es son está están sobre"
)
# Between a negation and the thing it is about: "don't [draw any] squares". After the thing they begin something new.
LEADING = wordset(
    "want wants draw draws drawn include includes included add adds added put show shows use make made be need paint place render "
    "depict contain contains let see do does have any too very so really quite overly particularly also ever actually please give "
    "appear appears allowed all both to kind sort type kinds sorts types single i i'd i'll we you including containing showing using "
    "wearing holding carrying featuring"
)
DEGREE = wordset("too very so really quite overly particularly that")
# "not touching the square", "not the same size": what else is named there is in the picture all the same.
RELATIONAL = wordset(
    "touch touches touched overlap overlaps cover covers covered cross crosses crossed face faces hide hides hidden block blocks blocked "
    "intersect intersects meet meets reach reaches look looks point points match matches matching share shares hit hits connect "
    "connected fit fits same equal equally identical alike different similar"
)


def _table() -> dict[str, list[tuple[list[str], str]]]:
    """First word → its sequences, the longest first."""
    table: dict[str, list[tuple[list[str], str]]] = {}
    for kind, entries in _SEQUENCES_OF.items():
        for entry in entries.split("|"):
            words = entry.split()
            table.setdefault(words[0], []).append((words, kind))
    return {first: sorted(rows, key=lambda row: -len(row[0])) for first, rows in table.items()}


_SEQUENCES = _table()
# Orders to leave something out, at the start of a clause: "Skip squares.", but not "a girl about to skip rope".
_OMIT = wordset("skip remove delete")
_OMIT_THE = wordset(
    "drop lose ditch forget"
)  # and before an article: "drop the squares", but not "drop shadow"
_KEPT = _OMIT | _OMIT_THE | wordset("omit exclude avoid")  # "don't skip the star": it stays
_WHICH = wordset("the any all those these every")
_BEFORE_ORDER = wordset("please then just you can could let's lets we we'll i'll but so also")
_STARTS = frozenset((*_SEQUENCES, *_OMIT, *_OMIT_THE))


def cue_starts(tokens: list[Token]) -> list[int]:
    """Where a cue may start: few words begin one."""
    return [i for i, token in enumerate(tokens) if token.negates or token.word in _STARTS]


def cue_at(tokens: list[Token], i: int) -> tuple[int, str]:
    """(length, kind) of the cue that starts at token i; NONE for other words."""
    word = tokens[i].word
    if not tokens[i].negates and word not in _STARTS:
        return 0, NONE
    for words, kind in _SEQUENCES.get(word, ()):
        if len(words) == 1 or [t.word for t in tokens[i : i + len(words)]] == words:
            return len(words), kind
    following = tokens[i + 1] if i + 1 < len(tokens) else None
    if word in _OMIT or word in _OMIT_THE:
        ordered = i == 0 or not tokens[i - 1].is_word or tokens[i - 1].word in _BEFORE_ORDER
        named = word in _OMIT or (following is not None and following.word in _WHICH)
        return (1, HARD) if ordered and named else (0, NONE)
    if not tokens[i].negates:
        return 0, NONE
    if following is not None and following.word in _KEPT and word not in ("no", "without"):
        return 2, SKIP
    if word == "no" and following is not None and (not following.is_word or following.word.isdecimal()):
        return 1, SKIP  # "No, …", "no. 5"
    if (
        word in ("none", "neither") and following is not None and following.word == "of"
    ):  # "none of which are red"
        for j in range(i + 2, min(i + 7, len(tokens))):
            if tokens[j].word in ("is", "are", "be", "being", "should"):
                return j + 1 - i, HARD
    return 1, HARD
