"""Locks in a bucket: one holder at a time, whoever is killed, stopped, or has a wrong clock."""

import multiprocessing
import shutil
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack

import pytest

from lake.errors import LeaseLostError, PartitionBusyError
from lake.store.files import publish_object, remove
from lake.store.lease import borrowed, held, lent
from tests.lake.store.holder import ELSEWHERE, NAMES, Told, holding
from tests.objects.server import do_without
from tests.objects.wire import wired

PATIENCE = 60.0
SHORT = 2.0
pytestmark = pytest.mark.slow


def locked(root, *, name=NAMES[0], seconds=PATIENCE):
    return held(root / name, "a", seconds=seconds, doing="is being written by", cure="wait")


def publish_for(loan, place, data):
    with borrowed(loan):
        publish_object(place, data)


@pytest.fixture
def told(object_server, bucket):
    """What a process is told that holds a lock of the lake."""

    def tell(address=object_server.s3, **how):
        return Told(address, bucket, **how)

    return tell


def test_of_many_who_want_a_lock_one_has_it_at_a_time(object_server, bucket, told):
    object_server.overwrite(bucket, "n", b"0")
    with ExitStack() as stack:
        asked = told(counts=5, lease_seconds=PATIENCE)
        all_of_them = [stack.enter_context(holding(asked)) for _ in range(6)]
        assert [one.says() for one in all_of_them] == ["free"] * 6
    assert object_server.read(bucket, "n") == b"30"
    assert object_server.objects(bucket) == [f"lake/{NAMES[0]}", "n"]


def test_who_is_killed_is_followed_at_once_on_the_same_machine(lake_at, told):
    with holding(told(lease_seconds=3_600)) as holder:
        assert holder.says() == "held"
        with pytest.raises(PartitionBusyError, match=rf"by process {holder.process.pid} of"):
            locked(lake_at(), seconds=0).__enter__()
        holder.process.kill()  # and nobody asks how it ended
        with locked(lake_at()):
            publish_object(lake_at() / NAMES[1], b"ours")
    assert (lake_at() / NAMES[1]).read_bytes() == b"ours"


def test_who_is_killed_elsewhere_is_followed_when_the_lease_has_lapsed(lake_at, told):
    with holding(told(lease_seconds=SHORT, host=ELSEWHERE)) as holder:
        assert holder.says() == "held"
        holder.process.kill()
        with pytest.raises(PartitionBusyError, match=f"of {ELSEWHERE}; wait"):
            locked(lake_at(), seconds=0).__enter__()
        with locked(lake_at()):
            publish_object(lake_at() / NAMES[1], b"ours")
    assert (lake_at() / NAMES[1]).read_bytes() == b"ours"


def test_who_wakes_after_others_took_over_publishes_nothing(lake_at, told):
    with holding(told(lease_seconds=SHORT)) as holder:
        assert [holder.says(), holder.told("put first")] == ["held", "put"]
        holder.process.send_signal(signal.SIGSTOP)
        with locked(lake_at()):
            publish_object(lake_at() / NAMES[1], b"ours")
            holder.process.send_signal(signal.SIGCONT)
            assert holder.told("put theirs") == "LeaseLostError"
        assert holder.told("remove") == "LeaseLostError"  # nor when the lock is free again
        assert holder.told("end") == "free"
        with locked(lake_at(), seconds=0):
            assert (lake_at() / NAMES[1]).read_bytes() == b"ours"


def test_a_put_that_is_on_its_way_when_others_take_over_is_refused(object_server, lake_at, told):
    arrives = threading.Event()
    with (
        wired(object_server.port) as wire,
        holding(told(wire.address, lease_seconds=SHORT)) as holder,
    ):
        assert [holder.says(), holder.told("put first")] == ["held", "put"]
        late = wire.fails("PUT", NAMES[1], late=arrives)
        holder.process.stdin.write("put theirs\n")
        while not late.met:
            time.sleep(0.01)
        holder.process.send_signal(signal.SIGSTOP)
        with locked(lake_at()):
            publish_object(lake_at() / NAMES[1], b"ours")
            arrives.set()
            holder.process.send_signal(signal.SIGCONT)
            assert holder.says() == "LeaseLostError"
    assert (lake_at() / NAMES[1]).read_bytes() == b"ours"
    assert 412 in [one.status for one in wire.requests if one.key.endswith(NAMES[1])]


@pytest.fixture
def faketime():
    program = shutil.which("faketime")
    if program is None:
        do_without(pytest, "no faketime on this machine: Debian's package would do")
    return program


