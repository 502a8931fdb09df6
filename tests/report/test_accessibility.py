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


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        ("study", [("page", "light"), ("phone", "dark")]),
        ("grid", [("page", "dark")]),
        ("one", [("page", "light"), ("page", "dark")]),
    ],
)
def test_axe_finds_no_violation(open_report, pages, name, looks):
    page = open_report(pages / f"{name}.html", viewport=SIZES["page"], bypass_csp=True).page
    for size, scheme in looks:
        page.set_viewport_size(SIZES[size])
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response["violations"]
        violations = [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]
        assert violations == [], f"{size}, {scheme}"
