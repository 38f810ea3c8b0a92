"""The figures of execution environments: warm ones against AWS's emulator and serverless-offline, cold starts, memory at rest."""

import contextlib
import os
import pathlib
import re
import socket
import statistics
import time

import front
from lib import parts, processes

KIB = 1024
HANDLER = "exports.handler = async (event) => ({ ok: true });\n"
SERVERLESS = """
service: bench
frameworkVersion: "*"
provider: {name: aws, runtime: nodejs20.x, region: us-east-1}
plugins: [serverless-offline]
custom:
  serverless-offline: {httpPort: %(http)d, lambdaPort: %(lambda)d, websocketPort: %(websocket)d}
functions:
  bench: {handler: index.handler}
"""
ENVIRONMENTS = 16


def node_code(bench):
    folder = bench.new_folder()
    (folder / "index.js").write_text(HANDLER)
    return folder


def node_command():
    return [parts.command("node"), parts.node_runtime_client(), "index.handler"]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def emulator(bench, code):
    """AWS's Runtime Interface Emulator with the function; the URL to call it by."""
    port, api = processes.free_ports(2)
    process = processes.start(
        [parts.rie(), "--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address", f"127.0.0.1:{api}",
         *node_command()], bench.new_folder() / "log", cwd=code,
        env={"PATH": os.environ["PATH"], "AWS_LAMBDA_FUNCTION_TIMEOUT": "30"})
    try:
        processes.wait_until("the emulator listens", lambda: listens(port), 20)
        yield f"http://127.0.0.1:{port}" + front.PATH.format("function")
    finally:
        processes.stop(process, 5)


@contextlib.contextmanager
def serverless(bench, code):
    """serverless-offline with the function; the URL to call it by."""
    ports = processes.free_ports(3)
    (code / "node_modules").symlink_to(pathlib.Path(parts.serverless_offline()) / "node_modules")
    (code / "serverless.yml").write_text(SERVERLESS % {"http": ports[0], "lambda": ports[1], "websocket": ports[2]})
    process = processes.start([parts.command("node"), "node_modules/.bin/osls", "offline", "start"], code / "log", cwd=code,
                              env={"PATH": os.environ["PATH"], "HOME": str(code), "SLS_TELEMETRY_DISABLED": "1",
                                   "SLS_NOTIFICATIONS_MODE": "off"})
    try:
        processes.wait_until(lambda: f"serverless-offline listens: {processes.tail(code / 'log')}", lambda: listens(ports[1]), 60)
        yield f"http://127.0.0.1:{ports[1]}" + front.PATH.format("bench-dev-bench")
    finally:
        processes.stop(process, 10)


def warm(bench):
    """Warm invocations of a Node function on AWS's runtime client, against AWS's emulator and serverless-offline."""
    rounds, seconds = (1, 2) if bench.quick else (5, 4)
    wrk = front.Wrk(bench)
    code = node_code(bench)
    functions = {"bench": {"command": node_command(), "directory": str(code), "timeout": 30, "memory_size": 512}}
    one, many = {"rie": [], "weir": []}, {"rie": [], "serverless": [], "weir": []}
    # Lambda admits ten calls a second for each execution of the account; not that limit is measured.
    with emulator(bench, code) as rie, serverless(bench, node_code(bench)) as theirs, \
            front.weir(bench, functions, concurrency=10_000) as bridge:
        ours = bridge.gateway + front.PATH.format("bench")
        for url, connections in ((rie, 1), (theirs, ENVIRONMENTS), (ours, ENVIRONMENTS)):
            wrk.run(url, connections, 2)  # starts the environments
        for _ in range(rounds):
            for side, url in (("rie", rie), ("weir", ours)):
                rate, latency = wrk.run(url, 1, seconds)
                one[side].append(latency)
                if side == "rie":
                    many[side].append(rate)
            many["serverless"].append(wrk.run(theirs, ENVIRONMENTS, seconds)[0])
            many["weir"].append(wrk.run(ours, ENVIRONMENTS, seconds)[0])
    bench.add("warm", "median latency of a warm invocation in Node, 1 client, against AWS's emulator",
              statistics.median(ours / theirs for theirs, ours in zip(one["rie"], one["weir"])), "of it", most=1,
              weir_us=round(statistics.median(one["weir"])), emulator_us=round(statistics.median(one["rie"])))
    rates = {side: statistics.median(seen) for side, seen in many.items()}
    bench.add("warm", "warm invocations/s in Node, 16 clients, against serverless-offline",
              statistics.median(ours / theirs for theirs, ours in zip(many["serverless"], many["weir"])), "times", least=5,
              weir_per_second=round(rates["weir"]), serverless_per_second=round(rates["serverless"]))
    bench.add("warm", "the same against AWS's emulator, which does one at a time", rates["weir"] / rates["rie"], "times",
              emulator_per_second=round(rates["rie"]))


