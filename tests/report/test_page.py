"""The report as a file: whole, self-contained, and with nothing of a user's taken for markup."""

import json
import os
import re
import stat
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from studies.errors import BadInput
from sweep.report import render_report, write_report
from sweep.report.curves import CURVE_BUDGET, MOST_CURVES, chosen_rows, curve_rows
from sweep.report.page import context
from sweep.report.rows import ranked
from sweep.report.story import tell

EVIL = "<img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """What a browser would make of a page: elements with their attributes, and text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self.scripts = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        last = self.elements[-1][0] if self.elements else ""
        (self.scripts if last in ("script", "style") else self.text).append(data)

    def words(self):
        return re.sub(r"[ \n]+", " ", " ".join(self.text))

    def data(self):
        return json.loads(next(text for text in self.scripts if text.startswith("{")))


@pytest.fixture(scope="module")
def html(result):
    return render_report(result)


def test_the_report_is_one_file_that_loads_nothing(html):
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "img", "object")
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    assert "default-src 'none'" in html


def test_plotly_is_in_it_once(html):
    assert html.count("* plotly.js v") == 1


def test_the_headings_are_in_order(html):
    levels = [int(tag[1]) for tag, _ in Page(html).elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_figure_has_a_text_for_those_who_do_not_see_it(html):
    plots = [a for _, a in Page(html).elements if a.get("class") == "plot"]
    assert len(plots) == 7
    assert all(plot["role"] == "group" and len(plot["aria-label"]) > 20 for plot in plots)


def test_the_words_the_task_the_versions_and_the_command_are_told(html, result):
    text = Page(html).words()
    for word in ("solved", "censored", "plateau", "escape", "PAR2", "ERT"):
        assert word in text
    assert "3 timesteps × 1 features" not in text
    assert "3 timesteps × 1 feature" in text
    assert "0 (98), 1 (102)" in text
    assert "python -m sweep run hello-lstm.toml --name hello-lstm" in text
    assert result.study.to_toml().split("\n")[0] in text
    assert "Trained on processor Example processor cores 2" in text
    assert "tensorflow 2.21.0, keras 3.15.0" in text


def test_where_runs_were_trained_is_told_only_where_it_was_recorded(result):
    text = Page(render_report(replace(result, trained_on=()))).words()
    assert "not recorded" in text
    two = ({"processor": "One"}, {"processor": "Two", "versions": {"sweep": "9.9"}})
    text = Page(render_report(replace(result, trained_on=two))).words()
    assert "Trained on processor One" in text
    assert "Also trained on processor Two" in text
    assert "sweep 9.9" in text


def test_the_command_names_a_study_of_any_name_safely(make_result, make_study):
    text = " ".join(Page(render_report(make_result(2, study=make_study("a b'c; rm")))).text)
    assert "--name 'a b'\"'\"'c; rm'" in text
    assert "python -m sweep run a-b-c--rm.toml" in text


def test_what_a_user_gave_is_text_everywhere(make_result, make_study):
    study = make_study("<script>alert(1)<", description="</script><script>alert(2)</script>")
    result = make_result(4, study=study)
    task = replace(result.task, name=EVIL, classes=(EVIL, "</script>"))
    params = {"</script><b>x": EVIL}
    trials = tuple(replace(t, params=t.params | params) for t in result.trials)
    html = render_report(replace(result, task=task, trials=trials))
    page = Page(html)
    tags = [tag for tag, _ in page.elements]
    assert "img" not in tags
    assert tags.count("script") == 3
    assert "<script>alert(1)<" in page.text
    assert "</script><script>alert(2)</script>" in page.text
    figures = [figure for variants in page.data()["figures"].values() for figure in variants]
    drawn = json.dumps([[figure["data"], figure["layout"]] for figure in figures])
    assert "<img" not in drawn
    assert "&lt;img" in drawn


def test_a_password_in_the_storage_url_is_not_told(result):
    html = render_report(replace(result, storage="postgresql://me:secret@host/sweep"))
    assert "secret" not in html
    assert "me:***@host" in html


def test_a_study_of_the_default_size_stays_under_six_megabytes(make_result, make_study):
    result = make_result(100, outcome="censored")
    assert len(render_report(result).encode()) < 6_000_000


def test_thousands_of_trials_are_thinned_and_the_page_says_so(make_result, make_study):
    study = make_study(training={"epochs": 40, "replicates": 2})
    few = make_result(100, study=study)
    trials = tuple(replace(few.trials[i % 100], number=i) for i in range(3_000))
    html = render_report(replace(few, trials=trials))
    assert len(html.encode()) < 10_000_000
    text = Page(html).words()
    assert "Curves of 20" in text
    assert "of 3\u202f000 configurations are in this file" in text
    assert "The table holds the best 300 of 3\u202f000 configurations" in text
    assert "Shown are 2\u202f000 of 3\u202f000" in text


def test_the_curves_in_the_page_fit_their_budget_and_keep_what_is_shown_first(result):
    rows = ranked(result)
    kept, lines = curve_rows(rows, chosen_rows(rows))
    assert kept == rows
    assert lines
    many = [replace(row, place=n, number=n) for n, row in enumerate(rows * 50)]
    chosen = [*chosen_rows(many), many[-1]]
    kept, lines = curve_rows(many, chosen)
    assert not lines
    assert len(kept) <= MOST_CURVES + len(chosen)
    assert {row.number for row in chosen} <= {row.number for row in kept}
    long = [replace(rows[0], number=n, runs=rows[0].runs * 2_000) for n in range(50)]
    assert curve_rows(long, long[:1])[0] == long
    assert CURVE_BUDGET * 4 * 4 / 3 < 1_000_000


@pytest.mark.parametrize("outcome", ["censored", "diverged", "solved"])
@pytest.mark.parametrize("trials", [0, 1, 2])
def test_odd_studies_give_a_page(make_result, outcome, trials):
    page = Page(render_report(make_result(trials, outcome=outcome)))
    assert page.data()["name"] == "hello-lstm"


def test_a_study_of_one_setting_has_no_map_and_says_why(make_result, make_study):
    study = make_study(
        search={}, space={"units": [4, 8]}, training={"learning_rate": 0.01, "replicates": 2}
    )
    page = Page(render_report(make_result([{"units": 4}, {"units": 8}], study=study)))
    assert "searched one setting only (units)" in " ".join(page.text)
    assert "plot-landscape-1" not in page.data()["figures"]


def test_runs_of_a_single_epoch_give_a_page(make_result, make_study):
    study = make_study(training={"epochs": 1, "replicates": 2})
    assert Page(render_report(make_result(5, study=study))).data()["curves"]["chosen"]


def test_ten_classes_give_a_page(make_result, make_study):
    counts = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
    result = make_result(3, study=make_study(training={"target": 0.99}))
    task = replace(
        result.task, classes=tuple("0123456789"), class_counts=counts, records=sum(counts)
    )
    text = " ".join(Page(render_report(replace(result, task=task))).text)
    assert "0 (178), 1 (182)" in text
    assert "99\u202f%" in text


def test_the_file_is_written_whole_and_replaces_the_old_one(result, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(result, path)
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_the_file_has_the_rights_that_files_have(result, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("")
    write_report(result, tmp_path / "report.html")
    made, usual = (tmp_path / "report.html").stat(), plain.stat()
    assert stat.S_IMODE(made.st_mode) == stat.S_IMODE(usual.st_mode)


def test_a_directory_that_does_not_exist_is_refused(result, tmp_path):
    with pytest.raises(BadInput, match=r"there is no directory .*missing"):
        write_report(result, tmp_path / "missing" / "report.html")


def test_a_directory_as_the_file_is_refused(result, tmp_path):
    with pytest.raises(BadInput, match="is a directory"):
        write_report(result, tmp_path)


def test_a_device_is_not_replaced(result):
    with pytest.raises(BadInput, match="not an ordinary file"):
        write_report(result, "/dev/null")


def test_a_link_stays_a_link(result, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "report.html").write_text("old")
    (tmp_path / "link.html").symlink_to(tmp_path / "far" / "report.html")
    write_report(result, tmp_path / "link.html")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "far" / "report.html").read_text(encoding="utf-8").startswith("<!doctype")


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(
    result, tmp_path, monkeypatch
):
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(result, path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_directory_without_permission_is_refused(result, tmp_path, monkeypatch):
    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refused)
    with pytest.raises(BadInput, match="no permission to write"):
        write_report(result, tmp_path / "report.html")


def test_one_epoch_is_singular_in_the_tiles(result):
    story = tell(result)
    best = replace(story.rows[0], median=1.0, plateau=1.0)
    tiles = context(replace(story, rows=(best, *story.rows[1:])), result.updated)["tiles"]
    assert [(tile["value"], tile["unit"]) for tile in tiles[:2]] == [("1", "epoch")] * 2
