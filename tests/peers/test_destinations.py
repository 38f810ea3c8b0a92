"""AWS's records at real destinations: moto's SQS, SNS, S3 and EventBridge, MinIO, and a topic of the source's own broker."""

import json
import os
import re
import unittest.mock
import urllib.parse
import urllib.request

from lib import processes
from lib.case import PeerTest, shared_broker
from lib.minio import ACCESS_KEY, SECRET_KEY, Minio
from lib.sqs import AUTHORIZATION, CREDENTIALS, Moto
from lib.weir import Weir, function

REGION = "us-east-1"
KEY = re.compile(r"^of/mine/aws/lambda/[0-9a-f-]{36}/shardId-000000000000/\d{4}/\d\d/\d\d/"
                 r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{36}$")


class Destinations(PeerTest):
    def as_caller(self, credentials):
        patch = unittest.mock.patch.dict(os.environ, credentials)
        patch.start()
        self.addCleanup(patch.stop)

    def failing_bridge(self, endpoint, destinations, **more):
        """Each destination gets what a source of its own gives up on: two lines, which the function cannot read."""
        lines = self.folder / "orders.jsonl"
        lines.write_text('{"order":1}\n{"order":2,"text":"\\"Zoë\\""}\n')
        bridge = Weir(self.folder / "bridge", {"sink": {**function("node", self.mark), **more}},
                      {name: {"type": "file", "path": str(lines), "function": "sink", "maximum_retry_attempts": 0,
                              "destination_on_failure": destination} for name, destination in destinations.items()},
                      aws={"region": REGION, "endpoint_url": endpoint})
        self._bridges.append(bridge)
        return bridge.start()

    def check_record(self, record):
        self.assertEqual(list(record), ["requestContext", "responseContext", "version", "timestamp", "KinesisBatchInfo"])
        self.assertEqual(record["requestContext"]["condition"], "RetryAttemptsExhausted")
        self.assertEqual(record["responseContext"],
                         {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"})
        self.assertEqual(record["KinesisBatchInfo"]["batchSize"], 2)

    def sns(self, moto, **fields):
        """An action of SNS; the answer's XML."""
        request = urllib.request.Request(moto.url + "/", data=urllib.parse.urlencode(fields).encode(), headers={
            "Authorization": AUTHORIZATION.replace("/sqs/", "/sns/")})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    def s3(self, moto, target, method="GET"):
        """The headers and the body of an answer of S3."""
        request = urllib.request.Request(moto.url + target, method=method, headers={
            "Authorization": AUTHORIZATION.replace("/sqs/", "/s3/")})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers, answer.read()

    def received(self, moto, queue, bridge):
        """The body of the one message of a queue."""
        found = []

        def there():
            found.extend(moto.call("ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"],
                                   MessageSystemAttributeNames=["All"]).get("Messages", []))
            return found
        processes.wait_until(lambda: f"a message is in {queue}; {self.explain([bridge])}", there, 20)
        self.assertEqual(len(found), 1)
        return found[0]

    def test_queue_topic_and_bucket(self):
        self.as_caller(CREDENTIALS)
        moto = Moto(self.folder / "moto")
        self.addCleanup(moto.stop)
        moto.start()
        lost, heard, asynchronous = (moto.make_queue(name) for name in ("lost", "heard", "asynchronous"))
        topic = re.search("<TopicArn>(.*)</TopicArn>", self.sns(moto, Action="CreateTopic", Name="lost"))[1]
        self.sns(moto, Action="Subscribe", TopicArn=topic, Protocol="sqs", Endpoint=moto.arn(heard))
        self.s3(moto, "/bucket", method="PUT")
        bridge = self.failing_bridge(moto.url, {"queue": "sqs:lost", "topic": "sns:lost", "bucket": "s3:bucket/of/mine"},
                                     on_failure=f"sqs:{asynchronous}", maximum_retry_attempts=0)

        self.check_record(json.loads(self.received(moto, lost, bridge)["Body"]))
        notification = json.loads(self.received(moto, heard, bridge)["Body"])
        self.assertEqual((notification["Type"], notification["TopicArn"]), ("Notification", topic))
        self.check_record(json.loads(notification["Message"]))

        keys = []

        def put():
            keys[:] = re.findall("<Key>(.*?)</Key>", self.s3(moto, "/bucket?list-type=2")[1].decode())
            return keys
        processes.wait_until(lambda: f"an object is there; {self.explain([bridge])}", put, 20)
        self.assertEqual(len(keys), 1)
        self.assertRegex(keys[0], KEY)
        headers, body = self.s3(moto, f"/bucket/{keys[0]}")
        self.assertEqual(headers["Content-Type"], "application/octet-stream")
        record = json.loads(body)
        event = json.loads(record.pop("payload"))
        self.check_record(record)
        self.assertEqual(len(event["Records"]), 2)

        invocation = urllib.request.Request(
            bridge.gateway + "/2015-03-31/functions/sink/invocations", data=b'{"do":"throw"}',
            headers={"X-Amz-Invocation-Type": "Event",
                     "X-Amzn-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"})
        with urllib.request.urlopen(invocation, timeout=30) as answer:
            self.assertEqual(answer.status, 202)
        message = self.received(moto, asynchronous, bridge)
        record = json.loads(message["Body"])
        self.assertEqual((record["requestContext"]["condition"], record["requestPayload"]),
                         ("RetriesExhausted", {"do": "throw"}))
        self.assertIn("Root=1-5759e988", message["Attributes"]["AWSTraceHeader"])
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))

    def events(self, moto, operation, **arguments):
        """An operation of EventBridge."""
        request = urllib.request.Request(moto.url + "/", data=json.dumps(arguments).encode(), headers={
            "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AWSEvents.{operation}",
            "Authorization": AUTHORIZATION.replace("/sqs/", "/events/")})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")

    def test_bus_and_dead_letter_queue(self):
        self.as_caller(CREDENTIALS)
        moto = Moto(self.folder / "moto")
        self.addCleanup(moto.stop)
        moto.start()
        letters, put = (moto.make_queue(name) for name in ("letters", "put"))
        bus = self.events(moto, "CreateEventBus", Name="ended")["EventBusArn"]
        self.events(moto, "PutRule", Name="lambda", EventBusName="ended", EventPattern=json.dumps({"source": ["lambda"]}))
        self.events(moto, "PutTargets", Rule="lambda", EventBusName="ended", Targets=[{"Id": "1", "Arn": moto.arn(put)}])
        bridge = self.failing_bridge(moto.url, {}, on_failure=bus, dead_letter="sqs:letters", maximum_retry_attempts=0)

        invocation = urllib.request.Request(bridge.gateway + "/2015-03-31/functions/sink/invocations",
                                            data=b'{"do" : "throw"}', headers={"X-Amz-Invocation-Type": "Event"})
        with urllib.request.urlopen(invocation, timeout=30) as answer:
            request_id = answer.headers["x-amzn-RequestId"]
        event = json.loads(self.received(moto, put, bridge)["Body"])
        self.assertEqual((event["source"], event["detail-type"]),
                         ("lambda", "Lambda Function Invocation Result - Failure"))
        record = event["detail"]
        self.assertEqual(event["resources"], [bus, record["requestContext"]["functionArn"]])
        self.assertEqual((record["requestContext"]["requestId"], record["requestContext"]["condition"],
                          record["requestPayload"]), (request_id, "RetriesExhausted", {"do": "throw"}))

        found = []

        def there():
            found.extend(moto.call("ReceiveMessage", QueueUrl=letters, MessageAttributeNames=["All"]).get("Messages", []))
            return found
        processes.wait_until(lambda: f"the event is in the dead-letter queue; {self.explain([bridge])}", there, 20)
        self.assertEqual(found[0]["Body"], '{"do" : "throw"}')
        attributes = {name: (each["DataType"], each["StringValue"])
                      for name, each in found[0]["MessageAttributes"].items()}
        self.assertEqual(attributes.pop("ErrorMessage")[0], "String")
        self.assertEqual(attributes, {"RequestID": ("String", request_id), "ErrorCode": ("Number", "200")})
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))

    def test_bucket_of_minio(self):
        self.as_caller({"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY})
        minio = Minio(self.folder / "minio", "http://127.0.0.1:9/", "unused")
        self.addCleanup(minio.stop)
        minio.start()
        minio.do("create_bucket", Bucket="lost")
        bridge = self.failing_bridge(f"http://{minio.address}", {"orders": "s3:lost/of/mine"})
        found = []

        def put():
            found[:] = minio.do("list_objects_v2", Bucket="lost").get("Contents", [])
            return found
        processes.wait_until(lambda: f"an object is there; {self.explain([bridge])}", put, 20)
        self.assertEqual(len(found), 1)
        self.assertRegex(found[0]["Key"], KEY)
        self.assertEqual(minio.do("head_object", Bucket="lost", Key=found[0]["Key"])["ContentType"],
                         "application/octet-stream")
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))


