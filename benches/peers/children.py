"""Runs one command at a time and says what it took."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass


class Failed(Exception):
    """A command that did not do what it should; the message says which, and where its output is."""


@dataclass
class Finished:
    """What a process took. Times are in seconds of `time.monotonic`, which all processes of a machine share."""

    begun: float
    ended: float
    cpu: float
    peak_mebibytes: float

    @property
    def seconds(self):
        return self.ended - self.begun


def run(command, log, environment=None, watch=lambda: False, folder=None):
    """Runs a command to its end, its output in the file `log`, and calls `watch` meanwhile, every few milliseconds.
    Once that says True the process has shown what was wanted, and is ended."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [str(part) for part in command]
    with open(log, "wb") as output:
        begun = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder,
            env=os.environ | (environment or {}),
        )  # fmt: skip
        stopped = False
        try:
            while True:
                # wait4 and not Popen.wait: it tells the memory and the CPU time of this process alone.
                identity, status, usage = os.wait4(process.pid, os.WNOHANG)
                if identity:
                    break
                if not stopped and watch():
                    stopped = True
                    process.terminate()
                time.sleep(0.003)
        except BaseException:
            process.kill()
            raise
        ended = time.monotonic()
    process.returncode = os.waitstatus_to_exitcode(status)
    watch()
    if process.returncode and not stopped:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Failed(f"{' '.join(command)}\nended with {process.returncode}; the end of {log}:\n{end}")
    return Finished(begun, ended, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def note(text):
    """Says on stderr what is going on."""
    print(text, file=sys.stderr, flush=True)
