"""The ground under every peer test: a folder, a mark, and the certainty that nothing is left running."""

import json
import os
import pathlib
import shutil
import signal
import tempfile
import unittest
import uuid

from lib import processes
from lib.broker import Broker
from lib.weir import Seen, Weir, function, kafka_source

_run = {"folder": None, "brokers": {}}


def run_folder():
    """The folder of this run, under the system's temporary folder."""
    if _run["folder"] is None:
        _run["folder"] = pathlib.Path(tempfile.mkdtemp(prefix="weir-peers-"))
    return _run["folder"]


def shared_broker(kind=Broker):
    """One broker of each kind for all tests that do not stop theirs: each has its own topics and groups."""
    if kind not in _run["brokers"]:
        broker = kind(run_folder() / f"shared-{kind.__name__.lower()}")
        # Kept only when it came up, so that each test that needs it says why it did not.
        try:
            _run["brokers"][kind] = broker.start()
        except BaseException:
            broker.stop()
            raise
    return _run["brokers"][kind]


def end_run(keep):
    """Stops the shared brokers; removes the run's folder unless `keep`."""
    while _run["brokers"]:
        _run["brokers"].popitem()[1].stop()
    if _run["folder"] and not keep:
        shutil.rmtree(_run["folder"], ignore_errors=True)


class PeerTest(unittest.TestCase):
    """`folder`: this test's. `mark`: in the environment of all its functions. `seen`: what its functions got."""

    def setUp(self):
        self.folder = run_folder() / self.id().split(".", 1)[-1]
        self.folder.mkdir(parents=True)
        self.mark = f"mark-{uuid.uuid4()}"
        self.seen = Seen(self.folder / "seen.jsonl")
        self._bridges = []
        # Registered first, so it runs last: whatever else went wrong, these processes end.
        self.addCleanup(self._end_everything)

    def _end_everything(self):
        for bridge in self._bridges:
            if bridge.running():
                bridge.kill()
        left = {}

        def gone():
            left.clear()
            left.update(processes.with_environment(self.mark))
            return not left
        try:
            processes.wait_until(lambda: f"every function process has ended, left are {left}", gone, 10)
        finally:
            for pid in processes.with_environment(self.mark):
                os.kill(pid, signal.SIGKILL)

    def own_broker(self):
        """A broker of this test alone, not started yet."""
        broker = Broker(self.folder / "broker")
        self.addCleanup(broker.stop)
        return broker

    def bridge(self, runtime, broker, topic, group, name="one", mapping=None, timeout=20, **environment):
        """A bridge, not started yet, that reads `topic` into the peer function in `runtime`. `mapping`: more keys of the
        source. `environment`: of the function, e.g. WEIR_PEER_DELAY_MS=20."""
        sink = function(runtime, self.mark, timeout=timeout, WEIR_PEER_OUT=self.seen.path, WEIR_PEER_NAME=name, **environment)
        bridge = Weir(self.folder / f"bridge-{name}", {"sink": sink},
                      {"orders": kafka_source(broker, topic, group, **(mapping or {}))})
        self._bridges.append(bridge)
        return bridge

    def add_source(self, bridge, name, broker, topic):
        """Gives a bridge that is not started yet one more source, into the same function."""
        config = json.loads(bridge.config.read_text())
        config["sources"][name] = kafka_source(broker, topic, topic)
        bridge.config.write_text(json.dumps(config, indent=2))

    def produce(self, broker, topic, partitions, count, batch=500):
        """`count` records to each of `partitions`, each with a key and a value that say where it belongs."""
        for partition in partitions:
            start = broker.client.end_offsets(topic)[partition]
            for first in range(start, start + count, batch):
                broker.client.produce(topic, partition, [f"{topic}/{partition}@{offset}".encode()
                                                         for offset in range(first, min(first + batch, start + count))])

    def wait_all_seen(self, broker, topic, seconds, bridges=()):
        """Until every record in `topic` has been seen; then order and contents are checked."""
        ends = broker.client.end_offsets(topic)

        def all_there():
            for bridge in bridges:
                if not bridge.running():
                    raise AssertionError(f"weir ended with {bridge.process.returncode}; {self.explain(bridges)}")
            return not self.seen.missing(ends)
        processes.wait_until(lambda: f"every record is seen; missing: {self.seen.missing(ends)}; {self.explain(bridges)}",
                             all_there, seconds, every=0.1)
        self.assertEqual(self.seen.first_jump(), "")
        for record in self.seen.records():
            self.assertEqual((record["topic"], record["shard"]), (topic, f"{topic}-{record['partition']}"))
            if record["value"]:  # each value ends with where it belongs
                self.assertEqual(record["value"].split(" ")[-1], f"{topic}/{record['partition']}@{record['offset']}")

    def wait_committed(self, broker, group, topic, seconds=20, bridges=()):
        """Until the group's offsets stand at the ends of all partitions that hold records."""
        ends = {partition: end for partition, end in broker.client.end_offsets(topic).items() if end > 0}
        committed = {}

        def all_committed():
            committed.update(broker.client.committed(group, topic))
            return {p: committed.get(p) for p in ends} == ends
        processes.wait_until(lambda: f"offsets {ends} are committed; they are {committed}; {self.explain(bridges)}",
                             all_committed, seconds, every=0.1)

    def explain(self, bridges):
        """What the bridges say of themselves, for a failure's message."""
        texts = [f"records by instance: {self.seen.names()}"]
        for bridge in bridges:
            texts.append(f"--- {bridge.log}\n{processes.tail(bridge.log)}")
            if bridge.running():
                texts.append(f"--- /status: {bridge.get('/status')[1][:2000]}")
        return "\n".join(texts)
