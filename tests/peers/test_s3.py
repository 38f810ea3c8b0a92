"""Objects of a real MinIO, messages of a queue, and files of a folder become S3 events of a function."""

import hashlib
import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request

from lib import clients, parts, processes
from lib.case import PeerTest
from lib.minio import Minio
from lib.sqs import Elasticmq, Moto
from lib.weir import Weir, function
from lib.weir import command as weir_command

EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"]
TOKEN = "peer-token"


class S3(PeerTest):
    def s3_bridge(self, name="one", aws=None, **source):
        """A bridge, not started yet, whose function keeps its events in the folder `events`."""
        self.events = self.folder / "events"
        self.events.mkdir(exist_ok=True)
        sink = function("events", self.mark, WEIR_PEER_EVENTS=self.events)
        bridge = Weir(self.folder / f"bridge-{name}", {"sink": sink},
                      {"uploads": {"type": "s3", "bucket": "uploads", "events": EVENTS, "function": "sink", **source}},
                      **({"aws": aws} if aws else {}))
        self._bridges.append(bridge)
        return bridge

    def minio(self, bridge):
        server = Minio(self.folder / "minio", f"{bridge.gateway}/s3/uploads", TOKEN)
        self.addCleanup(server.stop)
        return server.start()

    def records(self):
        """{(event's name, key): record} of what the function got; each once."""
        found = {}
        for path in self.events.glob("*.json"):
            (record,) = json.loads(path.read_text())["Records"]
            what = (record["eventName"], record["s3"]["object"]["key"])
            self.assertNotIn(what, found, "each came once")
            found[what] = record
        return found

    def wait_for(self, expected, bridge, seconds=30):
        processes.wait_until(lambda: f"{sorted(expected)} were seen; seen were {sorted(self.records())}; "
                             f"{processes.tail(bridge.log)}", lambda: set(self.records()) >= set(expected), seconds, every=0.1)
        self.assertEqual(set(self.records()), set(expected))
        return self.records()

    def judged(self, form="notification", events=None):
        """Has Powertools parse all events; AssertionError with its sentence when it does not know one. Returns what it made of
        them."""
        if events is None:
            events = self.got()
        verdict = subprocess.run([parts.command("node"), parts.HERE / "judge" / "s3.cjs", form], input=json.dumps(events),
                                 capture_output=True, text=True, timeout=30, env={"NODE_PATH": parts.powertools()})
        self.assertEqual((verdict.returncode, verdict.stderr), (0, ""), json.dumps(events, indent=1))
        return json.loads(verdict.stdout)

    def got(self):
        return [json.loads(path.read_text()) for path in self.events.glob("*.json")]


