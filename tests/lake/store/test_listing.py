from hypothesis import given
from hypothesis import strategies as st

from lake.store.listing import Listing
from lake.store.objects import Found

NAMES = st.sampled_from(["a", "b", "a-", "a.b", "a0", "~", "é"])
KEYS = st.lists(st.lists(NAMES, min_size=1, max_size=5).map("/".join), max_size=30)


def store_of(keys):
    """What lists a store that has these objects, and what was asked of it."""
    asked = []

    def ask(folder):
        asked.append(folder)
        prefix = f"{folder}/" if folder else ""
        return [Found(key, 1, 0.0, "tag") for key in sorted({*keys}) if key.startswith(prefix)]

    return ask, asked


@given(keys=KEYS, folders=st.lists(st.lists(NAMES, max_size=4).map("/".join), max_size=5))
def test_folders_hold_what_the_store_says(keys, folders):
    listing = Listing()
    ask, _ = store_of(keys)
    for folder in folders:
        assert listing.below(folder, ask) == ask(folder)


def test_what_is_listed_is_not_listed_again():
    listing = Listing()
    ask, asked = store_of(["raw/trades/one/1", "raw/trades/two/1", "raw/other/1", "clean/x/1"])
    for folder in ("raw/trades/one", "raw/trades/two/deep", "raw/trades", "raw", "raw/other"):
        listing.below(folder, ask)
    assert asked == ["raw/trades", "raw"]


def test_an_object_is_found_where_it_was_listed_and_nowhere_else():
    listing = Listing()
    ask, asked = store_of(["raw/trades/1", "clean/x/1"])
    listing.below("raw", ask)
    assert listing.find("raw/trades/1") == Found("raw/trades/1", 1, 0.0, "tag")
    assert listing.find("raw/trades/2") is None
    assert listing.find("clean/x/1") is None
    assert asked == ["raw"]


def test_what_is_written_is_listed_anew():
    keys = ["raw/trades/1"]
    listing = Listing()
    ask, asked = store_of(keys)
    listing.below("", ask)
    listing.below("raw/trades", ask)
    keys.append("raw/trades/2")
    listing.forget("raw/trades/2")
    assert [one.key for one in listing.below("raw/trades", ask)] == keys
    assert asked == ["", "raw/trades"]
