"""The supervisor keeps programs running and leaves nothing behind, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

DRIVER = """
import os, sys
from pathlib import Path
from arena.supervisor import Program, StopRequested, Supervisor

folder = Path(sys.argv[1])
with Supervisor(log_dir=folder / "log", env=dict(os.environ), grace_s=1) as supervisor:
    try:
        code = supervisor.run_step(Program("step", ["sh", "-c", "echo stepping; exit 3"]))
        supervisor.say(f"the step ended with {code}")
        for name, script in zip(sys.argv[2::2], sys.argv[3::2]):
            supervisor.keep(Program(name, ["sh", "-c", script]))
        supervisor.wait_until(lambda: False)
    except StopRequested:
        supervisor.say("stopping")
"""
WRITES_ITS_PID = 'echo $$ > "$FOLDER/{name}.pid"; exec sleep 600'
IGNORES_TERM = 'trap "" TERM; echo $$ > "$FOLDER/{name}.pid"; while true; do sleep 600; done'
LEAVES_AN_ORPHAN = '(setsid sleep 600 & echo $! > "$FOLDER/{name}.pid"); exec sleep 600'


class Driver:
    """A supervisor in a process of its own, with stand-ins for programs."""

    def __init__(self, folder: Path, **scripts: str) -> None:
        self.folder = folder
        arguments = [part for name, text in scripts.items() for part in (name, text)]
        arguments = [text.replace("{name}", arguments[i - 1]) for i, text in enumerate(arguments)]
        with (folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, str(folder), *arguments],
                env={**os.environ, "FOLDER": str(folder), "PYTHONPATH": str(ROOT / "platform")},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def pid(self, name: str) -> int:
        path = self.folder / f"{name}.pid"
        wait_for(f"the start of {name}", lambda: path.is_file() and path.read_text().strip())
        return int(path.read_text())

    def press_ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)  # a terminal signals the whole group


def wait_for(what: str, is_true: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    drivers: list[Driver] = []

    def start(**scripts: str) -> Driver:
        drivers.append(Driver(tmp_path, **scripts))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.process.kill()
        driver.process.wait()


def test_a_step_shows_its_output_and_its_exit_code(drive: Callable[..., Driver]) -> None:
    driver = drive()
    wait_for("the step", lambda: "the step ended with 3" in driver.output)
    assert "step       | stepping\n" in driver.output
    assert (driver.folder / "log" / "step.log").read_text() == "stepping\n"


def test_a_killed_program_is_started_again(drive: Callable[..., Driver]) -> None:
    driver = drive(web=WRITES_ITS_PID)
    first = driver.pid("web")
    os.kill(first, signal.SIGKILL)
    wait_for("the restart", lambda: driver.pid("web") != first)
    assert lives(driver.pid("web"))
    assert "web ended by SIGKILL; it starts again in 0.5 s" in driver.output


def test_a_program_that_keeps_failing_is_started_ever_more_slowly(
    drive: Callable[..., Driver],
) -> None:
    driver = drive(web="exit 7")
    wait_for("the third failure", lambda: driver.output.count("with exit code 7") >= 3)
    delays = [line.split()[-2] for line in driver.output.splitlines() if "exit code 7" in line]
    assert delays[:3] == ["0.5", "1", "2"]


def test_ctrl_c_ends_everything_quietly(drive: Callable[..., Driver]) -> None:
    driver = drive(web=WRITES_ITS_PID, worker=WRITES_ITS_PID)
    pids = [driver.pid("web"), driver.pid("worker")]
    driver.press_ctrl_c()
    assert driver.process.wait(5) == 0
    assert not any(map(lives, pids))
    assert "Traceback" not in driver.output


def test_a_program_that_will_not_end_is_killed_after_the_grace(
    drive: Callable[..., Driver],
) -> None:
    driver = drive(worker=IGNORES_TERM)
    pid = driver.pid("worker")
    driver.press_ctrl_c()
    assert driver.process.wait(10) == 0
    assert not lives(pid)


def test_a_second_ctrl_c_does_not_wait_for_the_grace(drive: Callable[..., Driver]) -> None:
    driver = drive(worker=IGNORES_TERM)
    driver.pid("worker")
    start = time.monotonic()
    driver.press_ctrl_c()
    wait_for("the first Ctrl-C", lambda: "stopping" in driver.output)
    driver.press_ctrl_c()
    assert driver.process.wait(10) == 0
    assert time.monotonic() - start < 0.9


def test_orphans_of_a_program_are_stopped_too(drive: Callable[..., Driver]) -> None:
    driver = drive(worker=LEAVES_AN_ORPHAN)
    orphan = driver.pid("worker")
    assert lives(orphan)
    driver.press_ctrl_c()
    assert driver.process.wait(10) == 0
    assert not lives(orphan)


def test_programs_do_not_outlive_a_supervisor_that_is_killed(drive: Callable[..., Driver]) -> None:
    driver = drive(web=WRITES_ITS_PID, worker=IGNORES_TERM)
    pids = [driver.pid("web"), driver.pid("worker")]
    driver.process.kill()
    driver.process.wait()
    wait_for("the end of the programs", lambda: not any(map(lives, pids)), 5)


def test_a_closed_terminal_does_not_stop_the_programs(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path), "web", "while sleep 0.1; do echo on; done"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "platform")},
        stdout=write_end,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(write_end)
    os.close(read_end)
    log = tmp_path / "log" / "web.log"
    try:
        wait_for("the log", lambda: log.is_file() and log.read_text().count("on") > 5)
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
