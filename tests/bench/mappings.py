"""The figures of event source mappings: lanes, and sources against what people use in their place."""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import time

from lib import kinesis as streams
from lib import parts, processes
from lib import sqs as queues
from lib.weir import Weir

KIB = 1024
MIB = 1024 * KIB

# Handlers of both sides write the same notes: when they were entered, and when the record was put.
HANDLER = """
const fs = require('fs');
exports.sink = async (event) => {
  const now = Date.now();
  const lines = event.Records.map((record) => `${now} ${Buffer.from(record.kinesis.data, 'base64').toString().split(' ')[0]}\\n`);
  fs.appendFileSync(process.env.NOTES, lines.join(''));
  return {};
};
"""
SERVERLESS = """
service: bench
frameworkVersion: "*"
provider: {name: aws, runtime: nodejs20.x, region: us-east-1, environment: {NOTES: "%(notes)s"}}
plugins: [serverless-offline-kinesis, serverless-offline]
custom:
  serverless-offline: {httpPort: %(http)d, lambdaPort: %(lambda)d, websocketPort: %(websocket)d}
  serverless-offline-kinesis: {apiVersion: "2013-12-02", endpoint: "%(url)s", region: us-east-1, accessKeyId: peer, secretAccessKey: peer}
functions:
  sink:
    handler: handler.sink
    events:
      - stream: {enabled: true, type: kinesis, arn: "arn:aws:kinesis:us-east-1:000000000000:stream/bench", batchSize: 100, startingPosition: TRIM_HORIZON}
"""

# ElasticMQ as it comes: messages in memory, Java's compilers as they are. That of the tests writes to disk.
ELASTICMQ = """
include classpath("application.conf")
node-address {{ protocol = http, host = "127.0.0.1", port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-port = {port}, bind-hostname = "127.0.0.1", sqs-limits = strict }}
rest-stats {{ enabled = false }}
"""
# How many batches of a queue either side works on at a time.
CONNECTIONS = 10


def parallel_once(bench, recording, records, factor):
    """Records a second through one shard with so many lanes, once their environments are warm."""
    functions = {"slow": {"command": [bench.program("functions/weir-function-counter")], "timeout": 30,
                          "environment": {"SLEEP_MS": "50"}}}
    sources = {"source": {"type": "file", "path": str(recording), "format": "recording", "batch_size": 50,
                          "parallelization_factor": factor, "function": "slow"}}
    weir = Weir(bench.new_folder(), functions, sources).start()
    try:
        def settled():
            return json.loads(weir.get("/status")[1])["sources"][0]["settled_events"]
        # The first tenth starts the environments, the last lacks records for every lane.
        marks = []
        for part in (0.1, 0.9):
            processes.wait_until("records are handled", lambda: settled() >= part * records, 120, every=0.005)
            marks.append((settled(), time.monotonic()))
        (first, began), (last, ended) = marks
        return (last - first) / (ended - began)
    finally:
        weir.terminate()


def parallel(bench):
    """Records a second of one shard whose function takes 50 ms, parallelization factor 10 against 1."""
    records = 4_000 if bench.quick else 20_000
    recording = bench.folder / "keys.jsonl"
    with open(recording, "w") as lines:
        for number in range(records):
            lines.write(json.dumps({"shardId": "shardId-000000000000", "partitionKey": f"key-{number % 1000}",
                                    "json": {"n": number}}) + "\n")
    rounds = 1 if bench.quick else 3
    rates = {1: [], 10: []}
    for _ in range(rounds):
        for factor, seen in rates.items():
            seen.append(parallel_once(bench, recording, records, factor))
    bench.add("parallel", "records/s, parallelization factor 10 against 1, function of 50 ms",
              statistics.median(many / one for one, many in zip(rates[1], rates[10])), "times", least=9,
              factor_1=round(statistics.median(rates[1])), factor_10=round(statistics.median(rates[10])))


# "1790000000000 1790000000000\n"
NOTE_BYTES = 28


def notes_made(path):
    """How many there are; while the functions run nothing is read."""
    return path.stat().st_size // NOTE_BYTES if path.exists() else 0


def notes_of(path):
    """[(entered, put)] in milliseconds."""
    return [tuple(int(part) for part in line.split()) for line in path.read_text().splitlines()]


def peak_resident(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * KIB for line in status.splitlines() if line.startswith("VmHWM:"))