def test_who_waits_with_a_clock_that_is_ahead_takes_nothing_from_the_living(
    lake_at, told, faketime
):
    waits = told(lease_seconds=SHORT, wait_seconds=3 * SHORT, host=ELSEWHERE)
    with locked(lake_at(lease_seconds=SHORT)), holding(waits, under=[faketime, "-f", "+7m"]) as one:
        assert one.says() == "PartitionBusyError"


def test_who_holds_a_lock_with_a_clock_that_is_behind_keeps_it(lake_at, told, faketime):
    lives = told(lease_seconds=SHORT, host=ELSEWHERE)
    under = ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", faketime, "-f", "-7m"]  # else no wait ends
    with holding(lives, under=under) as holder:
        assert holder.says() == "held"
        with pytest.raises(PartitionBusyError):
            locked(lake_at(lease_seconds=SHORT), seconds=3 * SHORT).__enter__()
        assert holder.told("put theirs") == "put"


def test_a_lock_is_kept_while_others_come_and_go(lake_at, told):
    root = lake_at(lease_seconds=SHORT)
    asks = told(lease_seconds=SHORT, wait_seconds=3 * SHORT, host=ELSEWHERE)
    with locked(root), holding(asks) as other:
        said = []
        listening = threading.Thread(target=lambda: said.append(other.says()))
        listening.start()
        while listening.is_alive():
            with locked(root, name="locks/b.lock"):
                pass
        assert said == ["PartitionBusyError"]


def test_a_lock_whose_answer_is_lost_is_held_all_the_same(object_server, lake_at):
    with wired(object_server.port) as wire:
        root = lake_at(wire.address)
        lost = wire.fails("PUT", NAMES[0], swallowed=True)
        with locked(root) as lease:
            again = wire.fails("PUT", NAMES[0], swallowed=True)
            lease.renew()
            lease.check()
            published = wire.fails("PUT", NAMES[1], swallowed=True)
            publish_object(root / NAMES[1], b"ours")
    assert [lost.met, again.met, published.met] == [1, 1, 1]
    assert (lake_at() / NAMES[1]).read_bytes() == b"ours"


def test_a_lease_that_cannot_be_renewed_ends_before_others_begin(
    object_server, lake_at, monkeypatch
):
    monkeypatch.setattr("lake.store.objects.RETRIES", 0)
    with wired(object_server.port) as wire:
        root = lake_at(wire.address, lease_seconds=SHORT)
        with locked(root):
            wire.fails("PUT", NAMES[0], busy=True, times=10_000)
            with locked(lake_at(lease_seconds=SHORT)):
                with pytest.raises(LeaseLostError, match="lapsed while"):
                    publish_object(root / NAMES[1], b"theirs")
                publish_object(lake_at() / NAMES[1], b"ours")
    assert (lake_at() / NAMES[1]).read_bytes() == b"ours"


def test_an_answer_that_does_not_come_costs_no_lease(object_server, lake_at):
    never = threading.Event()
    with wired(object_server.port) as wire, locked(lake_at(wire.address, lease_seconds=6)) as lease:
        hangs = wire.fails("PUT", NAMES[0], held=never)
        begun = time.monotonic()
        while time.monotonic() < begun + 7:
            lease.check()
            time.sleep(0.1)
        assert hangs.met == 1
        place = lake_at(wire.address, lease_seconds=6) / NAMES[1]
        publish_object(place, b"ours")
        hangs = wire.fails("POST", held=never)
        remove(place)
        assert hangs.met == 1
        assert not place.is_file()


def test_who_works_under_a_lock_that_is_lent_loses_it_with_the_lender(lake_at, told):
    lock, place = (lake_at() / name for name in NAMES)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        with locked(lake_at()):
            loan = lent(lock)
            pool.submit(publish_for, loan, place, b"ours").result()
        with holding(told()) as holder:
            assert holder.says() == "held"
            with pytest.raises(LeaseLostError, match="lapsed while this process worked under it"):
                pool.submit(publish_for, loan, place, b"too late").result()
    assert lent(lock) is None
    assert place.read_bytes() == b"ours"


def test_locks_are_let_go_of_by_one_try_where_the_bucket_is_away(object_server, lake_at):
    with wired(object_server.port) as wire:
        root = lake_at(wire.address)
        with ExitStack() as stack:
            for number in range(4):
                stack.enter_context(locked(root, name=f"locks/{number}.lock"))
            wire.dead = True
        assert wire.cuts <= 4 * 4  # a put and a look, each perhaps over a connection that was open
        wire.dead = False
        with pytest.raises(PartitionBusyError):  # it lapses: nobody knows whether it is free
            locked(lake_at(), name="locks/0.lock", seconds=0).__enter__()
