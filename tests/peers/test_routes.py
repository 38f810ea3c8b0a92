"""Bodies that are too large or make no sense, on every route of the gateway and of the admin address: each is refused in the
protocol of its route, nothing of it is accepted, and weir goes on."""

import http.client
import json
import re

from lib.case import PeerTest
from lib.weir import Weir, function

JSON_11 = "application/x-amz-json-1.1"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
LARGE = 7 << 20  # more than any route takes
NO_JSON = {"nothing": b"", "half an object": b'{"Entries": [', "no text": bytes(range(256)), "an array": b"[1]", "null": b"null",
           "nested for ever": b"[" * 100_000, "a member of no type": b'{"Entries": 7, "Records": 7, "logEvents": 7, "ids": 7}',
           "half a character": b'{"Records": "\xc3"}', "two values": b"{}{}"}
# Its body may be any JSON.
NO_JSON_AT_ALL = {name: NO_JSON[name] for name in ("half an object", "no text", "nested for ever", "half a character", "two values")}
NO_FORM = {"a name of no action": b"Action=Nonsense&Version=2010-03-31", "a percent sign out of place": b"Action=Publish&Version=2010-03-31&Message=%zz",
           "members of no list": b"Action=PublishBatch&Version=2010-03-31&PublishBatchRequestEntries.member.x.Id=1",
           "nothing but the action": b"Action=Publish&Version=2010-03-31", "no text": b"Action=Publish&Version=2010-03-31&Message=" + bytes(range(128, 256)),
           "a list of ends": b"Action=PublishBatch&Version=2010-03-31" + b"".join(b"&PublishBatchRequestEntries.member.%d.Id=a" % n for n in range(1, 2000))}


def target(name):
    return {"X-Amz-Target": name, "Content-Type": JSON_11}


# (name, path, headers, bodies that make no sense)
ROUTES = [
    ("Invoke", "/2015-03-31/functions/sink/invocations", {}, NO_JSON_AT_ALL),
    ("Invoke, as an event", "/2015-03-31/functions/sink/invocations", {"X-Amz-Invocation-Type": "Event"}, NO_JSON_AT_ALL),
    ("InvokeAsync", "/2014-11-13/functions/sink/invoke-async/", {}, NO_JSON_AT_ALL),
    ("a webhook of S3", "/s3/uploads", {"Content-Type": "application/json"}, NO_JSON),
    ("a webhook of SNS", "/sns/foreign", {"Content-Type": "text/plain", "x-amz-sns-message-type": "Notification"}, NO_JSON),
    ("a confirmation of SNS", "/sns/foreign", {"Content-Type": "text/plain", "x-amz-sns-message-type": "SubscriptionConfirmation"}, NO_JSON),
    ("the API of SNS", "/", {"Content-Type": FORM}, NO_FORM),
    ("PutEvents", "/", target("AWSEvents.PutEvents"), NO_JSON),
    ("PutRule", "/", target("AWSEvents.PutRule"), NO_JSON),
    ("PutTargets", "/", target("AWSEvents.PutTargets"), NO_JSON),
    ("TestEventPattern", "/", target("AWSEvents.TestEventPattern"), NO_JSON),
    ("PutLogEvents", "/", target("Logs_20140328.PutLogEvents"), NO_JSON),
    ("PutSubscriptionFilter", "/", target("Logs_20140328.PutSubscriptionFilter"), NO_JSON),
    ("CreateLogGroup", "/", target("Logs_20140328.CreateLogGroup"), NO_JSON),
    ("an API that is not there", "/", target("AmazonSQS.SendMessage"), NO_JSON),
]
ADMIN_ROUTES = [("/deadletters/redrive", NO_JSON), ("/checkpoints", NO_JSON)]


class Routes(PeerTest):
    def setUp(self):
        super().setUp()
        sink = function("python", self.mark, WEIR_PEER_OUT=self.folder / "out.txt")
        self.running = Weir(self.folder / "bridge", {"sink": sink}, {
            "uploads": {"type": "s3", "bucket": "uploads", "function": "sink"},
            "foreign": {"type": "sns", "topic_arn": ["arn:aws:sns:us-east-1:123456789012:foreign"], "function": "sink"},
            "topic": {"type": "sns", "topic": "topic", "function": "sink"},
            "orders": {"type": "eventbridge", "bus": "default", "event_pattern": {"source": ["shop"]}, "function": "sink"},
            "lines": {"type": "logs", "log_group": "/shop", "function": "sink"}})
        self._bridges.append(self.running)
        self.running.start()

    def post(self, port, path, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode(errors="replace")
        finally:
            connection.close()

    def check_refusal(self, status, headers, text):
        self.assertIn(status, range(400, 500), text)
        if "xml" in headers.get("Content-Type", ""):
            self.assertRegex(text, "<Code>[A-Za-z.]+</Code>")
            message = re.search("<Message>(.*)</Message>", text, re.DOTALL)[1]
        else:
            said = json.loads(text)
            (message,) = [value for name, value in said.items() if name.lower() == "message"]
        self.assertGreater(len(message), 10, text)
        self.assertLess(len(message), 2000, "the message is not the body")

    def received(self):
        page = self.running.get("/metrics")[1].splitlines()
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in page if line.startswith("lambda_async_events_received_total{"))

    def test_every_route_refuses_what_makes_no_sense(self):
        for name, path, headers, bodies in ROUTES:
            for what, body in bodies.items():
                with self.subTest(route=name, body=what):
                    self.check_refusal(*self.post(self.running.gateway_port, path, headers, body))
        for path, bodies in ADMIN_ROUTES:
            for what, body in bodies.items():
                with self.subTest(route=path, body=what):
                    self.check_refusal(*self.post(self.running.port, path, {}, body))
        self.assertEqual(self.running.get("/healthz")[0], 200)
        self.assertEqual(self.received(), 0)
        self.assertEqual(self.running.terminate(), 0)

    def test_every_route_refuses_what_is_too_large(self):
        body = b'{"Message": "' + b"x" * LARGE + b'"}'
        form = b"Action=Publish&Version=2010-03-31&Message=" + b"x" * LARGE
        for name, path, headers, bodies in ROUTES:
            with self.subTest(route=name):
                status, said, text = self.post(self.running.gateway_port, path, headers, form if bodies is NO_FORM else body)
                self.check_refusal(status, said, text)
                if name != "an API that is not there":
                    self.assertEqual(status, 413, text)
        for path, _ in ADMIN_ROUTES:
            with self.subTest(route=path):
                self.assertEqual(self.post(self.running.port, path, {}, body)[0], 413)
        self.assertEqual(self.received(), 0)
        self.assertEqual(self.running.get("/healthz")[0], 200)
        with open(f"/proc/{self.running.process.pid}/status", encoding="ascii") as status:
            (peak,) = [int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM:")]
        self.assertLess(peak, 128, "bodies that are too large are not kept")
        self.assertEqual(self.running.terminate(), 0)
