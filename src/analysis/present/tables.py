"""Tables of the figures, as great_tables with a caption, fixed ids and scopes; no arithmetic."""

from collections.abc import Sequence
from typing import Any

import polars as pl
from great_tables import GT
from lxml import html as lxml_html

from analysis import vocabulary
from analysis.compare.change import Comparison, SingleAudit
from analysis.compare.graded import GradedAudit
from analysis.compare.shares import CHANGE, measure_of
from analysis.present import wording
from analysis.vocabulary import Grade


class Table(GT):
    """A great_tables table whose title is a real caption, as screen readers need it.

    As plain text it is its caption and its cells, so that a notebook test compares every value.
    """

    def as_raw_html(
        self, inline_css: bool = False, make_page: bool = False, all_important: bool = False
    ) -> str:
        """The table as HTML: caption instead of title rows, scopes on every header, its own ids."""
        rendered = super().as_raw_html(inline_css=inline_css, make_page=False, all_important=all_important)
        root = lxml_html.fragment_fromstring(rendered)
        table = root.find(".//table")
        heading = table.findall(".//tr[@class='gt_heading']")
        caption = lxml_html.Element("caption")
        caption.text = " ".join("".join(row.itertext()).strip() for row in heading)
        caption.set("id", f"{self._options.table_id.value}-caption")
        for row in heading:
            row.getparent().remove(row)
        table.insert(0, caption)
        for name in (
            "aria-labelledby",
            "aria-describedby",
            "data-quarto-disable-processing",
            "data-quarto-bootstrap",
        ):
            table.attrib.pop(name, None)
        for cell in table.findall(".//thead//th"):
            # a header cell without a word is read out as nothing; the stub's column has a name too
            if not "".join(cell.itertext()).strip():
                cell.text = self._stub_name
        if self._is_quoted:
            table.set("data-numbers", "sources")
        page = lxml_html.tostring(root, encoding="unicode")
        return f'<!doctype html><html lang="en-GB"><body>{page}</body></html>' if make_page else page

    _is_quoted: bool = False
    _stub_name: str = ""
    _caption: str = ""

    def _repr_html_(self) -> str:
        return self.as_raw_html()

    def __repr__(self) -> str:
        frame = pl.DataFrame(self._tbl_data)
        lines = [
            " | ".join("" if value is None else str(value) for value in row) for row in frame.iter_rows()
        ]
        return "\n".join([self._caption, *lines])


def from_rows(
    rows: Sequence[dict[str, Any]], /, *, name: str, caption: str, columns: dict[str, str]
) -> Table:
    """Rows of text as a table; the first column names the row.

    Args:
        rows: one mapping per row, with a text for each of `columns`.
        name: id of the table; must be unique on its page.
        caption: what the table shows.
        columns: heading of each column by key, in order; numbers are recognised by their key.
    """
    first = next(iter(columns))
    frame = pl.DataFrame(list(rows), schema=dict.fromkeys(columns, pl.String), orient="row")
    numeric = [key for key in columns if key.startswith(("n_", "share", "lower", "upper", "value", "base"))]
    table = (
        Table(frame, rowname_col=first, id=name)
        .tab_header(title=caption)
        .cols_label({key: label for key, label in columns.items() if key != first})
    )
    if numeric:
        table = table.cols_align("right", columns=numeric)
    table._stub_name, table._caption = columns[first], caption
    return table


def before_after(examined: Comparison | SingleAudit, /) -> Table:
    """Counts and shares by grade, worst grade first, the earlier audit above the later."""
    periods = wording.periods(examined)
    audits = {period: wording.audit_of(examined, period) for period in periods}
    used = {grade for audit in audits.values() for grade in audit.counts}
    measures = {measure_of(grade): grade.value for grade in Grade if grade in used}
    measures |= {"share_below_good": "below good, not told apart"}
    rows = [
        _share_row(label, wording.when(audits[row["period"]]), row)
        for measure, label in measures.items()
        for row in examined.figures.filter(
            (pl.col("measure") == measure) & pl.col("period").is_in(list(periods))
        ).iter_rows(named=True)
    ]
    return from_rows(
        rows,
        name="table-grades",
        caption=f"Audited cases at each grade, {wording.force_name(examined.force)}",
        columns={
            "grade": "Grade",
            "audit": "Audit",
            "n_cases": "Cases",
            "base": "Of",
            "share": "Share",
            "lower": "Range from",
            "upper": "Range to",
        },
    )