class KafkaMapping(PeerTest):
    def setUp(self):
        super().setUp()
        self.broker, self.topic = shared_broker(), f"mapping-{self._testMethodName[5:25]}"
        self.lost = f"{self.topic}-lost"
        self.broker.client.create_topic(self.topic, 1)
        self.broker.client.create_topic(self.lost, 1)

    def run_until_lost(self, values, **mapping):
        """Runs the values through a mapping whose destination is another topic; gives the batches of the source's topic as
        lists of offsets, in order, and the messages in the other topic, of which there is to be one."""
        self.broker.client.produce(self.topic, 0, [value.encode() for value in values])
        bridge = self.bridge("node", self.broker, self.topic, self.topic,
                             mapping={"maximum_batching_window_in_seconds": 1, "destination_on_failure": f"kafka:{self.lost}",
                                      "maximum_retry_attempts": 1, **mapping})
        self.add_source(bridge, "lost", self.broker, self.lost)
        bridge.start()

        def lost():
            return [record for record in self.seen.records() if record["topic"] == self.lost]
        processes.wait_until(lambda: f"a record comes through the destination; {self.explain([bridge])}", lost, 25)
        self.wait_committed(self.broker, self.topic, self.topic, bridges=[bridge])
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))
        batches = [[record["offset"] for record in invocation["records"]] for invocation in self.seen.read()
                   if invocation["records"][0]["topic"] == self.topic]
        return batches, [json.loads(record["value"]) for record in lost()]

    def check_lost(self, records, offset, function_error):
        self.assertEqual(len(records), 1)
        record = records[0]
        self.assertEqual(record["requestContext"]["condition"], "RetryAttemptsExhausted")
        self.assertEqual(record["responseContext"]["functionError"], function_error)
        self.assertEqual(record["KafkaBatchInfo"]["recordInfo"]["offset"], str(offset))
        self.assertEqual([each["offset"] for each in record["payload"]["records"][f"{self.topic}-0"]], [offset])

    # Source of both sequences: recorded from AWS, reference stream-sources.md, 5.1.
    def test_partial_response_with_bisect(self):
        batches, lost = self.run_until_lost(["one", "fail two", "three", "four"], bisect_batch_on_function_error=True,
                                            function_response_types=["ReportBatchItemFailures"])
        self.assertEqual(batches, [[0, 1, 2, 3], [1, 2, 3], [1], [1], [2, 3]])
        self.check_lost(lost, 1, None)

    def test_exception_with_bisect(self):
        batches, lost = self.run_until_lost(["one", "throw-always two", "three", "four"], bisect_batch_on_function_error=True)
        self.assertEqual(batches, [[0, 1, 2, 3], [0, 1], [0], [1], [1], [2, 3]])
        self.check_lost(lost, 1, "Unhandled")

    def test_filtered_records_are_committed_and_never_seen(self):
        self.broker.client.produce(self.topic, 0, [json.dumps({"keep": offset % 3 == 0}).encode() for offset in range(10)])
        bridge = self.bridge("node", self.broker, self.topic, self.topic,
                             mapping={"filter_criteria": [{"value": {"keep": [True]}}, {"offset": [7]}]})
        bridge.start()
        self.wait_committed(self.broker, self.topic, self.topic, bridges=[bridge])
        self.assertEqual(self.seen.offsets(), {0: [0, 3, 6, 7, 9]})
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))
