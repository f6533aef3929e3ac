"""Reports: written, read, merged, shown and compared."""

import json
import math
import re
import subprocess
from pathlib import Path

import chromium
import numpy as np
import pytest

from worldmodel_env.cli import main
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.compare import compare
from worldmodel_env.evaluation.examples import TRUE, Example, load_examples, save_examples
from worldmodel_env.evaluation.protocol import PREDICTION, Part
from worldmodel_env.evaluation.report import Chart, Line, Number, Report, Section, Table
from worldmodel_env.evaluation.report_chart import draw_chart, nice_ticks
from worldmodel_env.evaluation.report_folder import write_report
from worldmodel_env.evaluation.report_page import cell_text, number_text

PART = Part(PREDICTION, 20, 6)


def report(model: str = "maze", level: float = 20.0, **about) -> Report:
    curve = (level, None, level - 4)
    chart = Chart(
        "PSNR (dB)",
        "frames ahead",
        (1, 2, 3),
        (
            Line(model, curve, curve, (level + 1, None, level)),
            Line("last frame copied", (15.0, 14.0, 13.5)),
            Line("its tokenizer alone", (level + 9, level + 9, level + 9)),
        ),
        "higher",
    )
    section = Section(
        title="Predicted <frames>",
        text="Three of them & more.",
        numbers={
            "PSNR": Number(level, level - 1, level + 1, 0.5, "dB", "higher"),
            "LPIPS": Number(None, better="lower"),
        },
        charts=(chart,),
        tables=(Table("By horizon", ("", "1"), ((model, level), ("nothing", None))),),
        notes=("LPIPS: no weights.",),
        details={"groups": [1.5, 2.5]},
    )
    told = {"model": {"world_digest": model}, "data": {"sha256": "d"}, **about}
    return Report(model, told, {PREDICTION: section})


def example(model: str = "maze", episode: int = 7, shade: int = 90) -> Example:
    true = np.random.default_rng(episode).integers(0, 256, (26, 16, 16, 3)).astype(np.uint8)
    predicted = np.full((6, 16, 16, 3), shade, np.uint8)
    return Example.of(PART, episode, model, true, predicted)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    report().save(tmp_path / "new")
    assert Report.load(tmp_path / "new") == report()
    assert Report.load(tmp_path / "new" / "report.json") == report()
    data = json.loads((tmp_path / "new" / "report.json").read_text())
    assert data["sections"][PREDICTION]["numbers"]["LPIPS"]["value"] is None


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Report.load(tmp_path)
    file = tmp_path / "report.json"
    file.write_text('{"curves": {}}')
    with pytest.raises(InputError, match="is not a worldmodel-report of version 1"):
        Report.load(tmp_path)
    file.write_text(json.dumps({**report().as_dict(), "sections": {"a": {}}}))
    with pytest.raises(InputError, match=r"is damaged \(KeyError"):
        Report.load(tmp_path)
    file.write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        Report.load(tmp_path)


