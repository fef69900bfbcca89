import pytest

from etl.check.doctor.secrets import censored, is_secret, secrets_of, shown

DSN = "postgresql://deribit:p%40ss-word@db.example:5432/deribit"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("RESTIC_PASSWORD", True),
        ("RESTIC_PASSWORD_FILE", False),
        ("RESTIC_PASSWORD_COMMAND", False),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("AWS_ACCESS_KEY_ID", True),
        ("B2_ACCOUNT_KEY", True),
        ("DERIBIT_LAKE_COLLECT__PING_URL", True),
        ("drill_ping_url", True),
        ("repository", False),
        ("keep_daily", False),
        ("KEYBOARD", False),
    ],
)
def test_a_name_says_whether_it_holds_a_secret(name, is_one):
    assert is_secret(name) is is_one


def test_what_is_shown_of_a_setting_is_without_its_secret():
    assert shown("ping_url", "https://hc-ping.com/5ec2e7") == "(set)"
    assert shown("dsn", DSN) == "postgresql://deribit@db.example:5432/deribit"
    assert shown("repository", "rest:https://me:hunter2@host/") == "rest:https://***@host/"
    assert shown("dsn", None) == "None"


def test_a_text_loses_every_secret_however_it_is_written():
    held = {
        "RESTIC_PASSWORD": "geheim-1",
        "PING_URL": "https://hc-ping.com/5ec2-e7",
        "PGPASSWORD": "",
    }
    text = f"{DSN} p@ss-word p%40ss-word geheim-1 /5ec2-e7 https://me:hunter2@host\nnext"
    told = censored(text, secrets_of(held), [DSN])
    assert told == (
        "postgresql://deribit@db.example:5432/deribit *** *** *** /*** https://***@host next"
    )


def test_a_secret_of_three_letters_is_no_reason_to_blacken_words():
    assert secrets_of({"RESTIC_PASSWORD": "the"}) == []
