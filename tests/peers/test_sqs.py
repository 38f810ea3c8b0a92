"""Queues of real SQS stand-ins become Lambda's invocations: nothing is lost, and nothing is deleted that was not done."""

import json
import os
import subprocess
import time

from lib import case, parts, processes
from lib.case import PeerTest
from lib.sqs import CREDENTIALS, Elasticmq, Moto, md5
from lib.weir import FUNCTIONS, Weir, function


class Queue(PeerTest):
    def setUp(self):
        super().setUp()
        self.events = self.folder / "events"
        self.events.mkdir()

    def bridge(self, server, queue, mode="plain", delay_ms=0, name="one", **source):
        """A bridge, not started yet, that reads `queue` (its URL) into the function of queues."""
        sink = function("node", self.mark, timeout=5, WEIR_PEER_OUT=self.folder / "seen.jsonl", WEIR_PEER_MODE=mode,
                        WEIR_PEER_DELAY_MS=delay_ms, WEIR_PEER_MODULES=parts.powertools(), WEIR_PEER_EVENTS=self.events)
        sink["directory"] = str(FUNCTIONS / "sqs")
        if mode != "plain":
            source.setdefault("function_response_types", ["ReportBatchItemFailures"])
        bridge = Weir(self.folder / f"bridge-{name}", {"sink": sink}, {"mail": {
            "type": "sqs", "queue": queue, "region": server.region, "function": "sink", **source}})
        self._bridges.append(bridge)
        return bridge

    def begin(self, bridge):
        # weir looks for its credentials where the SDKs do.
        for name, value in CREDENTIALS.items():
            previous = os.environ.get(name)
            os.environ[name] = value
            self.addCleanup(lambda n=name, p=previous: os.environ.pop(n) if p is None else os.environ.update({n: p}))
        return bridge.start()

    def messages(self):
        """What the function was given, in order: {id, body, group, receives}."""
        return [message for line in self._lines("seen.jsonl") for message in json.loads(line)["messages"]]

    def batches(self):
        return [json.loads(line)["messages"] for line in self._lines("seen.jsonl")]

    def done(self):
        """The bodies that succeeded, in order."""
        return self._lines("seen.jsonl.done")

    def _lines(self, name):
        path = self.folder / name
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def wait_done(self, server, queue, bodies, bridge, seconds=25):
        """Until all of `bodies` succeeded and the queue is empty."""
        def all_gone():
            return set(self.done()) >= set(bodies) and server.left(queue) == (0, 0)
        processes.wait_until(lambda: f"{len(set(bodies) - set(self.done()))} of {len(bodies)} are missing, the queue has "
                             f"{server.left(queue)}; {self.explain([bridge])}", all_gone, seconds, every=0.2)


