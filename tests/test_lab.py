import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any

import nbformat
import pytest
import synthetic
import test_notebooks
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.sign import NotebookNotary
from processes import PATIENCE, eventually, said

from analysis import paths
from analysis.lab import checkout, drafts, start, tidying, trust
from analysis.present import house

if util.find_spec("jupyterlab") is None and "CI" not in os.environ:
    pytest.skip("jupyterlab is an extra, which is not here", allow_module_level=True)

from analysis.lab.server import LabKernelSpecs

ROOT = Path(__file__).resolve().parents[1]
LAB = ROOT / "src" / "analysis" / "lab"
LIVE = "application/vnd.casegrade.chart+json"
LOAD = 'import analysis\npair = analysis.compare(analysis.load_audits(), force="warwickshire")'
REFUSED = """\
try:
    analysis.compare(analysis.load_audits(), force="bedfordshire")
except Exception as error:
    print(type(error).__name__)"""
HEADLESS = """\
import nbformat
from nbclient import NotebookClient
cells = [
    "import analysis",
    "report = analysis.report(analysis.load_evidence(), force='dorset')",
    "analysis.sections.grades_chart(report)",
]
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
NotebookClient(notebook, kernel_name="python3").execute()
print(sorted(notebook.cells[-1].outputs[0]["data"]))"""
QUESTION = "Did grades in Kent change?"


@pytest.fixture
def project(tmp_path: Path) -> paths.Project:
    return synthetic.copy_of_project(tmp_path / "project")


@pytest.fixture
def in_git(project: paths.Project) -> paths.Project:
    shutil.copy(ROOT / ".gitattributes", project.root)
    git(project, "init", "--quiet")
    commit(project)
    return project


def git(project: paths.Project, *words: str) -> str:
    who = ("-c", "user.name=A Tester", "-c", "user.email=tester@example.org")
    command = ["git", "-C", str(project.root), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit(project: paths.Project) -> None:
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "As it is.")


# --------------------------------------------------------------------- kernels


@contextlib.contextmanager
def kernel(**env: str) -> Iterator[BlockingKernelClient]:
    """A kernel as this JupyterLab starts it."""
    manager = KernelManager(kernel_name="python3", kernel_spec_manager=LabKernelSpecs())
    manager.start_kernel(env=os.environ | {paths.VARIABLE: str(ROOT)} | env, cwd=str(ROOT / "notebooks"))
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=PATIENCE)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def live() -> Iterator[BlockingKernelClient]:
    with kernel() as client:
        yield client


def run(client: BlockingKernelClient, source: str) -> list[NotebookNode]:
    """What a cell shows."""
    outputs = []

    def note(message: dict[str, Any]) -> None:
        if message["header"]["msg_type"] in ("display_data", "execute_result", "stream", "error"):
            outputs.append(nbformat.v4.output_from_msg(message))

    client.execute_interactive(source, output_hook=note, timeout=PATIENCE)
    return outputs


def test_kernels_keep_their_names_and_read_edited_code() -> None:
    plain, ours = KernelSpecManager(), LabKernelSpecs()
    assert set(ours.get_all_specs()) == set(plain.get_all_specs())
    for name in ("python3", "casegrade"):
        before, after = plain.get_kernel_spec(name), ours.get_kernel_spec(name)
        assert after.to_dict() | {"argv": 0} == before.to_dict() | {"argv": 0}
        assert after.argv[0] == sys.executable
        assert after.argv[1:-1] == before.argv[1:]
        assert after.argv[-1].endswith("=analysis.lab.kernel")


