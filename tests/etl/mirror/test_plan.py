from hypothesis import given
from hypothesis import strategies as st

from etl.mirror.plan import (
    Line,
    Pair,
    Plan,
    forced,
    judge,
    plan,
    raw_to_remove,
    raw_to_send,
)

NAMES = st.sampled_from(["a", "b", "c", "d"])
TAGS = st.sampled_from(["x", "y", "z"])
LINES = st.dictionaries(NAMES, st.builds(Line, TAGS, st.integers(0, 3)))
KNOWN = st.dictionaries(
    NAMES, st.builds(Pair, TAGS, TAGS.map(str.upper), st.booleans()) | st.just(Pair())
)  # a store tags by other digests than ours
STORED = st.dictionaries(NAMES, st.builds(Line, TAGS.map(str.upper) | TAGS, st.integers(0, 3)))
FILES = st.dictionaries(st.sampled_from(["a/a", "a/b", "b/a", "b/b"]), st.integers(0, 3))


@given(LINES, STORED, KNOWN)
def test_every_partition_is_planned_once(source, target, known):
    found = plan(source, target, known)
    names = [*found.same, *found.send, *found.compare, *found.remove, *found.theirs]

    assert sorted(names) == sorted({*source, *target})


@given(LINES, STORED, KNOWN, st.sets(NAMES))
def test_what_the_target_alone_has_or_was_changed_in_is_not_lost(source, target, known, alike):
    found = judge(plan(source, target, known), source, target, alike, known)
    for name in (*found.send, *found.remove):
        if name in target:
            both = known.get(name, Pair())
            is_as_left = name in known and both.target in {"", target[name].tag}
            is_older = name in source and target[name].changed_ns <= source[name].changed_ns

            assert is_as_left or (is_older and (both.is_begun or not both.target)), name


@given(LINES, STORED, KNOWN)
def test_what_was_sent_is_the_same_next_time(source, target, known):
    found = forced(judge(plan(source, target, known), source, target, ()), source)
    sent = {name: Line(source[name].tag.upper(), 4) for name in found.send}
    after = {name: line for name, line in target.items() if name not in found.remove} | sent
    now = known | {name: Pair(source[name].tag, line.tag) for name, line in sent.items()}

    assert plan(source, after, now) == Plan(same=sorted(source))


@given(LINES, KNOWN)
def test_a_copy_begun_and_killed_is_never_anothers(source, known):
    begun = known | {name: Pair() for name in source if name not in known}
    target = {name: Line(line.tag, line.changed_ns) for name, line in source.items()}

    assert plan(source, target, begun).same == sorted(source)
    assert plan({}, target, {name: Pair() for name in source}).remove == sorted(source)


def test_a_line_the_target_wrote_later_is_theirs_and_an_older_one_is_replaced():
    source = {"newer": Line("x", 2), "older": Line("x", 1)}
    target = {"newer": Line("Y", 1), "older": Line("Y", 2)}

    found = judge(plan(source, target, {}), source, target, ())

    assert found == Plan(send=["newer"], theirs=["older"])


def test_a_line_is_sent_where_only_the_source_changed():
    both = {"a": Pair("x", "X")}

    found = plan({"a": Line("y", 0)}, {"a": Line("X", 9)}, both)

    assert found == Plan(send=["a"])


@given(FILES, FILES, st.sets(st.sampled_from(["a/a", "a/b", "b/a", "b/b"])))
def test_raw_ends_as_the_source_has_it_and_none_of_others_is_removed(source, target, known):
    sent = raw_to_send(source, target)
    gone = raw_to_remove(source, target, known)
    after = {name: size for name, size in target.items() if name not in gone}
    after |= {name: source[name] for name in sent}

    assert {name: after[name] for name in source} == source
    held = {name.partition("/")[0] for name in source}  # of a merge, something is left
    may_go = {name for name in known if name.partition("/")[0] in held}
    assert {*after} - {*source} == {*target} - {*source} - may_go
