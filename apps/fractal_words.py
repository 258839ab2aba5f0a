"""The words of fractalpooluser's window in English, German and Norwegian (bokmål), as the original has them."""

from __future__ import annotations

# English -> German, Norwegian
WORDS = {
    "Show &Failovers": ("Ausfälle an&zeigen", "Vis &feil"),
    "Show &Sessions": ("&Sitzungen anzeigen", "Vis &økter"),
    "Sessions": ("Sitzungen", "Økter"),
    "&Next Image": ("&Nächstes Bild", "&Neste bilde"),
    "S&ave Image ...": ("Bild &speichern ...", "L&agre bildet ..."),
    "&About ...": ("&Über ...", "&Om ..."),
    "&Quit": ("&Beenden", "&Avslutt"),
    "About": ("Über", "Om"),
    "A pool user of Reliable Server Pooling: images by servers that may fail.": (
        "Ein Pool-Benutzer von Reliable Server Pooling: Bilder von Servern, die ausfallen dürfen.",
        "En brukerklient for Reliable Server Pooling: bilder fra tjenere som kan svikte.",
    ),
    "{done} of the image, failovers: {failovers}": (
        "{done} des Bildes, Ausfälle: {failovers}",
        "{done} av bildet, feil: {failovers}",
    ),
    "Processed packet #{packets} of PE ${element}": (
        "Paket Nr. {packets} von PE ${element} verarbeitet",
        "Behandlet pakke nr. {packets} fra PE ${element}",
    ),
    "Completed in {seconds} s, failovers: {failovers}": (
        "Fertig nach {seconds} s, Ausfälle: {failovers}",
        "Ferdig etter {seconds} s, feil: {failovers}",
    ),
    "Looking for a server ...": ("Suche einen Server ...", "Leter etter en tjener ..."),
    "The image could not be saved: {why}": (
        "Das Bild konnte nicht gespeichert werden: {why}",
        "Bildet kunne ikke lagres: {why}",
    ),
}
LANGUAGES = {"de": 0, "nb": 1, "no": 1, "nn": 1}


def word(language: str, text: str, **values: object) -> str:
    """Return a text in a language (``de_DE``, ``nb``; others: English) with its values."""
    place = LANGUAGES.get(language[:2].lower())
    if place is not None and text in WORDS:
        text = WORDS[text][place]
    return text.format(**values) if values else text
