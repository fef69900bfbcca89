"""What befalls the lists of instruments, seen over HTTP."""

import pytest

from tests.exchange.delistings import PAGES_BEFORE, is_met, new_name
from tests.exchange.faults import ALL, named
from tests.exchange.incidents import milliseconds

ASKED = {"currency": "any", "kind": "future"}


@pytest.fixture
def listed(open_exchange):
    """Return a function that gives the living futures, by name, under a fault."""

    def under(faults):
        found = open_exchange(faults=faults).result("get_instruments", **ASKED)
        return {one["instrument_name"]: one for one in found}

    return under


def test_some_living_futures_are_met_and_no_perpetual(listed):
    met = {name for name in listed("none") if is_met(name)}

    assert 1 <= len(met) <= 10
    assert not any(name.endswith("PERPETUAL") for name in met)


def test_a_shrunken_list_lacks_them_and_they_can_be_asked_for(listed, open_exchange):
    before, after = listed("none"), listed("shrunken")
    gone = before.keys() - after.keys()

    assert gone == {name for name in before if is_met(name)}
    for name in gone:
        found = open_exchange(faults="shrunken").result("get_instrument", instrument_name=name)
        assert found["instrument_name"] == name


def test_a_renamed_one_keeps_its_number_and_a_relisted_one_its_name(listed):
    before, renamed, relisted = (listed(fault) for fault in ("none", "renamed", "relisted"))

    for name in filter(is_met, before):
        assert renamed[new_name(name)]["instrument_id"] == before[name]["instrument_id"]
        assert relisted[name]["instrument_id"] != before[name]["instrument_id"]
        assert relisted[name]["creation_timestamp"] == milliseconds("2025-10-17T23:00")
    assert {name for name in before if name not in renamed} == set(filter(is_met, before))


def test_a_tick_size_doubles(listed):
    before, after = listed("none"), listed("reticked")
    changed = {name for name in before if before[name] != after[name]}

    assert changed == set(filter(is_met, before))
    assert all(after[name]["tick_size"] == 2 * before[name]["tick_size"] for name in changed)


def test_one_vanishes_after_some_pages(open_exchange):
    client = open_exchange(faults="vanished")
    listed = [one["instrument_name"] for one in client.result("get_instruments", **ASKED)]
    name = next(filter(is_met, listed))
    window = {"resolution": "1", "start_timestamp": 0, "end_timestamp": milliseconds("2025-10-17")}
    for _ in range(PAGES_BEFORE):
        client.result("get_tradingview_chart_data", instrument_name=name, **window)
    refused = client.error("get_tradingview_chart_data", instrument_name=name, **window)
    after = [one["instrument_name"] for one in client.result("get_instruments", **ASKED)]

    assert refused == (400, -32602)
    assert set(listed) - set(after) == {name}


def test_they_come_by_name_only():
    assert named("all") == frozenset(ALL)
    assert "vanished" in named("vanished,latency")


def test_odd_records_stand_between_those_of_the_healthy_list(open_exchange):
    whole = open_exchange(faults="none").result("get_instruments", **ASKED)

    sent = open_exchange(faults="odd").result("get_instruments", **ASKED)

    assert [one for one in sent if one in whole] == whole
    assert len(sent) == len(whole) + 3
    assert None in sent