def _share_row(label: str, when: str, row: dict[str, Any]) -> dict[str, str]:
    def shown(key: str) -> str:
        return wording.NOT_KNOWN if row[key] is None else wording.percent(row[key], base=row["base"])

    return {
        "grade": wording.capitalised(label),
        "audit": when,
        "n_cases": wording.NOT_KNOWN if row["n_cases"] is None else str(row["n_cases"]),
        "base": wording.NOT_KNOWN if row["base"] is None else str(row["base"]),
        "share": shown("value"),
        "lower": shown("lower"),
        "upper": shown("upper"),
    }


def changes(pair: Comparison, /) -> Table:
    """The change of each share in percentage points with its range; follow-up less baseline."""
    grades = [grade for grade in Grade if measure_of(grade) in set(pair.figures["measure"])]
    rows = []
    for grade in grades:
        found = pair.figures.filter((pl.col("measure") == measure_of(grade)) & (pl.col("period") == CHANGE))
        for row in found.iter_rows(named=True):
            rows.append(
                {
                    "measure": f"Share graded {grade.value}",
                    "value": wording.signed_points(row["value"]),
                    "lower": wording.signed_points(row["lower"]),
                    "upper": wording.signed_points(row["upper"]),
                    "note": row["note"],
                }
            )
    return from_rows(
        rows,
        name="table-changes",
        caption=f"Change in percentage points, {wording.when(pair.baseline)} to {wording.when(pair.follow_up)}",
        columns={
            "measure": "Measure",
            "value": "Change",
            "lower": "Range from",
            "upper": "Range to",
            "note": "Counts",
        },
    )


def areas(audits: Sequence[GradedAudit], /, *, force: str) -> Table:
    """Audits of single areas of child protection, as counts; one row per audit.

    Args:
        audits: in the order in which they are to stand.
        force: slug of the force.
    """
    return _audits(
        audits,
        name="table-areas",
        caption=f"Audited cases by area of child protection, {wording.force_name(force)}",
        first="area",
    )


def other_audits(audits: Sequence[GradedAudit], /, *, force: str) -> Table:
    """Further audits of all areas that are not part of the comparison, with why; one row per audit.

    Args:
        audits: in the order in which they are to stand.
        force: slug of the force.
    """
    return _audits(
        audits,
        name="table-other-audits",
        caption=f"Other audits known, {wording.force_name(force)}",
        first="audit",
    )


def _audits(audits: Sequence[GradedAudit], *, name: str, caption: str, first: str) -> Table:
    grades = [grade for grade in Grade if any(grade in audit.counts for audit in audits)]
    labels = {"area": "Area", "audit": "Audit"}
    columns = {
        first: labels[first],
        **({} if first == "audit" else {"audit": labels["audit"]}),
        "graded_by": "Graded",
        "n_cases": "Cases",
        **{f"n_{grade.column}": wording.capitalised(grade.value) for grade in grades},
        "n_below_good": "Below good",
        "note": "Note",
    }
    rows = [
        {
            "area": wording.capitalised(audit.area),
            "audit": wording.capitalised(wording.audit_name(audit)),
            "graded_by": vocabulary.GRADERS[audit.graded_by],
            "n_cases": wording.count(audit.n_cases),
            **{f"n_{grade.column}": _known_grade(audit, grade) for grade in grades},
            "n_below_good": wording.count(audit.n_below_good),
            "note": audit.note or "",
        }
        for audit in audits
    ]
    shown = [{key: row[key] for key in columns} for row in rows]
    table = from_rows(shown, name=name, caption=caption, columns=columns)
    # counts of audits that are not compared, as sources print them
    table._is_quoted = True
    return table


def _known_grade(audit: GradedAudit, grade: Grade) -> str:
    return wording.count(audit.count(grade)) if grade in audit.counts else "not used"


def figures(examined: Comparison | SingleAudit, /) -> Table:
    """Every figure: measure, period, value, range, cases and base; one row per measure and period."""
    rows = [
        {
            "measure": wording.measure_label(row["measure"]),
            "period": wording.PERIODS[row["period"]],
            "value": wording.figure_text(row, "value"),
            "lower": wording.figure_text(row, "lower"),
            "upper": wording.figure_text(row, "upper"),
            "n_cases": "" if row["n_cases"] is None else str(row["n_cases"]),
            "base": "" if row["base"] is None else str(row["base"]),
            "note": row["note"] or "",
        }
        for row in examined.figures.iter_rows(named=True)
    ]
    return from_rows(
        rows,
        name="table-figures",
        caption=f"Every figure of this report, {wording.force_name(examined.force)}",
        columns={
            "measure": "Measure",
            "period": "Audit",
            "value": "Value",
            "lower": "Range from",
            "upper": "Range to",
            "n_cases": "Cases",
            "base": "Of",
            "note": "Note",
        },
    )
