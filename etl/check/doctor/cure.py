"""What is known of a finding before it is seen: how bad it is, its cause, its cure."""

from typing import Literal, NamedTuple


class Known(NamedTuple):
    """What is known of a finding before it is seen."""

    level: Literal["fault", "warning"]
    cause: str
    cure: str
