"""The list of delivery prices, gone through page by page, whatever days it has and whoever lies."""

from datetime import UTC, datetime

import msgspec
import polars as pl
import pytest

from etl.backfill.fold import fold
from etl.proof.protocol import Due, Rules, Terms, ticks_of
from etl.sources.delivery_prices import DELIVERY_PRICES, MOST
from lake import raw
from lake.ledger import Record
from lake.partition import Partition
from lake.paths import open_lake
from lake.span import DAY_MS, Span, clip, period_span
from tests.etl.staged import attempt, envelope
from tests.exchange.deliveries import READINGS, delivery_days
from tests.exchange.faults import Fault, contradict
from tests.exchange.noise import key

EIGHT_MS = 28_800_000
NOW = round(datetime(2025, 10, 18, 12, tzinfo=UTC).timestamp() * 1000)
LISTED = round(datetime(2018, 8, 14, 10, tzinfo=UTC).timestamp() * 1000)
TERMS = Terms(Span(LISTED, 2**53), NOW, Rules(settle_ms=0, confirm_after_ms=0, outages=()))
PROOF = DELIVERY_PRICES.proof


class Listed:
    """A list of deliveries, and a lake that goes through it."""

    def __init__(self, root, days, period="2019", *, now_ms=NOW):
        self.days, self.now_ms = days, now_ms
        self.partition = Partition("delivery_prices", "btc_usd", period)
        self.lake = open_lake(root, create=True)
        self.window = clip(clip(period_span(period), TERMS.life), Span(0, NOW))
        self.record = PROOF.extend(Record(), [self.window], self.terms)
        self.pages = []

    @property
    def terms(self):
        return Terms(TERMS.life, self.now_ms, TERMS.rules)

    @property
    def truth(self):
        """The moments of this period at which the list has a row."""
        moments = (day * DAY_MS + EIGHT_MS for day in self.days)
        return sorted(ms for ms in moments if self.window.start_ms <= ms < self.window.end_ms)

    def page(self, params):
        end = params["offset"] + params["count"]
        data = [
            {"date": f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}", "delivery_price": day}
            for day in self.days[params["offset"] : end]
        ]
        return {"data": data, "records_total": len(self.days)}

    def asks(self, clock_ms):
        within = clip(TERMS.life, Span(0, self.now_ms))
        return PROOF.asks(self.record, within=within, due=Due(clock_ms, read_since_ms=0))

    def turn(self, answer=lambda _params, page: page, *, at_ms=None):
        """Ask for what is due, once; return the content that what came amounts to."""
        clock = self.now_ms if at_ms is None else at_ms
        for window in self.asks(clock):
            params = DELIVERY_PRICES.params("btc_usd", window, self.now_ms)
            while params is not None:
                self.pages.append(params)
                body = envelope(answer(params, self.page(params)))
                text = msgspec.json.encode(params).decode()
                one = attempt(body, (window.start_ms, window.end_ms), fetched=clock, params=text)
                raw.stage([one], DELIVERY_PRICES.raw_folder(self.lake, self.partition))
                result = msgspec.json.decode(body, type=dict[str, msgspec.Raw])["result"]
                params = DELIVERY_PRICES.onward(params, DELIVERY_PRICES.check(result), window)
        return self.folded()

    def folded(self):
        content = fold(self.lake, DELIVERY_PRICES, self.partition, [self.window], self.terms)
        self.record = content.record
        return content

    def settled(self):
        """The moments the record says the list has no row at."""
        return {
            ms
            for gap in self.record.gaps
            if gap.reason in {"absent", "before_first_trade"}
            for ms in range(gap.start_ms, gap.end_ms, DAY_MS)
        }


def held(content):
    return ticks_of(pl.DataFrame(content.rows)).tolist()


@pytest.fixture(params=READINGS)
def days(request):
    return delivery_days("BTC-PERPETUAL", request.param, NOW)


@pytest.mark.parametrize("reading", READINGS)
def test_both_readings_have_as_many_records_as_were_recorded(reading):
    noon = round(datetime(2026, 9, 20, 12, tzinfo=UTC).timestamp() * 1000)

    assert len(delivery_days("BTC-PERPETUAL", reading, noon)) == 2_614


