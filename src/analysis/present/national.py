"""What the notebook on the national picture shows: each function is one cell's result; no arithmetic."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from markupsafe import Markup

from analysis import vocabulary
from analysis.compare import sensitivity as checks
from analysis.compare.change import Evidence
from analysis.compare.national import ALL, GRADES, Known, NationalPicture
from analysis.compare.shares import Estimate, measure_of
from analysis.present import charts, national_charts, national_words, tables, wording
from analysis.present.pictures import Picture
from analysis.present.sections import Section, bullets, paragraphs
from analysis.present.tables import Table
from analysis.vocabulary import Grade

_NO_FUNNEL = "No funnel: fewer than two full inspections have the share."
_NO_PAIRS = "No force has two audits here of which this share is known."


def headline(picture: NationalPicture, /) -> Section:
    """Whether grades get better at follow-ups, what they cannot say, and which audits were looked at."""
    said = (*national_words.headline(picture), wording.LIMITS, national_words.in_scope(picture.scope))
    first, *rest = (Markup("<p>{}</p>").format(one) for one in said)
    first = Markup('<p class="headline">{}</p>').format(said[0])
    return Section(
        "\n".join(said), Markup('<div class="box">{}{}</div>').format(first, Markup("").join(rest))
    )


def coverage_map(picture: NationalPicture, /) -> Picture:
    """Where there are two audits to compare, one, or none; as a map of equal squares and as lists of names."""
    return charts.picture(national_charts.coverage(picture), name="chart-coverage", table=coverage(picture))


def coverage(picture: NationalPicture, /) -> Table:
    """Every force in alphabetical order, with what there is of it."""
    rows = [
        {
            "force": wording.force_name(row["force"]),
            "known": wording.capitalised(national_words.KNOWN_LABELS[Known(row["known"])]),
            "earlier": _audit_named(picture, row["baseline"]),
            "later": _audit_named(picture, row["follow_up"]),
            "n_elsewhere": str(row["n_elsewhere"]),
        }
        for row in picture.coverage.iter_rows(named=True)
    ]
    return tables.from_rows(
        rows,
        name="table-coverage",
        caption="What has been read of each force",
        columns={
            "force": "Force",
            "known": "Known",
            "earlier": "Earlier or only audit",
            "later": "Later audit",
            "n_elsewhere": "Other audits, not looked at here",
        },
    )


def _audit_named(picture: NationalPicture, inspection_id: str | None) -> str:
    return (
        ""
        if inspection_id is None
        else wording.capitalised(wording.audit_name(picture.looked_at[inspection_id]))
    )


def pairs(picture: NationalPicture, /, *, grade: str) -> Picture | Section:
    """The share at a grade before and after at each force, in alphabetical order, and as a table.

    Args:
        picture: the national picture.
        grade: `good` or `inadequate`.

    Raises:
        VocabularyError: if the grade is neither good nor inadequate; the message says so.
    """
    chosen = vocabulary.grade(grade)
    if not picture.pairs_with(chosen):
        return paragraphs([_NO_PAIRS])
    chart = national_charts.pairs(picture, chosen)
    return charts.picture(chart, name=f"chart-pairs-{chosen.column}", table=_pairs_table(picture, chosen))


def _pairs_table(picture: NationalPicture, grade: Grade) -> Table:
    rows = []
    for pair in picture.pairs_with(grade):
        before, after = (wording.figure(pair, measure_of(grade), period) for period in wording.periods(pair))
        change = wording.figure(pair, measure_of(grade), "change")
        rows.append(
            {
                "force": wording.force_name(pair.force),
                "before": f"{wording.when(pair.baseline)}: {wording.count_and_share(before)}",
                "after": f"{wording.when(pair.follow_up)}: {wording.count_and_share(after)}",
                "value": wording.signed_points(change["value"]),
                "lower": wording.signed_points(change["lower"]),
                "upper": wording.signed_points(change["upper"]),
                "evidence": "only this share is known"
                if pair.verdict.evidence is Evidence.NOT_COMPARABLE
                else pair.verdict.evidence.value,
            }
        )
    return tables.from_rows(
        rows,
        name=f"table-pairs-{grade.column}",
        caption=f"Share graded {grade.value} at each force with two audits; changes in percentage points",
        columns={
            "force": "Force",
            "before": "Earlier audit",
            "after": "Later audit",
            "value": "Change",
            "lower": "Range from",
            "upper": "Range to",
            "evidence": "Evidence, all grades",
        },
    )


def changes(picture: NationalPicture, /, *, grade: str) -> Picture | Section:
    """The change of a share at each force, their mean, and what one more force may show; and as a table.

    Args:
        picture: the national picture.
        grade: `good` or `inadequate`.

    Raises:
        VocabularyError: if the grade is neither good nor inadequate; the message says so.
    """
    chosen = vocabulary.grade(grade)
    if not picture.full_pairs:
        return paragraphs(national_words.headline(picture))
    rows = dict(national_charts.change_rows(picture, chosen))
    table = _estimates(
        rows, name=f"table-changes-{chosen.column}", caption=f"Change in the share graded {chosen.value}"
    )
    return charts.picture(
        national_charts.changes(picture, chosen), name=f"chart-changes-{chosen.column}", table=table
    )


def _estimates(rows: Mapping[str, Estimate], *, name: str, caption: str) -> Table:
    shown = [
        {
            "row": label,
            "value": wording.signed_points(one.value),
            "lower": "" if one.lower is None else wording.signed_points(one.lower),
            "upper": "" if one.upper is None else wording.signed_points(one.upper),
        }
        for label, one in rows.items()
    ]
    return tables.from_rows(
        shown,
        name=name,
        caption=f"{caption}, percentage points",
        columns={"row": "Force", "value": "Change", "lower": "Range from", "upper": "Range to"},
    )


def summary(picture: NationalPicture, /) -> Section:
    """The mean change of each share, how much forces differ, and how little of that is known."""
    said = []
    for grade in GRADES:
        said.append(national_words.summary(picture, grade))
        if grade in picture.summaries:
            said.append(national_words.heterogeneity(picture, grade))
        partial = national_words.with_partial(picture, grade)
        if partial is not None:
            said.append(partial)
    return paragraphs(dict.fromkeys(said))


def drawn_together(picture: NationalPicture, /) -> Table | Section:
    """The change at each force by itself, and read beside the other forces."""
    if not picture.drawn_together:
        return paragraphs(
            ["Fewer than three forces can be compared in full, too few to learn from one another."]
        )
    rows = []
    for pair in picture.full_pairs:
        for grade in GRADES:
            own = wording.figure(pair, measure_of(grade), "change")
            drawn = picture.drawn_together[grade][pair.force]
            rows.append(
                {
                    "force": f"{wording.force_name(pair.force)}, share {grade.value}",
                    "value_own": wording.signed_points(own["value"]),
                    "lower_own": wording.signed_points(own["lower"]),
                    "upper_own": wording.signed_points(own["upper"]),
                    "value": wording.signed_points(drawn.value),
                    "lower": wording.signed_points(drawn.lower),
                    "upper": wording.signed_points(drawn.upper),
                }
            )
    return tables.from_rows(
        rows,
        name="table-drawn-together",
        caption="Change in percentage points, by itself and beside the other forces (posterior medians, flat priors)",
        columns={
            "force": "Force",
            "value_own": "By itself",
            "lower_own": "Range from",
            "upper_own": "Range to",
            "value": "With the others",
            "lower": "Range from, with the others",
            "upper": "Range to, with the others",
        },
    )


def unusual(picture: NationalPicture, /) -> Section:
    """Whether a change is clear among so many looks: Holm's correction, and the false alarms to expect."""
    said = national_words.false_alarms(picture)
    if picture.unusual.is_empty():
        return paragraphs([said])
    rows = [
        {
            "force": wording.force_name(row["force"]),
            "direction": row["direction"],
            "evidence": row["evidence"],
            "value_p": f"{row['p']:.3f}",
            "value_holm": f"{row['p_holm']:.3f}",
            "is_clear": "yes" if row["is_clear"] else "no",
        }
        for row in picture.unusual.iter_rows(named=True)
    ]
    table = tables.from_rows(
        rows,
        name="table-unusual",
        caption="Each comparison among all: p-values of the exact test of a shift, or of any difference where the "
        "counts point both ways; before and after Holm's correction",
        columns={
            "force": "Force",
            "direction": "Direction",
            "evidence": "Evidence",
            "value_p": "p by itself",
            "value_holm": "p among all",
            "is_clear": "Clear among all",
        },
    )
    shown = paragraphs([said])
    return Section(f"{shown.plain}\n{table!r}", shown.html + Markup(table.as_raw_html()))


