"""Load on asynchronous sources while the function fails half the time: nothing accepted is lost, and memory stays bounded."""

import collections
import json
import os
import time
import urllib.request

from lib import parts, processes, pushers, weir
from lib.case import PeerTest
from lib.weir import Weir, function

SECONDS = float(os.environ.get("WEIR_LOAD_SECONDS", "12"))  # README.md
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
        """The request id of each, page by page."""
        found, page = [], "/deadletters?after=0&limit=10000"
        while page:
            with urllib.request.urlopen(f"http://127.0.0.1:{bridge.port}{page}", timeout=60) as answer:
                found += [letter["request_id"] for letter in json.loads(answer.read())]
                link = answer.headers.get("Link", "")
            self.assertRegex(link, '^(</deadletters[?].*>; rel="next")?$')
            page = link[1:link.index(">")] if link else ""
        return found

    def peak_megabytes(self, bridge):
        with open(f"/proc/{bridge.process.pid}/status", encoding="ascii") as status:
            (line,) = [line for line in status if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024

    def test_64_clients_push_at_full_speed_and_every_accepted_event_is_delivered_or_kept(self):
        bridge = self.load_bridge({
            "uploads": {"type": "s3", "bucket": "uploads", "function": "sink"},
            "topic": {"type": "sns", "topic": "load", "function": "sink"},
            "orders": {"type": "eventbridge", "bus": "load", "event_pattern": {"source": ["load"]}, "function": "sink"},
            "lines": {"type": "logs", "log_group": "/load", "function": "sink"}}).start()

        def api(target, arguments):
            return pushers.request("/", json.dumps(arguments).encode(), Content_Type="application/x-amz-json-1.1", X_Amz_Target=target)

        def webhook(client):
            def make(number):
                record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                          "s3": {"bucket": {"name": "uploads"}, "object": {"key": f"{client}/{number}", "size": 1}}}
                return pushers.request("/s3/uploads", json.dumps({"Records": [record]}).encode(), Content_Type="application/json")
            return make

        def invocation(client):
            return lambda number: pushers.request("/2015-03-31/functions/sink/invocations",
                                                  json.dumps({"client": client, "number": number}).encode(),
                                                  Content_Type="application/json", X_Amz_Invocation_Type="Event")

        def message(client):
            return lambda number: pushers.request(
                "/", f"Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A000000000000%3Aload&Message={client}-{number}".encode(),
                Content_Type="application/x-www-form-urlencoded")

        def entry(client):
            return lambda number: api("AWSEvents.PutEvents", {"Entries": [{
                "EventBusName": "load", "Source": "load", "DetailType": "Number", "Detail": json.dumps({"client": client, "number": number})}]})

        def line(client):
            def make(number):
                if number == 0:
                    return api("Logs_20140328.CreateLogStream", {"logGroupName": "/load", "logStreamName": f"of-{client}"})
                return api("Logs_20140328.PutLogEvents", {"logGroupName": "/load", "logStreamName": f"of-{client}", "logEvents": [
                    {"timestamp": int(time.time() * 1000), "message": f"number {number}"}]})
            return make

        def waiting(_):
            return lambda _: pushers.request("/2015-03-31/functions/sink/invocations", b'{"waits": true}',
                                                Content_Type="application/json")
        # Among them are some that wait for the function. There is not room for all, which they are told.
        makers = {"webhook": (webhook, 14), "invocation": (invocation, 14), "topic": (message, 10), "bus": (entry, 10), "log": (line, 8),
                  "waiting": (waiting, 8)}
        pushed = pushers.push(bridge.gateway_port, {name: [make(client) for client in range(count)]
                                                    for name, (make, count) in makers.items()}, SECONDS)
        peak = self.peak_megabytes(bridge)
        told = "; ".join(f"{name}: {dict(each.statuses)}, {each.refusals}, {each.broken} broken" for name, each in pushed.items())
        told += f"; peak {peak:.0f} MB; {processes.tail(bridge.log)}"
        for name in makers:
            success = 202 if name == "invocation" else 200
            self.assertEqual(pushed[name].broken, 0, told)
            self.assertGreater(pushed[name].statuses[success], 0, told)
            self.assertLessEqual(set(pushed[name].statuses), {success, 429, 500, 503}, told)
            for status, body in pushed[name].refusals.items():
                self.assertRegex(body, r'<Message>[^<]|"[Mm]essage": ?"[^"]', (name, status))
        self.assertGreater(pushed["waiting"].statuses[429], 0, told)
        self.assertLess(peak, MEMORY_MB, told)
        self.assertEqual(pushed["bus"].members["FailedEntryCount"], {"0"}, told)
        # A stream is made once for each of those who put.
        accepted = sum(pushed[name].accepted() for name in makers if name != "waiting") - makers["log"][1]
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
        done, dead = self.done(), self.dead_letters(bridge)
        self.assertLess(self.peak_megabytes(bridge), MEMORY_MB, told)
        handled = {request for request, how, _ in done if how == "handled"}
        failed = {request for request, how, _ in done if how == "failed"}
        told = f"handled {len(handled)}, failed {len(failed)}, of {len(dead)} dead letters {waited} waited; {told}"
        self.assertEqual(len(handled) + len(failed), len(done), f"each was delivered once; {told}")
        self.assertEqual(len(set(dead)), len(dead), told)
        self.assertEqual(len(handled | set(dead)), accepted, told)
        self.assertEqual(len(handled) + len(dead), accepted, f"an event is handled or kept, not both; {told}")
        self.assertLessEqual(failed, set(dead), told)
        self.assertGreater(min(len(handled), len(failed)), 0, told)

        def command(*arguments):
            asked = weir.command("deadletter", *arguments, "--config", bridge.config, seconds=300)
            self.assertEqual(asked.returncode, 0, asked.stderr)
            return asked.stdout
        running = command("list", "--json")
        self.assertEqual([letter["request_id"] for letter in json.loads(running)], dead, "the command follows the pages, too")
        self.assertEqual(command("list", "--json", "--limit", 3), json.dumps(json.loads(running)[-3:], separators=(",", ":")) + "\n")
        self.assertEqual(bridge.terminate(), 0)
        self.assertEqual(command("list", "--json"), running, "and finds the same in a folder that nobody holds")
        self.assertEqual(len(command("list").splitlines()), 1 + len(dead))
        self.assertEqual(command("redrive", "--all"), f"{len(dead)} dead letters are sent again when the bridge runs\n")
        self.assertEqual(command("list", "--json"), "[]\n")
        print(f"        {SECONDS:.0f} s: {accepted} events accepted ({', '.join(f'{name} {each.accepted()}' for name, each in pushed.items())}), "
              f"{len(handled)} handled, {len(dead)} kept; at most {peak:.0f} MB")

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