def test_a_kernel_of_another_language_is_left_as_it_is(tmp_path: Path) -> None:
    spec = {"argv": ["R", "--args", "{connection_file}"], "display_name": "R", "language": "R"}
    (tmp_path / "ir").mkdir()
    (tmp_path / "ir" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    assert LabKernelSpecs(kernel_dirs=[str(tmp_path)]).get_kernel_spec("ir").argv == spec["argv"]


def test_a_cell_gives_the_new_result_of_code_that_was_edited(tmp_path: Path) -> None:
    package = tmp_path / "src" / "analysis"
    shutil.copytree(ROOT / "src" / "analysis", package)
    with kernel(PYTHONPATH=str(package.parent)) as client:

        def gives(source: str, text: str) -> bool:
            # a file that is edited twice within a tick of its clock is read at the next edit
            return eventually(lambda: text in run(client, source)[0].text)

        headline = f"{LOAD}\nprint(pair.headline)"
        assert gives(headline, "Mixed picture")
        wording = package / "present" / "wording.py"
        text = wording.read_text(encoding="utf-8")
        wording.write_text(text.replace("Mixed picture", "Another picture"), encoding="utf-8")
        assert gives(headline, "Another picture")
        # what takes the place of a package of the same name is the function still
        change = package / "compare" / "change.py"
        change.write_text(change.read_text(encoding="utf-8") + "\n\nADDED = 5\n", encoding="utf-8")
        assert gives("from analysis.compare import change\nprint(getattr(change, 'ADDED', 0))", "5")
        assert gives(headline, "Another picture")
        assert gives(REFUSED, "NoComparisonError")


def test_a_live_kernel_shows_what_any_other_does_and_charts_beside_it(live: BlockingKernelClient) -> None:
    stored = nbformat.read(ROOT / "notebooks" / "02_force_report.ipynb", as_version=4)
    alive = 0
    for cell in stored.cells:
        if cell.cell_type != "code":
            continue
        shown = run(live, cell.source)
        charts = [output["data"].pop(LIVE) for output in shown if LIVE in output.get("data", {})]
        assert [output.get("data") for output in shown] == [output.get("data") for output in cell.outputs]
        for chart in charts:
            assert len(json.dumps(chart)) < 20_000
            assert all(f'id="{one["name"]}"' in shown[0]["data"]["text/html"] for one in chart["charts"])
            assert all({"title", "description"}.isdisjoint(one["specification"]) for one in chart["charts"])
        alive += len(charts)
    assert alive == 2


def test_what_a_live_kernel_runs_headless_is_as_ever(live: BlockingKernelClient) -> None:
    (told,) = run(live, HEADLESS)
    assert told.text == "['text/html', 'text/plain']\n"


@pytest.mark.parametrize("call", ["analysis.charts.before_after(pair)", "analysis.charts.changes(pair)"])
def test_a_chart_of_altair_s_shows_its_words_and_needs_no_network(
    live: BlockingKernelClient, call: str
) -> None:
    (shown,) = run(
        live,
        f'import analysis\npair = analysis.compare(analysis.load_audits(), force="warwickshire")\n{call}',
    )
    assert set(shown["data"]) == {"text/plain", "text/html", LIVE}
    assert "<svg" in shown["data"]["text/html"]
    assert "://" not in shown["data"]["text/html"].replace("http://www.w3.org/2000/svg", "")
    assert shown["data"]["text/plain"].startswith("Chart: ")


def test_a_chart_without_words_is_a_drawing(live: BlockingKernelClient) -> None:
    (shown,) = run(
        live,
        'import altair as alt\nalt.Chart(alt.Data(values=[{"a": 1}])).mark_point().encode(x="a:Q", tooltip="a:Q")',
    )
    assert set(shown["data"]) == {"text/plain", "image/svg+xml", LIVE}
    assert shown["data"]["text/plain"] == "A chart without a description."


def test_a_chart_with_too_much_in_it_is_stored_as_a_drawing_only(live: BlockingKernelClient) -> None:
    (shown,) = run(
        live,
        "import altair as alt\n"
        'rows = [{"a": n, "b": "x" * 100} for n in range(4000)]\n'
        'alt.Chart(alt.Data(values=rows)).mark_point().encode(x="a:Q")',
    )
    assert set(shown["data"]) == {"text/plain", "image/svg+xml"}


# --------------------------------------------------------------------- trust


@pytest.fixture
def notary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NotebookNotary:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    notary = NotebookNotary()
    yield notary
    notary.store.close()


def trusted(notary: NotebookNotary, path: Path) -> bool:
    return bool(notary.check_signature(nbformat.read(path, as_version=4)))


def test_our_notebooks_are_trusted_as_they_are_in_git(in_git: paths.Project, notary: NotebookNotary) -> None:
    names = sorted(path.name for path in in_git.notebooks.glob("*.ipynb"))
    assert trust.sign(in_git) == names
    assert all(trusted(notary, in_git.notebooks / name) for name in names)


def test_a_notebook_that_was_edited_or_is_not_in_git_is_not_trusted(
    in_git: paths.Project, notary: NotebookNotary
) -> None:
    edited = in_git.notebooks / "01_data_quality.ipynb"
    notebook = nbformat.read(edited, as_version=4)
    notebook.cells[0].source += " Edited."
    nbformat.write(notebook, edited)
    shutil.copy(in_git.notebooks / "02_force_report.ipynb", in_git.notebooks / "99_new.ipynb")
    scratch = in_git.notebooks / "scratch"
    scratch.mkdir()
    shutil.copy(edited, scratch / "mine.ipynb")
    git(in_git, "add", "--force", "notebooks/scratch/mine.ipynb")
    git(in_git, "commit", "--quiet", "--message", "By mistake.", "--", "notebooks/scratch/mine.ipynb")
    signed = trust.sign(in_git)
    assert "02_force_report.ipynb" in signed
    assert not {"01_data_quality.ipynb", "99_new.ipynb", "mine.ipynb"} & set(signed)
    assert not trusted(notary, edited)


@pytest.mark.parametrize(
    "active",
    [
        {"text/html": "<p>Hello</p><script>alert(1)</script>"},
        {"text/html": '<img src="x" onerror="alert(1)">'},
        {"text/html": '<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>'},
        {"text/html": '<p><a href=" java\nscript:alert(1)">x</a></p>'},
        {"text/html": '<iframe src="page.html"></iframe>'},
        {"text/html": '<p style="background: url(https://example.org/seen)">x</p>'},
        {"text/html": "<style>@import 'https://example.org/seen.css';</style>"},
        {"text/html": "<form action='https://example.org'><input></form>"},
        {"text/html": "<p onclick='alert(1)'>x</p>"},
        {"text/html": "<svg><foreignObject><p>x</p></foreignObject></svg>"},
        {"text/html": "<!-- a comment --><p>x</p>"},
        {"application/javascript": "alert(1)"},
        {"application/vnd.vegalite.v5+json": {}},
    ],
    ids=lambda bundle: next(iter(bundle.values()), "") and str(next(iter(bundle.values())))[:30],
)
def test_a_notebook_with_results_that_could_act_is_not_trusted(
    active: dict[str, Any], in_git: paths.Project, notary: NotebookNotary
) -> None:
    path = in_git.notebooks / "01_data_quality.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    cell.outputs = [nbformat.v4.new_output("display_data", active)]
    nbformat.write(notebook, path)
    commit(in_git)
    assert path.name not in trust.sign(in_git)
    assert not trusted(notary, path)


def test_without_git_nothing_is_trusted(project: paths.Project, notary: NotebookNotary) -> None:
    assert trust.sign(project) == []


# --------------------------------------------------------------------- git


def test_results_of_scratch_are_never_in_what_is_committed(in_git: paths.Project) -> None:
    made = checkout.prepare(in_git)
    assert made == ["filter.nbstripout.clean", "diff.jupyternotebook.command"]
    assert checkout.prepare(in_git) == []
    scratch = drafts.begin(in_git, QUESTION)
    notebook = nbformat.read(scratch, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text="child-reference-4711")]
            cell.execution_count = 7
    nbformat.write(notebook, scratch)
    name = scratch.relative_to(in_git.root).as_posix()
    git(in_git, "add", "--force", name)
    committed = git(in_git, "show", f":{name}")
    assert "4711" not in committed
    assert '"execution_count": 7' not in committed
    assert QUESTION in committed
    # on the disk they stay, and elsewhere results are stored
    assert "4711" in scratch.read_text(encoding="utf-8")
    assert "<svg" in git(in_git, "show", ":notebooks/02_force_report.ipynb")


