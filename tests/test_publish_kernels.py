import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupyter_kernel_test
import nbformat
import papermill
import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_async_kernel, start_new_kernel
from nbformat.v4 import new_code_cell, new_notebook
from processes import PATIENCE, eventually, is_gone

from analysis.publish import kernels, warm

resource = pytest.importorskip("resource")

pytestmark = pytest.mark.skipif(warm.idle() is None, reason="nothing can be forked here")


# as the engine starts the kernels of notebooks
AS_FOR_NOTEBOOKS = {"extra_arguments": ["--HistoryManager.hist_file=:memory:"]}


@pytest.fixture(scope="module", autouse=True)
def own_history() -> Iterator[None]:
    """Kernels of these tests remember nothing in the history of whoever runs them."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", folder)
        yield


@contextlib.contextmanager
def kernel(name: str = kernels.SPEC, **start: Any) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    manager, client = start_new_kernel(startup_timeout=PATIENCE, kernel_name=name, **start)
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run(client: BlockingKernelClient, code: str, **options: Any) -> str:
    """What code in a kernel prints; what it raises fails the test."""
    printed: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(textwrap.dedent(code), output_hook=hear, timeout=PATIENCE, **options)
    content = reply["content"]
    assert content["status"] == "ok", "\n".join(content["traceback"])
    return "".join(printed)


def told(client: BlockingKernelClient, expression: str) -> Any:
    """The value of an expression in a kernel, of what JSON can hold."""
    return json.loads(run(client, f"import json\nprint(json.dumps({expression}))"))


def is_server(pid: int) -> bool:
    return any("analysis.publish.warm" in word for word in psutil.Process(pid).cmdline())


def server_of(pid: int) -> int:
    """The warm server that a process was forked from."""
    parent = psutil.Process(pid).ppid()
    assert is_server(parent)
    return parent


# ------------------------------------------------------------- the public suite for kernels


class TestKernelSuite(jupyter_kernel_test.KernelTests):
    kernel_name = kernels.SPEC
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = [{"text": "zi", "matches": {"zip"}}]  # noqa: RUF012 - as the suite has it
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n"]  # noqa: RUF012
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]  # noqa: RUF012
    invalid_code_samples = ["import = 7q"]  # noqa: RUF012
    code_page_something = "zip?"
    code_generate_error = "raise"
    code_execute_result = [  # noqa: RUF012
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    ]
    code_display_data = [  # noqa: RUF012
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))",
            "mime": "text/html",
        },
        {
            "code": "from IPython.display import Math, display; display(Math('\\frac{1}{2}'))",
            "mime": "text/latex",
        },
    ]
    code_history_pattern = "1?2*"
    # not "range": every IPython kernel calls its present session 0, which the suite does not know
    supported_history_operations = ("tail", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"

    def test_the_kernel_under_test_was_forked(self) -> None:
        assert self.km.provisioner.is_warm
        assert server_of(self.km.provisioner.pid)


class TestWelcome(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = kernels.SPEC
    support_iopub_welcome = True


# ------------------------------------------------------ as Jupyter's own managers see them


def test_sockets_are_entered_by_their_user_only_and_do_not_outlive_the_kernel() -> None:
    with kernel() as (manager, _):
        folder = Path(manager.ip).parent
        assert manager.transport == "ipc"
        assert list(folder.glob("kernel-*"))
        assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0
    assert not folder.exists()


def test_an_interrupted_cell_ends_in_an_error_and_the_kernel_goes_on() -> None:
    with kernel() as (manager, client):
        run(client, "kept = 41")
        # an error would have the kernel pass over what it is asked next, for a moment
        code = "print('now', flush=True)\nimport time\ntime.sleep(600)"
        asked = client.execute(code, stop_on_error=False)
        # before that it would not be the cell that is interrupted
        while client.get_iopub_msg(timeout=PATIENCE)["content"].get("text") != "now\n":
            pass
        manager.interrupt_kernel()
        while (reply := client.get_shell_msg(timeout=PATIENCE))["parent_header"]["msg_id"] != asked:
            pass
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        assert told(client, "kept + 1") == 42


@pytest.mark.parametrize("now", [False, True])
def test_a_kernel_starts_again_empty_and_under_the_same_address(now: bool) -> None:
    with kernel() as (manager, client):
        run(client, "kept = 41")
        address, pid = manager.get_connection_info(), manager.provisioner.pid
        manager.restart_kernel(now=now)
        client.wait_for_ready(timeout=PATIENCE)
        assert manager.get_connection_info() == address
        assert manager.provisioner.pid != pid
        assert told(client, "'kept' in globals()") is False
        assert manager.provisioner.is_warm
        assert server_of(manager.provisioner.pid)


@pytest.mark.parametrize("now", [False, True])
def test_nothing_is_left_of_a_kernel_that_was_shut_down(now: bool) -> None:
    manager, client = start_new_kernel(startup_timeout=PATIENCE, kernel_name=kernels.SPEC)
    left = [Path(manager.ip).parent, Path(manager.connection_file)]
    pid = manager.provisioner.pid
    assert all(path.exists() for path in left)
    client.stop_channels()
    manager.shutdown_kernel(now=now)
    assert eventually(lambda: is_gone(pid))
    assert not any(path.exists() for path in left)
    assert not manager.is_alive()


def test_the_same_holds_for_the_managers_of_jupyterlab() -> None:
    async def live() -> tuple[int, dict[str, Any]]:
        manager, client = await start_new_async_kernel(PATIENCE, kernel_name=kernels.SPEC)
        pid = manager.provisioner.pid
        assert server_of(pid)
        await manager.restart_kernel()
        await client.wait_for_ready(timeout=PATIENCE)
        reply = await client.execute_interactive("6 * 7", timeout=PATIENCE)
        client.stop_channels()
        await manager.shutdown_kernel()
        assert not await manager.is_alive()
        assert not Path(manager.ip).parent.exists()
        return pid, reply["content"]

    pid, answered = asyncio.run(live())
    assert answered["status"] == "ok"
    assert is_gone(pid)


def test_what_a_program_does_at_its_end_is_done_when_a_kernel_is_shut_down(tmp_path: Path) -> None:
    manager, client = start_new_kernel(startup_timeout=PATIENCE, kernel_name=kernels.SPEC)
    run(
        client,
        f"""
        import atexit, pathlib
        atexit.register(pathlib.Path({str(tmp_path / "told")!r}).write_text, "the end")
        unclosed = open({str(tmp_path / "unclosed")!r}, "w")
        unclosed.write("not lost")
        """,
    )
    client.stop_channels()
    manager.shutdown_kernel()
    assert (tmp_path / "told").read_text() == "the end"
    assert (tmp_path / "unclosed").read_text() == "not lost"


def test_a_killed_kernel_is_seen_as_dead() -> None:
    with kernel() as (manager, _):
        assert manager.is_alive()
        os.kill(manager.provisioner.pid, signal.SIGKILL)
        assert eventually(lambda: not manager.is_alive())


OWNER = """
import os, sys, textwrap
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(startup_timeout=60, kernel_name="casegrade")
client.execute(sys.argv[1])
sys.stdin.read()
"""
AT_REST = "pass"
# in a loop of the regular expression engine, which lets no other thread of Python run
BUSY = "__import__('re').match('(a+)+$', 'a' * 50 + 'b')"


@pytest.mark.parametrize("state", [AT_REST, BUSY])
def test_a_kernel_ends_with_its_owner_and_takes_along_what_it_started(state: str, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"""
import os, pathlib, subprocess, sys
started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({str(tmp_path / "new")!r}).write_text(f"{{os.getpid()}} {{started.pid}}")
os.replace({str(tmp_path / "new")!r}, {str(pids)!r})
{state}
"""
    with subprocess.Popen([sys.executable, "-c", OWNER, code], stdin=subprocess.PIPE) as owner:
        assert eventually(pids.exists)
        known, started = map(int, pids.read_text().split())
        if state is BUSY:
            assert eventually(lambda: psutil.Process(known).cpu_times().user > 1)
        assert not is_gone(known)
        assert not is_gone(started)
        owner.kill()
        assert eventually(lambda: is_gone(known))
        assert eventually(lambda: is_gone(started))


def test_a_kernel_has_the_folder_the_environment_and_the_answers_that_it_is_given(tmp_path: Path) -> None:
    env = {**os.environ, "CASEGRADE_TEST": "grün"}
    with kernel(cwd=str(tmp_path), env=env) as (_, client):
        assert told(client, "__import__('os').getcwd()") == str(tmp_path)
        assert told(client, "__import__('os').environ['CASEGRADE_TEST']") == "grün"
        printed = run(
            client,
            "print('hello', input('who? '))",
            allow_stdin=True,
            stdin_hook=lambda message: client.input("Ada"),
        )
        assert printed == "hello Ada\n"


SET_UP = """
import gc, logging, multiprocessing, signal, sys, threading, os
set_up = {
    "environment": dict(os.environ),
    "path": sys.path,
    "main": [__name__, sys.modules["__main__"].__dict__ is globals()],
    "signals": {one.name: str(signal.getsignal(one)) for one in signal.Signals},
    "timer": signal.getitimer(signal.ITIMER_REAL),
    "blocked": [str(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "group": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
    "garbage": [gc.isenabled(), gc.get_threshold()],
    "handlers": [type(handler).__name__ for handler in logging.getLogger().handlers],
    "level": logging.getLogger().level,
    "names": sorted(globals().keys()),
    "processes": [multiprocessing.current_process().name, multiprocessing.parent_process()],
    "threads": sum(thread.name == "MainThread" for thread in threading.enumerate()),
    "limits": [sys.getrecursionlimit(), sys.getswitchinterval()],
    "encodings": [sys.stdout.encoding, sys.getfilesystemencoding()],
    "flags": str(sys.flags),
}
"""


def test_a_forked_kernel_is_set_up_as_any_other(tmp_path: Path) -> None:
    found = []
    for name in ("python3", kernels.SPEC):
        with kernel(name, cwd=str(tmp_path)) as (_, client):
            run(client, SET_UP)
            found.append(told(client, "set_up"))
    plain, forked = found
    # who its parent is, which ends it otherwise; a setting of the debugger, which has read it
    for name in ("JPY_PARENT_PID", "PYDEVD_USE_FRAME_EVAL"):
        plain["environment"].pop(name, None)
    assert forked == plain
    assert forked["signals"]["SIGALRM"] == str(signal.SIG_DFL)


def first_shown(client: BlockingKernelClient, code: str) -> str:
    client.execute(code)
    while (message := client.get_iopub_msg(timeout=PATIENCE))["msg_type"] != "stream":
        pass
    return str(message["content"]["text"])


def test_what_is_written_past_python_is_shown_as_any_other_kernel_shows_it() -> None:
    cells = [
        "import os; os.write(1, b'raw\\n')",
        "import os; os.write(2, b'raw\\n')",
        "import subprocess; subprocess.run(['echo', 'from a program'])",
    ]
    # ipykernel shows none of it where it sees this variable
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    shown = []
    for name in ("python3", kernels.SPEC):
        with kernel(name, env=env) as (_, client):
            shown.append([first_shown(client, cell) for cell in cells])
    assert shown[0] == shown[1] == ["raw\n", "raw\n", "from a program\n"]


def test_no_two_kernels_draw_the_same_numbers() -> None:
    drawn = []
    for _ in range(2):
        with kernel() as (_, client):
            drawn.append(told(client, "[__import__('random').random(), __import__('numpy').random.random()]"))
    assert drawn[0][0] != drawn[1][0]
    assert drawn[0][1] != drawn[1][1]


def test_a_kernel_can_have_processes_of_its_own() -> None:
    with kernel() as (_, client):
        for method in ("spawn", "forkserver"):
            run(
                client,
                f"""
                import math, multiprocessing
                with multiprocessing.get_context({method!r}).Pool(2) as pool:
                    roots = pool.map(math.sqrt, [1, 4, 9])
                """,
            )
            assert told(client, "roots") == [1, 2, 3]


def test_streams_that_a_kernel_is_given_take_what_it_does_not_show(tmp_path: Path) -> None:
    with (tmp_path / "errors").open("w") as errors, kernel(stderr=errors) as (manager, client):
        assert server_of(manager.provisioner.pid)
        run(client, "import sys; sys.__stderr__.write('to the file\\n'); sys.__stderr__.flush()")
    # a pipe is that of a child of whoever asked
    with kernel(stdout=subprocess.PIPE) as (manager, client):
        assert manager.provisioner.process.stdout.readable()
        assert told(client, "1 + 1") == 2
    assert "to the file" in (tmp_path / "errors").read_text()


# ------------------------------------------------------------------ what must not be shared


QUERIES = """
import polars as pl
n = 200_000
rows = pl.DataFrame({"key": [i % 1000 for i in range(n)], "value": range(n)})
names = pl.DataFrame({"key": range(1000), "name": [f"n{i}" for i in range(1000)]})
sums = rows.group_by("key").agg(pl.col("value").sum()).join(names, on="key").sort("key")
lazily = (
    rows.lazy().group_by("key").agg(pl.col("value").sum()).join(names.lazy(), on="key").sort("key").collect()
)
found = [sums.height, sums["value"].sum(), sums["name"][999], sums.equals(lazily)]
"""
WORKERS = r"polars-\d+"


def threads_of(pid: int) -> set[str]:
    return {path.read_text().strip() for path in Path(f"/proc/{pid}/task").glob("*/comm")}


def test_forked_kernels_run_queries_at_once_and_the_server_has_run_none() -> None:
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(kernel()) for _ in range(3)]
        for _, client in running:
            client.execute(QUERIES)
        for manager, client in running:
            assert told(client, "found") == [1000, 200_000 * 199_999 // 2, "n999", True]
            # a fork of a process that has these has them no more, and waits for them for ever
            assert any(re.fullmatch(WORKERS, name) for name in threads_of(manager.provisioner.pid))
        servers = {server_of(manager.provisioner.pid) for manager, _ in running}
        assert len(servers) == 1
        assert not any(re.fullmatch(WORKERS, name) for name in threads_of(servers.pop()))


def test_what_one_kernel_does_to_modules_and_environment_the_next_does_not_see() -> None:
    with kernels.spare():
        with kernel(**AS_FOR_NOTEBOOKS) as (_, client):
            run(
                client,
                """
                import os, sys, analysis.paths
                analysis.paths.VARIABLE = "spoilt"
                os.environ["CASEGRADE_TEST"] = "spoilt"
                os.chdir("/")
                sys.path.insert(0, "/spoilt")
                """,
            )
        for _ in range(2):
            with kernel(**AS_FOR_NOTEBOOKS) as (_, client):
                run(client, "import os, sys, analysis.paths")
                assert told(client, "analysis.paths.VARIABLE") == "CASEGRADE_PROJECT"
                assert told(client, "'CASEGRADE_TEST' in os.environ") is False
                assert told(client, "os.getcwd()") == str(Path.cwd())
                assert told(client, "'/spoilt' in sys.path") is False


# ------------------------------------------------------- the next kernel while one is at work


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes forked in a test."""
    pids: list[int] = []
    fork = warm.fork

    def counted(*args: Any, **options: Any) -> warm.Process:
        process = fork(*args, **options)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(warm, "fork", counted)
    return pids


def test_the_next_kernel_has_been_started_before_it_is_asked_for(tmp_path: Path, forks: list[int]) -> None:
    with kernels.spare():
        assert len(forks) == 1
        with kernel(**AS_FOR_NOTEBOOKS) as (manager, _):
            assert manager.provisioner.pid == forks[0]
            assert len(forks) == 2
        env = {**os.environ, "CASEGRADE_TEST": "second"}
        with kernel(cwd=str(tmp_path), env=env, **AS_FOR_NOTEBOOKS) as (manager, client):
            assert manager.provisioner.pid == forks[1]
            assert told(client, "__import__('os').getcwd()") == str(tmp_path)
            assert told(client, "__import__('os').environ['CASEGRADE_TEST']") == "second"
            assert told(client, "__import__('os').environ['PAGER']") == "cat"
            sockets = Path(manager.ip).parent
        assert not sockets.exists()
        assert len(forks) == 3
        assert not is_gone(forks[2])
    assert eventually(lambda: is_gone(forks[2]))
    with kernel():
        assert len(forks) == 4


def test_a_kernel_at_hand_that_is_dead_or_of_another_kind_is_not_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forks: list[int]
) -> None:
    spec = {
        # it is not known what comes of that, so it is not forked
        "argv": ["/usr/bin/env", sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "other",
        "language": "python",
        "metadata": {"kernel_provisioner": {"provisioner_name": kernels.PROVISIONER}},
    }
    (tmp_path / "kernels" / "other").mkdir(parents=True)
    (tmp_path / "kernels" / "other" / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    with kernels.spare():
        at_hand = kernels._spare
        assert at_hand is not None
        os.kill(forks[0], signal.SIGKILL)
        assert eventually(lambda: at_hand.process.poll() is not None)
        with kernel(**AS_FOR_NOTEBOOKS) as (manager, client):
            assert manager.provisioner.pid == forks[1]
            assert told(client, "1 + 1") == 2
        # it keeps a history of what it is asked
        with kernel() as (manager, client):
            assert manager.provisioner.pid == forks[3]
            assert told(client, "1 + 1") == 2
        with kernel("other") as (manager, client):
            assert psutil.Process(manager.provisioner.pid).ppid() == os.getpid()
            assert not manager.provisioner.is_warm
            assert told(client, "1 + 1") == 2
        assert all(is_gone(pid) for pid in forks)


# ------------------------------------------------------------------ where nothing is forked


def notebook(path: Path, *cells: str) -> Path:
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=metadata), path)
    return path


def test_without_forks_kernels_start_as_usual_and_that_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(warm.VARIABLE, "off")
    monkeypatch.setattr(kernels, "_said", set())
    with kernel() as (manager, client):
        assert psutil.Process(manager.provisioner.pid).ppid() == os.getpid()
        assert told(client, "1 + 1") == 2
    source = notebook(tmp_path / "in.ipynb", "import os\nos.getppid()")
    done = papermill.execute_notebook(
        source, tmp_path / "out.ipynb", engine_name="casegrade", progress_bar=False
    )
    assert done.cells[0].outputs[0]["data"]["text/plain"] == str(os.getpid())
    said = [record for record in caplog.records if "kernels start as usual" in record.message]
    assert [record.levelno for record in said] == [logging.WARNING]


# ------------------------------------------------------------------------------- the server


@pytest.fixture(scope="module")
def apart() -> Iterator[Path]:
    """A folder for servers that only tests know of, which they may kill."""
    # short, as the path of a socket may have no more than about 100 letters
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    yield folder
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if is_server(process.pid) and process.cwd().startswith(str(folder)):
                    process.kill()
    shutil.rmtree(folder)


def forked() -> warm.Process:
    return warm.fork(time.sleep, 600)


def test_a_forked_process_tells_how_it_ended() -> None:
    assert warm.fork(time.sleep, 0).wait(PATIENCE) == 0
    assert warm.fork(sys.exit, 3).wait(PATIENCE) == 3
    # whose complaint is not for the reader of a test's output
    with Path(os.devnull).open("w") as nowhere:
        assert warm.fork(int, "x", stderr=nowhere.fileno()).wait(PATIENCE) == 1
    process = forked()
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.terminate()
    assert process.wait(PATIENCE) == -signal.SIGTERM


def test_a_process_is_killed_however_young_it_is() -> None:
    processes = [forked() for _ in range(10)]
    for process in processes:
        process.kill()
    young = forked()
    young.kill()
    assert [process.wait(PATIENCE) for process in [*processes, young]] == [-signal.SIGKILL] * 11


ASK = """
import sys, time
import psutil
from analysis.publish import warm
process = warm.fork(time.sleep, 600)
print(psutil.Process(process.pid).ppid(), flush=True)
sys.stdin.read()
"""


def test_processes_that_ask_at_once_share_a_server(apart: Path) -> None:
    env = {**os.environ, "XDG_RUNTIME_DIR": str(apart)}
    words = [sys.executable, "-c", ASK]
    with contextlib.ExitStack() as stack:
        asking = [
            stack.enter_context(
                subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            for _ in range(2)
        ]
        servers = {int(one.stdout.readline()) for one in asking if one.stdout is not None}
        assert len(servers) == 1
        assert is_server(servers.pop())
        for one in asking:
            one.communicate()


def standing(file: str) -> None:
    Path(file).touch()
    found = [
        os.getpriority(os.PRIO_PROCESS, 0),
        sorted(os.sched_getaffinity(0)),
        list(resource.getrlimit(resource.RLIMIT_NOFILE)),
        Path(file).stat().st_mode & 0o777,
    ]
    Path(file).write_text(json.dumps(found), encoding="utf-8")


# the folder of this file, in which the fork finds `standing`
ASK_FOR_STANDING = f"""
import os, resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_publish_kernels
from analysis.publish import warm
os.nice(3)
os.umask(0o077)
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
process = warm.fork(test_publish_kernels.standing, sys.argv[1], path=sys.path)
process.wait(60)
"""


def test_a_fork_has_what_a_process_has_from_whoever_starts_it(
    apart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(apart))
    subprocess.run([sys.executable, "-c", ASK_FOR_STANDING, str(tmp_path / "told")], check=True)
    niceness, cores, limits, mode = json.loads((tmp_path / "told").read_text(encoding="utf-8"))
    assert niceness == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 3)
    assert cores == [min(os.sched_getaffinity(0))]
    assert limits == [200, 300]
    assert mode == 0o600


def test_folders_of_servers_that_ended_long_ago_are_removed(
    apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # where no server runs yet: folders are looked at when one starts
    (apart / "bare").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(apart / "bare"))
    parent = apart / "bare" / f"casegrade-{os.getuid()}"
    old, young = parent / "old", parent / "young"
    for folder, age in ((old, 48 * 3600), (young, 3600)):
        folder.mkdir(parents=True)
        (folder / "log").touch()
        (folder / "used").touch()
        os.utime(folder / "used", (time.time() - age,) * 2)
    # an old one too, whose server has forks that run for days
    busy = parent / "busy"
    shutil.copytree(old, busy)
    os.utime(busy / "used", (time.time() - 48 * 3600,) * 2)
    os.mkfifo(busy / "alive", 0o600)
    serving = os.open(busy / "alive", os.O_RDONLY | os.O_NONBLOCK)
    parent.chmod(0o700)
    process = forked()
    process.kill()
    os.close(serving)
    assert not old.exists()
    assert young.exists()
    assert busy.exists()


def test_whoever_knocks_and_asks_for_nothing_ends_no_server(
    apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(apart))
    first = forked()
    for address in apart.glob("casegrade-*/*/socket"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(address))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(address))
            client.sendall(b"nonsense")
    second = forked()
    assert server_of(second.pid) == server_of(first.pid)
    assert first.poll() is None
    for process in (first, second):
        process.kill()
        process.wait(PATIENCE)


