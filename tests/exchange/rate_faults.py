"""What goes wrong with pages of rates on purpose, of one source or the other.

A switch is ``SOURCE:FAULT``, as ``treasury:html`` or ``fred:disagree``; with ``:once`` behind it
every page is healthy when it is asked for again.

============  ===================================================================================
away          HTTP 503
too_many      HTTP 429 with a Retry-After of no time at all
html          a web page in the page's place, with status 200
empty         no body
cut           half of the body, though its whole length was announced
half          half of the body, as if it were all
other_year    the page of the year before
unordered     the days in disorder
twice         every tenth day comes twice, the same
contradicting the fifth of a month comes twice, with another value
missing       the fourteenth of a month is not there
future        a day of next week is there already
renamed       the fields of rates have other names
null          every field is null: its element is empty, or says so
plus          a field and an element nobody knows; other prefixes (treasury), a BOM (fred)
old_form      FRED's older header, and a point where there is no value
disagree      on the fifteenth of a month FRED prints up to 0.05 % more
percent       a yield of 525 % on the twentieth of a month
words         a word in the place of a yield on the twentieth of a month
redirect      a redirect to another host
============  ===================================================================================
"""

from collections import Counter
from dataclasses import dataclass, field

SOURCES = ("treasury", "fred")
NAMES = (
    "away", "too_many", "html", "empty", "cut", "half", "other_year", "unordered", "twice",
    "contradicting", "missing", "future", "renamed", "null", "plus", "old_form", "disagree",
    "percent", "words", "redirect",
)  # fmt: skip


@dataclass
class RateFaults:
    """The switches that are on, and how often each page was asked for."""

    switches: frozenset[str] = frozenset()
    asked: Counter[str] = field(default_factory=Counter)

    def of(self, source: str, page: str) -> frozenset[str]:
        """Return the faults that a page meets now, counting that it was asked for."""
        number = self.asked[page]
        self.asked[page] += 1
        met = set()
        for switch in self.switches:
            whose, name, *often = switch.split(":")
            if whose == source and not (often and number):
                met.add(name)
        return frozenset(met)


def switched(text: str) -> frozenset[str]:
    """Return the switches a text names, by commas.

    Raises
    ------
    ValueError
        If it names one that is none.
    """
    chosen = frozenset(word for word in text.split(",") if word)
    for word in chosen:
        source, _, rest = word.partition(":")
        if source not in SOURCES or rest.removesuffix(":once") not in NAMES:
            message = f"unknown fault of rates {word!r}; known are SOURCE:{'|'.join(NAMES)}[:once]"
            raise ValueError(message)
    return chosen
