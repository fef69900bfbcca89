"""The file all processes of this user share the exchange's credits by."""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from etl.check.doctor.finding import Finding, found, well
from etl.check.doctor.people import user
from etl.check.doctor.situation import Situation
from etl.deribit.rate_limit import shared_bucket_path


def look(situation: Situation) -> Iterator[Finding]:
    """Look whether the file can be used."""
    netloc = urlsplit(situation.settings.base_url).netloc
    try:
        path = shared_bucket_path(netloc, "credits")
    except OSError as error:
        what = f"{error.filename}: {error.strerror}"
        yield found("credits.file", what, file=error.filename, user=user())
        return
    place = path if path.exists() else path.parent
    if os.access(place, os.R_OK | os.W_OK):
        yield well("credits", f"shared by {path}")
    else:
        yield found("credits.file", f"{user()} may not write {place}", file=place, user=user())
