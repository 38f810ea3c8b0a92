"""Starting and ending processes so that none outlives the tests, and finding those that did."""

import ctypes
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start(arguments, log, **more):
    """Starts a process whose output goes to the file `log` (appended). It is killed if the tests die. Call it on the main
    thread only: Linux ends such a process with the thread that started it."""
    with open(log, "ab") as out:
        return subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                preexec_fn=_die_with_parent, **more)


def stop(process, patience):
    """SIGTERM, and SIGKILL after `patience` seconds. Returns the exit status; negative for a signal."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait(10)


def wait_until(what, condition, seconds, every=0.05):
    """Polls condition() until it is true, and returns what it gave. AssertionError with the sentence `what`, a text or a
    function that makes one, when that is not so within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(every)


def free_ports(count):
    """`count` ports of 127.0.0.1 that nobody listens on just now. Below those that the kernel gives to connections (from
    32768 on): between now and when somebody listens there, a client's connection would take one of them now and then."""
    sockets = []
    try:
        while len(sockets) < count:
            each = socket.socket()
            sockets.append(each)
            try:
                each.bind(("127.0.0.1", random.randrange(15_000, 32_000)))
            except OSError:
                sockets.pop().close()
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def with_environment(mark):
    """{pid: command line} of the living processes whose environment holds the text `mark`, however they were started."""
    found = {}
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            pass  # it ended meanwhile, or is another user's
    return found


def tail(path, lines=25):
    """The last lines of a log, for a message."""
    try:
        return "\n".join(pathlib.Path(path).read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"({error})"
