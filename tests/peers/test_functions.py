"""A topic of a real broker drained into functions on AWS's own runtime clients."""

import json
import subprocess

from lib import parts, processes, weir
from lib.case import PeerTest, shared_broker
from lib.kafka_wire import Message


class OfficialClients(PeerTest):
    def drain(self, runtime):
        broker, topic = shared_broker(), f"drain-{runtime}"
        broker.client.create_topic(topic, 3)
        self.produce(broker, topic, range(3), 2000)
        bridge = self.bridge(runtime, broker, topic, group=topic).start()
        self.wait_all_seen(broker, topic, 90, [bridge])
        self.wait_committed(broker, topic, topic, bridges=[bridge])
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))
        self.assertEqual(self.seen.repeated(), set(), "each record comes once when nothing fails")
        self.assertEqual(broker.client.group(topic), ("Empty", 0), "weir left its group when it ended")
        largest = max(len(invocation["records"]) for invocation in self.seen.read())
        self.assertLessEqual(largest, 100, "batch_size is kept")
        self.assertGreater(largest, 1, "a backlog comes in batches")

    def test_node_drains_a_topic(self):
        self.drain("node")

    def test_python_drains_a_topic(self):
        self.drain("python")

    def test_a_batch_whose_handler_throws_comes_again_before_any_later_record(self):
        broker, topic = shared_broker(), "throws-once"
        broker.client.create_topic(topic, 1)
        broker.client.produce(topic, 0, [b"%sthrows-once/0@%d" % (b"throw-once " if offset in (3, 17) else b"", offset)
                                         for offset in range(30)])
        bridge = self.bridge("node", broker, topic, group=topic, mapping={"batch_size": 10}).start()
        self.wait_all_seen(broker, topic, 60, [bridge])
        self.wait_committed(broker, topic, topic, bridges=[bridge])
        self.assertEqual(bridge.terminate(), 0)
        batches = [[record["offset"] for record in invocation["records"]] for invocation in self.seen.read()]
        failed = [batch for batch in batches if batches.count(batch) > 1]
        self.assertEqual({offset for offset in (3, 17) if any(offset in batch for batch in failed)}, {3, 17}, batches)
        for batch in failed:
            first = batches.index(batch)
            self.assertEqual(batches[first + 1], batch, f"the failed batch comes next again, whole: {batches}")

    def events_of(self, topic, partitions):
        """Produces `partitions`, {partition: [Message, ...]}, and returns the events as the Node client's handler got them."""
        broker = shared_broker()
        broker.client.create_topic(topic, len(partitions))
        (self.folder / "events").mkdir()
        for partition, messages in partitions.items():
            broker.client.produce(topic, partition, messages)
        bridge = self.bridge("node", broker, topic, group=topic, WEIR_PEER_EVENTS=self.folder / "events").start()
        self.wait_all_seen(broker, topic, 60, [bridge])
        self.wait_committed(broker, topic, topic, bridges=[bridge])
        self.assertEqual(bridge.terminate(), 0)
        events = [json.loads(path.read_text()) for path in (self.folder / "events").iterdir()]
        for event in events:
            self.assertEqual((event["eventSource"], event["bootstrapServers"]), ("SelfManagedKafka", broker.address))
            self.assertNotIn("eventSourceArn", event)
        return events

    def test_the_event_is_what_powertools_knows_as_self_managed_kafka(self):
        events = self.events_of("shape", {
            0: [Message(b"shape/0@0", key=b"k", headers=[("trace", b"abc"), ("trace", b""), ("more", b"\x00\x7f")],
                        timestamp_ms=1_700_000_000_123),
                Message(b"shape/0@1", key=b"")],
            1: [Message("Zoë shape/1@0".encode(), key="ключ".encode())]})
        judged = subprocess.run([parts.command("node"), parts.HERE / "judge" / "kafka.cjs"], input=json.dumps(events),
                                capture_output=True, text=True, timeout=30, env={"NODE_PATH": parts.powertools()})
        self.assertEqual((judged.returncode, judged.stderr), (0, ""), json.dumps(events, indent=1))
        records = {(r["topic"], r["partition"], r["offset"]): r
                   for event in json.loads(judged.stdout) for several in event["records"].values() for r in several}
        self.assertEqual(set(records), {("shape", 0, 0), ("shape", 0, 1), ("shape", 1, 0)})
        self.assertEqual(records["shape", 0, 0], {
            "topic": "shape", "partition": 0, "offset": 0, "timestamp": 1_700_000_000_123, "timestampType": "CREATE_TIME",
            "key": "k", "value": "shape/0@0", "headers": [{"trace": "abc"}, {"trace": ""}, {"more": "\x00\x7f"}]})
        self.assertEqual((records["shape", 0, 1]["key"], records["shape", 0, 1]["headers"]), ("", []))
        self.assertEqual(records["shape", 1, 0]["key"], "ключ")

    def test_nulls_and_signed_bytes_that_powertools_cannot_read(self):
        (event,) = self.events_of("odd", {0: [
            Message(b"odd/0@0", headers=[("trace", b"\xff\x80\x7f"), ("trace", b"again")]),
            Message(None, key=b"deleted"),
            Message(None),
            Message(b"", key=b"\xff\xfe")]})
        ((shard, records),) = event["records"].items()
        self.assertEqual((shard, [r["offset"] for r in records]), ("odd-0", [0, 1, 2, 3]))
        self.assertEqual(records[0]["headers"], [{"trace": [-1, -128, 127]}, {"trace": list(b"again")}],
                         "a header's bytes are signed; order and repeats are kept")
        self.assertEqual([r["value"] for r in records], ["b2RkLzBAMA==", None, None, ""])
        self.assertEqual([r.get("key") for r in records], [None, "ZGVsZXRlZA==", None, "//4="])

    def test_promtool_has_nothing_to_say_of_the_metrics(self):
        broker, topic = shared_broker(), "metrics"
        broker.client.create_topic(topic, 3)
        self.produce(broker, topic, range(3), 50)
        bridge = self.bridge("node", broker, topic, group=topic).start()
        self.wait_all_seen(broker, topic, 60, [bridge])
        self.wait_committed(broker, topic, topic, bridges=[bridge])
        status, text = bridge.get("/metrics")
        self.assertEqual(status, 200)
        checked = subprocess.run([parts.command("promtool"), "check", "metrics"], input=text, capture_output=True, text=True,
                                 timeout=30)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""), text)
        for name in ("lambda_invocations_total", "lambda_iterator_age_seconds", "lambda_duration_seconds"):
            self.assertIn(name, text)
        invoked = sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith("lambda_invocations_total"))
        self.assertEqual(invoked, len(self.seen.read()), "as many invocations are counted as functions saw")
        self.assertEqual(bridge.terminate(), 0)

    def test_status_tells_of_the_source_and_its_shards(self):
        broker, topic = shared_broker(), "status"
        broker.client.create_topic(topic, 2)
        self.produce(broker, topic, range(2), 40)
        bridge = self.bridge("python", broker, topic, group=topic).start()
        self.wait_all_seen(broker, topic, 60, [bridge])
        self.wait_committed(broker, topic, topic, bridges=[bridge])
        self.assertEqual(bridge.get("/healthz")[0], 200)
        asked = weir.command("status", "--json", "--admin", f"127.0.0.1:{bridge.port}")
        self.assertEqual(asked.returncode, 0, asked.stderr)
        (source,) = json.loads(asked.stdout)["sources"]
        self.assertEqual((source["source"], source["type"], source["function"]), ("orders", "kafka", "sink"))
        self.assertEqual({shard["shard"] for shard in source["shards"]}, {"status-0", "status-1"})
        self.assertEqual((source["polled_events"], source["settled_events"], source["dropped_events"]), (80, 80, 0))
        for shard in source["shards"]:
            self.assertEqual((shard["in_flight"], shard["unsettled_records"], shard["iterator_age_seconds"]), (0, 0, 0), shard)
        listed = weir.command("checkpoint", "list", "--json", "--config", bridge.config)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertEqual(bridge.terminate(), 0)


class Memory(PeerTest):
    def test_a_large_backlog_does_not_fill_the_memory(self):
        """100 MB wait in the topic while the function is slow: weir holds a bounded part of them."""
        broker, topic = shared_broker(), "backlog"
        broker.client.create_topic(topic, 2)
        # Kafka's own tool, for it makes 100 MB faster than the small client here.
        broker.tool("org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", "100000",
                    "--record-size", "1000", "--throughput", "-1", "--producer-props",
                    f"bootstrap.servers={broker.address}", patience=60)
        bridge = self.bridge("node", broker, topic, group=topic, WEIR_PEER_DELAY_MS=50).start()
        processes.wait_until(lambda: f"the function gets records; {self.explain([bridge])}",
                             lambda: len(self.seen.read()) >= 40, 60)
        resident = next(int(line.split()[1]) for line in open(f"/proc/{bridge.process.pid}/status") if "VmHWM" in line)
        self.assertLess(resident, 90_000, f"{resident} KiB were held at one time")
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))