def spawned_once(program):
    """Milliseconds from posix_spawn to the program's first output."""
    reading, writing = os.pipe()
    begin = time.monotonic_ns()
    pid = os.posix_spawn(program, [program], {"FIRST_OUTPUT": "1"}, file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)])
    os.close(writing)
    os.read(reading, 1)
    took = (time.monotonic_ns() - begin) / 1e6
    os.waitpid(pid, 0)
    os.close(reading)
    return took


def invoked_once(connection, name):
    """Milliseconds from a call to its answer, over a connection that is open."""
    request = f"POST {front.PATH.format(name)} HTTP/1.1\r\nHost: weir\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    begin = time.monotonic_ns()
    connection.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    took = (time.monotonic_ns() - begin) / 1e6
    if not answer.startswith(b"HTTP/1.1 200") or b"X-Amz-Function-Error" in answer:
        raise RuntimeError(f"the invocation failed: {answer!r}")
    return took


def cold(bench):
    """A cold start of a C++ function, from the call to its answer, against posix_spawn of the program and its first output."""
    count = 20 if bench.quick else 100
    program = bench.program("tests/bench/weir-bench-function")
    spawned, invoked = [], []
    # Each function's first invocation starts its first environment.
    with front.weir(bench, {f"cold-{number}": front.function(bench) for number in range(count + 1)}) as bridge:
        with socket.create_connection(("127.0.0.1", bridge.gateway_port)) as connection:
            invoked_once(connection, f"cold-{count}")
            for number in range(count):
                spawned.append(spawned_once(program))
                invoked.append(invoked_once(connection, f"cold-{number}"))
    bench.add("cold", "cold start of a C++ function to its answer, beyond posix_spawn to its first output",
              statistics.median(invoked) - statistics.median(spawned), "ms", most=5, weir_ms=round(statistics.median(invoked), 2),
              spawn_ms=round(statistics.median(spawned), 2), weir_p99_ms=round(statistics.quantiles(invoked, n=100)[98], 2))


def descendants(pid):
    found, at = [pid], 0
    while at < len(found):
        for task in pathlib.Path(f"/proc/{found[at]}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
        at += 1
    return found[1:]


def of_smaps(pid, *names):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE).group(1)) for name in names) * KIB


def idle(bench):
    """What 500 environments that wait cost weir: its own resident memory, and what its supervisors have to themselves."""
    count = 50 if bench.quick else 500
    functions = {"bench": front.function(bench, sleep_ms=5000)}
    with front.weir(bench, functions, concurrency=10_000) as bridge:
        pid = bridge.process.pid
        with socket.create_connection(("127.0.0.1", bridge.gateway_port)) as first:
            invoked_once(first, "bench")
        time.sleep(1)
        before = of_smaps(pid, "Rss")
        request = f"POST {front.PATH.format('bench')} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}".encode()
        with contextlib.ExitStack() as stack:
            calls = [stack.enter_context(socket.create_connection(("127.0.0.1", bridge.gateway_port))) for _ in range(count)]
            for call in calls:
                call.sendall(request)
            for call in calls:
                call.settimeout(120)
                if not call.recv(65536).startswith(b"HTTP/1.1 200"):
                    raise RuntimeError("an invocation failed")
        time.sleep(3)
        program = os.path.realpath(bench.program("tests/bench/weir-bench-function"))
        functions_, supervisors = [], []
        for each in descendants(pid):
            (functions_ if os.path.realpath(f"/proc/{each}/exe") == program else supervisors).append(each)
        if len(functions_) < count:
            raise RuntimeError(f"{len(functions_)} environments are there instead of {count}")
        own = of_smaps(pid, "Rss") - before
        others = sum(of_smaps(each, "Private_Clean", "Private_Dirty") for each in supervisors)
    # The first environment was there before.
    started = len(functions_) - 1
    bench.add("idle", f"weir's own memory for each of {started} idle environments", (own + others) / started / KIB, "KiB", most=200,
              supervisors=len(supervisors), weir_kib=round(own / started / KIB, 1), supervisors_kib=round(others / started / KIB, 1))


FIGURES = (warm, cold, idle)