def resident_of_tree(pid, alone=False):
    """Resident bytes of a process, and of all it started unless it is meant alone."""
    pids, at = [pid], 0
    while at < len(pids) and not alone:
        for task in pathlib.Path(f"/proc/{pids[at]}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                pids += [int(child) for child in task.read_text().split()]
        at += 1
    total = 0
    for each in pids:
        with contextlib.suppress(OSError):
            status = pathlib.Path(f"/proc/{each}/status").read_text()
            total += sum(int(line.split()[1]) * KIB for line in status.splitlines() if line.startswith("VmRSS:"))
    return total


@contextlib.contextmanager
def serverless(bench, server, notes):
    """serverless-offline on the stream; its process id."""
    folder = bench.new_folder()
    ports = processes.free_ports(3)
    (folder / "node_modules").symlink_to(pathlib.Path(parts.serverless_offline()) / "node_modules")
    (folder / "handler.js").write_text(HANDLER)
    (folder / "serverless.yml").write_text(SERVERLESS % {"notes": notes, "url": server.url, "http": ports[0],
                                                        "lambda": ports[1], "websocket": ports[2]})
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "NOTES": str(notes), "SLS_TELEMETRY_DISABLED": "1",
                   "SLS_NOTIFICATIONS_MODE": "off"}
    process = processes.start([parts.command("node"), "node_modules/.bin/osls", "offline", "start"], folder / "log",
                              cwd=folder, env=environment)
    try:
        yield process.pid
    finally:
        processes.stop(process, 10)


@contextlib.contextmanager
def weir_on_stream(bench, server, notes):
    folder = bench.new_folder()
    (folder / "handler.js").write_text(HANDLER)
    functions = {"sink": {"command": [parts.command("node"), parts.node_runtime_client(), "handler.sink"],
                          "directory": str(folder), "timeout": 30, "environment": {"NOTES": str(notes)}}}
    sources = {"bench": {"type": "kinesis", "stream": "bench", "region": "us-east-1", "endpoint_url": server.url,
                         "starting_position": "TRIM_HORIZON", "batch_size": 100, "function": "sink"}}
    os.environ.update(streams.ENVIRONMENT)
    weir = Weir(bench.new_folder(), functions, sources).start()
    try:
        yield weir.process.pid
    finally:
        weir.terminate()


