from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.database.dsn import (
    check_dsn,
    database_of,
    password,
    redacted,
    with_database,
    with_defaults,
    without_secrets,
)
from etl.errors import UsageError

SECRET = "geheim-Zx9Q"
passwords = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1)


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        (f"postgresql://me:{SECRET}@db.example:5433/lake", "postgresql://me@db.example:5433/lake"),
        (f"postgres://me:{SECRET}@[::1]/lake", "postgres://me@[::1]/lake"),
        (f"postgresql://h/d?user=me&password={SECRET}", "postgresql://h/d?user=me"),
        (
            f"postgresql://h/d?sslpassword={SECRET}&sslmode=require",
            "postgresql://h/d?sslmode=require",
        ),
        ("postgresql://me@h:1,g:2/d?passfile=/p", "postgresql://me@h:1,g:2/d?passfile=/p"),
        (f"host=h password={SECRET} user=me", "host=h user=me"),
        (f"host=h password = '{SECRET} \\' x' user=me", "host=h user=me"),
        (f"postgresql://me:{SECRET}@oops@h/d", "(a DSN that cannot be read)"),
        ("postgresql://", "postgresql://"),
    ],
)
def test_a_redacted_dsn_is_the_dsn_without_its_secrets(dsn, expected):
    assert redacted(dsn) == expected


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://me:{SECRET}@{SECRET}@h/d",
        f"postgresql://me:{SECRET}/{SECRET}@h/d",
        f"postgresql://me:{SECRET}?{SECRET}@h/d",
        f"postgresql://me:{SECRET}%zz@h/d",
        f"postgresql://me:{SECRET}/d",
        f"host=h password={SECRET} {SECRET}",
        f"host=h password='{SECRET}",
        f"mysql://me:{SECRET}@h/d",
        SECRET,
    ],
)
def test_a_dsn_libpq_would_read_otherwise_is_refused_without_showing_it(dsn):
    with pytest.raises(UsageError, match="cannot be read") as caught:
        check_dsn(dsn)
    assert SECRET not in f"{caught.value}{redacted(dsn)}"


@given(passwords)
def test_a_password_comes_out_of_a_url_as_it_went_in(secret):
    dsn = f"postgresql://me:{quote(secret, safe='')}@h/d"
    check_dsn(dsn)
    assert password(dsn) == secret


@given(passwords)
def test_a_password_comes_out_of_keywords_as_it_went_in(secret):
    escaped = secret.replace("\\", "\\\\").replace("'", "\\'")
    dsn = f"host=h password='{escaped}' user=me"
    check_dsn(dsn)
    assert password(dsn) == secret


def test_a_password_is_masked_as_written_and_as_meant():
    text = without_secrets("no p%40ss, no p@ss", "postgresql://me:p%40ss@h/d")
    assert text == "no ***, no ***"


def test_a_stated_parameter_is_not_overridden():
    url = with_defaults("postgresql://h/d?connect_timeout=3", connect_timeout="10", options="-c a")
    keywords = with_defaults("host=h connect_timeout=3", connect_timeout="10", user="me")

    assert url == "postgresql://h/d?connect_timeout=3&options=-c%20a"
    assert keywords == "host=h connect_timeout=3 user=me"


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://me:x@h:1/old?passfile=/p", "postgresql://me:x@h:1/new?passfile=/p"),
        ("postgresql://h", "postgresql://h/new"),
        ("host=h dbname=old", "host=h dbname=old dbname=new"),
    ],
)
def test_another_database_of_the_same_server_can_be_named(dsn, expected):
    assert with_database(dsn, "new") == expected


@pytest.mark.parametrize(
    ("dsn", "name"),
    [
        ("postgresql://me@host:1/my%20data?sslmode=require", "my data"),
        ("postgresql://me@host", None),
        ("host=here dbname='my data' user=me", "my data"),
        ("host=here dbname=a dbname=b", "b"),
        ("host=here", None),
    ],
)
def test_the_name_of_the_database_is_read(dsn, name):
    assert database_of(dsn) == name
