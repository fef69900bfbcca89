"""A page of a lake, read as a reader would: its tables by caption, its sections by name."""

import re
from html.parser import HTMLParser

from etl.check.report.page import page_of
from etl.check.report.survey import survey

NOW = 1_760_745_600_000  # 2025-10-18
CELLS, NAMELESS = {"td", "th"}, ("meta", "br", "rect", "path", "circle")


class _Tables(HTMLParser):
    """The tables of a page by caption: rows of the texts of their cells."""

    def __init__(self):
        super().__init__()
        self.tables, self.open, self.rows, self.caption = {}, [], [], ""

    def handle_starttag(self, tag, attrs):
        del attrs
        if tag == "table":
            self.rows, self.caption = [], ""
        elif tag == "tr":
            self.rows.append([])
        elif tag in CELLS:
            self.rows[-1].append("")
        if tag not in NAMELESS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass
        if tag == "table":
            self.tables[self.caption] = self.rows

    def handle_data(self, data):
        if "title" in self.open:
            return
        if "caption" in self.open:
            self.caption += data
        elif CELLS & set(self.open):
            self.rows[-1][-1] += data


def tables(page):
    """Return the tables of a page by caption, each a list of rows as dicts by heading."""
    parser = _Tables()
    parser.feed(str(page))
    return {
        caption: [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
        for caption, rows in parser.tables.items()
    }


def sections(page):
    """Return the names of the sections of a page, in order."""
    return re.findall(r'<section id="(\w+)"', str(page))


def page(lake, *, now_ms=NOW, behind=None, reports=None):
    """Return the page of a lake at some moment."""
    return page_of(survey(lake, now_ms), behind, reports or lake.root / "reports")
