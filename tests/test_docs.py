import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from etl.catalog import DATASETS
from etl.database import packages
from etl.database.server import down, up
from tests import pages, schema, troubles
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.exchange.running import running

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
BIN = Path(sys.executable).parent
DATABASE = re.compile(
    r"deribit-lake (db|load|reload|verify-db)|--load|--from db|just (db|load|psql)"
)
FULL_HISTORY = re.compile(
    r"2016-12-01|backfill \w+$|lake sync$", re.MULTILINE
)  # a minute without limits
TICKERS = re.compile(r"--tickers")  # a request for every option
MARKS = (
    (pytest.mark.slow, FULL_HISTORY),
    (pytest.mark.slow, TICKERS),
    (pytest.mark.database, DATABASE),
)


def blocks(language):
    """Yield every fenced block of a language in the README and the docs, named by page and line."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in re.finditer(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, found.start()) + 2
            yield pytest.param(
                found[1],
                id=f"{page.name}:{line}",
                marks=[mark for mark, words in MARKS if words.search(found[1])],
            )


def first_screen():
    """Return the two commands of the README's first block."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = text.split("```sh\n")[1].split("```")[0].splitlines()
    return [line.partition("#")[0].strip() for line in lines]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Return the environment a reader of the docs works in: a lake in ./data, an exchange."""
    home = tmp_path_factory.mktemp("reader")
    with running(limits=False, options_since="2025-10-01", option_activity=0.05) as exchange:
        settings = {"HOST": exchange.url, "CREDIT_REFILL": "1e9", "CREDIT_CAPACITY": "1e9"}
        environment = os.environ | {f"DERIBIT_LAKE_{name}": text for name, text in settings.items()}
        environment |= {f"DERIBIT_LAKE_{name}_URL": exchange.url for name in ("TREASURY", "FRED")}
        environment |= {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "JUST_JUSTFILE": str(ROOT / "justfile"),
            "VIRTUAL_ENV": str(BIN.parent),
        }
        for dataset in ("perpetuals", "funding"):
            run(f"deribit-lake backfill {dataset} --start 2025-10-14", home, environment)
        yield home, environment


@pytest.fixture
def read(reader, tmp_path):
    home, environment = reader
    shutil.copytree(home / "data", tmp_path / "data")
    here = environment | {"JUST_WORKING_DIRECTORY": str(tmp_path)}
    return lambda script: run(script, tmp_path, here)


def run(script, folder, environment):
    shell = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        shell,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def database_folder(reader):
    """Return the folder of a server that holds what the reader's lake holds."""
    reason = None if packages.is_unpacked() else packages.obtainable()
    if reason is not None:
        told = f"no TimescaleDB ({reason}); Debian's packages would do"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    home, environment = reader
    with tempfile.TemporaryDirectory(prefix="deribit-lake-docs-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the server's user passes through
        up(folder / "db", durable=False)
        run("deribit-lake db init", home, environment | {"DERIBIT_LAKE_DB_DIR": f"{folder}/db"})
        yield folder / "db"
        down(folder / "db")


@pytest.fixture
def read_with_database(read, tmp_path, database_folder):
    up(database_folder, durable=False)
    settings = (("DERIBIT_LAKE_DB_DIR", str(database_folder)),)
    product = InProcess(Product(tmp_path / "data", "http://127.0.0.1:9", settings))
    assert product.run("reload").returncode == 0
    own = f"export DERIBIT_LAKE_DB_DIR={database_folder}\n"
    return lambda script: read(own + script)


@pytest.mark.parametrize("script", [b for b in blocks("sh") if "pip install" not in b.values[0]])
def test_every_shell_block_of_the_docs_runs(request, script):
    fixture = "read_with_database" if DATABASE.search(script) else "read"
    request.getfixturevalue(fixture)(script)


@pytest.mark.parametrize("script", list(blocks("python")))
def test_every_python_block_of_the_docs_runs(read, script, tmp_path):
    if "import pandas" in script:
        pytest.importorskip("pandas", reason="pandas is not a dependency")
    (tmp_path / "block.py").write_text(script, encoding="utf-8")
    assert read("python block.py")


@pytest.mark.parametrize(
    "recipe",
    [
        "backfill-perp --start 2025-10-16 --json",
        "rates --start 2025-10-01 --end 2025-10-18 --json",
        "status",
        "quality",
        "report",
        "doctor --offline --json",
    ],
)
def test_recipes_pass_their_options_on(read, recipe):
    read(f"just {recipe}")


def test_the_query_recipe_takes_sql_and_options(read):
    told = read('just query "SELECT count(*) AS n FROM perpetuals_ohlcv" --format csv')
    assert told == "n\n11520\n"


def test_the_first_screen_has_two_self_sufficient_commands():
    alone = "python3 -m pip install -qUt .tools uv && .tools/bin/uv run --cache-dir .tools/cache"
    assert first_screen() == [f"{alone} just {what}" for what in ("demo", "test")]


def guarded_python():
    """Return the folder of a Python that only the distribution may install into, or None."""
    marked = any(Path("/usr/lib").glob("python3*/EXTERNALLY-MANAGED"))
    asked = ["/usr/bin/python3", "-m", "pip", "--version"]
    found = marked and subprocess.run(asked, check=False, capture_output=True).returncode == 0
    return "/usr/bin" if found else None


@pytest.mark.slow
def test_the_first_screen_gets_uv_past_a_guarded_python(tmp_path):
    folder = guarded_python() or pytest.skip("no Python here that Debian keeps for itself")
    install = first_screen()[0].partition(" && ")[0]
    environment = os.environ | {"PATH": folder}
    for _ in range(2):
        run(install, tmp_path, environment)
    assert "uv 0." in run(".tools/bin/uv --version", tmp_path, environment)


def test_what_the_first_screen_installs_is_ignored_by_git():
    made = [".tools/bin", ".tools/cache", ".venv/bin", "demo/lake", "uv.lock"]
    assert run(f"git check-ignore {' '.join(made)}", ROOT, os.environ).split() == made


def test_recipes_find_uv_in_the_clone(tmp_path):
    shutil.copy(ROOT / "justfile", tmp_path)
    uv = tmp_path / ".tools" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text('#!/bin/sh\necho asked: "$@"\n', encoding="utf-8")
    uv.chmod(0o755)
    bare = {name: text for name, text in os.environ.items() if name != "VIRTUAL_ENV"}
    assert run("just status --json", tmp_path, bare | {"PATH": f"{BIN}:/usr/bin:/bin"}) == (
        "asked: run deribit-lake status --json\n"
    )


def test_continuous_integration_runs_the_second_command_of_the_readme():
    assert "first_screen 2" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_demo_ends_with_both_perpetuals_complete_and_can_be_repeated(read, tmp_path):
    for _ in range(2):
        told = read("just demo 3").partition("\nsummary\n")[2]
        assert told.count("COMPLETE") == 6
        assert "INCOMPLETE" not in told
    assert (tmp_path / "demo" / "demo.html").stat().st_size > 1_000_000


def test_the_page_of_the_command_line_is_fresh():
    assert pages.CLI.read_text(encoding="utf-8") == pages.cli_page(), "run `just docs`"


def test_the_table_of_settings_is_fresh():
    page = pages.OPERATIONS.read_text(encoding="utf-8")
    assert pages.SETTINGS.findall(page) == [pages.settings_table()], "run `just docs`"


def test_the_findings_of_doctor_are_fresh():
    page = troubles.DOCTOR.read_text(encoding="utf-8")
    assert troubles.FINDINGS.findall(page) == [troubles.findings_tables()], "run `just docs`"


@pytest.mark.parametrize("path", list(pages.command_paths()), ids=" ".join)
def test_every_command_is_documented_with_an_example(path):
    page = pages.CLI.read_text(encoding="utf-8")
    words = " ".join(("deribit-lake", *path))
    section = page.partition(f"\n## {words}\n")[2].partition("\n## ")[0]
    assert f"Usage: {words}" in section
    assert f"Example: {words}" in section or "COMMAND [ARGS]" in section


@pytest.mark.parametrize("path", list(pages.command_paths()), ids=" ".join)
def test_no_word_of_a_docstring_is_taken_for_markup_in_help(path):
    bracketed = re.findall(r"\[\w+\]", pages.docstring_of(path))
    assert [word for word in bracketed if word not in pages.help_of(path)] == []


def test_the_dictionary_of_columns_is_fresh():
    page = schema.LAKE.read_text(encoding="utf-8")
    assert schema.COLUMNS.findall(page) == [schema.dictionary()], "run `just schema`"


@pytest.mark.parametrize("name", schema.MODELS)
def test_every_column_is_described(name):
    page = schema.LAKE.read_text(encoding="utf-8")
    section = page.split(f"### {name}\n")[1].split("\n#")[0]
    described = re.findall(r"^\| `(\w+)` \| \S.* \| .* \| \S.* \|$", section, re.MULTILINE)
    assert described == list(schema.MODELS[name].to_schema().columns)


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_stands_in_the_dictionary(name):
    assert re.sub(r"_(\d+|1D)$", "", name) in schema.MODELS


@pytest.mark.parametrize("index", ["README.md", "docs/README.md"])
def test_every_page_stands_in_both_indices(index):
    text = (ROOT / index).read_text(encoding="utf-8")
    here = (ROOT / index).parent
    targets = {
        (here / one.partition("#")[0]).resolve() for one in re.findall(r"\]\(([^)]+)\)", text)
    }
    assert [page.name for page in PAGES if page not in targets and page != ROOT / index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if not target.startswith("http"):
            file = page.parent / path if path else page
            assert file.exists(), target
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert not anchor or anchor in [anchor_of(one) for one in headings], target


def anchor_of(heading):
    """Return what a link names a heading by, as GitHub does: no punctuation."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
