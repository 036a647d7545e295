"""Which language a prompt is in, from its script and its commonest words. None where the text does not tell."""

import re
from collections.abc import Sequence
from itertools import chain, repeat

_SCRIPTS = {
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "zh": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
    "el": re.compile(r"[\u0370-\u03ff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
}
_LETTER = re.compile(r"[^\W\d_]")

_COMMON = {  # words that one of these languages has and the others do not, or hardly
    "en": "the of and with an is are on at by to from its it that this two three four five red green blue yellow purple white "
    "black gray grey left right above below next small large big tiny over under without not no circle circles square squares "
    "triangle triangles star stars ring rings cross crosses background draw picture image photo please want need like",
    "de": "der die das und mit ein eine einen einem einer auf im ist sind von zu den dem ohne kein keine nicht zwei drei vier fünf "
    "sechs rot rote roter rotes roten blau blaue grün grüne gelb gelbe weiß weiße schwarz schwarze links rechts über unter neben "
    "klein kleine kleiner groß große großer kreis kreise quadrat dreieck stern hintergrund bild bitte vor bei aus wie",
    "fr": "le les une des et avec sur dans est sont du sans pas deux trois quatre cinq rouge rouges bleu bleue bleus vert verte "
    "verts jaune jaunes blanc blanche noir noire gauche droite dessus dessous petit petite petits grand grande grands cercle "
    "cercles carré carrés étoile étoiles fond au aux ce cette qui je mon près sous",
    "es": "el los las una unos unas y con del por para sobre está están sin dos tres cuatro cinco rojo roja rojos rojas azul azules verde "
    "verdes amarillo amarilla blanco blanca negro negra izquierda derecha encima debajo pequeño pequeña pequeños grande grandes "
    "círculo círculos cuadrado cuadrados triángulo estrella estrellas fondo un que",
    "it": "il gli uno della dello delle degli di con su sono senza due tre quattro rosso rossa rossi blu giallo gialla bianco "
    "nero sinistra destra sopra sotto piccolo piccola cerchio cerchi quadrato quadrati stella stelle sfondo e che",
    "pt": "o os uma com não sem dois duas três quatro vermelho vermelha azul amarelo branco preto esquerda direita acima "
    "abaixo pequeno pequena círculo quadrado estrela fundo em do da dos das ao",
}
_WORD_LANGUAGES: dict[str, list[str]] = {}
for _language, _words in _COMMON.items():
    for _word in _words.split():
        _WORD_LANGUAGES.setdefault(_word, []).append(_language)


def detect_language(text: str, words: Sequence[str]) -> str | None:
    """ISO 639-1 code, or None. A script other than Latin decides from a third of the letters on."""
    if not text.isascii():
        letters = len(_LETTER.findall(text))
        for language, script in _SCRIPTS.items():
            # Japanese text is mostly kanji; a few kana tell it from Chinese.
            needed = 0.1 if language == "ja" else 1 / 3
            if letters and len(script.findall(text)) / letters >= needed:
                return language
    votes = list(chain.from_iterable(map(_WORD_LANGUAGES.get, words, repeat(()))))
    if not votes:
        return None
    ranked = sorted([(votes.count(language), language) for language in set(votes)], reverse=True)
    if ranked[0][0] < 2 and len(words) > 2:
        return None  # one word in a sentence may be a name
    if len(ranked) > 1 and ranked[0][0] == ranked[1][0]:
        return None
    return ranked[0][1]


def foreign_letters(text: str) -> float:
    """Share of letters outside the Latin script, 0 to 1."""
    if text.isascii():
        return 0.0
    letters = _LETTER.findall(text)
    return sum(ord(c) > 0x24F and not 0x1E00 <= ord(c) <= 0x1EFF for c in letters) / max(1, len(letters))
