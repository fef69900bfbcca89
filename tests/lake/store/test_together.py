"""Many things asked for at once, and answered in order."""

import threading
import time

import pytest

from lake.store.together import each, together


def test_answers_come_in_order_whichever_is_first():
    def ask(number):
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * number

    assert list(together(ask, range(50), at_once=8)) == [number**2 for number in range(50)]


def test_so_many_are_asked_for_at_once_and_no_more():
    meeting, seen = threading.Barrier(4, timeout=60), []

    def ask(number):
        seen.append(number)
        meeting.wait()  # until four are here: fewer at once would wait for ever
        return number

    answers = together(ask, range(8), at_once=4)

    assert next(answers) == 0
    assert len(seen) == 4
    assert list(answers) == list(range(1, 8))


def test_an_error_comes_in_its_turn_and_ends_it():
    asked = []

    def ask(number):
        asked.append(number)
        if number == 2:
            raise ValueError(number)
        return number

    answers = together(ask, range(1_000), at_once=3)

    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(ValueError, match="2"):
        next(answers)
    assert len(asked) <= 5


def test_files_of_a_folder_are_looked_at_one_by_one_when_they_are_wanted(tmp_path):
    asked = []

    answers = each(tmp_path, lambda number: asked.append(number) or number, range(9))

    assert (next(answers), next(answers), asked) == (0, 1, [0, 1])
