import asyncio
import time

from etl.collect.clock import ExchangeClock

NOW_US = 1_760_745_600_000_000


def test_it_goes_on_from_what_answers_say():
    async def run():
        clock = ExchangeClock()
        clock.heard(NOW_US)
        first = clock.now_ms()
        await asyncio.sleep(0.05)
        return first, clock.now_ms(), clock.skew_ms

    first, later, skew = asyncio.run(run())
    assert abs(first - NOW_US // 1000) <= 1
    assert 45 <= later - first < 1_000
    assert abs(skew - (time.time() * 1000 - later)) < 1_000


def test_a_few_answers_whose_clock_jumped_move_nothing():
    async def run():
        clock = ExchangeClock()
        for jump_s in (0, 0, 0, 90, 0, -90, 90):
            clock.heard(NOW_US + jump_s * 1_000_000)
        return clock.now_ms()

    assert abs(asyncio.run(run()) - NOW_US // 1000) < 1_000


def test_before_any_answer_it_is_ours_and_nothing_is_said_of_a_difference():
    async def run():
        clock = ExchangeClock()
        return clock.now_ms(), clock.skew_ms

    now_ms, skew = asyncio.run(run())
    assert abs(now_ms - time.time() * 1000) < 1_000
    assert skew is None
