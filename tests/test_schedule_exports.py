import ast
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import synthetic
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from processes import said
from typer.testing import CliRunner

from analysis import cli, paths, vocabulary
from analysis.schedule import exports, rota
from analysis.schedule.exports import ExportError, Setup
from analysis.schedule.rota import Rota

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "deploy" / "examples"
BIN = Path(sys.executable).parent
# whatever has to be quoted in one format or another, and can be
ODD = "/srv/case grade/#1 & (new) ~é!"
# the same for a schedule and for places of reports: below the project, elsewhere, far away
ODD_FILE = "sched ules/#1 & (new)--~é!.toml"
ODD_OUTPUTS = ("#kept & (new) ~é!", "/mnt/#kept & (new) ~é!", "s3://force.example:9000/kept & (new) ~!/#1")

# What Microsoft documents of the parts of a task that are used here ("Task Scheduler Schema"): whose children come
# in any order and whose in one order only, and what they may say.
TASK = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task"
    targetNamespace="http://schemas.microsoft.com/windows/2004/02/mit/task" elementFormDefault="qualified">
  <xs:element name="Task"><xs:complexType><xs:all>
      <xs:element name="RegistrationInfo" minOccurs="0"><xs:complexType><xs:all>
        <xs:element name="URI" type="xs:anyURI" minOccurs="0"/>
        <xs:element name="Description" type="xs:string" minOccurs="0"/>
      </xs:all></xs:complexType></xs:element>
      <xs:element name="Triggers" minOccurs="0"><xs:complexType><xs:choice minOccurs="0" maxOccurs="48">
        <xs:element name="TimeTrigger"><xs:complexType><xs:sequence>
          <xs:element name="Enabled" type="xs:boolean" minOccurs="0"/>
          <xs:element name="StartBoundary" type="xs:dateTime" minOccurs="0"/>
          <xs:element name="EndBoundary" type="xs:dateTime" minOccurs="0"/>
          <xs:element name="Repetition" minOccurs="0"><xs:complexType><xs:all>
            <xs:element name="Interval"><xs:simpleType><xs:restriction base="xs:duration">
              <xs:minInclusive value="PT1M"/><xs:maxInclusive value="P31D"/>
            </xs:restriction></xs:simpleType></xs:element>
            <xs:element name="Duration" type="xs:duration" minOccurs="0"/>
            <xs:element name="StopAtDurationEnd" type="xs:boolean" minOccurs="0"/>
          </xs:all></xs:complexType></xs:element>
          <xs:element name="ExecutionTimeLimit" type="xs:duration" minOccurs="0"/>
        </xs:sequence></xs:complexType></xs:element>
      </xs:choice></xs:complexType></xs:element>
      <xs:element name="Principals" minOccurs="0"><xs:complexType><xs:sequence>
        <xs:element name="Principal"><xs:complexType><xs:all>
          <xs:element name="UserId" type="xs:string" minOccurs="0"/>
          <xs:element name="RunLevel" minOccurs="0"><xs:simpleType><xs:restriction base="xs:string">
            <xs:enumeration value="LeastPrivilege"/><xs:enumeration value="HighestAvailable"/>
          </xs:restriction></xs:simpleType></xs:element>
        </xs:all><xs:attribute name="id" type="xs:ID"/></xs:complexType></xs:element>
      </xs:sequence></xs:complexType></xs:element>
      <xs:element name="Settings" minOccurs="0"><xs:complexType><xs:all>
        <xs:element name="MultipleInstancesPolicy" minOccurs="0"><xs:simpleType><xs:restriction base="xs:string">
          <xs:enumeration value="Parallel"/><xs:enumeration value="Queue"/><xs:enumeration value="IgnoreNew"/>
          <xs:enumeration value="StopExisting"/>
        </xs:restriction></xs:simpleType></xs:element>
        <xs:element name="DisallowStartIfOnBatteries" type="xs:boolean" minOccurs="0"/>
        <xs:element name="StopIfGoingOnBatteries" type="xs:boolean" minOccurs="0"/>
        <xs:element name="AllowHardTerminate" type="xs:boolean" minOccurs="0"/>
        <xs:element name="StartWhenAvailable" type="xs:boolean" minOccurs="0"/>
        <xs:element name="RunOnlyIfNetworkAvailable" type="xs:boolean" minOccurs="0"/>
        <xs:element name="Enabled" type="xs:boolean" minOccurs="0"/>
        <xs:element name="ExecutionTimeLimit" type="xs:duration" minOccurs="0"/>
      </xs:all></xs:complexType></xs:element>
      <xs:element name="Actions"><xs:complexType><xs:sequence>
        <xs:element name="Exec" maxOccurs="32"><xs:complexType><xs:all>
          <xs:element name="Command"><xs:simpleType><xs:restriction base="xs:string">
            <xs:minLength value="1"/>
          </xs:restriction></xs:simpleType></xs:element>
          <xs:element name="Arguments" type="xs:string" minOccurs="0"/>
          <xs:element name="WorkingDirectory" type="xs:string" minOccurs="0"/>
        </xs:all></xs:complexType></xs:element>
      </xs:sequence><xs:attribute name="Context" type="xs:IDREF"/></xs:complexType></xs:element>
    </xs:all>
    <xs:attribute name="version"><xs:simpleType><xs:restriction base="xs:string">
      <xs:pattern value="1\\.[2-6]"/>
    </xs:restriction></xs:simpleType></xs:attribute>
  </xs:complexType></xs:element>
