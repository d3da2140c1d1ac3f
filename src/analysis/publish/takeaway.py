"""What a researcher takes away: the figures and charts of one comparison as files, by the code that makes reports.

It is no report: nobody has signed it off, and no gate has read it.
"""

from dataclasses import dataclass
from pathlib import Path

from analysis import paths, storage
from analysis.compare.change import Comparison, SingleAudit
from analysis.evidence import cleaning, sources
from analysis.present import charts, sections, wording
from analysis.present.pictures import Picture
from analysis.present.sections import ForceReport, Section
from analysis.publish import batch, formats

WORDS, METADATA, WORKBOOK = "words.txt", "figures.csv-metadata.json", "figures.xlsx"
_DRAWINGS = (f"{charts.GRADES}.svg", f"{charts.CHANGES}.svg")
FILES = (formats.CSV, METADATA, WORKBOOK, *_DRAWINGS, WORDS)
_STATUS = "Exported by a researcher; not a report, and not signed off."


class ExportError(Exception):
    """Nothing was exported. The message says why and what to do."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: where it lies.
        files: names of the files in it, in the order in which a reader may want them.
        shown: the folder as people are told of it: below the project's own where it is.
    """

    folder: Path
    files: tuple[str, ...]
    shown: str

    def __repr__(self) -> str:
        return f"Exported to {self.shown}: {', '.join(self.files)}."


def export(
    examined: Comparison | SingleAudit, /, folder: Path | str | None = None, *, replace: bool = False
) -> Exported:
    """Write the figures and charts of a comparison, or of a force's one audit, as files.

    They are the files of a report: `figures.csv` with its description (CSV on the Web),
    `figures.xlsx`, each chart as SVG; and `words.txt`, which says what the charts show, what
    cannot be read from the figures, and the licence. All of them appear at once, or none.

    Args:
        examined: as from `analysis.compare`.
        folder: where to put them; by default `notebooks/scratch/exports` and the force, which
            version control leaves out. It is made, and folders above it.
        replace: whether an earlier export in that folder may give way.

    Returns:
        What was written and where.

    Raises:
        ExportError: if there is something in the folder already and `replace` is not set, or if
            it holds anything that is no export, which never gives way; if no folder is named, or what
            is given is no comparison.
        EvidenceError: if the raw files cannot be cleaned, which name the sources.
        OSError: if the files cannot be written; an earlier export stays.

    Example:
        >>> import tempfile
        >>> import analysis
        >>> pair = analysis.compare(analysis.load_audits(), force="warwickshire")
        >>> with tempfile.TemporaryDirectory() as place:
        ...     analysis.export(pair, folder=Path(place) / "mine").files[:3]
        ('figures.csv', 'figures.csv-metadata.json', 'figures.xlsx')
    """
    if not isinstance(examined, Comparison | SingleAudit):
        raise ExportError("Export a comparison, as from analysis.compare.")
    project = paths.project()
    usual = project.notebooks / "scratch" / "exports" / examined.force
    place = usual if folder is None else _named(folder)
    shown = place.relative_to(project.root).as_posix() if place.is_relative_to(project.root) else str(place)
    _check(place, shown, replace=replace)
    # not `storage.alone`, which clears up beside the folder: what lies there may be somebody else's
    with storage.staging_folder(place.parent, place.name) as made:
        files = _write(examined, made, project)
        storage.switch(made, place)
    return Exported(place, files, shown)


def _named(folder: object) -> Path:
    # an empty name means the folder that happens to be the current one
    if not isinstance(folder, str | Path) or not str(folder).strip():
        raise ExportError(
            f"{folder!r} names no folder: give the path of one, or leave `folder` out for the usual place."
        )
    return Path(folder).expanduser().absolute()


def _check(place: Path, shown: str, *, replace: bool) -> None:
    if not place.exists():
        return
    if not place.is_dir():
        raise ExportError(f"{shown} is a file: name a folder to export to.")
    there = sorted(path.name for path in place.iterdir())
    foreign = [name for name in there if name not in FILES]
    if foreign:
        raise ExportError(f"{shown} holds {foreign[0]}, which is no part of an export: name another folder.")
    if there and not replace:
        raise ExportError(f"{shown} holds an earlier export: pass replace=True to put this one in its place.")


def _write(examined: Comparison | SingleAudit, folder: Path, project: paths.Project) -> tuple[str, ...]:
    evidence = cleaning.load(project)
    report = ForceReport(examined, evidence)
    as_of = sources.datapackage(project.raw).created.date()
    licence = batch.licence(project)
    publishers = sections.publishers(report.audits, evidence.statements)
    formats.write_csv(examined, folder / formats.CSV)
    formats.write_csvw(
        examined, folder / METADATA, described=folder / formats.CSV, licence=licence, as_of=as_of
    )
    formats.write_xlsx(
        examined,
        folder / WORKBOOK,
        licence=licence,
        as_of=as_of,
        status=_STATUS,
        publishers=publishers,
    )
    told = [wording.title(examined), wording.headline(examined), wording.compared(examined)]
    for shown in (sections.grades_chart(report), sections.changes_chart(report)):
        if isinstance(shown, Picture):
            (folder / f"{shown.name}.svg").write_text(shown.svg, encoding="utf-8")
        told.append(_told(shown))
    told += [wording.limits(examined), wording.interval_sentence(examined.confidence)]
    told += [wording.source(publishers), licence, _STATUS]
    (folder / WORDS).write_text("\n\n".join(one for one in told if one) + "\n", encoding="utf-8")
    return tuple(name for name in FILES if (folder / name).exists())


def _told(shown: Picture | Section) -> str:
    return f"{shown.name}.svg: {shown!r}" if isinstance(shown, Picture) else repr(shown)
