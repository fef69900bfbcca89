"""The simulated sources of rates: their shapes, the history they tell, their faults."""

import re
from datetime import date
from xml.etree import ElementTree as ET

import pytest

from tests.exchange import bills, fred, treasury
from tests.exchange.rate_faults import NAMES, SOURCES, RateFaults, switched
from tests.exchange.server import Exchange

ATOM = "{http://www.w3.org/2005/Atom}"
METADATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}"
DATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices}"
OPEN_ON_GOOD_FRIDAY = date(2023, 4, 7)


@pytest.fixture
def ask(open_exchange):
    def asked(path, switches="", **params):
        client = open_exchange()
        client.exchange.rate_faults.switches = switched(switches)
        return client.send("GET", path, params=params)

    return asked


def entries(answer):
    feed = ET.fromstring(answer.content)  # noqa: S314  (what we wrote ourselves)
    assert feed.tag == f"{ATOM}feed"
    found = feed.findall(f"{ATOM}entry/{ATOM}content/{METADATA}properties")
    return [{cell.tag.removeprefix(DATA): cell.text for cell in one} for one in found]


def test_the_feed_has_an_entry_for_each_day_with_a_curve(ask):
    params = {"data": treasury.DATA, "field_tdr_date_value": "2024"}
    answer = ask(treasury.PATH, **params)
    found = entries(answer)

    assert answer.headers["content-type"].startswith("application/atom+xml")
    assert len(found) == 250
    assert found[0]["NEW_DATE"] == "2024-01-02T00:00:00"
    assert {"BC_1MONTH", "BC_1YEAR", "BC_30YEARDISPLAY", "Id"} < found[0].keys()
    assert found[0]["BC_1_5MONTH"] is None
    assert float(found[0]["BC_3MONTH"]) == bills.yields(date(2024, 1, 2))[3.0]


def test_a_month_is_asked_for_by_its_own_parameter(ask):
    found = entries(ask(treasury.PATH, data=treasury.DATA, field_tdr_date_value_month="202406"))

    assert {one["NEW_DATE"][:7] for one in found} == {"2024-06"}
    assert len(found) == 19


def test_fred_has_every_weekday_and_nothing_on_holidays(ask):
    answer = ask(fred.PATH, id="DGS3MO", cosd="2024-12-23", coed="2024-12-27")

    assert answer.text.splitlines()[0] == "observation_date,DGS3MO"
    assert [line.split(",")[0] for line in answer.text.splitlines()[1:]] == [
        f"2024-12-{day}" for day in range(23, 28)
    ]
    assert "2024-12-25,\n" in answer.text
    old = ask(fred.PATH, "fred:old_form", id="DGS3MO", cosd="2024-12-23", coed="2024-12-27")
    assert old.text == answer.text.replace("observation_date", "DATE").replace("25,\n", "25,.\n")


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (treasury.PATH, {"data": "daily_treasury_bill_rates", "field_tdr_date_value": "2024"}),
        (treasury.PATH, {"data": treasury.DATA, "field_tdr_date_value": "all"}),
        (treasury.PATH, {"data": treasury.DATA, "field_tdr_date_value_month": "202413"}),
        (fred.PATH, {"id": "DGS30"}),
        (fred.PATH, {"id": "DGS3MO", "cosd": "yesterday"}),
    ],
)
def test_what_there_is_not_is_a_web_page_with_status_404(ask, path, params):
    answer = ask(path, **params)

    assert answer.status_code == 404
    assert answer.text.startswith("<html>")


def test_a_curve_is_out_in_the_evening_and_on_fred_a_business_day_later(open_exchange):
    def last(now):
        client = open_exchange(now=now)
        feed = client.send(
            "GET", treasury.PATH, params={"data": treasury.DATA, "field_tdr_date_value": "2025"}
        )
        graph = client.send("GET", fred.PATH, params={"id": "DGS1", "cosd": "2025-10-01"})
        return entries(feed)[-1]["NEW_DATE"][:10], graph.text.splitlines()[-1][:10]

    assert last("2025-10-17T21:00:00Z") == ("2025-10-16", "2025-10-15")
    assert last("2025-10-17T22:00:00Z") == ("2025-10-17", "2025-10-16")
    assert last("2025-10-20T22:00:00Z") == ("2025-10-20", "2025-10-17")


@pytest.mark.parametrize(
    ("day", "low", "high"),
    [
        (date(2018, 12, 31), 2.2, 2.6),
        (date(2020, 6, 1), 0.0, 0.2),
        (date(2021, 6, 1), 0.0, 0.2),
        (date(2023, 10, 2), 5.3, 5.7),
        (date(2024, 6, 3), 4.9, 5.5),
        (date(2025, 6, 2), 4.1, 4.5),
    ],
)
def test_three_months_pay_about_what_they_paid(day, low, high):
    assert low <= bills.yields(day)[3.0] <= high


def test_yields_are_printed_to_a_hundredth_and_never_below_zero():
    days = [day for day in bills.days(date(2016, 1, 1), date(2025, 12, 31)) if bills.has_curve(day)]
    values = [value for day in days for value in bills.yields(day).values()]

    assert all(re.fullmatch(r"\d+\.\d\d?", f"{value}") for value in values)
    assert min(values) == 0.0
    assert len(days) == pytest.approx(250 * 10, abs=10)


def test_holidays_are_those_that_were():
    assert bills.has_curve(OPEN_ON_GOOD_FRIDAY)
    assert bills.has_curve(date(2021, 12, 31))
    assert not any(map(bills.has_curve, (date(2024, 3, 29), date(2018, 12, 5), date(2022, 6, 20))))


def test_a_switch_is_of_its_source_and_once_is_once():
    faults = RateFaults(switched("treasury:html:once,fred:cut"))

    assert faults.of("treasury", "2024") == {"html"}
    assert faults.of("treasury", "2024") == frozenset()
    assert [faults.of("fred", "DGS1") for _ in range(2)] == [{"cut"}, {"cut"}]


@pytest.mark.parametrize("text", ["html", "bank:html", "fred:nothing", "fred:html:twice"])
def test_a_switch_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="unknown fault of rates"):
        switched(text)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"cut", "old_form"}])
def test_every_switch_changes_the_answer_or_the_day_it_is_asked_on(ask, source, name):
    if name == "disagree" and source == "treasury":
        return
    path, params = {
        "treasury": (treasury.PATH, {"data": treasury.DATA, "field_tdr_date_value": "2024"}),
        "fred": (fred.PATH, {"id": "DGS3MO", "cosd": "2024-01-01", "coed": "2024-12-31"}),
    }[source]
    healthy, odd = ask(path, **params), ask(path, f"{source}:{name}", **params)

    assert (odd.status_code, odd.content) != (healthy.status_code, healthy.content)


def test_the_exchange_counts_what_it_was_asked(open_exchange):
    client = open_exchange()
    client.send("GET", fred.PATH, params={"id": "DGS1"})

    assert isinstance(client.exchange, Exchange)
    assert client.exchange.stats()["rates"] == {"fred": 1}