</xs:schema>
"""


@pytest.fixture(scope="module")
def shipped() -> Rota:
    return rota.read(paths.Project(ROOT))


def scheduled(text: str) -> Rota:
    return rota.parse(text.encode(), vocabulary.forces(ROOT / "data" / "raw"))


def only(files: dict[str, str]) -> str:
    [text] = files.values()
    return text


@pytest.mark.parametrize("kind", exports.KINDS)
def test_the_examples_in_deploy_are_what_is_exported_from_the_shipped_schedule(
    kind: str, shipped: Rota, tmp_path: Path
) -> None:
    exports.write(tmp_path, exports.files(kind, shipped, Setup()))
    new, stored = (
        {path.relative_to(folder): path.read_bytes() for path in (folder / kind).rglob("*") if path.is_file()}
        for folder in (tmp_path, EXAMPLES)
    )
    assert new == stored, f"export {kind} again, as CONTRIBUTING.md says"


def test_there_is_an_example_of_every_kind_and_nothing_else() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == set(exports.KINDS)


def test_what_is_exported_is_no_change_of_the_project_unless_it_is_an_example() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    for kind in exports.KINDS:
        assert said("git", "check-ignore", "--quiet", f"deploy/{kind}/x", folder=ROOT)[0] == 0
        assert said("git", "check-ignore", "--quiet", f"deploy/examples/{kind}/x", folder=ROOT)[0] == 1


@pytest.mark.parametrize("kind", exports.KINDS)
def test_each_file_says_what_it_is_made_from_and_nothing_of_this_machine(kind: str, shipped: Rota) -> None:
    for text in exports.files(kind, shipped, Setup()).values():
        assert f"Generated by `casegrade schedule export {kind}` from schedule.toml" in text
        assert str(ROOT) not in text
        assert str(Path.home()) not in text


@pytest.mark.parametrize("kind", exports.KINDS)
@pytest.mark.parametrize(
    "home",
    [
        "casegrade",
        "/",
        "/srv/../casegrade",
        "/srv/case\ngrade",
        "/srv/100%",
        "/srv/$HOME",
        "/srv/{{ 7 }}",
        '/srv/"',
        "/srv/it's",
        "/srv/back\\slash",
        "/srv/`id`",
        "/srv/casegrade ",
        "/srv/\x1b[31m",
        "/" + "long" * 60,
    ],
)
def test_a_home_that_not_every_format_can_quote_is_refused_in_one_sentence(
    kind: str, home: str, shipped: Rota
) -> None:
    if kind == "github-actions":
        assert exports.files(kind, shipped, Setup(home=home)) == exports.files(kind, shipped, Setup())
        return
    with pytest.raises(ExportError) as caught:
        exports.files(kind, shipped, Setup(home=home))
    assert str(caught.value).isprintable()
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("kind", "setup", "told"),
    [
        ("cron", Setup(command="casegrade"), '"casegrade" cannot be put'),
        ("windows", Setup(home="/srv/casegrade"), "such as C:\\\\casegrade"),
        ("windows", Setup(home="C:\\"), "such as C:\\\\casegrade"),
        ("systemd", Setup(user="case grade"), "no name of a user"),
        ("systemd", Setup(user="a\nb"), "no name of a user"),
        ("kubernetes", Setup(image="a image"), "no image"),
        *((kind, Setup(schedule="../x.toml"), '"../x.toml" (cannot|is of no use)') for kind in exports.KINDS),
        *((kind, Setup(schedule="x\ny.toml"), '"x.y.toml" (cannot|is of no use)') for kind in exports.KINDS),
        *((kind, Setup(schedule="$x.toml"), 'x.toml" (cannot|is of no use)') for kind in exports.KINDS),
        *((kind, Setup(output="a/../.."), '"a/../.." (cannot|is of no use)') for kind in exports.KINDS),
        *((kind, Setup(output="{{ 7 }}"), "(cannot|is of no use)") for kind in exports.KINDS),
        *((kind, Setup(output="s3://me:secret@a/b"), "without a password") for kind in exports.KINDS),
        *((kind, Setup(output="s3://a/`id`"), "such as s3://casegrade/reports") for kind in exports.KINDS),
        *((kind, Setup(output="s3://a/../b"), "such as s3://casegrade/reports") for kind in exports.KINDS),
        ("github-actions", Setup(schedule="/etc/casegrade.toml"), "have the project alone: give a file"),
        ("github-actions", Setup(output="/srv/reports"), "have the project alone: give a URL"),
        ("github-actions", Setup(output="file:///srv/reports"), "have the project alone: give a URL"),
        ("github-actions", Setup(output="a #b"), "have the project alone: give a URL"),
        ("windows", Setup(schedule="D:x.toml"), "such as C:\\\\casegrade"),
        ("windows", Setup(output="/srv/reports"), "such as C:\\\\casegrade"),
        ("windows", Setup(output=r"\\server\reports"), "such as C:\\\\casegrade"),
        ("kubernetes", Setup(output="/srv"), 'would hide "/srv/casegrade"'),
        ("kubernetes", Setup(output="."), 'would hide "/srv/casegrade"'),
        ("kubernetes", Setup(output="/tmp"), 'would hide "/tmp"'),
        ("cron", Setup(home="/" + "é" * 190, command="/" + "é" * 190), "no more than 998: give shorter"),
        ("launchd", Setup(), "no scheduler that is known here"),
    ],
)
def test_what_else_cannot_be_used_is_refused_with_what_to_give(
    kind: str, setup: Setup, told: str, shipped: Rota
) -> None:
    with pytest.raises(ExportError, match=told):
        exports.files(kind, shipped, setup)


names = st.text(
    st.one_of(st.sampled_from(" .,_+=@~()&#!-"), st.characters(categories=["L", "Nd"])),
    min_size=1,
    max_size=9,
)


@given(st.lists(names, min_size=1, max_size=3))
def test_a_home_that_is_taken_is_read_back_from_every_format(parts: list[str]) -> None:
    home = "/" + "/".join(parts)
    some = scheduled('[forces.kent]\ncron = "0 6 * * *"')
    try:
        crontab = only(exports.files("cron", some, Setup(home=home)))
    except ExportError:
        assert {".", ".."} & set(parts) or home.strip() != home or len(home) > 100
        return
    words = shlex.split(crontab.splitlines()[-1], comments=True)
    assert words[5:8] == [f"{home}/.venv/bin/casegrade", "--project", home]
    assert words[-3:] == [">>", f"{home}/schedule.log", "2>&1"]

    claim, job = yaml.safe_load_all(only(exports.files("kubernetes", some, Setup(home=home))))
    [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert claim["kind"] == "PersistentVolumeClaim"
    assert container["command"][1:3] == ["--project", home]

    dags = ast.parse(only(exports.files("airflow", some, Setup(home=home))))
    [command] = [ast.literal_eval(one.value) for one in dags.body if isinstance(one, ast.Assign)]
    assert shlex.split(command)[:3] == [f"{home}/.venv/bin/casegrade", "--project", home]

    unit = exports.files("systemd", some, Setup(home=home))["systemd/casegrade-run-due.service"]
    assert f'ExecStart="{home}/.venv/bin/casegrade" --project "{home}" schedule run-due' in unit

    there = "C:" + "".join(rf"\{part}" for part in parts)
    task = exports.files("windows", some, Setup(home=there))["windows/casegrade-run-due.xml"]
    assert etree.fromstring(task.encode("utf-16")).findtext(".//{*}WorkingDirectory") == there


def test_the_log_of_cron_is_appended_to_by_the_shell_that_cron_starts(shipped: Rota, tmp_path: Path) -> None:
    home = tmp_path / ODD[1:]
    home.mkdir(parents=True)
    line = only(exports.files("cron", shipped, Setup(home=str(home), command="/bin/echo"))).splitlines()[-1]
    command = line.removeprefix("* * * * * ")
    for _ in range(2):
        assert said("/bin/sh", "-c", command) == (0, "")
    told = f"--project {home} schedule run-due --log-format json\n"
    assert (home / "schedule.log").read_text() == told * 2


def carried(kind: str, rota: Rota, setup: Setup) -> list[list[str]]:
    """The words after `run-due` or `serve` in each command of an exported file, as its reader takes them."""
    made = exports.files(kind, rota, setup)
    if kind == "cron":
        commands = [shlex.split(only(made).splitlines()[-1])[:-3]]
    elif kind == "systemd":
        # quotes, and what stands between spaces: nothing else means anything to systemd that is let into a path
        lines = "\n".join(made.values()).splitlines()
        commands = [shlex.split(line) for line in lines if line.startswith("ExecStart=")]
    elif kind == "windows":
        arguments = etree.fromstring(made["windows/casegrade-run-due.xml"].encode("utf-16"))
        whole = arguments.findtext(".//{*}Arguments").removeprefix('/d /s /c "').removesuffix('"')
        quoted = re.findall(r'"([^"]*)"|(\S+)', whole)
        # whatever means something to the shell of Windows is in quotes
        assert {bare for _, bare in quoted if not re.fullmatch(r"[\w.:\\/-]+", bare)} <= {"", ">>", "2>&1"}
        commands = [[one or other for one, other in quoted][:-3]]
    elif kind == "kubernetes":
        *_, job = yaml.safe_load_all(only(made))
        [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        commands = [container["command"]]
    elif kind == "airflow":
        [command] = [
            ast.literal_eval(one.value) for one in ast.parse(only(made)).body if isinstance(one, ast.Assign)
        ]
        commands = [shlex.split(command)]
    else:
        [job] = yaml.safe_load(only(made))["jobs"].values()
        [step] = [step for step in job["steps"] if "env" in step]
        commands = [shlex.split(line) for line in step["run"].splitlines() if " schedule run-due" in line]
    return [words[words.index("schedule") + 2 :] for words in commands]


@pytest.mark.parametrize("output", ODD_OUTPUTS)
@pytest.mark.parametrize("kind", exports.KINDS)
def test_every_command_names_the_schedule_and_the_place_of_the_reports(
    kind: str, output: str, shipped: Rota
) -> None:
    home: str | None = ODD
    schedule, told = f"{ODD}/{ODD_FILE}", f"{ODD}/{output}"
    if kind == "windows":
        home = r"C:\#1&(new)~é!"
        output = output.replace("/mnt", "D:\\mnt") if output.startswith("/") else output
        schedule, told = (rf"{home}\{one}".replace("/", "\\") for one in (ODD_FILE, output))
    if kind == "github-actions":
        output = output if "://" in output else "kept/new-1"
        schedule, told = ODD_FILE, output
    if "://" in output or output.startswith(("/", "D:")):
        told = output.replace("/", "\\") if "://" not in output and kind == "windows" else output
    setup = Setup(home=home, schedule=ODD_FILE, output=output)
    found = carried(kind, shipped, setup)
    assert len(found) == (2 if kind == "systemd" else 1)
    for words in found:
        assert words[:4] == ["--schedule", schedule, "--output", told]
    for name, text in exports.files(kind, shipped, setup).items():
        source = ODD_FILE.replace("/", "\\") if kind == "windows" else ODD_FILE
        if name.endswith(".xml"):
            source = source.replace("--", "- -")
        assert f"Generated by `casegrade schedule export {kind}` from {source}: export it again" in text
        assert "schedule.toml" not in text.replace("docs/schedule.md", "")
    for words in carried(kind, shipped, Setup()):
        assert not {"--schedule", "--output"} & set(words)


@pytest.mark.parametrize(
    "kind", [kind for kind in exports.KINDS if kind not in ("windows", "github-actions")]
)
def test_a_schedule_and_a_place_elsewhere_are_named_from_the_root_on(kind: str, shipped: Rota) -> None:
    setup = Setup(schedule="/etc/case grade.toml", output="file:///mnt/kept/")
    for words in carried(kind, shipped, setup):
        assert words[:4] == ["--schedule", "/etc/case grade.toml", "--output", "/mnt/kept"]
    for text in exports.files(kind, shipped, setup).values():
        assert "from /etc/case grade.toml: export it again" in text


def asked(project: paths.Project, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, ["--project", str(project.root), "schedule", "export", *words])
    return done.exit_code, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> paths.Project:
    """A project with a second schedule, and a third one beside it; commands are given in a folder of it."""
    # the command sets it
    monkeypatch.setenv(paths.VARIABLE, "")
    # links to the folder of temporary files are followed
    made = synthetic.copy_of_project(tmp_path.resolve() / "project")
    (made.root / "more").mkdir()
    for path in (made.root / rota.FILE, made.root / "more" / "other.toml", made.root.parent / "third.toml"):
        path.write_text('[forces.kent]\ncron = "0 6 * * *"', encoding="utf-8")
    monkeypatch.chdir(made.root / "more")
    return made


def exported(project: paths.Project, name: str = "cron/casegrade.crontab") -> str:
    return (project.root / "deploy" / name).read_text(encoding="utf-8")


def test_the_command_carries_what_is_in_the_project_to_wherever_that_will_be(project: paths.Project) -> None:
    for home in (project.root, Path("/srv/casegrade")):
        words = ("--home", str(home), "--schedule", "other.toml", "--output", "../kept")
        code, told = asked(project, "cron", *words)
        assert (code, told.split()) == (0, [str(project.root / "deploy" / "cron" / "casegrade.crontab")])
        assert f" --schedule {home}/more/other.toml --output {home}/kept --log-format" in exported(project)
        assert "from more/other.toml: export" in exported(project)
    assert asked(project, "github-actions", "--schedule", "other.toml", "--output", "../kept")[0] == 0
    text = exported(project, "github-actions/casegrade.yml")
    assert ".venv/bin/casegrade schedule run-due --schedule more/other.toml --output kept ||" in text
    assert asked(project, "cron", "--schedule", "../schedule.toml")[0] == 0
    assert "--schedule" not in exported(project)


def test_the_command_carries_what_is_elsewhere_only_if_it_will_be_there(project: paths.Project) -> None:
    outside = project.root.parent
    for home in (
        (),
        ("--home", str(project.root)),
        ("--home", ".." if os.name == "nt" else f"{project.root}/more/.."),
    ):
        words = ("--schedule", "../../third.toml", "--output", "../../kept")
        code, told = asked(project, "cron", *home, *words)
        if home and home[1].endswith(".."):
            # it is this folder, but no name for it that files can have
            assert (code, told.count("\n")) == (2, 1)
            continue
        assert code == 0, told
        assert f" --schedule {outside}/third.toml --output {outside}/kept --log-format" in exported(project)
    for kind, home in (
        ("cron", ("--home", "/srv/casegrade")),
        ("windows", ("--home", r"C:\casegrade")),
        ("github-actions", ()),
    ):
        for words in (("--schedule", "../../third.toml"), ("--output", "../../kept")):
            assert asked(project, kind, *home, *words) == (
                2,
                f'"{words[1]}" is not in the project, and would not be found where the schedule will run: '
                "give one that is.\n",
            )


def test_the_command_takes_a_whole_path_or_a_url_of_reports_for_one_there(project: paths.Project) -> None:
    for output in ("/mnt/kept", "s3://casegrade/kept"):
        assert asked(project, "cron", "--home", "/srv/casegrade", "--output", output)[0] == 0
        assert f" --output {output} --log-format" in exported(project)
    words = ("--home", r"C:\casegrade", "--output", r"D:\kept", "--schedule", "other.toml")
    assert asked(project, "windows", *words)[0] == 0
    script = (project.root / "deploy" / "windows" / "register.ps1").read_text(encoding="utf-8-sig")
    assert r"foreach ($folder in 'data', 'logs', 'reports', 'D:\kept') {" in script
    assert r"from more\other.toml: export" in script


def test_a_link_to_a_schedule_is_named_and_not_what_it_leads_to(project: paths.Project) -> None:
    (project.root / "linked.toml").symlink_to(project.root.parent / "third.toml")
    (project.root.parent / "again").symlink_to(project.root)
    code, told = asked(project, "cron", "--home", "/srv/casegrade", "--schedule", "../../again/linked.toml")
    assert code == 0, told
    assert " --schedule /srv/casegrade/linked.toml " in exported(project)


def units(rota: Rota, home: Path, **more: str) -> list[Path]:
    command = home / ".venv" / "bin" / "casegrade"
    command.parent.mkdir(parents=True, exist_ok=True)
    # verify wants to find what it would start
    shutil.copy("/bin/true", command)
    return exports.write(home, exports.files("systemd", rota, Setup(home=str(home), **more)))


@pytest.fixture
def analyze() -> str:
    command = shutil.which("systemd-analyze")
    if command is None:
        if os.environ.get("CI") == "true":
            pytest.fail("systemd-analyze is missing: install systemd")
        pytest.skip("systemd-analyze is not on this machine")
    return command


@pytest.mark.parametrize("folder", ["casegrade", ODD[1:]])
def test_systemd_has_nothing_to_say_against_the_units(
    folder: str, analyze: str, shipped: Rota, tmp_path: Path
) -> None:
    assert said(analyze, "verify", "--man=no", *units(shipped, tmp_path / folder)) == (0, "")
    for output in ODD_OUTPUTS:
        made = units(shipped, tmp_path / folder, schedule=ODD_FILE, output=output)
        assert said(analyze, "verify", "--man=no", *made) == (0, "")


def test_systemd_would_say_what_it_does_not_know(analyze: str, shipped: Rota, tmp_path: Path) -> None:
    service = units(shipped, tmp_path)[0]
    service.write_text(service.read_text().replace("ProtectClock=", "ProtectClocks="))
    assert "ProtectClocks" in said(analyze, "verify", "--man=no", service)[1]


def test_units_may_write_reports_and_data_but_not_what_the_data_come_from(shipped: Rota) -> None:
    made = exports.files("systemd", shipped, Setup(home=ODD))
    for name in ("casegrade-run-due.service", "casegrade-serve.service"):
        unit = made[f"systemd/{name}"]
        assert "ProtectSystem=strict\n" in unit
        assert f'ReadWritePaths="{ODD}/reports" "{ODD}/data"\nReadOnlyPaths="{ODD}/data/raw"\n' in unit
        assert "EnvironmentFile=-/etc/casegrade/secrets.env\n" in unit
    assert "SuccessExitStatus=3 130\n" in made["systemd/casegrade-run-due.service"]


def test_units_may_write_reports_to_where_these_are_said_to_be(shipped: Rota) -> None:
    for output, folder in (
        ("kept", '"/srv/casegrade/kept" '),
        ("/mnt/kept", '"/mnt/kept" '),
        ("s3://a/b", ""),
    ):
        made = exports.files("systemd", shipped, Setup(output=output))
        written = f'"/srv/casegrade/reports" {folder}"/srv/casegrade/data"\n'
        for name in ("casegrade-run-due.service", "casegrade-serve.service"):
            assert f"ReadWritePaths={written}" in made[f"systemd/{name}"]
        head = made["systemd/casegrade-run-due.service"]
        assert f'mkdir --parents "/srv/casegrade/reports" {folder}'.strip() + "\n" in head
        assert f"chown --recursive casegrade {written}" in head


def task(rota: Rota, home: str | None = None) -> Any:
    return etree.fromstring(
        exports.files("windows", rota, Setup(home=home))["windows/casegrade-run-due.xml"].encode("utf-16")
    )


def test_the_task_is_what_microsoft_documents_of_one(shipped: Rota) -> None:
    schema = etree.XMLSchema(etree.fromstring(TASK))
    schema.assertValid(task(shipped))
    assert len(task(shipped).findall(".//{*}TimeTrigger")) == 1
    assert task(shipped).findtext(".//{*}MultipleInstancesPolicy") == "IgnoreNew"
    wrong = task(shipped)
    wrong.find(".//{*}Interval").text = "PT30S"
    assert not schema.validate(wrong)


def test_the_task_asks_through_a_shell_that_leaves_inner_quotes_alone(shipped: Rota) -> None:
    home = r"C:\case grade\new & old"
    assert task(shipped, home).findtext(".//{*}Command") == r"%SystemRoot%\System32\cmd.exe"
    assert task(shipped, home).findtext(".//{*}Arguments") == (
        rf'/d /s /c ""{home}\.venv\Scripts\casegrade.exe" --project "{home}" schedule run-due --log-format json'
        rf' >> "{home}\logs\schedule.log" 2>&1"'
    )
    script = exports.files("windows", shipped, Setup(home=home))["windows/register.ps1"]
    assert r"$project = 'C:\case grade\new & old'" in script


def test_windows_reads_its_files_in_the_encoding_that_it_takes_them_for(
    shipped: Rota, tmp_path: Path
) -> None:
    written = exports.write(tmp_path, exports.files("windows", shipped, Setup(home="C:\\é")))
    described, script = (path.read_bytes() for path in written)
    assert described.startswith(b"\xff\xfe<\0?\0x\0m\0l\0")
    # from the bytes, with the encoding that they declare
    assert etree.fromstring(described).findtext(".//{*}WorkingDirectory") == "C:\\é"
    assert script.startswith(b"\xef\xbb\xbf#")
    assert "$project = 'C:\\é'" in script.decode("utf-8-sig")


@pytest.mark.parametrize("output", [None, *ODD_OUTPUTS])
def test_kubernetes_knows_every_field_of_the_manifest(
    output: str | None, shipped: Rota, tmp_path: Path
) -> None:
    validate = BIN / "kubernetes-validate"
    setup = Setup(home=ODD, schedule=ODD_FILE, output=output)
    [path] = exports.write(tmp_path, exports.files("kubernetes", shipped, setup))
    code, told = said(validate, "--strict", path)
    assert code == 0, told
    # what goes to a URL needs no claim
    n_documents = 1 if output is not None and "://" in output else 2
    assert (
        told.count(" passed for resource ") == len(list(yaml.safe_load_all(path.read_text()))) == n_documents
    )
    path.write_text(path.read_text().replace("timeZone:", "timezone:"))
    assert said(validate, "--strict", path)[0] != 0


def test_a_pod_may_write_to_its_volumes_alone_and_another_run_is_no_failure(shipped: Rota) -> None:
    claim, cron = yaml.safe_load_all(only(exports.files("kubernetes", shipped, Setup())))
    assert (cron["spec"]["schedule"], cron["spec"]["timeZone"]) == ("* * * * *", "Etc/UTC")
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    job = cron["spec"]["jobTemplate"]["spec"]
    assert job["backoffLimit"] == 0
    [other] = [rule["onExitCodes"] for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    pod = job["template"]["spec"]
    [container] = pod["containers"]
    assert (other["containerName"], other["values"]) == (container["name"], [3])
    assert (pod["restartPolicy"], pod["securityContext"]["runAsNonRoot"]) == ("Never", True)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    [environment] = container["env"]
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert {"/tmp", environment["value"], "/srv/casegrade/reports"} == set(mounts)
    [volume] = [one for one in pod["volumes"] if one["name"] == mounts["/srv/casegrade/reports"]]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


@pytest.mark.parametrize(
    ("output", "mounted"),
    [("kept", "/srv/casegrade/kept"), ("/mnt/kept #1", "/mnt/kept #1"), ("s3://a/b", None)],
)
def test_the_volume_of_a_pod_is_where_its_reports_are(
    output: str, mounted: str | None, shipped: Rota
) -> None:
    *claims, cron = yaml.safe_load_all(only(exports.files("kubernetes", shipped, Setup(output=output))))
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    mounts = {one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
    assert mounts - {"/tmp", "/home/casegrade"} == ({mounted} if mounted else set())
    assert len(claims) == len([one for one in pod["volumes"] if one["name"] == "reports"]) == bool(mounted)


def workflow(text: str) -> Any:
    # as plain texts, since YAML takes the key `on` for true
    return yaml.load(text, Loader=yaml.BaseLoader)


@pytest.mark.parametrize("output", [None, "kept/new-1", "s3://a/b"])
def test_github_knows_every_key_of_the_workflow(output: str | None, shipped: Rota, tmp_path: Path) -> None:
    check = (BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows")
    setup = Setup(schedule=ODD_FILE, output=output)
    [path] = exports.write(tmp_path, exports.files("github-actions", shipped, setup))
    code, told = said(*check, path)
    assert code == 0, told
    path.write_text(path.read_text().replace("runs-on:", "runs_on:"))
    assert said(*check, path)[0] != 0


@pytest.mark.parametrize("output", ["reports", "kept/new-1"])
def test_the_workflow_may_read_only_and_gives_secrets_to_one_step(output: str, shipped: Rota) -> None:
    setup = Setup() if output == "reports" else Setup(output=output)
    text = only(exports.files("github-actions", shipped, setup))
    found = workflow(text)
    assert found["permissions"] == {"contents": "read"}
    assert found["concurrency"]["cancel-in-progress"] == "false"
    [job] = found["jobs"].values()
    assert 1 <= int(job["timeout-minutes"]) <= 360
    steps = {step["name"]: step for step in job["steps"] if "name" in step}
    assert [name for name, step in steps.items() if "secrets." in str(step)] == ["Make what is due"]
    assert "secrets." not in str({key: value for key, value in job.items() if key != "steps"})
    restored, saved = steps["Fetch the reports of the last run"], steps["Keep the reports for the next run"]
    assert restored["with"]["key"] == saved["with"]["key"]
    assert saved["with"]["key"].startswith(restored["with"]["restore-keys"])
    assert "github.run_id" in saved["with"]["key"]
    assert {step["with"]["path"] for step in (restored, saved, steps["Show the reports"])} == {output}
    assert text.count(f"hashFiles('{output}/**')") == text.count("hashFiles") == 3


def test_the_workflow_keeps_nothing_that_goes_to_a_url(shipped: Rota) -> None:
    text = only(exports.files("github-actions", shipped, Setup(output="s3://a/b")))
    [job] = workflow(text)["jobs"].values()
    assert [step.get("name") for step in job["steps"]] == [None, None, "Install", "Make what is due"]
    assert "steps.before" not in text
    assert "hashFiles" not in text


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (2, 2), (3, 0), (130, 130)])
def test_the_step_fails_as_the_command_does_unless_another_run_is_writing(
    code: int, expected: int, shipped: Rota, tmp_path: Path
) -> None:
    setup = Setup(schedule=ODD_FILE, output="s3://a/b &c")
    [job] = workflow(only(exports.files("github-actions", shipped, setup)))["jobs"].values()
    [step] = [step for step in job["steps"] if "env" in step]
    command = tmp_path / ".venv" / "bin" / "casegrade"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\necho "$@"\nexit {code}\n')
    command.chmod(0o755)
    # as GitHub starts it
    found = said("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"], folder=tmp_path)
    assert found == (expected, f"schedule run-due --schedule {ODD_FILE} --output s3://a/b &c\n")


RHYTHMS = """
[defaults]
cron = "30 6 * * *"
[forces.kent]
[forces.essex]
[forces.gwent]
retries = 5
[forces.surrey]
cron = ["0 1 * * *", "*/15 9-17 * * 1-5"]
timezone = "Europe/Paris"
"""


def dags(text: str) -> dict[str, list[str]]:
    """The reports of each DAG of a file, without Airflow."""
    found: dict[str, list[str]] = {}
    for block in ast.parse(text).body:
        if isinstance(block, ast.With):
            words = [one.value for one in ast.walk(block) if isinstance(one, ast.Constant)]
            [name] = [one for one in words if isinstance(one, str) and one.startswith("casegrade_")]
            found[name] = [
                one.values[0].value  # type: ignore[attr-defined]
                for one in ast.walk(block)
                if isinstance(one, ast.Dict)
            ]
    return found


def test_there_is_a_dag_for_each_rhythm_and_its_name_stays_whatever_else_is_scheduled() -> None:
    found = dags(only(exports.files("airflow", scheduled(RHYTHMS), Setup())))
    assert sorted(found.values()) == [["essex", "kent"], ["gwent"], ["surrey"]]
    alone = dags(only(exports.files("airflow", scheduled('[forces.kent]\ncron = "30 6 * * *"'), Setup())))
    assert [name for name, reports in found.items() if "kent" in reports] == list(alone)


@pytest.mark.parametrize(
    "setup", [Setup(), Setup(home=ODD), Setup(home=ODD, schedule=ODD_FILE, output=ODD_OUTPUTS[2])]
)
def test_the_dags_are_formatted_as_all_code_is(setup: Setup) -> None:
    text = only(exports.files("airflow", scheduled(RHYTHMS), setup))
    config = ("--config", ROOT / "pyproject.toml", "--stdin-filename", EXAMPLES / "dags.py", "-")
    assert said(BIN / "ruff", "format", *config, text=text) == (0, text)
    # a long home makes a long line
    code, told = said(BIN / "ruff", "check", "--ignore", "E501", *config, text=text)
    assert code == 0, told


@pytest.mark.parametrize("line", ["0 6 LW * *", "0 6 * * 5L", "0 6 * * 5L,1", "0 6 * * 1#1,3"])
def test_a_line_that_airflow_cannot_read_is_refused(line: str) -> None:
    unread = scheduled(f'[forces.kent]\ncron = "{line}"')
    with pytest.raises(ExportError, match="Airflow cannot read"):
        exports.files("airflow", unread, Setup())
    assert exports.files("cron", unread, Setup())
