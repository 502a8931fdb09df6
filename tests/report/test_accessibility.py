"""Whether everybody can read the report: axe's rules, in light and dark, on a page and a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from sweep.report import write_report

SIZES = {"page": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def pages(result, grid, make_result, tmp_path_factory):
    directory = tmp_path_factory.mktemp("axe")
    studies = {"study": result, "grid": grid, "one": make_result(1)}
    for name, study in studies.items():
        write_report(study, directory / f"{name}.html")
    return directory


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "size"), [("study", "page"), ("study", "phone"), ("grid", "page"), ("one", "page")]
)
def test_axe_finds_no_violation(open_report, pages, name, size, scheme):
    reader = open_report(
        pages / f"{name}.html", viewport=SIZES[size], color_scheme=scheme, bypass_csp=True
    )
    found = Axe().run(reader.page).response["violations"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []
