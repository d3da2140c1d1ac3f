"""What the words of a report mean, for readers who meet them for the first time."""

from collections.abc import Mapping

from markupsafe import Markup

from analysis.compare.change import FEWEST_CASES

# In the order in which a reader meets them.
TERMS: Mapping[str, str] = {
    "Audited case": "A case file that inspectors read. They chose which files to read.",
    "Case grade": "A judgment of how police handled one case: good, requires improvement or inadequate. Audits of "
    "2014 and 2015 may have a fourth grade, adequate, between the first two.",
    "Audit": "All audited cases of one inspection, or those of one area of child protection.",
    "Inspection": "A full inspection of how a force protects children.",
    "Post-inspection review": "A shorter visit afterwards, usually with about half as many cases.",
    "Re-inspection": "A second full inspection.",
    "Share": "Audited cases with one grade, as a percentage of all audited cases of that audit.",
    "Percentage point": "The unit of a difference between two percentages.",
    "Range": "The values that fit the counts if the cases were independent draws from a steady process. The true "
    "uncertainty is wider, as cases were chosen.",
    "Chance": "What would differ between two audits even if nothing had changed, as no two sets of cases are the same.",
    "Mixed picture": "The share graded good says one thing and the share graded inadequate another.",
    "Cannot tell": "The counts fit a change as well as none. It does not mean that nothing changed.",
    "Too few to compare": f"At least one of the two audits has fewer than {FEWEST_CASES} cases.",
    "Cannot be compared": "The two audits differ in their grades, in who graded or in the area of work, or a count is "
    "not known.",
}

# Of reports, as the index and the first lines of a page have them.
STATES: Mapping[str, str] = {
    "Draft": "Made and checked by program, and read by nobody yet. Not to be passed on.",
    "Published": "Read by a named person, who let it pass, or published by a program that was told to.",
    "Superseded": "A published report to which there is a newer draft.",
    "Withdrawn": "Taken away. A page with the reason stands in its place.",
    "One audit only": "There is nothing to compare the one audit with.",
    "No audits yet": "Nobody has transcribed the case grades of this force.",
    "Failed": "The last run made no report. If there was one before, it stayed.",
    "Not run yet": "The case grades are known, and no report has been made of them.",
}


def listed(terms: Mapping[str, str], /) -> Markup:
    """Terms with their meanings, as a list of definitions."""
    told = Markup("").join(Markup("<dt>{}</dt><dd>{}</dd>").format(*one) for one in terms.items())
    return Markup("<dl>{}</dl>").format(told)
