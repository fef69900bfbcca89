"""``python -m tests.acceptance.log_lines FOLDER WORKER LINES``: lines into one log."""

import logging
import sys
from pathlib import Path

from etl.logs import logging_to

FILLING = "x" * 900


def main() -> None:
    """Write them."""
    folder, worker, lines = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with logging_to(folder, console=False):
        log = logging.getLogger("etl.acceptance")
        for number in range(lines):
            log.info("%s %d %s", worker, number, FILLING)


if __name__ == "__main__":
    main()
