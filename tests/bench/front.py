"""The figures of the gateway, the asynchronous queue and the sources in front of it."""

import contextlib
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import threading
import time
import urllib.request

from lib import processes
from lib.weir import Weir

MIB = 1024 * 1024
PATH = "/2015-03-31/functions/{}/invocations"


class Wrk:
    """wrk, with a body and headers."""

    def __init__(self, bench):
        self.program = shutil.which("wrk")
        if self.program is None:
            raise FileNotFoundError("there is no wrk here (Debian package wrk)")
        self.script = bench.new_folder() / "post.lua"
        self.script.write_text('wrk.method = "POST"\nwrk.body = "\\"" .. string.rep("x", 1022) .. "\\""\n'
                               'wrk.headers["Content-Type"] = "application/json"\n')

    def run(self, url, connections, seconds, *headers):
        """(requests a second of 2xx answers, median latency in microseconds)."""
        done = subprocess.run([self.program, "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s",
                               "--latency", "--script", self.script, *(f"--header={each}" for each in headers), url],
                              stdout=subprocess.PIPE, text=True, timeout=120, check=True)
        text = done.stdout
        failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        if failed or re.search(r"Socket errors: .*[1-9]", text):
            raise RuntimeError(f"wrk met errors: {text}")
        rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", text).group(1))
        number, unit = re.search(r"50%\s+([0-9.]+)(us|ms|s)", text).groups()
        return rate, float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