def test_git_shows_by_cell_what_changed_in_a_notebook(in_git: paths.Project) -> None:
    checkout.prepare(in_git)
    path = in_git.notebooks / "01_data_quality.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source += " Edited."
    nbformat.write(notebook, path)
    shown = git(in_git, "diff")
    assert "modified /cells/0/source" in shown
    assert "Edited." in shown


def test_settings_that_somebody_made_and_folders_without_git_are_left(in_git: paths.Project) -> None:
    git(in_git, "config", "diff.jupyternotebook.command", "mine")
    assert checkout.prepare(in_git) == ["filter.nbstripout.clean"]
    assert git(in_git, "config", "--get", "diff.jupyternotebook.command") == "mine\n"
    shutil.rmtree(in_git.root / ".git")
    assert checkout.prepare(in_git) == []


def test_nothing_of_scratch_is_tracked() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    assert git(paths.Project(ROOT), "ls-files", "notebooks/scratch") == ""


# --------------------------------------------------------------------- a new notebook


def test_a_new_notebook_keeps_the_house_rules_and_runs(project: paths.Project) -> None:
    path = drafts.begin(project, QUESTION)
    rules = test_notebooks.TestEveryNotebook()
    rules.test_is_thin(path)
    rules.test_imports_only_the_analysis_package(path)
    rules.test_names_no_path_and_no_address(path)
    rules.test_shows_every_result_with_words_before_it(path)
    rules.test_is_valid(path)
    notebook = nbformat.read(path, as_version=4)
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
    source = "\n".join(cell.source for cell in notebook.cells)
    assert "load_audits()" in source
    assert "not a random sample" in source
    # words before each result, and one result to a section
    kinds = "".join("c" if cell.cell_type == "code" else "m" for cell in notebook.cells)
    assert kinds == "mcmcmcmcmc"
    NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert sum("<svg" in str(cell.get("outputs")) for cell in notebook.cells) == 2


