"""Text as the guards see it: tokens with a canonical key each, and the small closed word lists of five languages.

Text-only and deterministic. A word list is for what must not be missed (numbers, negation cues, basic colours), not for
understanding a language; where a reading is in doubt, the guards let a rewrite pass and leave it to the judge of the image.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{CJK}]+|[^\W_]+(?:'[^\W_]+)*|[^\w\s]")
_TOKEN_ASCII = re.compile(r"[a-zA-Z0-9]+(?:'[a-zA-Z0-9]+)*|[^\w\s]")  # the same for ASCII, in half the time
_PRE = [  # read once into plainer words, before tokens are cut: (what every match holds, pattern, replacement)
    ("-free", re.compile(r"\b([^\W\d_]{2,})-free\b"), r" without \1 "),
    ("non-", re.compile(r"\bnon-(?=[^\W\d_])"), " not "),
    ("", re.compile(r"(?:没有|沒有|不要|不含|没|無|无(?!限|数))"), " without "),
    ("", re.compile(r"(?:不是|而不是|并非)"), " not "),
    ("", re.compile(r"(?:而是|但是|但|的|和|与|以及|在)"), " ; "),
    ("pas d", re.compile(r"\bpas d(?:e|')\s*"), " without "),
    ("'", re.compile(r"\b(?:d|l|n|qu|j|s|c)'(?=[^\W\d_])"), " "),
]
_PRE_ASCII = [row for row in _PRE if row[0]]
_ZH_NUMBER = re.compile(
    r"(?<![第十百])([一二两兩三四五六七八九十]{1,3})(?=[个個只隻朵条條张張辆輛位名颗顆片件本座棵头頭匹艘架台盏幅块塊枚双雙对對根支])"
)
_ZH_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2, "兩": 2}


def wordset(words: str) -> frozenset[str]:
    """A closed word list, written as one string."""
    return frozenset(words.split())


def _count(words: str, start: int) -> dict[str, int]:
    return {word: start + i for i, word in enumerate(words.split())}


NUMBER_WORDS: dict[str, dict[str, int]] = {
    "en": {
        **_count(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen", 0
        ),
        **_count("sixteen seventeen eighteen nineteen twenty", 16),
        **{"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90},
        **{
            "pair": 2,
            "duo": 2,
            "couple": 2,
            "trio": 3,
            "quartet": 4,
            "dozen": 12,
            "hundred": 100,
            "thousand": 1000,
        },
    },
    "de": {
        **_count("zwei drei vier fünf sechs sieben acht neun zehn elf zwölf", 2),
        **{"ein": 1, "eine": 1, "einen": 1, "einem": 1, "einer": 1, "fuenf": 5, "zwoelf": 12, "dutzend": 12},
    },
    "fr": {
        **_count("deux trois quatre cinq six sept huit neuf dix onze douze", 2),
        **{"un": 1, "une": 1, "douzaine": 12},
    },
    "es": {
        **_count("dos tres cuatro cinco seis siete ocho nueve diez once doce", 2),
        **{"un": 1, "una": 1, "uno": 1, "docena": 12},
    },
}
_ANY_NUMBER = frozenset(word for table in NUMBER_WORDS.values() for word in table)
TENS = {20, 30, 40, 50, 60, 70, 80, 90}

NEGATION_CUES = wordset(
    "no not without never nor neither none zero 0 sans avoid avoiding exclude excluding omit omitting hate hates dislike dislikes "
    "lacking lacks cannot dont doesnt didnt isnt arent wasnt wont cant shouldnt "
    "kein keine keinen keiner keinem keines nicht ohne weder pas jamais aucun aucune ninguno ninguna ningún nunca sin "
    "senza nessun nessuna sem não nenhum nenhuma"
)
DETERMINERS = wordset(
    "a an the any some single this that these those its their his her el la los las le les der die das "
    "den dem"
)
PRONOUNS = wordset("one ones it them they")


def stem(word: str) -> str:
    """English plural undone, crudely: both sides of a comparison go through it, so that a wrong stem does no harm."""
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("xes", "ches", "shes", "sses", "zes")):
        return word[:-2]
    return word[:-1]


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """One word or one mark, with all that the word lists say about it. A lexicon makes one per word."""

    word: str  # lower case
    key: str  # the canonical form under which it is compared; a mark is its own
    is_word: bool
    colors: frozenset[str]  # it may mean; empty for most words
    nouns: frozenset[str]  # of the lexicon; at most one
    may_count: bool  # a number in some language
    negates: bool  # "no", "don't"
    tells: bool  # any of these four: most words are none of them


NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Phrases:
    """Several words, or Chinese inside a run, that one word stands for; they are replaced before tokens are cut."""

    words: Mapping[str, str]
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> "Phrases":
        """The longest first; a phrase of the Latin script stands between word boundaries."""
        pairs = sorted(pairs, key=lambda pair: -len(pair[0]))  # 红色 before 红
        found = [re.escape(p) if re.search(f"[{CJK}]", p) else rf"\b{re.escape(p)}(?=s?\b)" for p, _ in pairs]
        return cls(dict(pairs), re.compile("|".join(found)))

    def replaced(self, text: str) -> str:
        if not any(phrase in text for phrase in self.words):
            return text
        return self.pattern.sub(lambda m: f" {self.words[m[0]]} ", text)


@dataclass(frozen=True, eq=False)
class Lexicon:
    """A dialect's words: surface → the canonical keys it may stand for ("amber" → yellow, orange). Compared by identity."""

    colors: Mapping[str, frozenset[str]]
    nouns: Mapping[str, str]
    sizes: Mapping[str, str]
    generic: frozenset[str]
    phrases: Phrases
    ascii_phrases: Phrases  # of these
    vague: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # "few" → the counts it may mean
    hollow: Mapping[str, str] = field(default_factory=dict)  # noun → the noun that its outline is
    _tokens: dict[str, Token] = field(default_factory=dict, repr=False)

    @classmethod
    def build(
        cls,
        colors: Mapping[str, Sequence[str]],
        nouns: Mapping[str, Sequence[str]],
        sizes: Mapping[str, Sequence[str]],
        generic: Sequence[str],
        vague: Mapping[str, tuple[int, int]] | None = None,
        hollow: Mapping[str, str] | None = None,
    ) -> "Lexicon":
        color_of: dict[str, set[str]] = {}
        phrases: list[tuple[str, str]] = []
        flat: dict[str, dict[str, str]] = {"nouns": {}, "sizes": {}}
        for canonical, others in colors.items():
            for word in (canonical, *others):
                color_of.setdefault(word, set()).add(canonical)
        for kind, table in (("nouns", nouns), ("sizes", sizes)):
            for canonical, others in table.items():
                flat[kind].update(dict.fromkeys((canonical, stem(canonical), *others), canonical))
        for canonical, others in (*colors.items(), *nouns.items(), *sizes.items()):
            phrases += [(word, canonical) for word in others if " " in word or re.search(f"[{CJK}]", word)]
        colors_frozen = {word: frozenset(canonical) for word, canonical in color_of.items()}
        return cls(
            colors_frozen,
            flat["nouns"],
            flat["sizes"],
            frozenset(map(stem, generic)),
            Phrases.of(phrases),
            Phrases.of([pair for pair in phrases if pair[0].isascii()]),
            dict(vague or {}),
            dict(hollow or {}),
        )

    def token(self, word: str) -> Token:
        """The token of a lower-case word or mark."""
        known = self._tokens.get(word)
        if known is None:
            known = self._read(word)
            if len(self._tokens) < 50_000:  # model text is unbounded; this memory is not
                self._tokens[word] = known
        return known

    def _read(self, word: str) -> Token:
        if not word[0].isalnum():
            return Token(word, word, False, NOTHING, NOTHING, False, False, False)
        base = stem(word)
        colors = self.colors.get(word) or self.colors.get(base) or NOTHING
        noun = self.nouns.get(word) or self.nouns.get(base)
        key = (
            noun
            or self.sizes.get(word)
            or self.sizes.get(base)
            or (next(iter(colors)) if len(colors) == 1 else base)
        )
        may_count = any(c.isdigit() for c in word) or word in _ANY_NUMBER or base in _ANY_NUMBER
        negates = word in NEGATION_CUES or word.endswith("n't")
        nouns = frozenset((noun,)) if noun else NOTHING
        tells = bool(colors or nouns or may_count or negates)
        return Token(word, key, True, colors, nouns, may_count, negates, tells)


def tokenize(text: str, lexicon: Lexicon) -> list[Token]:
    """Lower-cased tokens of `text` (protected spans already blanked by the caller)."""
    text = text.lower().replace("’", "'")
    phrases, before_tokens = lexicon.ascii_phrases, _PRE_ASCII
    if not text.isascii():
        text = _ZH_NUMBER.sub(lambda m: f" {_zh_value(m[1])} ", text)
        phrases, before_tokens = lexicon.phrases, _PRE
    text = phrases.replaced(text)
    for held, expression, replacement in before_tokens:
        if held in text:
            text = expression.sub(replacement, text)
    known, read = lexicon._tokens, lexicon.token
    return [known.get(w) or read(w) for w in (_TOKEN_ASCII if text.isascii() else _TOKEN).findall(text)]


def _zh_value(digits: str) -> int:
    """一 … 九十九."""
    if "十" not in digits:
        return _ZH_DIGITS[digits[-1]]
    tens, _, ones = digits.partition("十")
    return (_ZH_DIGITS[tens[-1]] if tens else 1) * 10 + (_ZH_DIGITS[ones[0]] if ones else 0)
