"""Changes of the tables of Amazon's DynamoDB Local become events of a function."""

import json
import os
import re
import subprocess
import unittest.mock

from lib import dynamodb_local, parts, processes
from lib.case import PeerTest, shared_broker
from lib.dynamodb_local import DynamodbLocal, item
from lib.weir import Weir, function

VIEWS = ["NEW_AND_OLD_IMAGES", "KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"]


def plain(attributes):
    """DynamoDB's JSON without its type tags, as far as these tests write it."""
    found = {}
    for name, ((kind, value),) in ((name, tuple(tagged.items())) for name, tagged in attributes.items()):
        found[name] = int(value) if kind == "N" else [next(iter(each.values())) for each in value] if kind == "L" else value
    return found


class Dynamodb(PeerTest):
    def setUp(self):
        super().setUp()
        patch = unittest.mock.patch.dict(os.environ, dynamodb_local.CREDENTIALS)
        patch.start()
        self.addCleanup(patch.stop)
        self.events = self.folder / "events"
        self.events.mkdir()
        self.server = shared_broker(DynamodbLocal)
        # Tables are named after their tests, which share the server.
        self.table = re.sub("[^A-Za-z]", "", self.id().split(".")[-1])[:100]

    def source(self, table, **more):
        return {"type": "dynamodb", "table": table, "region": dynamodb_local.REGION, "endpoint_url": self.server.url,
                "starting_position": "TRIM_HORIZON", "function": "sink", **more}

    def bridge_of(self, name="one", **sources):
        """A bridge, not started yet, whose function keeps its events in the folder `events`."""
        sink = function("events", self.mark, WEIR_PEER_EVENTS=self.events)
        bridge = Weir(self.folder / f"bridge-{name}", {"sink": sink}, sources)
        self._bridges.append(bridge)
        return bridge

    def batches(self):
        """The events in the order in which the function got them."""
        files = sorted(self.events.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text()) for path in files]

    def records(self):
        return [record for event in self.batches() for record in event["Records"]]

    def wait_for(self, condition, bridge, seconds=20):
        processes.wait_until(lambda: f"the records are seen; seen were {len(self.records())}: {str(self.records())[-2000:]}; "
                             f"{processes.tail(bridge.log)}; {bridge.get('/status')[1][:2000]}",
                             lambda: condition(self.records()), seconds, every=0.1)
        return self.records()

    def metric(self, bridge, name):
        """The sum of a metric over its labels."""
        page = bridge.get("/metrics")[1]
        return sum(float(line.split()[-1]) for line in page.splitlines() if re.match(name + r"[{ ]", line))

    def judged(self, events):
        """What Powertools makes of the events; AssertionError with its sentence when it does not know one."""
        verdict = subprocess.run([parts.command("node"), parts.HERE / "judge" / "dynamodb.cjs"], input=json.dumps(events),
                                 capture_output=True, text=True, timeout=30, env={"NODE_PATH": parts.powertools()})
        self.assertEqual((verdict.returncode, verdict.stderr), (0, ""), json.dumps(events, indent=1))
        return json.loads(verdict.stdout)

    def assert_order_of_items(self, records):
        """Each item's changes came in their order; who starts over may repeat, but nobody goes past one not seen."""
        highest = {}
        for record in records:
            key, number = json.dumps(record["dynamodb"]["Keys"]), int(record["dynamodb"]["NewImage"]["n"]["N"])
            self.assertLessEqual(number, highest.get(key, 0) + 1, f"{key}: {number} came after {highest.get(key, 0)}")
            highest[key] = max(number, highest.get(key, 0))


