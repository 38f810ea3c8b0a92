"""Load on asynchronous sources while the function fails half the time: nothing accepted is lost, and memory stays bounded."""

import collections
import json
import os
import time
import urllib.request

from lib import parts, processes, pushers
from lib.case import PeerTest
from lib.weir import Weir, function

SECONDS = float(os.environ.get("WEIR_LOAD_SECONDS", "12"))  # a minute by hand
# Of weir's own process. What is accepted waits on disk; only what is due soon is in memory.
MEMORY_MB = 192
FILES = 10_000


class Load(PeerTest):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out.txt"

    def load_bridge(self, sources, environments=4, **settings):
        sink = function("python", self.mark, WEIR_PEER_OUT=self.out)
        sink["directory"] = str(parts.HERE / "functions" / "flaky")
        bridge = Weir(self.folder / "bridge", {"sink": {**sink, "maximum_retry_attempts": 0,
                                                        "reserved_concurrent_executions": environments}}, sources, **settings)
        self._bridges.append(bridge)
        return bridge

    def figure(self, bridge, name):
        """A metric of the function `sink`."""
        status, page = bridge.get("/metrics")
        self.assertEqual(status, 200)
        (line,) = [line for line in page.splitlines() if line.startswith(name + "{")]
        return int(float(line.rsplit(" ", 1)[1]))

    def done(self):
        """[(request id, handled or failed, key)] in the order in which the function had them."""
        lines = self.out.read_text().splitlines() if self.out.exists() else []
        return [tuple(line.split(" ")) for line in lines]

    def dead_letters(self, bridge):
        """The request id of each. Each is read whole for its line of the list, so a hundred thousand take their time."""
        with urllib.request.urlopen(f"http://127.0.0.1:{bridge.port}/deadletters?limit=1000000", timeout=60 + SECONDS) as answer:
            return [letter["request_id"] for letter in json.loads(answer.read())]

    def peak_megabytes(self, bridge):
        with open(f"/proc/{bridge.process.pid}/status", encoding="ascii") as status:
            (line,) = [line for line in status if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024

    def test_64_clients_push_at_full_speed_and_every_accepted_event_is_delivered_or_kept(self):
        bridge = self.load_bridge({"uploads": {"type": "s3", "bucket": "uploads", "function": "sink"}}).start()

        def webhook(client):
            def make(number):
                record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                          "s3": {"bucket": {"name": "uploads"}, "object": {"key": f"{client}/{number}", "size": 1}}}
                return pushers.request("/s3/uploads", json.dumps({"Records": [record]}).encode())
            return make

        def invocation(client):
            return lambda number: pushers.request("/2015-03-31/functions/sink/invocations",
                                                  json.dumps({"client": client, "number": number}).encode(),
                                                  X_Amz_Invocation_Type="Event")

        def waiting(_):
            return lambda _: pushers.request("/2015-03-31/functions/sink/invocations", b'{"waits": true}')
        # Among them are some that wait for the function. There is not room for all, which they are told.
        pushed = pushers.push(bridge.gateway_port, {"webhook": [webhook(client) for client in range(28)],
                                                    "invocation": [invocation(client) for client in range(28)],
                                                    "waiting": [waiting(client) for client in range(8)]}, SECONDS)
        peak = self.peak_megabytes(bridge)
        told = "; ".join(f"{name}: {dict(each.statuses)}, {each.refusals}, {each.broken} broken" for name, each in pushed.items())
        told += f"; peak {peak:.0f} MB; {processes.tail(bridge.log)}"
        for name, success in (("webhook", 200), ("invocation", 202), ("waiting", 200)):
            self.assertEqual(pushed[name].broken, 0, told)
            self.assertGreater(pushed[name].statuses[success], 0, told)
            self.assertLessEqual(set(pushed[name].statuses), {success, 429, 500, 503}, told)
            for status, body in pushed[name].refusals.items():
                self.assertTrue(any(member.lower() == "message" and text for member, text in json.loads(body).items()), (status, body))
        self.assertGreater(pushed["waiting"].statuses[429], 0, told)
        self.assertLess(peak, MEMORY_MB, told)
        accepted = pushed["webhook"].accepted() + pushed["invocation"].accepted()
        self.assertEqual(self.figure(bridge, "lambda_async_events_received_total"), accepted, told)
        self.assertEqual(bridge.terminate(), 0, told)

        # A second life whose function may not run gives up on what still waits, as Lambda does with such a function.
        config = json.loads(bridge.config.read_text())
        config["functions"]["sink"]["reserved_concurrent_executions"] = 0
        bridge.config.write_text(json.dumps(config))
        bridge.start()
        waited = self.figure(bridge, "weir_async_events")
        processes.wait_until(lambda: f"nothing waits any more; {self.figure(bridge, 'weir_async_events')} events do",
                             lambda: self.figure(bridge, "weir_async_events") == 0, 60 + 2 * SECONDS, every=0.2)
        # Before all letters are asked for in one answer, which is as large as they are.
        self.assertLess(self.peak_megabytes(bridge), MEMORY_MB, told)
        done, dead = self.done(), self.dead_letters(bridge)
        handled = {request for request, how, _ in done if how == "handled"}
        failed = {request for request, how, _ in done if how == "failed"}
        told = f"handled {len(handled)}, failed {len(failed)}, of {len(dead)} dead letters {waited} waited; {told}"
        self.assertEqual(len(handled) + len(failed), len(done), f"each was delivered once; {told}")
        self.assertEqual(len(set(dead)), len(dead), told)
        self.assertEqual(len(handled | set(dead)), accepted, told)
        self.assertEqual(len(handled) + len(dead), accepted, f"an event is handled or kept, not both; {told}")
        self.assertLessEqual(failed, set(dead), told)
        self.assertGreater(min(len(handled), len(failed)), 0, told)
        self.assertEqual(bridge.terminate(), 0)

    def test_10000_files_of_one_second_come_once_each(self):
        bucket = self.folder / "bucket"
        bucket.mkdir()
        bridge = self.load_bridge({"uploads": {"type": "s3", "bucket": "uploads", "folder": str(bucket), "function": "sink"}}).start()
        for number in range(100):
            (bucket / f"{number:02}").mkdir()
        began = time.monotonic()
        for number in range(FILES):
            with open(bucket / f"{number % 100:02}" / str(number), "wb") as file:
                file.write(b"%d" % number)
        took = time.monotonic() - began
        processes.wait_until(lambda: f"all files are events; {self.figure(bridge, 'lambda_async_events_received_total')} are",
                             lambda: self.figure(bridge, "lambda_async_events_received_total") >= FILES, 30, every=0.2)
        processes.wait_until(lambda: f"all are over; {self.figure(bridge, 'weir_async_events')} are not",
                             lambda: self.figure(bridge, "weir_async_events") == 0, 120, every=0.2)
        told = f"written in {took:.2f} s, peak {self.peak_megabytes(bridge):.0f} MB; {processes.tail(bridge.log)}"
        self.assertLess(took, 5, "it was meant to be at once")
        done = self.done()
        self.assertEqual(collections.Counter(key for _, _, key in done),
                         {f"{number % 100:02}/{number}": 1 for number in range(FILES)}, told)
        failed = sum(how == "failed" for _, how, _ in done)
        self.assertEqual(self.figure(bridge, "lambda_async_events_dropped_total"), failed, told)
        self.assertEqual(self.figure(bridge, "weir_async_events_succeeded_total"), FILES - failed, told)
        self.assertLess(self.peak_megabytes(bridge), MEMORY_MB, told)
        self.assertEqual(bridge.terminate(), 0, told)
