"""A report's folder: what several measurements of one model have found, and its page."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from worldmodel_env.evaluation.examples import Example, load_examples, save_examples
from worldmodel_env.evaluation.report import FILE, Report
from worldmodel_env.evaluation.report_page import write_page

_TELLS_APART = ("world_digest", "predictions_sha256")


def write_report(folder: Path, report: Report, examples: Sequence[Example] | None = None) -> Report:
    """Write report.json and report.html, keeping other sections of the same model found there.

    Args:
        folder: made if it is not there.
        report: its sections replace those of the same names; its `about` those entries.
        examples: films to show; None keeps those that are there.

    Returns:
        The report with all sections.

    Raises:
        InputError: the folder cannot be written, holds another kind of report, or a damaged one.
    """
    kept: Sequence[Example] = ()
    if (folder / FILE).is_file() and _same_model(before := Report.load(folder), report):
        report = replace(
            report,
            about={**before.about, **report.about},
            sections={**report.sections, **_others(before, report)},
        )
        kept = load_examples(folder)
    report.save(folder)
    if examples is not None:
        save_examples(folder, examples)
    write_page(folder, report, kept if examples is None else examples)
    return report


def _others(before: Report, report: Report) -> dict:
    return {name: s for name, s in before.sections.items() if name not in report.sections}


def _same_model(before: Report, report: Report) -> bool:
    """The same name and, as far as both tell, the same weights; backends may differ."""
    mine, other = (dict(r.about.get("model", {})) for r in (report, before))
    told = [key for key in _TELLS_APART if key in mine and key in other]
    return before.model == report.model and all(mine[key] == other[key] for key in told)
