"""Our pages of HTML: a template beside the code, the style they share, and the library that draws.

What a page holds stands in it: it needs no network to be read, and asks none.
"""

from html import escape
from pathlib import Path
from string import Template

STYLE = Path(__file__).with_name("style.css")


def filled(template: Path, *, title: str, **values: object) -> str:
    """Return a page: a template with its title, the style all pages share, and what is given.

    The title is escaped; the values are HTML.
    """
    return Template(template.read_text(encoding="utf-8")).substitute(
        title=escape(title), style=STYLE.read_text(encoding="utf-8"), **values
    )


def plotly_js() -> str:
    """Return the library that draws the charts of some pages."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415  slow, and only some pages need it

    return str(get_plotlyjs())
