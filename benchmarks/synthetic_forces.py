"""Made-up projects of any size, for timing only: forces that do not exist, with counts drawn at random.

Every name says that it is synthetic, so that nothing made from them can be taken for a finding.
"""

import csv
import json
import random
import shutil
from itertools import islice, product
from pathlib import Path
from string import ascii_lowercase

ROOT = Path(__file__).resolve().parents[1]
_STATEMENTS = "audit_statements.csv"
_THEMES = (
    "control room response to incidents involving children",
    "online sexual exploitation investigations",
    "supervision of investigations",
    "voice of the child recorded",
)


def make(folder: Path, n_forces: int, /, *, seed: int = 2026) -> Path:
    """A project with `n_forces` synthetic forces, each with an inspection and a review.

    Returns:
        The folder, which must not exist yet.
    """
    raw = folder / "data" / "raw"
    raw.mkdir(parents=True)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns("scratch", ".*"))
    shutil.copy(ROOT / "requirements.lock", folder)
    (raw / "corrections.toml").write_text("", encoding="utf-8")
    package = json.loads((ROOT / "data" / "raw" / "datapackage.json").read_text(encoding="utf-8"))
    package["title"] = "SYNTHETIC data for benchmarks"
    (raw / "datapackage.json").write_text(json.dumps(package), encoding="utf-8")
    names = list(
        islice(
            ("-".join(("synthetic", "".join(word))) for word in product(ascii_lowercase, repeat=3)), n_forces
        )
    )
    chance = random.Random(seed)
    _write(raw, "forces.csv", (_force(number, name) for number, name in enumerate(names)))
    _write(raw, _STATEMENTS, (row for name in names for row in _statements(name, chance)))
    _write(raw, "findings.csv", (row for name in names for row in _findings(name)))
    for file in ("claims.csv", "known_inspections.csv"):
        _write(raw, file, [_as_real(file, names[0])])
    return folder


def change_one(folder: Path, /) -> str:
    """Move one case of one force's review from one grade to another.

    Returns:
        The slug of the force.
    """
    path = folder / "data" / "raw" / _STATEMENTS
    lines = path.read_text(encoding="utf-8").splitlines()
    header, row = lines[0].split(","), lines[2].split(",")
    good, inadequate = header.index("good"), header.index("inadequate")
    step = 1 if int(row[inadequate]) > 0 else -1
    row[good], row[inadequate] = str(int(row[good]) + step), str(int(row[inadequate]) - step)
    lines[2] = ",".join(row)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return row[0].lower().replace(" ", "-")


def _write(raw: Path, file: str, rows: object) -> None:
    with (ROOT / "data" / "raw" / file).open(encoding="utf-8-sig", newline="") as real:
        columns = next(csv.reader(real))
    with (raw / file).open("w", encoding="utf-8", newline="") as made:
        writer = csv.DictWriter(made, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _as_real(file: str, name: str) -> dict[str, str]:
    """The first real row of a file, said of a synthetic force: these files may not be empty."""
    with (ROOT / "data" / "raw" / file).open(encoding="utf-8-sig", newline="") as real:
        return {**next(csv.DictReader(real)), "force": _shown(name)}


def _shown(name: str) -> str:
    return name.replace("-", " ").title()


def _force(number: int, name: str) -> dict[str, str]:
    shown = _shown(name)
    return {
        "slug": name,
        "ons_code": f"E{99000000 + number}",
        "short_name": shown,
        "full_name": f"{shown} Police",
        "ons_name": shown,
        "nation": "England",
        "region": "Synthetic",
    }


def _statements(name: str, chance: random.Random) -> list[dict[str, object]]:
    rows = []
    for inspection, fieldwork, published, about in (
        ("initial inspection", "2021-05", "2021-11-16", 70),
        ("post-inspection review", "2022-06", "2022-12-01", 35),
    ):
        n_cases = chance.randint(about - 10, about + 10)
        first, second = sorted(chance.sample(range(n_cases), 2))
        rows.append(
            {
                "force": _shown(name),
                "inspection": inspection,
                "fieldwork": fieldwork,
                "report_published": published,
                "area": "overall",
                "graded_by": "inspectors",
                "cases": n_cases,
                "good": first,
                "requires_improvement": second - first,
                "inadequate": n_cases - second,
                "publisher": "Synthetic publisher",
                "title": "Synthetic page",
                "url": f"https://example.org/{name}/{fieldwork}",
                "source_kind": "primary",
            }
        )
    return rows


def _findings(name: str) -> list[dict[str, str]]:
    return [
        {
            "force": _shown(name),
            "inspection": "initial inspection",
            "fieldwork": "2021-05",
            "theme": theme,
            "status": "needs improvement",
            "source_publisher": "Synthetic publisher",
            "source_url": f"https://example.org/{name}/2021-05",
        }
        for theme in _THEMES
    ]