def funnel(picture: NationalPicture, /, *, grade: str, force: str | None = None) -> Picture | Section:
    """The share at a grade of every audit over its number of cases, between the limits of chance.

    Args:
        picture: the national picture.
        grade: `good` or `inadequate`.
        force: slug, name or alias of a force to name in the chart; by default, audits outside are named.

    Raises:
        VocabularyError: if the grade or the force is unknown; the message names near matches.
    """
    chosen = vocabulary.grade(grade)
    one = picture.funnels.get(chosen)
    if one is None:
        return paragraphs([_NO_FUNNEL])
    slug = None if force is None else vocabulary.force(force).slug
    rows = [
        {
            "audit": national_words.audit_label(row),
            "kind": "follow-up" if row["is_follow_up"] else "full inspection",
            "n_cases": str(row["n_cases"]),
            "base": str(row["base"]),
            "share": f"{wording.percent(row['value'], base=row['base'])} ({wording.percent(row['lower'], base=1)} to "
            f"{wording.percent(row['upper'], base=1)})",
            "lower": wording.percent(row["limit_lower"], base=1),
            "upper": wording.percent(row["limit_upper"], base=1),
            "position": row["position"],
        }
        for row in one.points.iter_rows(named=True)
    ]
    table = tables.from_rows(
        rows,
        name=f"table-funnel-{chosen.column}",
        caption=f"Share graded {chosen.value} in each audit, and the 95% limits of chance for so many cases",
        columns={
            "audit": "Audit",
            "kind": "Kind",
            "n_cases": "Cases",
            "base": "Of",
            "share": "Share and range",
            "lower": "Limit from",
            "upper": "Limit to",
            "position": "Lies",
        },
    )
    chart = national_charts.funnel(one, force=slug)
    return charts.picture(chart, name=f"chart-funnel-{chosen.column}", table=table)