def stream_once(bench, side, records, trickle):
    """(records a second, median ms from put to entered on an idle stream, resident bytes of the process and of all that it
    started, the most that the process ever had)."""
    server = streams.Kinesalite(bench.new_folder()).start()
    notes = bench.new_folder() / "notes"
    try:
        server.create("bench", 4)

        def put(count, start):
            server.put("bench", [(str(start + i), f"{time.time_ns() // 1_000_000} {'x' * 80}") for i in range(count)])
        put(records, 0)
        with side(bench, server, notes) as pid:
            processes.wait_until("the backlog is handled", lambda: notes_made(notes) >= records, 180, every=0.1)
            entered = sorted(each[0] for each in notes_of(notes))
            # The first tenth has the start of the function in it, and what was read meanwhile.
            first, last = entered[records // 10], entered[-1]
            rate = (records - records // 10) / max((last - first) / 1000, 0.001)
            for number in range(trickle):
                put(1, records + number)
                time.sleep(0.3 + 0.037 * (number % 7))
            processes.wait_until("the last records are handled", lambda: notes_made(notes) >= records + trickle, 60)
            late = [entered - when for entered, when in notes_of(notes)[records:]]
            return (rate, statistics.median(late), resident_of_tree(pid, alone=True), resident_of_tree(pid),
                    peak_resident(pid))
    finally:
        server.stop()


def kinesis(bench):
    """A Kinesis stream of 4 shards into a Node function, against serverless-offline-kinesis on the same kinesalite."""
    # Each side has to work for some ten seconds and more at its own pace: many times what is read ahead of the function.
    trickle, rounds, records = ((5, 1, {serverless: 4_000, weir_on_stream: 20_000}) if bench.quick
                                else (20, 3, {serverless: 20_000, weir_on_stream: 200_000}))
    seen = {serverless: [], weir_on_stream: []}
    for _ in range(rounds):
        for side, results in seen.items():
            results.append(stream_once(bench, side, records[side], trickle))
    theirs, ours = ([statistics.median(column) for column in zip(*results)] for results in seen.values())
    bench.add("kinesis", "records/s, 4 shards, batch 100, against serverless-offline-kinesis", ours[0] / theirs[0], "times",
              least=12, ours=round(ours[0]), theirs=round(theirs[0]))
    bench.add("kinesis", "put to function entered, idle stream", ours[1], "ms", most=50, theirs=theirs[1])
    # Theirs runs the function in its own process; ours starts one for it.
    bench.add("kinesis", "resident memory of weir, against serverless-offline-kinesis with the function", ours[2] / theirs[3],
              "of it", most=0.1, ours_mib=round(ours[2] / MIB, 1), ours_peak_mib=round(ours[4] / MIB, 1),
              theirs_mib=round(theirs[3] / MIB, 1))
    bench.add("kinesis", "the same, weir with the function's process", ours[3] / theirs[3], "of it",
              ours_mib=round(ours[3] / MIB, 1))


class Elasticmq(queues.Elasticmq):
    def _command(self):
        settings = self.folder / "elasticmq.conf"
        settings.write_text(ELASTICMQ.format(port=self.port))
        return [parts.command("java"), "-Xmx512m", f"-Dconfig.file={settings}", "-cp", f"{parts.elasticmq_jars()}/*",
                "org.elasticmq.server.Main"]


@contextlib.contextmanager
def filled_queue(bench, server, name, messages):
    """The URL of a queue of its own for one turn, with 100-byte messages: what still polls it at the end takes nothing from
    the next."""
    queue = server.make_queue(name, VisibilityTimeout="600")
    subprocess.run([bench.program("tests/bench/weir-bench-queue"), "send", queue, str(messages), "100", str(CONNECTIONS)],
                   check=True, timeout=300)
    yield queue
    left = server.left(queue)
    server.call("DeleteQueue", QueueUrl=queue)
    if left != (0, 0):
        raise RuntimeError(f"{left} messages of {messages} are left in the queue")


def bare_queue_once(bench, _, queue, messages):
    (line,) = bench.lines(bench.program("tests/bench/weir-bench-queue"), "drain", queue, str(messages), str(CONNECTIONS))
    return line


def weir_queue_once(bench, server, queue, messages):
    functions = {"bench": {"command": [bench.program("tests/bench/weir-bench-function")], "timeout": 30}}
    sources = {"queue": {"type": "sqs", "queue": queue, "region": server.region, "batch_size": 10,
                         "maximum_concurrency": CONNECTIONS, "function": "bench"}}
    os.environ.update(queues.CREDENTIALS)
    weir = Weir(bench.new_folder(), functions, sources).start()
    try:
        def deleted():
            return json.loads(weir.get("/status")[1])["sources"][0]["deleted_events"]
        # As the bare loop counts: the first tenth starts the environments, the last lacks messages for every poller.
        marks = []
        for part in (0.1, 0.9):
            processes.wait_until("messages are handled", lambda: deleted() >= part * messages, 120)
            marks.append((deleted(), time.monotonic()))
        processes.wait_until("all messages are deleted", lambda: deleted() >= messages, 60)
        (first, began), (last, ended) = marks
        return {"messages_per_second": (last - first) / (ended - began)}
    finally:
        # Its long polls would hold a polite end up, and the queue goes.
        weir.kill()


def sqs(bench):
    """Messages a second of a queue in ElasticMQ, batch 10, against a bare loop of receive and delete."""
    messages, rounds, warm = (5_000, 1, 2) if bench.quick else (60_000, 5, 5)
    sides = {"bare": bare_queue_once, "weir": weir_queue_once}
    # Java compiles what is called often: a server that was just started gets several times as fast.
    turns = ["bare"] * warm + list(sides) * rounds
    seen = []
    server = Elasticmq(bench.new_folder()).start()
    try:
        for number, side in enumerate(turns):
            with filled_queue(bench, server, f"turn-{number}", messages) as queue:
                seen.append(sides[side](bench, server, queue, messages))
    finally:
        server.stop()
    bare, ours = seen[warm::2], seen[warm + 1::2]
    rates = [[line["messages_per_second"] for line in lines] for lines in (bare, ours)]
    bench.add("sqs", f"messages/s, batch 10, against receive + delete on {CONNECTIONS} connections",
              statistics.median(weir / loop for loop, weir in zip(*rates)), "of it", least=0.7,
              bare_per_second=round(statistics.median(rates[0])), weir_per_second=round(statistics.median(rates[1])),
              bare_processor=max(line["processor"] for line in bare))


FIGURES = (parallel, kinesis, sqs)