def test_a_new_notebook_asks_its_question_and_takes_the_place_of_none(project: paths.Project) -> None:
    first = drafts.begin(project, "  did grades in\nKent change")
    second = drafts.begin(project, QUESTION)
    assert [path.name for path in (first, second)] == [
        "did_grades_in_kent_change.ipynb",
        "did_grades_in_kent_change_2.ipynb",
    ]
    for path in (first, second):
        heading = nbformat.read(path, as_version=4).cells[0].source.split("\n")[0]
        assert heading == "# Did grades in Kent change?"


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("../../etc/passwd", "etc_passwd.ipynb"),
        ("Où en est-on ?", "ou_en_est_on.ipynb"),
        ("a " * 100, f"{'_'.join('a' * 30)}.ipynb"),
        ("x" * 100, f"{'x' * 60}.ipynb"),
        ("my_question", "my_question.ipynb"),
    ],
)
def test_a_new_notebook_has_a_plain_name_and_lies_in_scratch(
    question: str, name: str, project: paths.Project
) -> None:
    path = drafts.begin(project, question)
    assert path.name == name
    assert path.parent == project.notebooks / "scratch"


@pytest.mark.parametrize("question", ["", "  ", "?", "2022", "…"])
def test_a_question_without_words_is_refused(question: str, project: paths.Project) -> None:
    with pytest.raises(drafts.DraftError, match="ask it in words"):
        drafts.begin(project, question)


def test_cells_are_formatted_by_the_rules_of_the_project(project: paths.Project) -> None:
    long = f"value = f({', '.join(['argument'] * 9)})"
    assert 88 < len(long) < 110
    half, loose, magic = "print(", "x=1+ 2", "%time x=1"
    assert tidying.formatted(project, [loose, ""]) == ["x = 1 + 2", ""]
    assert tidying.formatted(project, [half, loose, magic]) == [half, "x = 1 + 2", "%time x=1"]
    shutil.copy(ROOT / "pyproject.toml", project.root)
    assert tidying.formatted(project, [long]) == [long]


# --------------------------------------------------------------------- colours and settings


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_every_colour_of_the_house_can_be_seen_on_either_ground() -> None:
    dark = json.loads((LAB / "dark.json").read_text(encoding="utf-8"))
    grades = {colour.upper() for colour in house.COLOURS.values()}
    drawn = grades | {house.NAVY.upper()}
    written = {house.INK.upper(), house.QUIET.upper()}
    assert drawn | written <= set(dark)
    ground = dark[house.GROUND.upper()]
    for colour in drawn:
        assert contrast(colour, house.GROUND) >= 3
        assert contrast(dark[colour], ground) >= 3
    for colour in written:
        assert contrast(colour, house.GROUND) >= 4.5
        assert contrast(dark[colour], ground) >= 4.5
    # numbers on bars: white becomes the dark ground, black stays
    for colour in grades:
        assert contrast(dark[colour], ground) >= 4.5
    assert len({dark[colour] for colour in grades}) == len(grades)


def test_settings_are_ones_that_jupyterlab_knows() -> None:
    given = json.loads((LAB / "labconfig" / "default_setting_overrides.json").read_text(encoding="utf-8"))
    share = Path(sys.prefix) / "share" / "jupyter"
    for plugin, settings in given.items():
        package, _, name = plugin.partition(":")
        found = [
            path
            for folder in (share / "lab" / "schemas", share / "labextensions")
            for path in folder.rglob(f"{name}.json")
            if package in path.as_posix()
        ]
        assert found, plugin
        assert set(settings) <= set(json.loads(found[0].read_text(encoding="utf-8"))["properties"]), plugin


def test_it_listens_on_loopback_and_what_the_user_adds_comes_last(project: paths.Project) -> None:
    opened = project.notebooks / start.START
    given = start.arguments(project, notebook=opened, port=8899, browser=False, more=["--ServerApp.port=1"])
    assert "--ServerApp.ip=127.0.0.1" in given
    assert "--no-browser" in given
    assert not [one for one in given if "token" in one or "password" in one]
    assert given[-1] == "--ServerApp.port=1"
    assert given.index("--ServerApp.port=8899") < len(given) - 1


def test_what_is_missing_is_told_in_one_sentence(project: paths.Project, tmp_path: Path) -> None:
    command = (sys.executable, "-c")
    without = "import sys\nsys.modules['jupyterlab'] = None\nfrom analysis import cli\ncli.main()"
    code, told = said(*command, without, "lab", folder=project.root)
    assert code == 2
    assert (
        told == "JupyterLab is not installed: install the extra lab, as in `pip install 'casegrade[lab]'`.\n"
    )
    code, told = said(
        *command,
        "from analysis import cli\ncli.main()",
        "lab",
        env=os.environ | {paths.VARIABLE: str(tmp_path / "nowhere")},
    )
    assert code == 2
    assert told.startswith("CASEGRADE_PROJECT is set to ")
    assert told.count("\n") == 1
    code, told = said(
        *command, "from analysis import cli\ncli.main()", "lab", "--new", "?", folder=project.root
    )
    assert code == 2
    assert "ask it in words" in told