def test_a_kernel_reads_the_settings_that_it_is_given_and_not_those_of_another(
    apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (apart / "library").mkdir()
    (apart / "library" / "only_here.py").write_text("word = 'read'")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(apart))
    monkeypatch.setenv(warm.VARIABLE, "5")
    env = {**os.environ, "PYTHONPATH": str(apart / "library")}
    # there is one at hand, but its Python has read another environment
    with kernels.spare(), kernel(env=env, **AS_FOR_NOTEBOOKS) as (manager, client):
        assert manager.provisioner.is_warm
        assert told(client, "__import__('only_here').word") == "read"


def test_a_server_that_was_killed_is_replaced_and_one_that_nobody_uses_ends(
    apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(apart))
    orphan = forked()
    server = server_of(orphan.pid)
    os.kill(server, signal.SIGKILL)
    assert orphan.wait(PATIENCE) != 0
    assert eventually(lambda: is_gone(orphan.pid))
    monkeypatch.setenv(warm.VARIABLE, "1")
    heir = forked()
    replaced = server_of(heir.pid)
    assert replaced != server
    # longer than it stays when nobody uses it
    time.sleep(2)
    assert heir.poll() is None
    heir.kill()
    # to its last fork it tells how that ended
    assert heir.wait(PATIENCE) == -signal.SIGKILL
    assert eventually(lambda: is_gone(replaced))


def test_a_folder_that_others_may_enter_is_refused_and_kernels_start_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / f"casegrade-{os.getuid()}").mkdir(mode=0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(kernels, "_said", set())
    with pytest.raises(warm.WarmError, match="can be entered by others"):
        forked()
    with kernel() as (manager, _):
        assert psutil.Process(manager.provisioner.pid).ppid() == os.getpid()
    assert "can be entered by others" in caplog.text