def test_films_begin_with_the_end_of_the_context(tmp_path: Path) -> None:
    shown = example()
    assert shown.lead == 12
    assert {name: film.shape for name, film in shown.films.items()} == {
        TRUE: (18, 16, 16, 3),
        "maze": (18, 16, 16, 3),
    }
    assert np.array_equal(shown.films["maze"][:12], shown.films[TRUE][:12])
    assert (shown.films["maze"][12:] == 90).all()
    save_examples(tmp_path, [shown, example(episode=8)])
    (first, second) = load_examples(tmp_path)
    assert (first.part, first.episode, first.lead) == (PREDICTION, 7, 12)
    assert all(np.array_equal(first.films[name], film) for name, film in shown.films.items())
    assert second.episode == 8
    assert load_examples(tmp_path / "absent") == []
    (tmp_path / "examples.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="is damaged"):
        load_examples(tmp_path)


def test_other_sections_of_the_same_model_stay(tmp_path: Path) -> None:
    write_report(tmp_path, report(), [example()])
    more = Report(
        "maze", {"model": {"world_digest": "maze"}, "probes": 1}, {"drift": Section("D", "")}
    )
    both = write_report(tmp_path, more)
    assert list(both.sections) == ["drift", PREDICTION]
    assert both.about["data"] == {"sha256": "d"}
    assert both == Report.load(tmp_path)
    assert len(load_examples(tmp_path)) == 1
    assert 'id="films"' in (tmp_path / "report.html").read_text()
    other = write_report(tmp_path, report("nano"), [])
    assert list(other.sections) == [PREDICTION], "another model begins anew"


def test_a_page_needs_nothing_else(tmp_path: Path) -> None:
    write_report(tmp_path, report(), [example()])
    page = (tmp_path / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=.?https?:|url\(|@import", page)
    assert "Predicted &lt;frames&gt;" in page
    assert "Three of them &amp; more." in page
    assert "LPIPS: no weights." in page
    assert page.count("data:image/webp;base64,") == 2
    assert "not measured" in page


def test_numbers_are_written_for_people() -> None:
    values = {21.3456: "21.35", 0.00123456: "0.001235", 1234.5: "1234", 3: "3", 0.0: "0"}
    assert {value: cell_text(value) for value in values} == values
    assert cell_text(None) == cell_text(math.nan) == "–"
    assert cell_text(-0.5) == "-0.5000"
    number = Number(20.0, 19.0, 21.0, 0.5, "dB")
    assert number_text(number) == "20.00 dB [19.00, 21.00], ± 0.5000 over groups"
    assert number_text(Number(None)) == "not measured"


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (6.3, 31.2), (-0.02, 0.03), (5, 5), (1, 156), (0, 1e5), (-3, -1)]
)
def test_ticks_are_few_round_and_cover(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low
    assert high <= ticks[-1]
    assert 2 <= len(ticks) <= 8
    steps = np.diff(ticks)
    assert np.allclose(steps, steps[0])


def test_gaps_break_a_curve_and_lone_points_are_dots() -> None:
    drawn = draw_chart(report().sections[PREDICTION].charts[0], {"maze": 0})
    assert drawn.count('class="dot line-0"') == 2, "a gap lies between the two values"
    assert 'class="curve reference dash-0"' in drawn
    assert 'class="curve reference dash-1"' in drawn
    empty = Chart("Nothing", "x", (1.0,), (Line("maze", (None,)),))
    assert "<svg" in draw_chart(empty, {"maze": 0})


def test_reports_are_compared_side_by_side(tmp_path: Path) -> None:
    write_report(tmp_path / "a", report("maze", 20.0), [example("maze"), example("maze", 9)])
    write_report(tmp_path / "b", report("other", 18.0), [example("other", shade=30)])
    main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "c.html")])
    page = (tmp_path / "c.html").read_text()
    assert "2 models compared" in page
    assert "20.00 dB [19.00, 21.00]" in page
    assert "18.00 dB [17.00, 19.00]" in page
    charts = re.findall(r'class="legend">(.*?)</ul>', page)
    assert [re.findall(r">([^<]+)</li>", chart) for chart in charts] == [
        ["maze", "last frame copied", "other"]
    ], "a reference that is the same in all is drawn once, the tokenizers are not"
    rows = re.findall(r"<tr><th>([^<]*)</th><td>([^<]*)</td></tr>", page)
    assert rows == [("maze", "20.00"), ("nothing", "–"), ("other", "18.00")], "one table of both"
    assert page.count("data:image/webp;base64,") == 3, "one episode that both show: true and two"
    assert "not comparable" not in page


def test_reports_of_other_data_are_said_not_to_compare(tmp_path: Path) -> None:
    write_report(tmp_path / "a", report(), [])
    write_report(tmp_path / "b", report(data={"sha256": "e"}), [])
    page = compare([tmp_path / "a", tmp_path / "b"], tmp_path / "c.html").read_text()
    assert "differ in data: their numbers are not comparable" in page
    assert f"maze ({tmp_path / 'b'})" in page, "models of one name are told apart by folder"


def test_one_report_is_no_comparison(tmp_path: Path) -> None:
    write_report(tmp_path, report(), [])
    with pytest.raises(InputError, match="compare got 1 reports; give 2 to 8"):
        compare([tmp_path], tmp_path / "c.html")
    with pytest.raises(InputError, match="a folder twice"):
        compare([tmp_path, tmp_path], tmp_path / "c.html")


def test_films_play_in_a_browser(tmp_path: Path) -> None:
    browser = chromium.find()
    if browser is None:
        pytest.skip("no Chromium here: `apt-get install chromium` brings one")
    write_report(tmp_path, report(), [example(), example(episode=8)])
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000"]
    dom = subprocess.run(
        [browser, *options, "--dump-dom", f"file://{tmp_path / 'report.html'}"],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    assert len(re.findall(r'class="player( imagining)?"', dom)) == 2
    # Two players of two films, and per film the tiles of 1, 2, 3 and 5 frames ahead.
    assert dom.count("<canvas") == 4 + 2 * 2 * 4
    assert re.search(r"<output>(context|\d frames ahead)</output>", dom)
