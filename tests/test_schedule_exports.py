import ast
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from analysis import paths, vocabulary
from analysis.schedule import exports, rota
from analysis.schedule.exports import ExportError, Setup
from analysis.schedule.rota import Rota

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
# whatever has to be quoted in one format or another, and can be
ODD = "/srv/case grade/#1 & (new) ~é!"

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


def said(*command: str | Path, folder: Path | None = None, text: str | None = None) -> tuple[int, str]:
    """The exit code of a command and all that it says."""
    done = subprocess.run(
        command,
        cwd=folder,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("kind", exports.KINDS)
def test_the_examples_in_deploy_are_what_is_exported_from_the_shipped_schedule(
    kind: str, shipped: Rota, tmp_path: Path
) -> None:
    exports.write(tmp_path, exports.files(kind, shipped, Setup()))
    new, stored = (
        {path.relative_to(folder): path.read_bytes() for path in (folder / kind).rglob("*") if path.is_file()}
        for folder in (tmp_path, ROOT / "deploy")
    )
    assert new == stored, f"run `casegrade schedule export {kind}`"


def test_there_is_an_example_of_every_kind_and_nothing_else() -> None:
    assert {path.name for path in (ROOT / "deploy").iterdir()} == set(exports.KINDS)


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


def units(rota: Rota, home: Path) -> list[Path]:
    command = home / ".venv" / "bin" / "casegrade"
    command.parent.mkdir(parents=True)
    # verify wants to find what it would start
    shutil.copy("/bin/true", command)
    return exports.write(home, exports.files("systemd", rota, Setup(home=str(home))))


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


def test_kubernetes_knows_every_field_of_the_manifest(shipped: Rota, tmp_path: Path) -> None:
    validate = BIN / "kubernetes-validate"
    [path] = exports.write(tmp_path, exports.files("kubernetes", shipped, Setup(home=ODD)))
    code, told = said(validate, "--strict", path)
    assert code == 0, told
    assert told.count(" passed for resource ") == len(list(yaml.safe_load_all(path.read_text()))) == 2
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


def workflow(rota: Rota) -> Any:
    # as plain texts, since YAML takes the key `on` for true
    return yaml.load(only(exports.files("github-actions", rota, Setup())), Loader=yaml.BaseLoader)


def test_github_knows_every_key_of_the_workflow(shipped: Rota, tmp_path: Path) -> None:
    check = (BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows")
    [path] = exports.write(tmp_path, exports.files("github-actions", shipped, Setup()))
    code, told = said(*check, path)
    assert code == 0, told
    path.write_text(path.read_text().replace("runs-on:", "runs_on:"))
    assert said(*check, path)[0] != 0


def test_the_workflow_may_read_only_and_gives_secrets_to_one_step(shipped: Rota) -> None:
    found = workflow(shipped)
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
    assert restored["with"]["path"] == saved["with"]["path"] == steps["Show the reports"]["with"]["path"]


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (2, 2), (3, 0), (130, 130)])
def test_the_step_fails_as_the_command_does_unless_another_run_is_writing(
    code: int, expected: int, shipped: Rota, tmp_path: Path
) -> None:
    [job] = workflow(shipped)["jobs"].values()
    [step] = [step for step in job["steps"] if "env" in step]
    command = tmp_path / ".venv" / "bin" / "casegrade"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\necho "$@"\nexit {code}\n')
    command.chmod(0o755)
    # as GitHub starts it
    found = said("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"], folder=tmp_path)
    assert found == (expected, "schedule run-due\n")


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


@pytest.mark.parametrize("home", ["/srv/casegrade", ODD])
def test_the_dags_are_formatted_as_all_code_is(home: str) -> None:
    text = only(exports.files("airflow", scheduled(RHYTHMS), Setup(home=home)))
    config = ("--config", ROOT / "pyproject.toml", "--stdin-filename", ROOT / "deploy" / "dags.py", "-")
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
