"""The report in a real browser, without a network: what it draws, and what a reader can do with it.

Needs Debian's chromium, as `CHROMIUM` says or at its usual path.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page

from sweep.report import write_report
from sweep.report.curves import chosen_rows, curves_finding
from sweep.report.rows import ranked

from .conftest import Reader


@pytest.fixture(scope="module")
def path(result, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(result, path)
    return path


@pytest.fixture(scope="module")
def reader(open_report, path) -> Reader:
    return open_report(path, viewport={"width": 1280, "height": 900}, color_scheme="light")


def names(page: Page) -> list[str]:
    """The trials in the table as shown."""
    return page.locator("#configurations tbody tr:visible th button").all_inner_texts()


def column(page: Page, title: str) -> list[str]:
    """What the table shows in a column, without the smaller text."""
    return page.evaluate(
        """(title) => {
            const table = document.getElementById('configurations');
            const index = [...table.tHead.rows[0].cells]
                .findIndex((cell) => cell.querySelector('span').textContent === title);
            return [...table.tBodies[0].rows].filter((row) => !row.hidden)
                .map((row) => row.cells[index].firstChild.textContent.trim());
        }""",
        title,
    )


def test_it_opens_offline_without_a_complaint_and_asks_for_nothing(reader):
    assert reader.complaints == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in reader.requests)


def test_every_figure_has_drawn_all_its_traces(reader):
    drawn = reader.page.evaluate(
        "() => [...document.querySelectorAll('.plot')].map((plot) => plot.data.length)"
    )
    assert len(drawn) == 7
    assert all(drawn)
    lines = reader.page.locator("#plot-curves .scatterlayer .trace").count()
    assert lines == reader.page.evaluate("document.getElementById('plot-curves').data.length")


def test_the_configurations_chosen_first_are_the_best_the_given_and_a_slow_one(reader, result):
    chips = reader.page.locator("#chips li").all_inner_texts()
    assert len(chips) == 3
    assert f"trial {ranked(result)[0].number}:" in chips[0]
    assert "(given)" in chips[1]


def test_a_heading_sorts_by_its_column_and_again_the_other_way(reader):
    page = reader.page
    button = page.locator("#configurations").get_by_role("button", name="learning rate")
    button.click()
    rates = [float(text) for text in column(page, "learning rate")]
    assert rates == sorted(rates)
    button.press("Enter")
    rates = [float(text) for text in column(page, "learning rate")]
    assert rates == sorted(rates, reverse=True)
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("learning rate")
    page.get_by_role("button", name="Rank").click()
    assert column(page, "Rank") == [str(place) for place in range(1, 41)]


def test_what_does_not_exist_is_sorted_last_both_ways(reader):
    page = reader.page
    button = page.get_by_role("button", name="ERT")
    for _ in range(2):
        button.click()
        shown = column(page, "ERT")
        assert "–" in shown
        assert set(shown[shown.index("–") :]) == {"–"}
    page.get_by_role("button", name="Rank").click()


def test_the_filter_keeps_rows_with_every_word(reader, result):
    page = reader.page
    page.fill("#filter", "sgd 2")
    wanted = {
        f"trial {t.number}"
        for t in result.trials
        if t.params["optimizer"] == "sgd" and 2 in (t.params["layers"], t.params["units"])
    }
    assert wanted
    assert wanted <= set(names(page))
    assert set(column(page, "optimizer")) == {"sgd"}
    page.fill("#filter", "units<10 epochs<=20 optimizer=adam")
    wanted = {
        f"trial {t.number}"
        for t in result.trials
        if t.params["optimizer"] == "adam"
        and t.params["units"] < 10
        and t.summary.epochs_median is not None
        and t.summary.epochs_median <= 20
    }
    assert wanted
    assert set(names(page)) == wanted
    page.fill("#filter", "")
    page.check("#all-solved")
    whole = sum(t.summary.solved == t.summary.replicates for t in result.trials)
    assert len(names(page)) == whole
    assert page.inner_text("#shown") == f"{whole} of 40 shown"
    page.uncheck("#all-solved")
    assert len(names(page)) == 40


@pytest.fixture(scope="module")
def picker(open_report, path) -> Page:
    """A page whose tests leave those chosen that were chosen first, all but the last of them."""
    return open_report(path).page


def test_curves_are_picked_from_the_list_and_the_table_and_removed(picker, result):
    page = picker
    third = ranked(result)[2].number
    page.select_option("#pick", str(third))
    assert page.locator("#chips li").count() == 4
    fourth = ranked(result)[3].number
    page.get_by_role("button", name=f"trial {fourth}", exact=True).click()
    medians = "document.getElementById('plot-curves').data.filter((t) => t.meta === 'median')"
    assert page.evaluate(f"new Set({medians}.map((t) => t.name)).size") == 5
    assert page.evaluate(f"new Set({medians}.map((t) => t.line.color)).size") == 5
    page.get_by_role("button", name=f"Remove trial {third}", exact=True).click()
    assert page.locator("#chips li").count() == 4
    assert f"trial {third}" not in page.evaluate(f"{medians}.map((t) => t.name)")
    page.get_by_role("button", name=f"Remove trial {fourth}", exact=True).click()
    assert page.locator("#chips li").count() == 3


def test_the_sentence_over_the_curves_is_about_those_that_are_shown(picker, result):
    page = picker
    rows = ranked(result)
    chosen = chosen_rows(rows)
    assert page.inner_text("#plot-curves-finding") == curves_finding(chosen, "100\u202f%")
    page.select_option("#pick", str(rows[2].number))
    finding = curves_finding([*chosen, rows[2]], "100\u202f%")
    assert page.inner_text("#plot-curves-finding") == finding
    assert page.get_attribute("#plot-curves", "aria-label") == finding
    page.get_by_role("button", name=f"Remove trial {chosen[0].number}", exact=True).click()
    finding = curves_finding([*chosen[1:], rows[2]], "100\u202f%")
    assert page.inner_text("#plot-curves-finding") == finding
    page.get_by_role("button", name=f"Remove trial {rows[2].number}", exact=True).click()
    page.select_option("#pick", str(chosen[0].number))


def test_a_seventh_configuration_takes_the_place_of_the_first(picker, result):
    page = picker
    shown = {row.number for row in ranked(result)[:1]}
    for row in ranked(result)[1:8]:
        page.select_option("#pick", str(row.number))
    assert page.locator("#chips li").count() == 6
    first = shown.pop()
    assert f"trial {first}:" not in page.inner_text("#chips")
    said = page.inner_text("#picked")
    last = ranked(result)[7].number
    assert said.startswith("At most 6 configurations are shown at a time: trial ")
    assert said.endswith(f"made room for trial {last}.")
    page.get_by_role("button", name=f"Remove trial {last}", exact=True).click()
    assert page.inner_text("#picked") == ""


def test_the_navigation_shows_its_last_entry_whole(reader):
    page = reader.page
    for width in (800, 1024, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        right = page.evaluate(
            "Math.max(...[...document.querySelectorAll('nav a')]"
            ".map((link) => link.getBoundingClientRect().right))"
        )
        assert right <= width


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("foo<3", "“foo<3” is left out: there is no column foo; there are rank, trial, layers"),
        ("layers<", "a value is missing; right would be layers<="),
        ("epochs<>4", "<> is no sign here; right are <, >, <=, >= and =, as in epochs<="),
        ("units<many", "many is no number; right would be units<="),
        ("optimizer<3", "optimizer has words, which go with = alone, as in optimizer="),
        ("<3", "it names no column"),
        ("qqq", "No configuration here has “qqq”."),
        ("adam sgd", "Each of these holds for some configuration, but none has them all."),
    ],
)
def test_a_filter_that_finds_nothing_or_is_wrong_says_why(reader, typed, said):
    page = reader.page
    page.fill("#filter", typed)
    assert said in page.inner_text("#filter-said")
    wrong = "left out" in page.inner_text("#filter-said")
    assert len(names(page)) == (40 if wrong else 0)
    assert page.get_attribute("#filter", "aria-invalid") == ("true" if wrong else "false")
    page.fill("#filter", "")
    assert not page.locator("#filter-said").is_visible()


def test_the_caption_is_about_the_figure_that_is_chosen(reader):
    page = reader.page
    assert "diamond" not in page.inner_text("#plot-time-caption")
    page.select_option("select[data-variants=plot-time]", "1")
    assert "diamond" in page.inner_text("#plot-time-caption")
    page.select_option("select[data-variants=plot-time]", "0")
    assert "diamond" not in page.inner_text("#plot-time-caption")


def test_the_loss_goes_to_a_logarithmic_axis_and_back(reader):
    page = reader.page
    kind = "document.getElementById('plot-curves')._fullLayout.yaxis2.type"
    assert page.evaluate(kind) == "linear"
    page.check("#log-loss")
    assert page.evaluate(kind) == "log"
    page.uncheck("#log-loss")
    assert page.evaluate(kind) == "linear"


def test_the_epochs_go_to_a_logarithmic_axis_and_back(reader):
    page = reader.page
    kind = "document.getElementById('plot-curves')._fullLayout.xaxis.type"
    page.check("#log-epochs")
    assert page.evaluate(kind) == "log"
    page.uncheck("#log-epochs")
    assert page.evaluate(kind) == "linear"


def test_single_replicates_can_be_left_out(reader):
    page = reader.page
    count = (
        "document.getElementById('plot-curves').data.filter((t) => t.meta === 'replicate').length"
    )
    assert page.evaluate(count) == 3 * 2 * 5
    page.uncheck("#lines")
    assert page.evaluate(count) == 0
    page.check("#lines")


def test_other_settings_can_be_chosen_with_their_finding(reader):
    page = reader.page
    finding = page.inner_text("#plot-landscape-2-finding")
    page.select_option("select[data-variants=plot-landscape-2]", "1")
    assert page.inner_text("#plot-landscape-2-finding") != finding
    title = page.inner_text("#plot-landscape-2-title")
    y, x = (text.strip().lower() for text in title.split("×"))
    axes = page.evaluate(
        """() => { const l = document.getElementById('plot-landscape-2').layout;
                   return [l.xaxis.title.text, l.yaxis.title.text]; }"""
    )
    assert x in axes[0]
    assert y in axes[1]


def taken(page: Page, name: str, tmp_path: Path) -> pd.DataFrame:
    """What a button gives, read as a program would; text where a column is not of numbers."""
    with page.expect_download() as download:
        page.locator(f"[data-download={name}]").click()
    download.value.save_as(tmp_path / name)
    return pd.read_csv(tmp_path / name)


@pytest.mark.parametrize("name", ["plot-hero", "plot-curves"])
def test_curves_are_taken_away_epoch_by_epoch(reader, result, tmp_path, name):
    found = taken(reader.page, name, tmp_path)
    assert list(found) == [
        *("trial", "configuration", "series", "part", "replicate", "epoch", "value"),
    ]
    assert set(found.series) == {"accuracy_share", "loss_nats"}
    best = ranked(result)[0]
    own = found.query(f"trial == {best.number} and series == 'loss_nats' and replicate == 1")
    expected = best.runs[1].curve("loss")
    assert own["value"].to_numpy() == pytest.approx(expected, rel=1e-6)
    assert own["epoch"].tolist() == list(range(1, len(expected) + 1))


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("plot-landscape-1", ["layers", "units"]),
        ("plot-parallel", ["layers", "units", "optimizer", "learning_rate"]),
        ("plot-time", ["plateau_median_epochs", "transition_median_epochs"]),
        ("configurations", ["parameters", "flops_to_solve_once", "ert_epochs"]),
    ],
)
def test_configurations_are_taken_away_as_plain_numbers(reader, result, tmp_path, name, columns):
    found = taken(reader.page, name, tmp_path).set_index("trial")
    assert set(columns) <= set(found)
    numeric = [name for name in found if pd.api.types.is_numeric_dtype(found[name])]
    assert set(found) - set(numeric) <= {"optimizer"}
    rows = {row.number: row for row in ranked(result)}
    assert set(found.index) == set(rows)
    for number, line in found.iterrows():
        row = rows[number]
        for heading, value in (
            ("to_target_median_epochs", row.median),
            ("to_target_low_epochs", row.low),
            ("to_target_high_epochs", row.high),
            ("plateau_median_epochs", row.plateau),
            ("flops_to_solve_once", row.flops),
            ("parameters", row.parameters),
            *row.settings.items(),
        ):
            if heading in found:
                there = line[heading]
                assert pd.isna(there) if value is None else there == value


@pytest.fixture
def table(reader) -> Iterator[Page]:
    """The page, whose table is shown whole and by rank before and after."""
    page = reader.page

    def tidy() -> None:
        page.fill("#filter", "")
        if page.locator("#configurations th").first.get_attribute("aria-sort") != "ascending":
            page.get_by_role("button", name="Rank").click()

    tidy()
    yield page
    tidy()


def test_what_the_table_shows_is_taken_away_in_its_order(table, tmp_path):
    page = table
    page.fill("#filter", "layers>2")
    page.locator("#configurations").get_by_role("button", name="learning rate").click()
    found = taken(page, "configurations", tmp_path)
    assert found["layers"].min() > 2
    assert found["learning_rate"].is_monotonic_increasing
    assert [f"trial {number}" for number in found["trial"]] == names(page)


def test_shares_of_runs_and_importances_are_taken_away_with_their_numbers(reader, result, tmp_path):
    solved = taken(reader.page, "plot-solved", tmp_path)
    assert list(solved) == ["optimizer", "runs", "by_epoch", "solved_runs", "solved_share"]
    whole = sum(run.ended == "solved" for trial in result.trials for run in trial.runs)
    assert solved.groupby("optimizer")["solved_runs"].max().sum() == whole
    weighed = taken(reader.page, "plot-importances", tmp_path)
    assert list(weighed) == ["importance_for", "setting", "importance_share"]
    assert weighed["importance_share"].between(0, 1).all()


def test_a_phone_needs_no_sideways_scrolling(open_report, path):
    phone = open_report(
        path, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.complaints == []
    assert phone.page.evaluate("document.getElementById('plot-curves')._fullLayout.width") <= 390


@pytest.fixture(scope="module")
def dark(open_report, path) -> Page:
    return open_report(path, color_scheme="dark").page


def test_dark_readers_get_a_dark_page_and_the_figures_follow_a_change(dark):
    page = dark
    background = "getComputedStyle(document.body).backgroundColor"
    line = "document.getElementById('plot-curves').data.find((t) => t.meta === 'median').line.color"
    assert page.evaluate(background) == "rgb(21, 23, 27)"
    assert page.evaluate(line) == "#56b4e9"
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"() => {line} === '#0072b2'")
    assert page.evaluate(background) == "rgb(253, 253, 251)"
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"() => {line} === '#56b4e9'")


def test_text_is_dark_enough_on_its_background(dark, reader):
    for page in (dark, reader.page):
        assert page.evaluate(CONTRAST) >= 4.5


def test_on_paper_the_page_is_light_without_controls_and_unfolded(dark, tmp_path):
    page = dark
    folded = "document.querySelectorAll('details:not([open])').length"
    before = page.evaluate(folded)
    assert before
    page.evaluate(
        f"""() => addEventListener('beforeprint', () => {{
            const {{ data }} = document.getElementById('plot-curves');
            const median = data.find((t) => t.meta === 'median');
            window.inPrint = [median.line.color, {folded}];
        }})"""
    )
    page.pdf(path=tmp_path / "report.pdf")
    assert page.evaluate("window.inPrint") == ["#0072b2", 0]
    assert page.evaluate(folded) == before
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert not page.locator(".controls").first.is_visible()
    assert page.locator("#chips").is_visible()
    page.emulate_media(media="screen")


CONTRAST = """() => {
    const light = (colour) => {
        const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
            .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (!/, 0\\)$|transparent/.test(colour)) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    let least = 21;
    const texts = 'h1, h2, h3, p, a, small, dt, dd, td, th, button, label, figcaption, summary';
    for (const element of document.querySelectorAll(texts)) {
        if (!element.textContent.trim() || element.closest('.skip, .plot')) continue;
        const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
        least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
    }
    return least;
}"""


def test_markup_that_a_user_gave_is_shown_as_text(open_report, make_result, make_study, tmp_path):
    evil = "<img src=x onerror=alert(1)><b>bold</b> %{x}"
    study = make_study("<script>alert(1)<", description="</script><script>alert(2)</script>")
    result = make_result(6, study=study)
    trials = tuple(replace(t, params=t.params | {"<b>cell": evil}) for t in result.trials)
    task = replace(result.task, classes=("<script>alert(4)</script>", "b"))
    path = tmp_path / "evil.html"
    write_report(replace(result, trials=trials, task=task), path)
    reader = open_report(path, viewport={"width": 1280, "height": 900})
    page = reader.page
    assert page.inner_text("h1") == "<script>alert(1)<"
    assert page.locator("img").count() == 0
    assert "<script>alert(4)</script>" in page.inner_text("#method")
    page.select_option("select[data-variants=plot-landscape-2]", label="<b>cell × units")
    assert "<b>cell" in page.locator("#plot-landscape-2 .infolayer").text_content()
    point = page.locator("#plot-landscape-2 .points path").last
    point.scroll_into_view_if_needed()
    point.hover(force=True)
    page.wait_for_selector("#plot-landscape-2 .hoverlayer text")
    assert evil in page.locator("#plot-landscape-2 .hoverlayer").text_content()
    assert reader.complaints == []


def test_a_grid_draws_its_heat_map(open_report, grid, tmp_path):
    write_report(grid, tmp_path / "grid.html")
    reader = open_report(tmp_path / "grid.html")
    assert reader.page.evaluate("document.getElementById('plot-landscape-1').data[0].type") == (
        "heatmap"
    )
    assert reader.page.locator("#plot-landscape-1 .heatmaplayer image").count() == 1
    assert reader.complaints == []


@pytest.mark.parametrize(("trials", "outcome"), [(1, "censored"), (12, "diverged")])
def test_studies_without_a_solution_draw_their_figures(
    open_report, make_result, tmp_path, outcome, trials
):
    write_report(make_result(trials, outcome=outcome), tmp_path / "odd.html")
    assert open_report(tmp_path / "odd.html").complaints == []


def test_a_study_without_trials_opens(browser, make_result, tmp_path):
    write_report(make_result(0), tmp_path / "empty.html")
    page = browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "empty.html").as_uri())
    assert "No trial of this study is complete yet" in page.inner_text("#answer")
    assert complaints == []
    page.close()
