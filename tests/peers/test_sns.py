"""SNS at the gateway with AWS's own clients, a foreign queue as subscriber, and weir's notifications received by a second weir."""

import base64
import json
import subprocess

from lib import clients, parts, processes
from lib.case import PeerTest
from lib.sqs import Elasticmq
from lib.weir import Weir, function

ACCOUNT = "arn:aws:sns:us-east-1:000000000000"


class Sns(PeerTest):
    def setUp(self):
        super().setUp()
        clients.sign(self)

    def bridge(self, name, sources, **settings):
        """A bridge whose function keeps its events in a folder of the bridge's name."""
        events = self.folder / f"events-{name}"
        events.mkdir()
        bridge = Weir(self.folder / f"bridge-{name}", {"sink": function("events", self.mark, WEIR_PEER_EVENTS=events)}, sources,
                      **settings)
        self._bridges.append(bridge)
        bridge.events = events
        return bridge

    def events(self, bridge, count):
        def found():
            return [json.loads(path.read_text()) for path in bridge.events.glob("*.json")]
        processes.wait_until(lambda: f"{count} events came, {len(found())} did; {processes.tail(bridge.log)}",
                             lambda: len(found()) >= count, 30, every=0.1)
        self.assertEqual(len(found()), count)
        return found()

    def calls(self, client, url, *asked):
        return clients.calls(self, client, "sns", url, *asked)

    def aws(self, url, *arguments):
        return clients.aws("sns", url, *arguments)

    def judged(self, events):
        verdict = subprocess.run([parts.command("node"), parts.HERE / "judge" / "sns.cjs"], input=json.dumps(events),
                                 capture_output=True, text=True, timeout=30, env={"NODE_PATH": parts.powertools()})
        self.assertEqual(verdict.returncode, 0, verdict.stderr)

    def test_clients_make_topics_and_publish_to_a_function(self):
        bridge = self.bridge("one", {"audit": {"type": "sns", "topic": "orders", "function": "sink",
                                               "filter_policy": {"tier": ["gold"]}}}).start()
        orders = f"{ACCOUNT}:orders"
        for client in ("boto3", "node"):
            tier = {"tier": {"DataType": "String", "StringValue": "gold"}}
            made, topics, sent, left, batch, wrong, attributes, tagged, tags = self.calls(
                client, bridge.gateway, ["CreateTopic", {"Name": client}], ["ListTopics", {}],
                ["Publish", {"TopicArn": orders, "Message": client, "Subject": "s", "MessageAttributes": tier}],
                ["Publish", {"TopicArn": orders, "Message": "left out"}],
                ["PublishBatch", {"TopicArn": orders, "PublishBatchRequestEntries": [
                    {"Id": "1", "Message": client + " batch", "MessageAttributes": tier}, {"Id": "2", "Message": "x", "Subject": ""}]}],
                ["Publish", {"TopicArn": orders + "x", "Message": "x"}],
                ["GetTopicAttributes", {"TopicArn": orders}],
                ["TagResource", {"ResourceArn": orders, "Tags": [{"Key": "by", "Value": client}]}],
                ["ListTagsForResource", {"ResourceArn": orders}])
            self.assertEqual(made["TopicArn"], f"{ACCOUNT}:{client}")
            self.assertIn({"TopicArn": orders}, topics["Topics"])
            self.assertIn("MessageId", sent)
            self.assertIn("MessageId", left)
            self.assertEqual([each["Id"] for each in batch["Successful"]], ["1"])
            self.assertEqual([(each["Id"], each["Code"]) for each in batch["Failed"]], [("2", "InvalidParameter")])
            self.assertIn(wrong["error"], ("NotFound", "NotFoundException"))
            self.assertEqual(attributes["Attributes"]["SubscriptionsConfirmed"], "1")
            self.assertEqual(tagged, {})
            self.assertEqual(tags["Tags"], [{"Key": "by", "Value": client}])
        self.aws(bridge.gateway, "publish", "--topic-arn", orders, "--message", "aws", "--message-attributes",
                 '{"tier": {"DataType": "String", "StringValue": "gold"}}')
        events = self.events(bridge, 5)
        self.assertEqual({event["Records"][0]["Sns"]["Message"] for event in events},
                         {"boto3", "boto3 batch", "node", "node batch", "aws"})
        self.judged(events)

    def test_a_queue_gets_envelopes_and_raw_messages(self):
        queues = Elasticmq(self.folder / "queues")
        self.addCleanup(queues.stop)
        queues.start()
        plain, raw = queues.make_queue("plain"), queues.make_queue("raw")
        bridge = self.bridge("one", {}, aws={"endpoint_url": queues.url, "region": "us-east-1"}).start()
        orders = f"{ACCOUNT}:orders"
        arn = "arn:aws:sqs:us-east-1:000000000000"
        said = self.calls("boto3", bridge.gateway, ["CreateTopic", {"Name": "orders"}],
                          ["Subscribe", {"TopicArn": orders, "Protocol": "sqs", "Endpoint": f"{arn}:plain"}],
                          ["Subscribe", {"TopicArn": orders, "Protocol": "sqs", "Endpoint": f"{arn}:raw",
                                         "Attributes": {"RawMessageDelivery": "true"}}],
                          ["Publish", {"TopicArn": orders, "Message": "hello",
                                       "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "7"}}}])
        self.assertTrue(said[1]["SubscriptionArn"].startswith(orders + ":"), said)

        def message(queue):
            got = []

            def came():
                got.extend(queues.call("ReceiveMessage", QueueUrl=queue, MessageAttributeNames=["All"]).get("Messages", []))
                return got
            processes.wait_until(lambda: f"a message is in {queue}; {processes.tail(bridge.log)}", came, 30, every=0.2)
            return got[0]
        envelope = json.loads(message(plain)["Body"])
        self.assertEqual((envelope["Type"], envelope["Message"], envelope["MessageId"]), ("Notification", "hello", said[3]["MessageId"]))
        self.assertNotIn("Subject", envelope)
        bare = message(raw)
        self.assertEqual(bare["Body"], "hello")
        self.assertEqual(bare["MessageAttributes"]["n"]["StringValue"], "7")

    def test_a_second_weir_confirms_and_receives_over_http(self):
        first = self.bridge("first", {})
        host = f"127.0.0.1:{first.gateway_port}"
        second = self.bridge("second", {"mail": {"type": "sns", "topic_arn": f"{ACCOUNT}:orders", "confirm": True,
                                                 "certificate_hosts": [host], "function": "sink"}})
        first.start()
        second.start()
        orders = f"{ACCOUNT}:orders"
        for version in ("1", "2"):
            self.calls("boto3", first.gateway, ["CreateTopic", {"Name": "orders"}],
                       ["SetTopicAttributes", {"TopicArn": orders, "AttributeName": "SignatureVersion", "AttributeValue": version}],
                       ["Subscribe", {"TopicArn": orders, "Protocol": "http", "Endpoint": f"{second.gateway}/sns/mail"}])

            def confirmed():
                (said,) = self.calls("boto3", first.gateway, ["GetTopicAttributes", {"TopicArn": orders}])
                return said["Attributes"]["SubscriptionsConfirmed"] == "1"
            processes.wait_until(lambda: f"the subscription is confirmed; {processes.tail(second.log)}", confirmed, 30, every=0.3)
            self.calls("boto3", first.gateway, ["Publish", {"TopicArn": orders, "Message": "über " + version, "MessageAttributes": {
                "b": {"DataType": "Binary", "BinaryValue": base64.b64encode(b"x").decode()}}}])
        events = self.events(second, 2)
        self.assertEqual({(e["Records"][0]["Sns"]["Message"], e["Records"][0]["Sns"]["SignatureVersion"]) for e in events},
                         {("über 1", "1"), ("über 2", "2")})
        self.assertTrue(all(e["Records"][0]["EventSubscriptionArn"].startswith(orders + ":") for e in events))
        self.judged(events)
