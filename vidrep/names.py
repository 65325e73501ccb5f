"""Names of videos, labels and groups in the one form in which they are compared: composed Unicode, NFC."""

import unicodedata


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), in which "é" is one character.

    A name that was typed has this form nearly everywhere; one that macOS made may have an "e" and an accent. Both look
    the same and are meant to be the same.
    """
    return unicodedata.normalize("NFC", name)