@contextlib.contextmanager
def bare_server(bench, size):
    served = subprocess.Popen([bench.program("tests/bench/weir-bench-bare"), "serve", str(size)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield "http://" + served.stdout.readline().strip()
    finally:
        served.stdin.close()
        served.wait()
        served.stdout.close()


@contextlib.contextmanager
def weir(bench, functions, sources=None, **settings):
    made = Weir(bench.new_folder(), functions, sources or {}, **settings)
    try:
        yield made.start()
    finally:
        made.kill()


def function(bench, answer=2, sleep_ms=0, notes=None, **settings):
    environment = {"ANSWER": str(answer), "SLEEP_MS": str(sleep_ms)}
    if notes:
        environment["NOTES"] = str(notes)
    return {"command": [bench.program("tests/bench/weir-bench-function")], "timeout": 30, "environment": environment, **settings}


def status(bridge):
    return json.loads(bridge.get("/status")[1])


def resident_mib(bridge):
    text = pathlib.Path(f"/proc/{bridge.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024


def gateway(bench):
    """Synchronous invocations through the gateway against a bare Beast server that answers as many bytes."""
    rounds, seconds = (1, 2) if bench.quick else (5, 4)
    wrk = Wrk(bench)
    many, one = {"bare": [], "weir": []}, {"bare": [], "weir": []}
    # Lambda admits ten synchronous calls a second for each execution of the account; not that limit is measured.
    with bare_server(bench, 100) as bare, weir(bench, {"bench": function(bench, answer=100)}, concurrency=10_000) as bridge:
        sides = {"bare": bare + "/", "weir": bridge.gateway + PATH.format("bench")}
        wrk.run(sides["weir"], 16, 1)  # starts the environments
        for _ in range(rounds):
            for side, url in sides.items():
                many[side].append(wrk.run(url, 16, seconds)[0])
                one[side].append(wrk.run(url, 1, seconds)[1])
    ratios = [ours / theirs for ours, theirs in zip(many["weir"], many["bare"])]
    bench.add("gateway", "warm invocations, 16 connections, against a bare server", statistics.median(ratios), "ratio", least=0.2,
              aim=0.3, weir_per_second=round(statistics.median(many["weir"])),
              bare_per_second=round(statistics.median(many["bare"])))
    added = statistics.median(one["weir"]) - statistics.median(one["bare"])
    bench.add("gateway", "added median latency of a warm invocation, 1 connection", added, "us", most=300,
              weir_us=round(statistics.median(one["weir"])), bare_us=round(statistics.median(one["bare"])))


def asynchronous(bench):
    """Asynchronous invocations, on disk before their 202, against a bare Beast server and against SQLite alone."""
    rounds, seconds = (1, 2) if bench.quick else (5, 4)
    wrk = Wrk(bench)
    bare_rates, weir_rates, busy_rates = [], [], []
    event = "X-Amz-Invocation-Type: Event"
    # One function that is hardly able to follow, so that accepting is what is measured; and one that takes what it can get.
    functions = {"slow": function(bench, sleep_ms=20, reserved_concurrent_executions=1), "quick": function(bench)}
    with bare_server(bench, 0) as bare, weir(bench, functions) as bridge:
        wrk.run(bridge.gateway + PATH.format("quick"), 64, 3, event)  # starts the environments
        for _ in range(rounds):
            bare_rates.append(wrk.run(bare + "/", 64, seconds)[0])
            weir_rates.append(wrk.run(bridge.gateway + PATH.format("slow"), 64, seconds, event)[0])
            busy_rates.append(wrk.run(bridge.gateway + PATH.format("quick"), 64, seconds, event)[0])
        accepted = status(bridge)["queue"]["functions"]
    ratio = statistics.median(ours / theirs for ours, theirs in zip(weir_rates, bare_rates))
    bench.add("asynchronous", "events accepted, 64 connections, against a bare server", ratio, "ratio", least=0.25,
              weir_per_second=round(statistics.median(weir_rates)), bare_per_second=round(statistics.median(bare_rates)))
    printed = subprocess.run([bench.program("tests/store/store_test"), "append with 64 who wait*"], stdout=subprocess.PIPE,
                             text=True, timeout=600, check=True).stdout
    groups = [(float(ours), float(bare)) for ours, bare in re.findall(r"append: ([0-9.e+]+) rows/s, bare loop ([0-9.e+]+)", printed)]
    bench.add("asynchronous", "events kept, groups of 64, against SQLite alone", statistics.median(o / b for o, b in groups), "ratio",
              least=0.7, weir_per_second=round(statistics.median(o for o, _ in groups)),
              bare_per_second=round(statistics.median(b for _, b in groups)))
    bench.add("asynchronous", "events accepted while a quick function takes what it can get",
              statistics.median(ours / theirs for ours, theirs in zip(busy_rates, bare_rates)), "ratio",
              weir_per_second=round(statistics.median(busy_rates)),
              handled=sum(each["succeeded"] for each in accepted if each["function"] == "quick"))


def median_latency(notes, begun):
    """Median milliseconds from what `begun` says (name: Unix nanoseconds) to the function's entry."""
    entered = {}
    for line in pathlib.Path(notes).read_text().splitlines():
        at, name = line.split(" ", 1)
        entered.setdefault(name, int(at))
    return statistics.median((entered[name] - at) / 1e6 for name, at in begun.items())


def notifications(bench):
    """From a webhook request, and from a file closed in a bucket's folder, to the function's entry."""
    count = 50 if bench.quick else 400
    notes, folder = bench.new_folder() / "notes", bench.new_folder()
    sources = {"hook": {"type": "s3", "bucket": "hook", "function": "bench"},
               "drop": {"type": "s3", "bucket": "drop", "folder": str(folder), "function": "bench"}}
    with weir(bench, {"bench": function(bench, notes=notes)}, sources) as bridge:
        def seen(names):
            text = notes.read_text() if notes.exists() else ""
            return all(f" {name}\n" in text for name in names)
        hooked = {}
        for number in range(count):
            name = f"hook-{number}"
            body = json.dumps({"Records": [{
                "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventTime": "2026-03-04T05:06:07.089Z",
                "eventName": "ObjectCreated:Put", "userIdentity": {"principalId": "P"},
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {"x-amz-request-id": "1", "x-amz-id-2": "2"},
                "s3": {"s3SchemaVersion": "1.0", "configurationId": "c",
                       "bucket": {"name": "hook", "ownerIdentity": {"principalId": "P"}, "arn": "arn:aws:s3:::hook"},
                       "object": {"key": name, "size": 1, "eTag": "e", "sequencer": "01"}}}]}).encode()
            hooked[name] = time.time_ns()
            with urllib.request.urlopen(urllib.request.Request(bridge.gateway + "/s3/hook", body, method="POST"), timeout=10) as answer:
                answer.read()
            time.sleep(0.002)
        processes.wait_until("every webhook's event reaches the function", lambda: seen(hooked), 30)
        dropped = {}
        for number in range(count):
            name = f"drop-{number}"
            with open(folder / name, "w") as file:
                file.write("content")
            dropped[name] = time.time_ns()
            time.sleep(0.005)
        processes.wait_until("every file's event reaches the function", lambda: seen(dropped), 30)
    bench.add("notifications", "webhook to function entered, median", median_latency(notes, hooked), "ms", most=10)
    bench.add("notifications", "file closed in the folder to function entered, median", median_latency(notes, dropped), "ms", most=10)


def send_events(bridge, name, count, body=b'{"n":1}'):
    """So many asynchronous invocations, over 32 connections, with requests in a pipe."""
    import socket
    head = (f"POST {PATH.format(name)} HTTP/1.1\r\nHost: weir\r\nContent-Length: {len(body)}\r\n"
            "X-Amz-Invocation-Type: Event\r\n\r\n").encode()
    request, pipe, clients = head + body, 50, 32

    def client(share):
        with socket.create_connection(("127.0.0.1", bridge.gateway_port)) as connection:
            left = share
            while left:
                now = min(pipe, left)
                connection.sendall(request * now)
                answers, got = 0, b""
                while answers < now:
                    piece = connection.recv(65536)
                    if not piece:
                        raise RuntimeError("weir closed the connection")
                    got += piece
                    answers = got.count(b"HTTP/1.1 202")
                while not got.endswith(b"\r\n\r\n"):
                    got += connection.recv(65536)
                left -= now
    threads = [threading.Thread(target=client, args=(count // clients,)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count // clients * clients


def waiting(bench):
    """What a million waiting events cost: memory, and the pace of the others."""
    events = 50_000 if bench.quick else 1_000_000
    rounds, seconds = (1, 2) if bench.quick else (5, 3)
    wrk = Wrk(bench)
    event = "X-Amz-Invocation-Type: Event"
    # Events of `stuck` wait a minute for their retry, and longer: its url refuses connections, so that every try fails.
    functions = {"bench": function(bench),
                 "stuck": {"url": "http://127.0.0.1:9", "maximum_event_age_in_seconds": 21600}}
    empty, full, rates = [], [], {}
    with weir(bench, functions) as few, weir(bench, functions) as many:
        begin = time.monotonic()
        sent = send_events(many, "stuck", events)
        took = time.monotonic() - begin
        queue = status(many)["queue"]
        if queue["events"] < sent * 0.99:
            raise RuntimeError(f"{queue['events']} of {sent} events wait")
        for bridge in (few, many):
            wrk.run(bridge.gateway + PATH.format("bench"), 16, 1)
        for _ in range(rounds):
            for seen, bridge in ((empty, few), (full, many)):
                seen.append(wrk.run(bridge.gateway + PATH.format("bench"), 16, seconds, event)[0])
        rates = [ours / theirs for ours, theirs in zip(full, empty)]
        resident = resident_mib(many)
        many.kill()
        begin = time.monotonic()
        many.start()
        restart = time.monotonic() - begin
        restarted = resident_mib(many)
    bench.add("waiting", f"pace of other events with {sent:,} waiting, against none", statistics.median(rates), "ratio", least=0.9,
              accepted_per_second=round(sent / took))
    bench.add("waiting", f"resident memory with {sent:,} waiting", resident, "MiB", most=200, after_restart=round(restarted, 1))
    bench.add("waiting", f"start to ready with {sent:,} waiting", restart, "s")


FIGURES = (gateway, asynchronous, notifications, waiting)
