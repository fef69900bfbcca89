from html.parser import HTMLParser

from etl.collect.board import Board
from etl.collect.health.overview import overview
from etl.collect.health.page import page
from etl.collect.health.rates import Rates
from tests.etl.collect.health.boards import NOW, fresh, troubled

CLOSED = {"meta", "link"}


class Text(HTMLParser):
    """The words of a page, and its tags, which have to close."""

    def __init__(self, html):
        super().__init__()
        self.open, self.words, self.rows, self.skipped = [], [], [], 0
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        del attributes
        if tag not in CLOSED:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)
            if {"td", "th"} & set(self.open):
                self.rows[-1][-1] += data


def shown(board, rates=None):
    return Text(page(overview(board, rates or Rates(board), NOW)))


def test_the_verdict_comes_first():
    html = page(overview(fresh(), Rates(Board(NOW)), NOW))
    assert html.partition("<main>")[2].startswith(
        '<div class="verdict good" id="verdict"><h1>All fresh</h1>'
        "<p>2025-10-18T07:30:00Z; up for 2 d 2 h; deribit-lake "
    )


def test_what_rings_and_since_when_is_in_the_verdict():
    words = "".join(shown(troubled()).words)
    assert "2 alarms ring, since 10-18 07:18:20 UTC" in words
    assert "socket 2: 6 of 7 sources without new data since 2025-10-18T07:25:40Z" in words


def test_each_kind_is_a_row_with_its_oldest_and_its_rate():
    board = fresh()
    rates = Rates(board)
    rates.note(0.0)
    for source in board.sources.values():
        source.messages += 300
    rates.note(30.0)
    rows = {row[0]: row for row in shown(board, rates).rows if len(row) == 8}
    assert rows["candles"] == [
        "candles", "42 s", "ETH-27MAR26", "41 s", "3 min", "5", "50", "151,500",
    ]  # fmt: skip
    assert rows["quotes"][4] == "none"


def test_gaps_sockets_and_alarms_that_are_over_are_told():
    board = troubled()
    board.past_alarms.append(next(iter(board.alarms.values())))
    rows = shown(board).rows
    assert ["candles", "10-18 04:28:58", "1 min 2 s", "10 rows", "1006"] in rows
    assert ["index", "10-18 07:25:40", "4 min 20 s", "not yet", "nothing heard for 35 s"] in rows
    assert ["2", "down", "1,212", "9", "no answer within 10 s to <subscribe>"] in rows
    assert ["socket 2", "10-18 07:30:00", "0 s", "10-18 07:25:40"] in rows


def test_what_others_wrote_is_no_html():
    html = page(overview(troubled(), Rates(Board(NOW)), NOW))
    assert "&lt;subscribe&gt;" in html
    assert "&lt;db&gt;" in html
    assert "<db>" not in html


def test_a_page_refreshes_itself_without_a_script_too():
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in page(
        overview(fresh(), Rates(Board(NOW)), NOW)
    )