def funnel_words(picture: NationalPicture, /) -> Section:
    """How to read the funnels, and what they show."""
    said = [national_words.funnel_sentence(one) for one in picture.funnels.values()]
    return paragraphs(said or [_NO_FUNNEL])


def regression(picture: NationalPicture, /) -> Picture | Section:
    """What follow-ups show beside what they would show if nothing changed, and as a table."""
    if not picture.regressions:
        return regression_words(picture)
    rows = dict(national_charts.regression_rows(picture))
    table = _estimates(
        rows,
        name="table-regression",
        caption="Change in the share graded inadequate; made-up forces have no range",
    )
    return charts.picture(national_charts.regression(picture), name="chart-regression", table=table)


def regression_words(picture: NationalPicture, /) -> Section:
    """Regression to the mean in words."""
    return paragraphs(national_words.regression(picture))


def sensitivity(picture: NationalPicture, /) -> Section:
    """Whether the verdict on each force would hold under other assumptions, and what other priors give."""
    if not picture.pairs:
        return paragraphs(national_words.headline(picture))
    asked: list[tuple[str, dict[str, Any]]] = []
    not_asked: list[tuple[str, dict[str, Any]]] = []
    for pair, one in zip(picture.pairs, picture.sensitivities, strict=True):
        for row in one.checks.iter_rows(named=True):
            (not_asked if row["note"].startswith(_NOT_ASKED) else asked).append((pair.force, row))
    verdicts = tables.from_rows(
        [
            {
                "force": wording.force_name(force),
                "check": _check_label(row["check"], row["setting"]),
                "evidence": _called(row["evidence"], row["is_changed"]),
                "value": _check_value(row),
                "note": wording.capitalised(row["note"]),
            }
            for force, row in asked
            if row["check"] != checks.PRIOR
        ],
        name="table-sensitivity",
        caption="Would the evidence hold under other assumptions?",
        columns={
            "force": "Force",
            "check": "Question",
            "evidence": "Evidence would be",
            "value": "Chance that a later case is graded better, ties as half",
            "note": "Note",
        },
    )
    priors = tables.from_rows(
        [
            {
                "force": wording.force_name(force),
                "prior": f"{row['setting']} of a case added to each grade",
                "value": _check_value(row),
            }
            for force, row in asked
            if row["check"] == checks.PRIOR
        ],
        name="table-priors",
        caption="Posterior chance that later cases have the better grades, by prior. It is no part of the verdict: "
        "it takes cases for independent draws and knows of no other forces",
        columns={"force": "Force", "prior": "Prior", "value": "Chance"},
    )
    said = paragraphs(dict.fromkeys(_why_not(force, row) for force, row in not_asked))
    shown = [verdicts, *([priors] if any(row["check"] == checks.PRIOR for _, row in asked) else [])]
    return Section(
        "\n".join([*map(repr, shown), said.plain]),
        Markup("").join(Markup(table.as_raw_html()) for table in shown) + said.html,
    )


