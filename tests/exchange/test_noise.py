import math

import numpy as np
import pytest

from tests.exchange import noise

COUNTERS = np.arange(100_000, dtype=np.uint64)


def test_mixing_gives_the_published_first_number_of_splitmix64():
    golden = np.array([0x9E3779B97F4A7C15], dtype=np.uint64)

    # Java's SplittableRandom and xoshiro's authors start from seed 0 with this number.
    assert noise.mix(golden).tolist() == [0xE220A8397B1DCDAF]


def test_noise_has_these_bits_on_every_machine():
    channel = noise.key(7, "BTC", "hour")

    assert channel == 3624824558206115393
    assert noise.bits(channel, COUNTERS[:2]).tolist() == [
        14639483103861554104,
        10792156324965708694,
    ]


def test_a_channel_depends_on_the_seed_and_on_its_name():
    keys = {noise.key(seed, name) for seed in (0, 1, 2) for name in ("a", "b", "a/b")}

    assert len(keys) == 9


@pytest.mark.parametrize("draw", [noise.normal, lambda *at: noise.normal_of_lanes(noise.bits(*at))])
def test_normal_noise_has_mean_zero_and_deviation_one(draw):
    values = draw(noise.key(1, "x"), COUNTERS)

    assert values.mean() == pytest.approx(0.0, abs=0.01)
    assert values.std() == pytest.approx(1.0, abs=0.01)


def test_uniform_noise_fills_the_unit_interval_evenly():
    values = noise.uniform(noise.key(1, "x"), COUNTERS)

    assert np.histogram(values, 10, (0, 1))[0] == pytest.approx([10_000] * 10, rel=0.05)


def test_neighbouring_counters_and_channels_are_unrelated():
    one, other = (noise.normal(noise.key(1, name), COUNTERS) for name in "xy")

    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.01
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.01


@pytest.mark.parametrize("x", [-11.9, -1.0, 0.0, 0.3, 11.9])
def test_exponential_is_right_to_a_ten_millionth(x):
    assert noise.exponential(np.array([x]))[0] == pytest.approx(math.exp(x), rel=1e-7)
