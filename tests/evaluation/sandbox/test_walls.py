"""An attacker who took over the runner: what they reach, and what we believe of what they say."""

from __future__ import annotations

import ast
import socket
from pathlib import Path

import pytest

from evaluation.sandbox import Limits, SandboxUnavailable
from evaluation.sandbox.confinement import ENVIRONMENT, Profile
from evaluation.sandbox.launcher import Sandbox
from styletransfer.errors import CheckpointRejected
from tests.evaluation.sandbox.conftest import LookAround, RunHostile

# Code in quotes runs inside; it reports what it managed to do as its log.
REPORT = 'return {"code": "generator_crashed", "log": repr(found)}'


def log_of(run_hostile: RunHostile, code: str) -> str:
    with pytest.raises(CheckpointRejected) as caught:
        run_hostile(code)
    return "".join(getattr(caught.value, "__notes__", []))


def code_of(run_hostile: RunHostile, code: str, limits: Limits | None = None) -> str:
    with pytest.raises(CheckpointRejected) as caught:
        run_hostile(code, limits)
    return caught.value.code


def test_claiming_success_without_writing_is_refused(run_hostile: RunHostile) -> None:
    forged = 'return {"ok": True, "load_s": 0.1, "run_s": 0.1, "score": 1}'
    assert code_of(run_hostile, forged) == "non_finite_output"


def test_infinite_pixels_are_refused(run_hostile: RunHostile) -> None:
    forged = 'job.outputs[:] = float("inf"); return {"ok": True, "load_s": 0, "run_s": 0}'
    assert code_of(run_hostile, forged) == "non_finite_output"


def test_finite_pixels_out_of_range_are_clamped(run_hostile: RunHostile) -> None:
    forged = """
job.outputs[0] = -1e30; job.outputs[1] = 1e30
return {"ok": True, "load_s": 0, "run_s": 0}
"""
    outputs = run_hostile(forged).outputs
    assert (outputs[0] == 0).all()
    assert (outputs[1] == 255).all()


def test_neither_the_inputs_nor_the_size_of_the_output_can_be_changed(
    run_hostile: RunHostile,
) -> None:
    code = f"""
found = []
for buffer in (job.contents, job.checkpoint):
    try:
        buffer[0] = 1
        found.append("written")
    except (ValueError, TypeError):
        pass
{REPORT}
"""
    assert log_of(run_hostile, code) == "[]"


