"""Search: which words find a thing by its name and its ID. Pure, and alike for every list."""

import re
import unicodedata

_LONGEST = 100
_MAX_SEARCHED = 8
_LETTERS = re.compile(r"[^\W_]+")


def words_of(name: str, identifier: str) -> frozenset[str]:
    """What a search finds it by: the words of its name, and its ID; case folded.

    A word is what stands between blanks and also what stands between punctuation: `ERP-Sync`
    is found by `erp-s` and by `sync`.
    """
    folded = _folded(name)
    return frozenset({*folded.split(), *_LETTERS.findall(folded), identifier})


def searched_words(text: str) -> list[str]:
    """The beginnings of words that a search for `text` looks for: at most the eight longest."""
    words = {word[:_LONGEST] for word in _folded(text).split()}
    return sorted(words, key=lambda word: (-len(word), word))[:_MAX_SEARCHED]


def _folded(text: str) -> str:
    """Without upper and lower case; the same text however its accents are spelled."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