_NOT_ASKED = "not asked: "


def _why_not(force: str, row: Mapping[str, Any]) -> str:
    """Why a question could not be asked; by area, that holds for all forces alike."""
    reason = row["note"].removeprefix(_NOT_ASKED)
    if row["check"] in (checks.CASE_MIX, checks.WITHOUT_AREA) and "area" in reason:
        return "Not asked by area where grades by area are not known for both audits of a force."
    return f"Not asked of {wording.force_name(force)}: {reason}."


def _check_label(check: str, setting: str | None) -> str:
    if check == checks.TIPPING_POINT:
        return "Tipping point"
    return wording.capitalised(check if setting is None else f"{check}: {setting.replace('_', ' ')}")


def _called(evidence: str | None, is_changed: bool | None) -> str:
    if evidence is None:
        return ""
    return f"{evidence} (changed)" if is_changed else evidence


def _check_value(row: Mapping[str, Any]) -> str:
    if row["value"] is None:
        return ""
    if row["check"] == checks.CASE_MIX:
        return f"{wording.movement(row['value'])} ({wording.movement_range(row['lower'], row['upper'])})"
    told = wording.percent(row["value"], base=1)
    if row["lower"] is None:
        return told
    return f"{told} ({wording.percent(row['lower'], base=1)} to {wording.percent(row['upper'], base=1)})"


def tipping(picture: NationalPicture, /) -> Section:
    """For each pair, how few cases graded otherwise would change what the evidence is called."""
    if not picture.pairs:
        return paragraphs(national_words.headline(picture))
    said = [
        national_words.tipping(pair, one)
        for pair, one in zip(picture.pairs, picture.sensitivities, strict=True)
        if pair.verdict.evidence in (Evidence.CLEAR, Evidence.CANNOT_TELL, Evidence.NOT_COMPARABLE)
    ]
    return bullets(said or ["No comparison here is called clear or cannot tell."])


def limits(picture: NationalPicture, /) -> Section:
    """What the national picture cannot show."""
    return bullets(national_words.limits())


def figures(picture: NationalPicture, /) -> Table:
    """Every number about all forces together; those of single audits are in `picture.figures` too."""
    rows = [
        {
            "measure": row["measure"].replace("_", " "),
            "period": row["period"].replace("_", " "),
            "value": _number(row["value"]),
            "lower": _number(row["lower"]),
            "upper": _number(row["upper"]),
            "n_cases": "" if row["n_cases"] is None else str(row["n_cases"]),
            "base": "" if row["base"] is None else str(row["base"]),
            "n_forces": "" if row["n_forces"] is None else str(row["n_forces"]),
            "note": row["note"] or "",
        }
        for row in picture.figures.filter(pl.col("subject") == ALL).iter_rows(named=True)
    ]
    return tables.from_rows(
        rows,
        name="table-national-figures",
        caption="Every figure about all forces together; shares and changes as fractions",
        columns={
            "measure": "Measure",
            "period": "Audit",
            "value": "Value",
            "lower": "Range from",
            "upper": "Range to",
            "n_cases": "Cases",
            "base": "Of cases",
            "n_forces": "Forces",
            "note": "Note",
        },
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
