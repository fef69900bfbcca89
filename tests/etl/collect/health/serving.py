"""The page of a board served from a thread of its own."""

import asyncio
import threading
from contextlib import contextmanager

from etl.collect.health.rates import Rates
from etl.collect.health.server import application, listen, serve
from etl.config import Collect
from tests.etl.collect.health.boards import NOW


@contextmanager
def served(board):
    """Serve until told to end; yield host and port, and what ends it."""
    opened = listen(Collect(listen="127.0.0.1:0"))
    address = f"127.0.0.1:{opened.getsockname()[1]}"
    loop, tasks = asyncio.new_event_loop(), []

    def work():
        told = application(board, Rates(board), lambda: NOW)
        tasks.append(loop.create_task(serve(told, opened)))
        loop.run_until_complete(tasks[0])

    def end():
        if thread.is_alive():
            loop.call_soon_threadsafe(tasks[0].cancel)
        thread.join()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield address, end
    finally:
        end()
        loop.close()