class Records(Dynamodb):
    def test_put_update_and_delete_with_every_view_type(self):
        tables = {view: f"{self.table}-{view}" for view in VIEWS}
        streams = {view: self.server.make_table(table, view) for view, table in tables.items()}
        odd = 'ä"\\/\u2028😀'
        for table in tables.values():
            self.server.put(table, id=odd, n=1, list=["a", True])
            self.server.update(table, odd, n=2)
            self.server.delete(table, odd)
        sources = {f"by-{view.lower()}": self.source(table) for view, table in tables.items()}
        # One of them by its ARN.
        del sources["by-keys_only"]["table"]
        sources["by-keys_only"]["stream_arn"] = streams["KEYS_ONLY"]
        bridge = self.bridge_of(**sources).start()
        records = self.wait_for(lambda seen: len(seen) >= 12, bridge)
        self.assertEqual(len(records), 12)

        before, after = {"id": odd, "n": 1, "list": ["a", True]}, {"id": odd, "n": 2, "list": ["a", True]}
        for view in VIEWS:
            mine = [record for record in records if record["eventSourceARN"] == streams[view]]
            self.assertEqual([record["eventName"] for record in mine], ["INSERT", "MODIFY", "REMOVE"])
            for record, new, old in zip(mine, (before, after, None), (None, before, after)):
                self.assertEqual(list(record), ["eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb",
                                                "eventSourceARN"])
                self.assertEqual((record["eventSource"], record["eventVersion"], record["awsRegion"]),
                                 ("aws:dynamodb", "1.1", dynamodb_local.REGION))
                change = record["dynamodb"]
                self.assertEqual(change["StreamViewType"], view)
                self.assertEqual(change["Keys"], item(id=odd))
                images = {"NewImage": new if "NEW" in view else None, "OldImage": old if "OLD" in view else None}
                for name, image in images.items():
                    self.assertEqual(plain(change[name]) if name in change else None, image, f"{name} of {view}")
                self.assertEqual(list(change), [name for name in (
                    "ApproximateCreationDateTime", "Keys", "NewImage", "OldImage", "SequenceNumber", "SizeBytes",
                    "StreamViewType") if images.get(name, True) is not None])

        events = self.batches()
        for event, known in zip(events, self.judged(events)):
            for record, judged in zip(event["Records"], known["Records"]):
                for name in ("Keys", "NewImage", "OldImage"):
                    if name in record["dynamodb"]:
                        record["dynamodb"][name] = plain(record["dynamodb"][name])
                self.assertEqual(judged, record, "Powertools knows every member, so it dropped none")

        # Creation times are rounded down to the minute here.
        processes.wait_until(lambda: bridge.get("/metrics")[1], lambda: self.metric(bridge, "lambda_iterator_age_seconds") == 0, 10)
        self.assertEqual(self.metric(bridge, "lambda_polled_event_count_total"), 12)

    def test_the_sample_event_is_one_that_powertools_knows(self):
        sample = json.loads(subprocess.run([parts.weir(), "event", "dynamodb"], capture_output=True, text=True, check=True,
                                           timeout=20).stdout)
        (known,) = self.judged([sample])
        self.assertEqual([record["eventName"] for record in known["Records"]], ["INSERT", "MODIFY", "REMOVE"])

    def test_filters_see_type_tags_and_what_they_drop_is_done(self):
        self.server.make_table(self.table)
        for n in range(1, 31):
            self.server.put(self.table, id=f"item{n}", n=n, kind="click" if n % 3 == 0 else "view")
        self.server.delete(self.table, "item30")
        wanted = {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"kind": {"S": ["click"]}, "n": {"N": [{"anything-but": "3"}]}}}}
        bridge = self.bridge_of(changes=self.source(self.table, filter_criteria=[wanted])).start()
        records = self.wait_for(lambda seen: len(seen) >= 9, bridge)
        self.assertEqual([int(record["dynamodb"]["NewImage"]["n"]["N"]) for record in records], list(range(6, 31, 3)))
        processes.wait_until("all are settled", lambda: self.metric(bridge, "weir_settled_records_total") == 31, 10)
        self.assertEqual(self.metric(bridge, "lambda_filtered_out_event_count_total"), 22)


    def test_a_window_and_what_is_said_of_a_batch_that_was_given_up_on(self):
        stream = self.server.make_table(self.table)
        for n in (1, 2):
            self.server.put(self.table, id=f"item{n}", n=n)
        kept = self.folder / "given-up.jsonl"
        # The function answers without a state, which is a failure in a window.
        bridge = self.bridge_of(changes=self.source(self.table, tumbling_window_in_seconds=900, maximum_retry_attempts=0,
                                                    destination_on_failure=f"file:{kept}")).start()
        self.wait_for(lambda seen: len(seen) >= 2, bridge)
        event = self.batches()[0]
        self.assertEqual(list(event), ["Records", "shardId", "eventSourceARN", "window", "state", "isFinalInvokeForWindow",
                                       "isWindowTerminatedEarly"])
        self.assertEqual((event["eventSourceARN"], event["state"]), (stream, {}))
        processes.wait_until(lambda: processes.tail(bridge.log), lambda: kept.exists() and kept.read_text().endswith("\n"), 10)
        info = json.loads(kept.read_text().splitlines()[0])["DDBStreamBatchInfo"]
        first = event["Records"][0]["dynamodb"]["SequenceNumber"]
        self.assertEqual((info["shardId"], info["streamArn"], info["startSequenceNumber"]), (event["shardId"], stream, first))
        self.assertRegex(info["approximateArrivalOfFirstRecord"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:00Z$")


class Restarts(Dynamodb):
    def write(self, first, last, items=10):
        for n in range(first, last + 1):
            for i in range(items):
                self.server.put(self.table, id=f"item{i}", n=n)

    def seen_all(self, last, items=10):
        wanted = {(f"item{i}", n) for i in range(items) for n in range(1, last + 1)}
        return lambda records: wanted <= {(r["dynamodb"]["Keys"]["id"]["S"], int(r["dynamodb"]["NewImage"]["n"]["N"])) for r in records}

    def test_order_by_item_over_a_kill_and_a_restart_with_lanes(self):
        self.server.make_table(self.table)
        self.write(1, 20)
        bridge = self.bridge_of(changes=self.source(self.table, parallelization_factor=4, batch_size=7)).start(ready=False)
        self.wait_for(lambda seen: len(seen) >= 40, bridge)
        bridge.kill()
        self.write(21, 25)
        bridge.start()
        records = self.wait_for(self.seen_all(25), bridge)
        self.assert_order_of_items(records)

        # After an end in good order nothing comes twice.
        processes.wait_until("all are settled", lambda: '"unsettled_records":0' in bridge.get("/status")[1].replace(" ", ""), 10)
        self.assertEqual(bridge.terminate(), 0)
        count = len(self.records())
        self.write(26, 27)
        bridge.start()
        records = self.wait_for(self.seen_all(27), bridge)
        self.assertEqual(len(records), count + 20)
        self.assert_order_of_items(records)

    def test_latest_leaves_out_what_is_there_and_a_restart_skips_nothing(self):
        self.server.make_table(self.table)
        self.write(1, 1, items=3)
        bridge = self.bridge_of(changes=self.source(self.table, starting_position="LATEST")).start()
        processes.wait_until(lambda: bridge.get("/status")[1], lambda: "AT_TIMESTAMP" in bridge.get("/status")[1], 10)
        # Killed before it saw anything: what was written meanwhile is as new as what comes later.
        bridge.kill()
        self.write(2, 2, items=3)
        bridge.start()
        records = self.wait_for(lambda seen: len([r for r in seen if r["dynamodb"]["NewImage"]["n"]["N"] == "2"]) == 3, bridge)
        bridge.terminate()
        self.assertLessEqual(len(records), 6, "creation times are rounded to the minute, so those before may come too")

    def test_a_server_that_is_gone_for_a_while(self):
        server = self.server = DynamodbLocal(self.folder / "dynamodb").start()
        self.addCleanup(server.stop)
        server.make_table(self.table)
        self.write(1, 2)
        bridge = self.bridge_of(changes=self.source(self.table)).start()
        self.wait_for(self.seen_all(2), bridge)
        server.stop()
        processes.wait_until("nobody answers", lambda: server.process is None, 5)
        server.start()
        self.write(3, 4)
        records = self.wait_for(self.seen_all(4), bridge)
        self.assertEqual(len(records), 40, "each came once")
        self.assert_order_of_items(records)

    def test_a_table_that_is_made_later(self):
        bridge = self.bridge_of(changes=self.source(self.table)).start(ready=False)
        processes.wait_until(lambda: processes.tail(bridge.log), lambda: "source.not_found" in processes.tail(bridge.log), 10)
        self.server.make_table(self.table)
        self.write(1, 1, items=2)
        self.wait_for(self.seen_all(1, items=2), bridge)


if __name__ == "__main__":
    unittest.main()
