"""Shards of stand-ins for Kinesis become batches of a function: order, resharding, restarts, enhanced fan-out."""

import base64
import json
import os
import subprocess
import time
import unittest.mock

from lib import parts, processes
from lib.case import PeerTest
from lib.kinesis import ENVIRONMENT, Kinesalite, KinesisLocal
from lib.weir import Weir, command, function


class Kinesis(PeerTest):
    def setUp(self):
        super().setUp()
        environment = unittest.mock.patch.dict(os.environ, ENVIRONMENT)
        environment.start()
        self.addCleanup(environment.stop)
        self.events = self.folder / "events"
        self.events.mkdir()

    def server(self, kind):
        server = kind(self.folder / "kinesis")
        self.addCleanup(server.stop)
        return server.start()

    def kinesis_bridge(self, server, **source):
        """A bridge, not started yet, whose function keeps its events."""
        sink = function("events", self.mark, WEIR_PEER_EVENTS=self.events)
        which = {} if "stream_arn" in source else {"stream": "clicks"}
        bridge = Weir(self.folder / "bridge", {"sink": sink}, {"clicks": {
            "type": "kinesis", "endpoint_url": server.url, "starting_position": "TRIM_HORIZON", "batch_size": 50,
            "function": "sink", **which, **source}})
        self._bridges.append(bridge)
        return bridge

    def by_shard(self):
        """{shard: [(sequence number, text), ...]} in the order of the invocations."""
        found = {}
        for path in sorted(self.events.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
            for record in json.loads(path.read_text())["Records"]:
                shard, number = record["eventID"].split(":")
                self.assertEqual(number, record["kinesis"]["sequenceNumber"])
                found.setdefault(shard, []).append((number, base64.b64decode(record["kinesis"]["data"]).decode()))
        return found

    def texts(self):
        return [text for records in self.by_shard().values() for _, text in records]

    def wait_for(self, texts, bridge, seconds=20):
        wanted = set(texts)
        processes.wait_until(lambda: f"{len(wanted)} records are seen; missing {sorted(wanted - set(self.texts()))[:5]}; "
                             f"{processes.tail(bridge.log)}", lambda: set(self.texts()) >= wanted, seconds, every=0.1)

    def in_order(self, placed):
        """Each record once, those of a shard in the order of the stream."""
        seen = self.by_shard()
        for shard in {shard for shard, _ in placed}:
            self.assertEqual([number for number, _ in seen.get(shard, [])],
                             [number for where, number in placed if where == shard], shard)

    def judged(self):
        events = [json.loads(path.read_text()) for path in self.events.glob("*.json")]
        verdict = subprocess.run([parts.command("node"), parts.HERE / "judge" / "kinesis.cjs"], input=json.dumps(events),
                                 capture_output=True, text=True, timeout=30, env={"NODE_PATH": parts.powertools()})
        self.assertEqual((verdict.returncode, verdict.stderr), (0, ""))
        self.assertEqual(json.loads(verdict.stdout), [len(event["Records"]) for event in events])
        return events


class Shards(Kinesis):
    def test_every_record_in_order_of_its_shard_and_events_that_powertools_knows(self):
        server = self.server(Kinesalite)
        server.create("clicks", 4)
        placed = server.put("clicks", [(f"key-{i % 37}", f"text {i} ä") for i in range(1000)])
        bridge = self.kinesis_bridge(server).start()
        more = server.put("clicks", [(f"key-{i % 37}", f"text {i} ä") for i in range(1000, 1200)])
        self.wait_for([f"text {i} ä" for i in range(1200)], bridge)
        self.in_order(placed + more)
        events = self.judged()
        self.assertTrue(all(len(event["Records"]) <= 50 for event in events))
        record = events[0]["Records"][0]
        self.assertEqual(list(record), ["kinesis", "eventSource", "eventVersion", "eventID", "eventName",
                                        "invokeIdentityArn", "awsRegion", "eventSourceARN"])
        self.assertEqual(record["eventSourceARN"], server.arn("clicks"))
        self.assertEqual(bridge.terminate(), 0)
        self.assertNotIn(ENVIRONMENT["AWS_SECRET_ACCESS_KEY"], bridge.log.read_text())

    def test_a_record_is_seen_within_a_quarter_of_a_second(self):
        server = self.server(Kinesalite)
        server.create("clicks", 2)
        bridge = self.kinesis_bridge(server, starting_position="LATEST").start()
        server.put("clicks", [("warm", "warm"), ("up", "up")])
        time.sleep(1)
        waits = []
        for i in range(10):
            began = time.monotonic()
            server.put("clicks", [(f"{i}", f"text {i}")])
            processes.wait_until(f"text {i}", lambda: f"text {i}" in self.texts(), 10, every=0.005)
            waits.append(time.monotonic() - began)
        self.assertLess(sorted(waits)[5], 0.25, waits)
        self.assertEqual(bridge.terminate(), 0)

    def test_shards_that_split_and_merge_under_load(self):
        server = self.server(Kinesalite)
        server.create("clicks", 2)
        bridge = self.kinesis_bridge(server).start()
        placed, number = [], 0

        def load(count):
            nonlocal number
            placed.extend(server.put("clicks", [(f"key-{i % 11}", f"text {i}") for i in range(number, number + count)]))
            number += count
        load(200)
        first = server.shards("clicks")[0]
        keys = {name: int(value) for name, value in first["HashKeyRange"].items()}
        middle = (keys["StartingHashKey"] + keys["EndingHashKey"]) // 2
        server.do("SplitShard", StreamName="clicks", ShardToSplit=first["ShardId"], NewStartingHashKey=str(middle))
        server.wait_active("clicks")
        load(200)
        opened = [shard for shard in server.shards("clicks") if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]
        opened.sort(key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))
        server.do("MergeShards", StreamName="clicks", ShardToMerge=opened[0]["ShardId"],
                  AdjacentShardToMerge=opened[1]["ShardId"])
        server.wait_active("clicks")
        load(200)
        self.wait_for([f"text {i}" for i in range(number)], bridge)
        self.in_order(placed)
        # What has one key comes in its order, whichever shards it went through.
        by_time = []
        for path in sorted(self.events.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
            by_time += [(record["kinesis"]["partitionKey"], int(base64.b64decode(record["kinesis"]["data"]).split()[1]))
                        for record in json.loads(path.read_text())["Records"]]
        for key in {key for key, _ in by_time}:
            mine = [text for which, text in by_time if which == key]
            self.assertEqual(mine, sorted(mine), key)
        self.assertEqual(bridge.terminate(), 0)
        ended = command("checkpoint", "list", "--config", bridge.config)
        self.assertGreaterEqual(ended.stdout.count("SHARD_END"), 3, ended)
        # Nothing of what is done is read again.
        count = len(list(self.events.glob("*.json")))
        bridge.start()
        load(50)
        self.wait_for([f"text {i}" for i in range(number)], bridge)
        self.in_order(placed)
        self.assertGreater(len(list(self.events.glob("*.json"))), count)
        self.assertEqual(bridge.terminate(), 0)

    def test_a_bridge_that_is_killed_goes_on_at_its_checkpoints(self):
        server = self.server(Kinesalite)
        server.create("clicks", 2)
        bridge = self.kinesis_bridge(server).start()
        server.put("clicks", [(f"key-{i}", f"text {i}") for i in range(300)])
        self.wait_for([f"text {i}" for i in range(300)], bridge)
        time.sleep(1.5)  # checkpoints are kept at least once a second
        bridge.kill()
        seen = len(self.texts())
        server.put("clicks", [(f"key-{i}", f"text {i}") for i in range(300, 400)])
        bridge.start()
        self.wait_for([f"text {i}" for i in range(400)], bridge)
        self.assertEqual(len(self.texts()), seen + 100)
        self.assertEqual(bridge.terminate(), 0)

    def test_latest_loses_nothing_between_two_starts(self):
        server = self.server(Kinesalite)
        server.create("clicks", 1)
        server.put("clicks", [("key", "before")])
        bridge = self.kinesis_bridge(server, starting_position="LATEST").start()
        processes.wait_until(lambda: "a checkpoint is kept", lambda: "shardId" in bridge.get("/status")[1], 10)
        time.sleep(0.5)
        bridge.kill()
        server.put("clicks", [("key", "meanwhile")])
        bridge.start()
        self.wait_for(["meanwhile"], bridge)
        self.assertNotIn("before", self.texts())
        self.assertEqual(bridge.terminate(), 0)

    def test_a_stream_that_comes_later_is_found(self):
        server = self.server(Kinesalite)
        bridge = self.kinesis_bridge(server).start(ready=False)
        processes.wait_until(lambda: processes.tail(bridge.log), lambda: "source.not_found" in bridge.log.read_text(), 10)
        server.create("clicks", 1)
        server.put("clicks", [("key", "late")])
        self.wait_for(["late"], bridge)
        self.assertEqual(bridge.terminate(), 0)


class FanOut(Kinesis):
    def test_a_consumer_gets_every_record_in_order(self):
        server = self.server(KinesisLocal)
        server.create("clicks", 2)
        consumer = server.consumer("clicks")
        placed = server.put("clicks", [(f"key-{i % 7}", f"text {i}") for i in range(200)])
        bridge = self.kinesis_bridge(server, stream_arn=consumer).start()
        self.wait_for([f"text {i}" for i in range(200)], bridge)
        placed += server.put("clicks", [(f"key-{i % 7}", f"text {i}") for i in range(200, 300)])
        self.wait_for([f"text {i}" for i in range(300)], bridge)
        self.in_order(placed)
        events = self.judged()
        self.assertEqual({record["eventSourceARN"] for event in events for record in event["Records"]}, {consumer})
        self.assertEqual(bridge.terminate(), 0)
