"""Days that cannot be folded stay to be folded, and what is live of them stays live."""

import asyncio
import logging

from etl.collect import folding
from etl.collect.board import Board
from etl.collect.clock import ExchangeClock
from etl.collect.confirm import Confirmer
from etl.collect.desk import Desk
from etl.collect.messages import IndexPrice
from etl.collect.nights import Nights
from etl.collect.publishing import Publisher
from etl.collect.universe import Universe
from etl.config import Collect, Settings
from lake.live import read_live
from lake.paths import open_lake
from lake.span import DAY_MS

TODAY_MS = 1_760_745_600_000
NOBODY = "http://127.0.0.1:1"


def test_a_night_without_an_exchange_leaves_its_days_to_the_next_try(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    lake = open_lake(tmp_path / "lake", create=True)
    told = Collect(currencies=("BTC",), kinds=("trades",))
    settings = Settings(
        root=lake.root, log_dir=tmp_path / "logs", host=NOBODY, retry_attempts=1, collect=told
    )

    async def run():
        clock, universe = ExchangeClock(), Universe(told)
        clock.heard((TODAY_MS + 2 * 3_600_000) * 1000)
        desk = Desk(Board(0), clock, universe, lambda _: None, lambda _: None)
        publisher = Publisher(lake, desk, clock, lambda _: None)
        confirmer = Confirmer(None, clock, tmp_path, desk.answered, desk.looked)
        nights = Nights(
            settings, lake, universe=universe, desk=desk, publisher=publisher, confirmer=confirmer
        )
        folding.write_folded(lake, TODAY_MS - DAY_MS)
        nights.begin(TODAY_MS)
        desk.minutes.take("btc_usd", IndexPrice(TODAY_MS - 60_000, 1.0))
        await publisher.publish()
        task = asyncio.ensure_future(nights.run())
        async with asyncio.timeout(60):
            while "tried again later" not in caplog.text:  # noqa: ASYNC110  (no event says it)
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return desk.board

    board = asyncio.run(run())
    assert folding.read_folded(lake) == board.folded_ms == TODAY_MS - DAY_MS
    assert board.unfolded_since_ms is not None
    assert read_live(lake, "index_prices").num_rows == 1
    assert f"option_trades: {NOBODY}" in caplog.text
