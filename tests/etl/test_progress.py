import io
import logging

import pytest
import rich.console
import rich.progress

from etl import progress
from etl.progress import BarProgress, LogProgress, progress_on


def test_without_a_terminal_there_are_log_lines():
    with progress_on(is_terminal=False) as shown:
        assert isinstance(shown, LogProgress)


def test_a_log_line_says_how_far_every_instrument_is(caplog, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_SECONDS", 0.0)
    shown = LogProgress()
    shown.expect("BTC-PERPETUAL", 3)
    shown.expect("ETH-PERPETUAL", 2)

    with caplog.at_level(logging.INFO, "etl.progress"):
        shown.advance("BTC-PERPETUAL")

    assert caplog.messages == ["requests answered: BTC-PERPETUAL 1/3, ETH-PERPETUAL 0/2"]


def test_log_lines_are_far_between(caplog):
    shown = LogProgress()
    shown.expect("BTC-PERPETUAL", 100)

    with caplog.at_level(logging.INFO, "etl.progress"):
        for _ in range(100):
            shown.advance("BTC-PERPETUAL")

    assert caplog.messages == []


@pytest.fixture
def bars():
    console = rich.console.Console(file=io.StringIO(), force_terminal=False)
    return rich.progress.Progress(console=console)


def test_an_instrument_has_one_bar_that_grows_as_more_is_expected(bars):
    shown = BarProgress(bars)

    shown.expect("BTC-PERPETUAL", 3)
    shown.expect("BTC-PERPETUAL", 2)
    shown.advance("BTC-PERPETUAL")

    (task,) = bars.tasks
    assert (task.description, task.completed, task.total) == ("BTC-PERPETUAL", 1, 5)


def test_on_a_terminal_there_are_bars_on_stderr_and_nothing_on_stdout(capsys):
    with progress_on(is_terminal=True) as shown:
        shown.expect("BTC-PERPETUAL", 2)
        shown.advance("BTC-PERPETUAL")

    out, err = capsys.readouterr()
    assert out == ""
    assert "BTC-PERPETUAL" in err