def test_secrets_of_the_worker_are_not_visible(
    look_around: LookAround, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_SECRET", "hunter2")
    code = """
words = open("/proc/1/environ").read().split("\\0")
found = [*os.environ, *(word.split("=")[0] for word in words)]
"""
    assert set(ast.literal_eval(look_around(code))) <= {*ENVIRONMENT, "PWD", "LC_CTYPE", ""}


def test_nothing_can_be_opened_started_or_connected_once_the_upload_is_there(
    run_hostile: RunHostile,
) -> None:
    code = f"""
import signal, resource
found = []
def attempt(name, call, *arguments):
    try:
        call(*arguments)
        found.append(name)
    except OSError as error:
        if error.errno != 1:  # must be refused by the filter, not fail for want of a file
            found.append(f"{{name}}: {{error}}")
attempt("open", open, "/opt/arena/runner.py")
attempt("write", os.open, "/tmp/x", os.O_CREAT | os.O_WRONLY)
attempt("list", os.listdir, "/")
attempt("socket", socket.socket)
attempt("socketpair", socket.socketpair)
attempt("fork", os.fork)
attempt("exec", os.execv, sys.executable, ["python"])
attempt("memfd", os.memfd_create, "x")
attempt("pipe", os.pipe)
attempt("kill", os.kill, 1, 0)
attempt("readlink", os.readlink, "/proc/self/exe")
try:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))
    found.append("setrlimit")
except (OSError, ValueError):
    pass
{REPORT}
"""
    assert log_of(run_hostile, code) == "[]"


def test_system_calls_with_a_history_are_refused_by_the_first_filter(
    look_around: LookAround,
) -> None:
    # unshare, mount, ptrace, keyctl, bpf, io_uring_setup, userfaultfd, perf_event_open, setns,
    # process_vm_readv, memfd_create, clone3 as raw numbers: libc would hide what happens.
    code = """
libc = ctypes.CDLL(None, use_errno=True)
for number in (272, 165, 101, 250, 321, 425, 323, 298, 308, 310, 319, 435):
    libc.syscall(number, 0, 0, 0, 0, 0, 0)
    if ctypes.get_errno() not in (1, 38):
        found.append(number)
"""
    assert look_around(code) == "[]"


def test_no_file_of_this_machine_is_there(look_around: LookAround) -> None:
    code = """
for folder, folders, files in os.walk("/"):
    if folder == "/":
        for name in ("proc", "dev"):
            folders.remove(name)
    if folder == "/opt":
        folders[:] = [name for name in folders if name == "arena"]
        found.extend(files)
    if folder == "/opt/arena":
        folders[:] = []
        files = [name for name in files if name not in ("runner.py", "stage2.bpf")]
    found.extend(os.path.join(folder, name) for name in files)
found = [name for name in found if name != "/lib64/ld-linux-x86-64.so.2"]
found += [entry for entry in os.listdir("/proc") if entry.isdigit() and entry != "1"]
found += [part for part in open("/proc/1/environ").read().split("\\0") if "SECRET" in part]
found += [part for part in open("/proc/1/cmdline").read().split("\\0") if "work" in part]
"""
    assert look_around(code) == "[]"


def test_no_server_of_this_machine_can_be_reached(look_around: LookAround) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        code = f"""
try:
    socket.create_connection({server.getsockname()!r}, 1)
    found.append("connected")
except OSError as error:
    found.extend([] if error.errno == 1 else [str(error)])
"""
        assert look_around(code) == "[]"
        with pytest.raises(TimeoutError):
            server.accept()


def test_threads_are_few_and_processes_none(run_hostile: RunHostile) -> None:
    code = """
import threading
count = 0
try:
    for _ in range(200):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        count += 1
except RuntimeError:
    pass
return {"code": "generator_crashed", "log": str(count)}
"""
    assert 1 <= int(log_of(run_hostile, code)) <= 18


def test_memory_stops_at_the_limit_and_is_named(run_hostile: RunHostile) -> None:
    code = """
held = []
try:
    while True:
        held.append(bytearray(16 << 20))
except MemoryError:
    return {"code": "out_of_memory", "log": str(len(held))}
"""
    with pytest.raises(CheckpointRejected) as caught:
        run_hostile(code, Limits(wall_s=20, memory_bytes=256 << 20))
    assert caught.value.code == "out_of_memory"
    assert 8 <= int(caught.value.__notes__[0]) <= 16


def test_a_crash_of_native_code_is_the_generators(run_hostile: RunHostile) -> None:
    with pytest.raises(CheckpointRejected) as caught:
        run_hostile("ctypes.string_at(0)")
    assert (caught.value.code, caught.value.facts) == ("generator_crashed", {"signal": "SIGSEGV"})


def test_hanging_up_without_an_answer_is_the_generators(run_hostile: RunHostile) -> None:
    assert code_of(run_hostile, "os._exit(0)") == "generator_crashed"


def test_sleeping_is_ended_by_the_wall_clock(run_hostile: RunHostile) -> None:
    slow = Limits(wall_s=0.6, memory_bytes=1 << 28)
    assert code_of(run_hostile, "time.sleep(60)", slow) == "too_slow"


def test_spinning_in_all_threads_ends_at_the_latest_with_the_wall_clock(
    run_hostile: RunHostile,
) -> None:
    code = """
import threading
for _ in range(3):
    threading.Thread(target=exec, args=("while True: pass",), daemon=True).start()
while True:
    pass
"""
    assert code_of(run_hostile, code, Limits(wall_s=1, memory_bytes=1 << 28)) == "too_slow"


@pytest.mark.parametrize(
    "code",
    [
        'control.send(b"x" * 100); time.sleep(60)',
        'control.send(b"{" + b" " * 5000 + b"}"); time.sleep(60)',
        'control.send(b"[" * 4000); time.sleep(60)',
        "control.send(b'{\"done\": 99}'); time.sleep(60)",
        "job.outputs[:] = 7; [control.send(b'{\"done\": 1}') for _ in 'ab']; time.sleep(60)",
        "control.send(b'{\"confined\": true}'); time.sleep(60)",
        'control.send(b\'{"fault": "retry me for ever"}\'); time.sleep(60)',
        'return {"code": "platform_fault"}',
        'return {"ok": True, "load_s": float("nan"), "run_s": 0}',
        'return {"ok": True, "load_s": 10 ** 4000, "run_s": 0}',
    ],
)
def test_what_our_runner_never_says_ends_the_run(run_hostile: RunHostile, code: str) -> None:
    assert code_of(run_hostile, code) == "generator_crashed"


def test_a_flood_of_output_stops_nobody_and_only_its_end_is_kept(run_hostile: RunHostile) -> None:
    code = """
for _ in range(64):
    os.write(1, b"x" * (1 << 20))
    os.write(2, b"x" * (1 << 20))
os.write(1, b"\\nline\\x1b[2J one\\n")
os.write(2, b"line two\\n")
return {"code": "generator_crashed", "log": "all written"}
"""
    with pytest.raises(CheckpointRejected) as caught:
        run_hostile(code)
    said, printed = caught.value.__notes__
    assert said == "all written"
    assert printed.endswith("x\nline[2J one\nline two")
    assert len(printed) <= 4_000


def test_what_an_accepted_generator_prints_is_kept_for_its_owner(run_hostile: RunHostile) -> None:
    code = """
job.outputs[:] = 7
os.write(2, b"a warning\\n")
return {"ok": True, "load_s": 0, "run_s": 0, "parameters": 0, "memory_bytes": 0, "log": "mine"}
"""
    assert run_hostile(code).log == "mine\na warning"


def test_words_of_the_runner_are_cut_and_can_steer_nothing(run_hostile: RunHostile) -> None:
    code = """
text = "\\x1b[2J\\u202e" + "a" * 1200
facts = {"key": text, "no good name": 1, "many": list(range(50))}
return {"code": "wrong_keys", "facts": facts, "log": text}
"""
    with pytest.raises(CheckpointRejected) as caught:
        run_hostile(code)
    assert caught.value.facts == {"key": "[2J" + "a" * 197, "many": list(range(10))}
    assert caught.value.__notes__ == ["[2J" + "a" * 597]


def test_a_runner_that_does_not_start_is_the_platforms_fault(tmp_path: Path) -> None:
    runner = tmp_path / "runner.py"
    runner.write_text("raise RuntimeError('no torch for you')")
    sandbox = Sandbox(Profile(runner=runner))
    with pytest.raises(SandboxUnavailable, match="no torch for you"):
        sandbox.wait_ready(30)


def test_pictures_are_what_they_were_when_they_were_reported(run_hostile: RunHostile) -> None:
    code = """
job.outputs[:] = 7
for i in range(len(job.outputs)):
    control.send(b'{"done": %d}' % (i + 1))
    time.sleep(0.5)
job.outputs[:] = 200
return {"ok": True, "load_s": 0, "run_s": 0}
"""
    assert (run_hostile(code).outputs == 7).all()
