"""The program under test: started, asked, stopped, killed; and what the peer functions saw of it."""

import json
import pathlib
import signal
import subprocess
import urllib.error
import urllib.request

from lib import parts, processes

FUNCTIONS = parts.HERE / "functions"


def function(runtime, mark, timeout=20, **environment):
    """A `functions` entry for the peer function in `runtime`, "node" or "python". `mark`: a text in its environment by which
    its processes are found again, whoever started them."""
    if runtime == "node":
        command = [parts.command("node"), parts.node_runtime_client(), "index.handler"]
    else:
        command = [parts.python_with_runtime_client(), "-m", "awslambdaric", "app.handler"]
    return {"command": command, "directory": str(FUNCTIONS / runtime), "timeout": timeout, "memory_size": 512,
            "environment": {"WEIR_PEER_MARK": mark, **{name: str(value) for name, value in environment.items()}}}


# A member that vanished is given up after 6 s, the least a broker allows, in place of 45.
QUICK_SESSION = {"librdkafka": {"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"}}


def kafka_source(broker, topic, group, function_name="sink", **more):
    """A `sources` entry that reads `topic` from its beginning as member of `group`."""
    return {"type": "kafka", "bootstrap_servers": broker.address, "topics": [topic], "starting_position": "TRIM_HORIZON",
            "batch_size": 100, "maximum_batching_window_in_seconds": 0, "consumer_group_id": group,
            "function": function_name, **more}


class Weir:
    """One bridge with its own folder, configuration, admin port and gateway port. `functions`, `sources`: as in the configuration."""

    def __init__(self, folder, functions, sources, **settings):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "weir.log"
        self.config = self.folder / "weir.yaml"
        self.port, self.gateway_port = processes.free_ports(2)
        self.gateway = f"http://127.0.0.1:{self.gateway_port}"
        # JSON is YAML, and Python writes it.
        self.config.write_text(json.dumps({"state": str(self.folder / "state"), "admin": f"127.0.0.1:{self.port}",
                                           "listen": f"127.0.0.1:{self.gateway_port}", **settings, "functions": functions, "sources": sources}, indent=2))
        self.process = None

    def start(self, ready=True):
        """`ready`: wait until /readyz says so."""
        self.process = processes.start([parts.weir(), "run", self.config], self.log, cwd=self.folder)
        if ready:
            self.wait_for("/readyz")
        else:
            self.wait_for("/healthz")
        return self

    def wait_for(self, path, seconds=20):
        def answered():
            if self.process.poll() is not None:
                raise AssertionError(f"weir ended with {self.process.returncode}:\n{processes.tail(self.log)}")
            return self.get(path)[0] == 200
        processes.wait_until(lambda: f"{path} answers 200, last {self.get(path)}; weir's log ends with\n"
                             f"{processes.tail(self.log)}", answered, seconds)

    def get(self, path):
        """(status, text) of a page of the admin address; (0, why) when there is no answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError as error:
            return 0, str(error)

    def post(self, path, body, headers):
        """(status, text) of a call of the gateway."""
        request = urllib.request.Request(self.gateway + path, data=body.encode(), headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def terminate(self, seconds=45):
        """SIGTERM; returns the exit status. AssertionError when it has not ended in `seconds`."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"weir still runs {seconds} s after SIGTERM:\n{processes.tail(self.log)}") from None

    def kill(self):
        self.process.kill()
        self.process.wait(10)


def command(*arguments, stdin="", seconds=60, **more):
    """Runs `weir ARGUMENTS...` to its end; subprocess.CompletedProcess with text."""
    return subprocess.run([parts.weir(), *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          timeout=seconds, **more)


class Seen:
    """What peer functions wrote to one file, in the order of writing, over all processes that share it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.invocations, self._at = [], 0

    def read(self):
        """The invocations up to now: {name, pid, request_id, records: [{shard, topic, partition, offset, value}]}."""
        if self.path.exists():
            with open(self.path, "rb") as file:
                file.seek(self._at)
                data = file.read()
            whole = data[:data.rfind(b"\n") + 1]
            self._at += len(whole)
            self.invocations += [json.loads(line) for line in whole.splitlines()]
        return self.invocations

    def records(self):
        return [record for invocation in self.read() for record in invocation["records"]]

    def names(self):
        """{name of the instance: number of records it got}."""
        count = {}
        for invocation in self.read():
            count[invocation["name"]] = count.get(invocation["name"], 0) + len(invocation["records"])
        return count

    def offsets(self):
        """{partition: [offset, ...] in the order seen}."""
        found = {}
        for record in self.records():
            found.setdefault(record["partition"], []).append(record["offset"])
        return found

    def repeated(self):
        """The (partition, offset) seen more than once."""
        return {(p, offset) for p, offsets in self.offsets().items() for offset in offsets if offsets.count(offset) > 1} \
            if self._has_repeats() else set()

    def _has_repeats(self):
        return any(len(set(offsets)) < len(offsets) for offsets in self.offsets().values())

    def missing(self, ends):
        """The records of {partition: end offset} not seen yet, as a short text; "" when all were."""
        offsets = self.offsets()
        gaps = {}
        for partition, end in ends.items():
            gone = sorted(set(range(end)) - set(offsets.get(partition, ())))
            if gone:
                gaps[partition] = f"{len(gone)} of {end}, first {gone[0]}"
        return "; ".join(f"partition {p}: {text}" for p, text in sorted(gaps.items()))

    def first_jump(self):
        """Order per partition: whoever starts over may repeat, but nobody may go past a record that was not seen.
        Returns a sentence on the first record that came too early, or ""."""
        for partition, offsets in self.offsets().items():
            following = 0
            for offset in offsets:
                if offset > following:
                    return f"partition {partition}: offset {offset} came before {following}"
                following = max(following, offset + 1)
        return ""