class MinioWebhook(S3):
    def test_objects_of_every_kind_become_events_that_powertools_knows(self):
        bridge = self.s3_bridge(auth_token=TOKEN).start()
        minio = self.minio(bridge)
        minio.make_bucket("uploads", ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"])
        odd = "in/ä b+c(1)%20.txt"
        minio.do("put_object", Bucket="uploads", Key=odd, Body="hello world", ContentType="text/plain")
        minio.do("copy_object", Bucket="uploads", Key="copy", CopySource={"Bucket": "uploads", "Key": odd})
        upload = minio.do("create_multipart_upload", Bucket="uploads", Key="big")["UploadId"]
        part = minio.do("upload_part", Bucket="uploads", Key="big", UploadId=upload, PartNumber=1, Body="x" * 6144)
        minio.do("complete_multipart_upload", Bucket="uploads", Key="big", UploadId=upload,
                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
        minio.do("put_object_tagging", Bucket="uploads", Key="big", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        minio.do("delete_object", Bucket="uploads", Key="copy")
        encoded = "in/%C3%A4+b%2Bc%281%29%2520.txt"
        seen = self.wait_for([("ObjectCreated:Put", encoded), ("ObjectCreated:Copy", "copy"),
                              ("ObjectCreated:CompleteMultipartUpload", "big"), ("ObjectTagging:Put", "big"),
                              ("ObjectRemoved:Delete", "copy")], bridge)
        put = seen["ObjectCreated:Put", encoded]
        self.assertEqual((put["eventSource"], put["eventVersion"], put["awsRegion"]), ("aws:s3", "2.1", "us-east-1"))
        self.assertEqual(set(put), {"eventVersion", "eventSource", "awsRegion", "eventTime", "eventName", "userIdentity",
                                    "requestParameters", "responseElements", "s3"})
        self.assertEqual(set(put["responseElements"]), {"x-amz-request-id", "x-amz-id-2"})
        self.assertEqual(put["s3"]["bucket"]["arn"], "arn:aws:s3:::uploads")
        self.assertEqual(put["s3"]["configurationId"], "uploads")
        self.assertEqual((put["s3"]["object"]["size"], put["s3"]["object"]["eTag"]),
                         (11, hashlib.md5(b"hello world").hexdigest()))
        self.assertEqual(set(seen["ObjectRemoved:Delete", "copy"]["s3"]["object"]), {"key", "sequencer"})
        self.assertEqual(self.judged(), self.got(), "Powertools knows every member, so it dropped none")
        self.assertEqual(bridge.terminate(), 0)

    def test_filters_other_buckets_and_tokens(self):
        bridge = self.s3_bridge(auth_token=TOKEN, filter={"prefix": "in/", "suffix": ".jpg"}).start()
        minio = self.minio(bridge)
        # The other bucket's event comes first: it may not hold up the queue in which MinIO keeps what was not taken.
        minio.make_bucket("others", ["s3:ObjectCreated:*"])
        minio.make_bucket("uploads", ["s3:ObjectCreated:*"], suffix=".jpg")
        minio.do("put_object", Bucket="others", Key="in/a.jpg", Body="1")
        for key in ("in/a.png", "out/a.jpg", "in/a.jpg"):
            minio.do("put_object", Bucket="uploads", Key=key, Body="1")
        self.wait_for([("ObjectCreated:Put", "in/a.jpg")], bridge)
        for token, status in ((None, 403), ("Bearer wrong", 403), (f"Bearer {TOKEN}", 400)):
            request = urllib.request.Request(f"{bridge.gateway}/s3/uploads", data=b"{}", method="POST",
                                             headers={} if token is None else {"Authorization": token})
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=5)
            with refused.exception as answer:
                self.assertEqual(answer.code, status)
                self.assertIn("message", json.loads(answer.read()))
        self.assertEqual(bridge.terminate(), 0)
        self.assertNotIn(TOKEN, bridge.log.read_text())

    def test_what_happened_while_weir_was_down_comes_when_it_is_back(self):
        bridge = self.s3_bridge(auth_token=TOKEN).start()
        minio = self.minio(bridge)
        minio.make_bucket("uploads", ["s3:ObjectCreated:*"])
        minio.do("put_object", Bucket="uploads", Key="before", Body="1")
        self.wait_for([("ObjectCreated:Put", "before")], bridge)
        bridge.kill()
        for key in ("down/1", "down/2", "down/3"):
            minio.do("put_object", Bucket="uploads", Key=key, Body="1")
        bridge.start()
        self.wait_for([("ObjectCreated:Put", key) for key in ("before", "down/1", "down/2", "down/3")], bridge)
        self.assertEqual(bridge.terminate(), 0)


class Wrapped(S3):
    def post(self, bridge, body):
        request = urllib.request.Request(f"{bridge.gateway}/s3/uploads", data=json.dumps(body).encode(), method="POST",
                                         headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())["message"]

    def test_objects_of_minio_in_the_form_of_eventbridge(self):
        bridge = self.s3_bridge(auth_token=TOKEN, format="eventbridge").start()
        minio = self.minio(bridge)
        minio.make_bucket("uploads", ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"])
        minio.do("put_object", Bucket="uploads", Key="in/a b+c.txt", Body="hello world")
        minio.do("put_object_tagging", Bucket="uploads", Key="in/a b+c.txt", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        minio.do("delete_object", Bucket="uploads", Key="in/a b+c.txt")
        processes.wait_until(lambda: f"three events came; {self.got()}", lambda: len(self.got()) == 3, 30)
        events = {event["detail-type"]: event for event in self.got()}
        self.assertEqual(set(events), {"Object Created", "Object Tags Added", "Object Deleted"})
        put = events["Object Created"]["detail"]
        self.assertEqual((put["object"]["key"], put["object"]["size"], put["object"]["etag"], put["reason"]),
                         ("in/a b+c.txt", 11, hashlib.md5(b"hello world").hexdigest(), "PutObject"))
        self.assertEqual(events["Object Deleted"]["detail"]["deletion-type"], "Permanently Deleted")
        self.assertEqual(sorted(self.judged("eventbridge"), key=str), sorted(self.got(), key=str))
        self.assertEqual(bridge.terminate(), 0)

    def test_what_went_through_sqs_sns_or_eventbridge_is_unwrapped_when_asked(self):
        bridge = self.s3_bridge(auth_token=TOKEN, unwrap=True).start()
        sample = json.loads(weir_command("event", "s3").stdout)
        sample["Records"][0]["s3"]["bucket"]["name"] = "uploads"

        def notification(key):
            sample["Records"][0]["s3"]["object"]["key"] = key
            return json.dumps(sample)
        sqs = json.loads(weir_command("event", "sqs").stdout)
        sqs["Records"][0]["body"] = notification("by-sqs")
        ((parsed,),) = [[record["body"] for record in event["Records"]] for event in self.judged("sqs", [sqs])]
        self.assertEqual(parsed["Records"][0]["s3"]["object"]["key"], "by-sqs", "Powertools finds it in there, too")
        envelope = {"version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created",
                    "source": "aws.s3", "account": "111122223333", "time": "2021-11-12T00:00:00Z", "region": "ca-central-1",
                    "resources": ["arn:aws:s3:::uploads"],
                    "detail": {"version": "0", "bucket": {"name": "uploads"},
                               "object": {"key": "by eventbridge", "size": 5, "etag": "b57f9512698f4b09e608f4f2a65852e5",
                                          "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e", "sequencer": "00617F08299329D189"},
                               "request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "source-ip-address": "1.2.3.4",
                               "reason": "PutObject"}}
        self.judged("eventbridge", [envelope])
        for body in (sqs, {"Type": "Notification", "Message": notification("by-sns")}, envelope):
            self.assertEqual(self.post(bridge, body), "accepted 1 of 1 event")
        self.assertEqual(self.post(bridge, {"Type": "Notification", "Message": "something else"}), "accepted 0 of 1 event")
        seen = self.wait_for([("ObjectCreated:Put", key) for key in ("by-sqs", "by-sns", "by+eventbridge")], bridge)
        self.assertEqual(seen["ObjectCreated:Put", "by+eventbridge"]["s3"]["object"]["versionId"],
                         "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e")
        self.judged()
        self.assertEqual(bridge.terminate(), 0)


class Queue(S3):
    """An SQS queue that the bucket's notifications are sent to."""

    def polled(self, server):
        clients.sign(self)
        server.start()
        self.addCleanup(server.stop)
        dead = server.make_queue("dead")
        redrive = json.dumps({"deadLetterTargetArn": server.arn(dead), "maxReceiveCount": 2})
        queue = server.make_queue("uploads", VisibilityTimeout="1", RedrivePolicy=redrive)
        sample = json.loads(weir_command("event", "s3").stdout)
        sample["Records"][0]["s3"]["bucket"]["name"] = "uploads"

        def notification(key):
            sample["Records"][0]["s3"]["object"]["key"] = key
            return json.dumps(sample)
        envelope = {"source": "aws.s3", "detail-type": "Object Created", "time": "2021-11-12T00:00:00Z", "region": "us-east-1",
                    "account": "111122223333",
                    "detail": {"bucket": {"name": "uploads"}, "reason": "PutObject", "requester": "123456789012",
                               "request-id": "N4N7GDK58NMKJ12R", "source-ip-address": "1.2.3.4",
                               "object": {"key": "by eventbridge", "size": 5, "etag": "b57f9512698f4b09e608f4f2a65852e5",
                                          "sequencer": "00617F08299329D189"}}}
        keys = [f"in/{number}" for number in range(40)]
        server.send(queue, [json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads"}),
                            json.dumps({"Type": "Notification", "Message": notification("by-sns")}), json.dumps(envelope), "no event",
                            *map(notification, keys)])
        bridge = self.s3_bridge(queue=queue, aws={"region": server.region}).start()
        self.wait_for([("ObjectCreated:Put", key) for key in ("by-sns", "by+eventbridge", *keys)], bridge)
        self.judged()
        processes.wait_until(lambda: f"what is no event is among the dead letters; {processes.tail(bridge.log)}",
                             lambda: server.left(dead) == (1, 0), 30, every=0.3)
        processes.wait_until(lambda: f"the queue is empty; {processes.tail(bridge.log)}", lambda: server.left(queue) == (0, 0), 30, every=0.3)
        self.assertEqual(bridge.terminate(), 0)

    def test_a_queue_of_elasticmq_is_polled(self):
        self.polled(Elasticmq(self.folder / "elasticmq"))

    def test_a_queue_of_moto_is_polled(self):
        self.polled(Moto(self.folder / "moto"))


class Samples(S3):
    def test_powertools_knows_every_sample(self):
        help_text = weir_command("event", "--help").stdout
        names = re.findall(r"^ +s3 ([a-z-]+):", help_text, re.MULTILINE)
        self.assertGreater(len(names), 5, help_text)
        for name in names:
            with self.subTest(name=name):
                event = json.loads(weir_command("event", "s3", name).stdout)
                form = "eventbridge" if name.startswith("eventbridge-") else "notification"
                self.assertEqual(self.judged(form, [event]), [event])


class FolderAsBucket(S3):
    def test_files_become_events_that_powertools_knows(self):
        bucket = self.folder / "bucket"
        (bucket / "in").mkdir(parents=True)
        (bucket / "in" / "there before").write_text("1")
        bridge = self.s3_bridge(folder=str(bucket)).start()
        (bucket / "a+b").write_text("hello world")
        self.wait_for([("ObjectCreated:Put", "in/there+before"), ("ObjectCreated:Put", "a%2Bb")], bridge)
        (bucket / "a+b").unlink()
        seen = self.wait_for([("ObjectCreated:Put", "in/there+before"), ("ObjectCreated:Put", "a%2Bb"),
                              ("ObjectRemoved:Delete", "a%2Bb")], bridge)
        self.assertEqual(seen["ObjectCreated:Put", "a%2Bb"]["s3"]["object"]["eTag"], hashlib.md5(b"hello world").hexdigest())
        self.assertEqual(self.judged(), self.got(), "Powertools knows every member, so it dropped none")
        self.assertEqual(bridge.terminate(), 0)

    def test_a_bridge_that_is_killed_loses_no_file_and_announces_none_twice(self):
        bucket = self.folder / "bucket"
        bucket.mkdir()
        bridge = self.s3_bridge(folder=str(bucket)).start()
        expected = set()
        for life in range(3):
            for number in range(100):
                (bucket / f"{life}-{number}").write_text(str(number))
                expected.add(f"{life}-{number}")
            os.kill(bridge.process.pid, signal.SIGKILL)
            bridge.process.wait(10)
            (bucket / f"down-{life}").write_text("written while it was down")
            expected.add(f"down-{life}")
            bridge.start()
        # An invocation may be repeated by a kill; then it has its request id again, so its file is the same.
        self.wait_for([("ObjectCreated:Put", key) for key in expected], bridge, 60)
        self.assertEqual(bridge.terminate(), 0)
