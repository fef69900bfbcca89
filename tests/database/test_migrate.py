from etl import migrate
from etl.connection import connect
from etl.database import check_schema


def test_a_copy_of_the_template_passes_the_check_of_its_schema(database):
    with connect(database) as connection:
        check_schema(connection)


def test_a_second_init_changes_nothing(empty_database):
    with connect(empty_database) as connection:
        assert migrate.init(connection) == [
            "applied 0001_schema.sql",
            "applied policies.sql and roles.sql",
        ]
        assert migrate.init(connection) == []
