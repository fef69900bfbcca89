"""A place in a bucket is used as a path is, and means the same."""

import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.store.files import entries, matching, move, names, names_below, remove
from lake.store.objects import ObjectStore
from lake.store.place import ObjectPlace, place_of

STORE = ObjectStore("bucket", "prefix")
WORDS = st.sampled_from(["a", "b", "BTC-PERPETUAL", "day=2024-01-01", "x y", "A%2Fb", "é", "1.2.3"])
NAMES = st.lists(WORDS, min_size=1, max_size=4).map("/".join)
FILES = (
    "lake.json",
    "clean/a/BTC/2024.parquet",
    "clean/a/BTC/2025.parquet",
    "clean/a/BTC-26DEC25/2025.parquet",
    "clean/b/x y/2024-05.parquet",
    "quarantine/files/clean/a/BTC/2024.parquet.corrupt",
    "raw/m/instrument=A%2Fb/year=2024/1-aa.parquet",
    "raw/m/instrument=A%2Fb/year=2024/2-bb.parquet",
    "raw/m/instrument=é/year=2024/1-aa.parquet",
    "ledger/a/BTC/2024.json",
)
PATTERNS = (
    *("*", "*/", "**/*.parquet", "*/*.parquet", "clean/*/*/*.parquet", "clean/a/BTC*/*"),
    *("raw/m/instrument=*/year=*", "raw/m/instrument=*/", "lake.json", "clean/a/*/2024.parquet"),
    *("nothing/*", "raw/**/2-*", "clean/a/BTC/202[45].parquet", "clean/b/?*/*"),
)


@pytest.fixture
def folders(lake_at, tmp_path):
    """A folder of this machine and one of a bucket, with the same files."""
    there = lake_at()
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
        there.store.put(name, name.encode())
    return tmp_path, there


@given(NAMES, NAMES)
def test_names_are_taken_apart_as_those_of_paths(name, other):
    place, pure = ObjectPlace(STORE, name), PurePosixPath(name)

    for told in ("name", "stem", "suffix"):
        assert getattr(place, told) == getattr(pure, told)
    assert (place / other).key == str(pure / other)
    assert place.joinpath(other, "z").key == str(pure.joinpath(other, "z"))
    assert place.with_name("z").key == str(pure.with_name("z"))
    assert place.with_suffix(".z").key == str(pure.with_suffix(".z"))
    assert (place / other).relative_to(place) == PurePosixPath(other)
    assert (place / "z").parent == place
    assert str(place) == f"s3://bucket/prefix/{name}"


@given(st.lists(NAMES, unique=True))
def test_places_sort_as_paths_do(all_names):
    told = sorted(ObjectPlace(STORE, name) for name in all_names)

    assert [one.key for one in told] == [str(one) for one in sorted(map(PurePosixPath, all_names))]


def test_the_root_is_its_own_parent_and_below_nothing_else():
    root = ObjectPlace(STORE)

    assert root.parent == root
    assert (root / "a").parent == root
    assert str(root) == "s3://bucket/prefix"
    assert root.absolute() is root
    with pytest.raises(ValueError, match="is not below"):
        root.relative_to(ObjectPlace(ObjectStore("other")))
    with pytest.raises(ValueError, match="not in the subpath"):
        (root / "a").relative_to(root / "b")


def test_a_place_in_a_bucket_is_no_file_of_this_machine():
    with pytest.raises(TypeError, match="ObjectPlace"):
        os.fspath(ObjectPlace(STORE, "a"))


@pytest.mark.parametrize(
    ("text", "bucket", "prefix"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://my-bucket/a/b/", "my-bucket", "a/b"),
    ],
)
def test_an_address_names_a_bucket_and_a_prefix(text, bucket, prefix):
    place = place_of(text, endpoint="http://127.0.0.1:1", lease_seconds=5.0)

    assert isinstance(place, ObjectPlace)
    told = place.store
    assert (told.bucket, told.prefix, told.lease_seconds) == (bucket, prefix, 5.0)
    assert (told.endpoint, place.key) == ("http://127.0.0.1:1", "")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "s3://",
            "s3:///a",
            "s3://b?x",
            "s3://b/p#f",
            "s3://key@b/p",
            "s3://b/p//q",
            "s3://b/../p",
        ),
        *("S3://b/p", "s3a://b/p", "gs://b/p", "s3://b c/p", "https://b/p"),
    ],
)
def test_what_names_no_bucket_is_refused(text):
    with pytest.raises(ValueError, match="expected s3://bucket/prefix"):
        place_of(text)


def test_a_key_in_an_address_is_not_shown():
    with pytest.raises(ValueError, match=r"got \*\*\*$"):
        place_of("s3://key:swordfish@bucket/prefix")


@pytest.mark.parametrize("text", ["data", "/x/s3", "s3", "s3:data", "~"])
def test_any_other_name_is_a_folder(text):
    assert place_of(text) == Path(text)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_finds_the_same_as_in_a_folder(folders, pattern):
    here, there = folders
    if pattern.endswith("/"):  # to pathlib they are folders alone since Python 3.11
        expected = [one for one in here.glob(pattern) if one.is_dir()]
    else:
        expected = list(here.glob(pattern))

    found = [one.key for one in matching(there, pattern)]

    assert found == [one.relative_to(here).as_posix() for one in sorted(expected)]
    assert found == sorted(set(found), key=lambda key: PurePosixPath(key).parts)


def test_listings_say_the_same_of_both(folders):
    told = [{(one.name, one.size) for one in entries(place)} for place in folders]
    assert told[0] == told[1] == {(name, len(name.encode())) for name in FILES}
    assert {name for place in folders for name in names(place / "clean")} == {
        name.removeprefix("clean/") for name in FILES if name.startswith("clean/")
    }
    deep = [list(names_below(place / "clean", 3)) for place in folders]
    assert deep[0] == deep[1]
    assert len(deep[0]) == 4
    assert [list(entries(place / "nothing")) for place in folders] == [[], []]
    assert [list(names_below(place / "nothing", 2)) for place in folders] == [[], []]


def test_what_is_there_is_told_from_what_is_not(folders):
    for root in folders:
        assert [(root / name).exists() for name in ("lake.json", "clean/a", "none")] == [
            True,
            True,
            False,
        ]
        assert (root / "lake.json").is_file()
        assert not (root / "clean").is_file()
        assert (root / "clean/a").is_dir()
        assert not (root / "lake.json").is_dir()
        assert (root / "lake.json").read_bytes() == b"lake.json"
        assert (root / "lake.json").stat().st_size == 9
        for ask in ("read_bytes", "stat", "unlink"):
            with pytest.raises(FileNotFoundError):
                getattr(root / "none", ask)()
        (root / "none").unlink(missing_ok=True)


def test_what_is_removed_or_moved_is_gone(folders):
    for root in folders:
        remove(root / "lake.json")
        remove(root / "lake.json")
        assert not (root / "lake.json").exists()
        moved = move(root / "clean/a/BTC/2024.parquet", root / "aside/deep/2024.corrupt")
        assert moved == root / "aside/deep/2024.corrupt"
        assert moved.read_bytes() == b"clean/a/BTC/2024.parquet"
        assert not (root / "clean/a/BTC/2024.parquet").exists()
    with pytest.raises(ValueError, match="not of one lake"):
        move(folders[0] / "a", folders[1] / "a")