@pytest.mark.parametrize("period", ["2018", "2019", "2020", "2025"])
def test_every_record_is_held_and_every_other_day_is_settled(tmp_path, days, period):
    exchange = Listed(tmp_path, days, period)
    exchange.turn()
    content = exchange.turn()

    assert held(content) == exchange.truth
    assert exchange.record.is_complete
    assert exchange.settled().isdisjoint(exchange.truth)
    first, end = (-(-(ms - EIGHT_MS) // DAY_MS) for ms in msgspec.structs.astuple(exchange.window))
    assert len(exchange.truth) + len(exchange.settled()) == end - first
    assert exchange.asks(NOW) == []
    assert exchange.folded().rows.equals(content.rows)


def test_a_later_look_comes_a_day_later_and_at_growing_distances(tmp_path):
    exchange = Listed(tmp_path, delivery_days("BTC-PERPETUAL", "fridays", NOW))
    asked = []
    for day in range(70):
        clock = NOW + day * DAY_MS
        while exchange.asks(clock):
            exchange.turn(at_ms=clock)
            asked.append(day)

    assert asked == [0, 0, 1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize("fault", ["truncated", "duplicated", "unordered", "contradictory"])
def test_pages_that_lie_settle_no_day_the_list_has(tmp_path, days, fault):
    exchange, asked = Listed(tmp_path, days), []

    def lied(params, page):
        asked.append(params)
        if fault == "contradictory":
            return contradict(page)
        return Fault(fault, int(key(len(asked), fault))).damage(page)

    for _ in range(5):
        told = exchange.turn(lied)
        assert set(held(told)) <= set(exchange.truth)
        assert exchange.settled().isdisjoint(exchange.truth)
    for _ in range(3):
        told = exchange.turn(at_ms=NOW + 3 * DAY_MS)

    assert exchange.settled().isdisjoint(exchange.truth)
    assert (fault == "contradictory") or (exchange.record.is_complete, held(told)) == (
        True, exchange.truth,
    )  # fmt: skip


def empty(_params, page):
    return page | {"data": [], "records_total": 0}


def without_a_row(_params, page):
    return page | {"data": [*page["data"][:3], *page["data"][4:]]}


def of_fewer(_params, page):
    return page | {"records_total": 3}


def of_more(_params, page):
    return page | {"records_total": 10**9}


@pytest.mark.parametrize("lie", [empty, without_a_row, of_fewer, of_more])
def test_an_answer_that_does_not_add_up_settles_nothing(tmp_path, days, lie):
    exchange = Listed(tmp_path, days, "2025")
    for _ in range(4):
        exchange.turn(lie)
        assert exchange.settled().isdisjoint(exchange.truth)
    for _ in range(2):
        told = exchange.turn(at_ms=NOW + DAY_MS)

    assert exchange.record.is_complete
    assert held(told) == exchange.truth


def test_a_list_that_was_short_for_a_day_is_found_out_on_the_next(tmp_path, days):
    exchange = Listed(tmp_path, days[:100])
    for _ in range(2):
        exchange.turn()
    assert [gap.reason for gap in exchange.record.gaps] == ["before_first_trade"]
    exchange.days = days
    for _ in range(2):
        told = exchange.turn(at_ms=NOW + DAY_MS)

    assert held(told) == exchange.truth
    assert exchange.record.is_complete


def test_deliveries_that_arrive_between_two_pages_hide_no_day(tmp_path):
    every = delivery_days("BTC-PERPETUAL", "fridays", NOW + 20 * DAY_MS)
    exchange, arrived = Listed(tmp_path, every[20:]), iter(range(19, -1, -1))

    def later(_params, page):
        exchange.days = every[next(arrived, 0) :]
        return page

    exchange.turn(later)
    told = exchange.turn(later)

    assert (exchange.record.is_complete, held(told)) == (True, exchange.truth)


def test_todays_row_is_in_progress_until_a_moment_after_eight_and_then_asked_for_again(tmp_path):
    eight = NOW // DAY_MS * DAY_MS + EIGHT_MS
    yesterday = delivery_days("BTC-PERPETUAL", "daily", eight - 1)
    exchange = Listed(tmp_path, yesterday, "2025", now_ms=eight + 60_000)
    exchange.turn()
    early = exchange.record.gaps[-1].reason
    exchange.now_ms = eight + 20 * 60_000
    exchange.turn()
    late = exchange.record.gaps[-1]
    exchange.days = delivery_days("BTC-PERPETUAL", "daily", NOW)
    exchange.turn(at_ms=late.retry_at_ms)

    assert (early, late.reason, late.is_settled) == ("in_progress", "unexplained", False)
    assert (exchange.record.last_ms, exchange.record.is_complete) == (eight, True)


def test_a_window_of_late_asks_for_one_small_page(days):
    window = Span(NOW - 5 * DAY_MS, NOW)
    params = DELIVERY_PRICES.params("btc_usd", window, NOW)

    assert params["offset"] == 0
    assert params["count"] < 20
    assert DELIVERY_PRICES.most_pages(window, NOW) == 1
    assert DELIVERY_PRICES.most_pages(Span(LISTED, NOW), NOW) <= 3
    assert DELIVERY_PRICES.params("btc_usd", Span(0, NOW), NOW)["count"] == MOST
    assert len(days) > MOST