class OfElasticmq(Queue):
    def setUp(self):
        super().setUp()
        self.server = case.shared_broker(Elasticmq)
        self.name = self.id().rsplit(".", 1)[-1].replace("test_", "")[:60]

    def test_each_message_comes_once_is_deleted_and_is_one_that_powertools_knows(self):
        queue = self.server.make_queue(self.name)
        sent = self.server.send(queue, [f"message {i}" for i in range(200)])
        odd = 'quotes " \\ and lines\nand ü'
        attributed = self.server.call("SendMessage", QueueUrl=queue, MessageBody=odd, MessageAttributes={
            "count": {"DataType": "Number", "StringValue": "0012.3400"},
            "picture": {"DataType": "Binary", "BinaryValue": "AAEC"},
            "word": {"DataType": "String", "StringValue": "x"}})
        sent[attributed["MessageId"]] = odd
        bridge = self.begin(self.bridge(self.server, queue))
        processes.wait_until(lambda: f"all came; {self.explain([bridge])}", lambda: len(self.messages()) >= 201, 20)
        processes.wait_until(lambda: f"the queue is empty, not {self.server.left(queue)}",
                             lambda: self.server.left(queue) == (0, 0), 10)
        self.assertEqual({each["id"]: each["body"] for each in self.messages()}, sent)
        self.assertEqual(len(self.messages()), 201, "each came once")
        self.assertLessEqual(max(map(len, self.batches())), 10)
        events = [json.loads(path.read_text()) for path in self.events.glob("*.json")]
        verdict = subprocess.run([parts.command("node"), parts.HERE / "judge" / "sqs.cjs"], input=json.dumps(events),
                                 capture_output=True, text=True, timeout=30, env={"NODE_PATH": parts.powertools()})
        self.assertEqual((verdict.returncode, verdict.stderr), (0, ""))
        record = next(r for event in events for r in event["Records"] if r["messageId"] == attributed["MessageId"])
        self.assertEqual(record["md5OfBody"], md5(odd))
        self.assertEqual(record["md5OfMessageAttributes"], attributed["MD5OfMessageAttributes"])
        self.assertEqual(record["eventSourceARN"], self.server.arn(queue))
        self.assertEqual(record["messageAttributes"]["count"],
                         {"stringValue": "12.34", "stringListValues": [], "binaryListValues": [], "dataType": "Number"})
        self.assertEqual(record["messageAttributes"]["picture"],
                         {"binaryValue": "AAEC", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"})
        self.assertEqual(bridge.terminate(), 0)

    def test_what_powertools_reports_stays_until_the_queue_moves_it_away(self):
        dead = self.server.make_queue(f"{self.name}-dead")
        queue = self.server.make_queue(self.name, VisibilityTimeout="6", RedrivePolicy=json.dumps(
            {"deadLetterTargetArn": self.server.arn(dead), "maxReceiveCount": 2}))
        good = [f"message {i}" for i in range(40)]
        once = [f"once {i}" for i in range(3)]
        poison = [f"fail {i}" for i in range(3)]
        started = time.monotonic()
        sent = self.server.send(queue, [body for group in zip(*[iter(good)] * 13) for body in group] + good[39:] + once + poison)
        bridge = self.begin(self.bridge(self.server, queue, mode="standard"))
        processes.wait_until(lambda: f"the queue is empty and 3 are dead: {self.server.left(queue)}, {self.server.left(dead)}; "
                             f"{self.explain([bridge])}",
                             lambda: self.server.left(queue) == (0, 0) and self.server.left(dead)[0] == 3, 28, every=0.2)
        self.assertGreaterEqual(time.monotonic() - started, 6, "nothing comes back before its visibility timeout")
        self.assertEqual(sorted(self.done()), sorted(good + once))
        found = self.server.call("ReceiveMessage", QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]
        self.assertEqual({each["MessageId"]: each["Body"] for each in found},
                         {id_: body for id_, body in sent.items() if body in poison})
        tries = {}
        for message in self.messages():
            tries.setdefault(message["body"], []).append(message["receives"])
        self.assertEqual([tries[body] for body in poison], [[1, 2]] * 3)
        self.assertEqual([tries[body] for body in good], [[1]] * 40)
        self.assertEqual(bridge.terminate(), 0)

    def test_groups_of_a_fifo_queue_stay_in_order_through_failures(self):
        queue = self.server.make_queue(f"{self.name[:50]}.fifo", VisibilityTimeout="5")
        bodies = {group: [f"{'once' if i == 4 else 'fine'} {group}-{i}" for i in range(12)] for group in "abcd"}
        for group, list_ in bodies.items():
            self.server.send(queue, list_, group=group)
        bridge = self.begin(self.bridge(self.server, queue, mode="fifo"))
        self.wait_done(self.server, queue, [body for list_ in bodies.values() for body in list_], bridge, 28)
        for group, list_ in bodies.items():
            self.assertEqual([body for body in self.done() if f" {group}-" in body], list_, "in order, and each once")
        self.assertEqual(bridge.terminate(), 0)

    def test_large_batches_are_made_of_many_receives(self):
        queue = self.server.make_queue(self.name)
        bodies = [f"message {i}" for i in range(250)]
        self.server.send(queue, bodies)
        bridge = self.begin(self.bridge(self.server, queue, batch_size=100, maximum_batching_window_in_seconds=2))
        self.wait_done(self.server, queue, bodies, bridge)
        self.assertEqual(sorted(self.done()), sorted(bodies))
        self.assertGreater(max(map(len, self.batches())), 10)
        self.assertLessEqual(max(map(len, self.batches())), 100)
        self.assertEqual(bridge.terminate(), 0)

    def test_a_bridge_that_stops_gives_back_what_it_had_not_begun(self):
        queue = self.server.make_queue(self.name, VisibilityTimeout="600")
        self.server.send(queue, [f"message {i}" for i in range(30)])
        bridge = self.begin(self.bridge(self.server, queue, batch_size=1000, maximum_batching_window_in_seconds=300))
        processes.wait_until("weir holds all of them", lambda: '"messages_in_flight":30' in bridge.get("/status")[1], 15)
        self.assertEqual(bridge.terminate(), 0)
        # Not at once: the server still waits for the polls that were called off, 20 s at most, and would give them away.
        processes.wait_until(lambda: f"all are visible, not {self.server.left(queue)}",
                             lambda: self.server.left(queue) == (30, 0), 25, every=0.5)
        self.assertEqual(self.messages(), [])

    def test_filtered_messages_are_deleted_unseen(self):
        queue = self.server.make_queue(self.name)
        self.server.send(queue, [json.dumps({"kind": kind, "n": n}) for n in range(10) for kind in ("wanted", "other")])
        bridge = self.begin(self.bridge(self.server, queue, filter_criteria={
            "Filters": [{"Pattern": json.dumps({"body": {"kind": ["wanted"]}})}]}))
        self.wait_done(self.server, queue, [json.dumps({"kind": "wanted", "n": n}) for n in range(10)], bridge)
        self.assertEqual(len(self.messages()), 10)
        self.assertEqual(bridge.terminate(), 0)


class OfElasticmqAlone(Queue):
    def test_no_message_is_lost_when_the_server_is_restarted(self):
        server = Elasticmq(self.folder / "server").start()
        self.addCleanup(server.stop)
        queue = server.make_queue("orders", VisibilityTimeout="6")
        bodies = [f"message {i}" for i in range(150)]
        server.send(queue, bodies[:100])
        bridge = self.begin(self.bridge(server, queue, delay_ms=50))
        processes.wait_until("some are done", lambda: len(self.done()) >= 20, 15)
        server.stop()
        server.start()
        server.send(queue, bodies[100:])
        self.wait_done(server, queue, bodies, bridge, 40)
        self.assertEqual(bridge.terminate(), 0)


class OfMoto(Queue):
    def test_messages_come_and_are_deleted(self):
        server = Moto(self.folder / "moto").start()
        self.addCleanup(server.stop)
        # So long that on a slow machine none comes back because its time was over.
        queue = server.make_queue("orders", VisibilityTimeout="300")
        bodies = [f"message {i}" for i in range(50)]
        server.send(queue, bodies)
        # By its name, which the server is asked for.
        bridge = self.begin(self.bridge(server, "orders", endpoint_url=server.url))
        self.wait_done(server, queue, bodies, bridge, 60)
        self.assertEqual(sorted(each["body"] for each in self.messages()), sorted(bodies), "each came once")
        self.assertEqual({each["receives"] for each in self.messages()}, {1})
        self.assertEqual(bridge.terminate(), 0)
