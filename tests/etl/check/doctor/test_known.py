import ast
import re
import string
from pathlib import Path

import pytest

from etl.check import doctor
from etl.check.doctor.known import KNOWN

SOURCES = {
    path: path.read_text(encoding="utf-8") for path in Path(doctor.__file__).parent.glob("*.py")
}
CODE = re.compile(r"[a-z]+\.[a-z_]+")
OPERATIONS = ("sync", "backup", "drill")


def calls():
    """Yield every call of `found`: its code's possible values, and the names it is given."""
    for path, text in SOURCES.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "found":
                yield path.name, node.args[0], {one.arg for one in node.keywords}


def stated():
    """Return every code that stands in a module, whole."""
    words = {
        node.value
        for path, text in SOURCES.items()
        if not path.name.startswith("known")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    made = {f"{name}.{end}" for name in OPERATIONS for end in ("never", "old", "failed")}
    made |= {f"{name}.short" for name in ("sync", "backup")}
    made |= {f"settings.{kind}" for kind in ("file", "value", "unknown")}
    return words | made


def test_every_finding_that_is_known_can_be_found():
    assert set(KNOWN) - stated() == set()


def test_every_finding_that_can_be_found_is_known():
    codes = {word for word in stated() if CODE.fullmatch(word) and word.partition(".")[0] in AREAS}
    assert len(codes) > 50
    assert codes - {path.name for path in SOURCES} - {"lake.json"} == set(KNOWN)


AREAS = {code.partition(".")[0] for code in KNOWN}


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
def test_a_finding_says_where_it_comes_from_and_what_to_do(known):
    assert known.level in {"fault", "warning"}
    assert known.cause
    assert known.cause.rstrip(".") == known.cause
    assert known.cure


def test_every_cure_is_given_what_it_says():
    asked = {
        code: {name for _, name, _, _ in string.Formatter().parse(known.cure) if name}
        for code, known in KNOWN.items()
    }
    literal = [
        (file, code.value, given) for file, code, given in calls() if isinstance(code, ast.Constant)
    ]
    assert len(literal) > 40
    assert [one for one in literal if asked[one[1]] - one[2]] == []
