"""EventBridge at the gateway with AWS's own clients: boto3, @aws-sdk/client-eventbridge and the aws command."""

import json
import os
import re
import subprocess
import time
import unittest.mock

from lib import parts, processes
from lib.case import PeerTest
from lib.sqs import CREDENTIALS, Elasticmq, Moto, Refusing
from lib.weir import Weir, function

# Calls of EventBridge on stdin, [operation, arguments] each; on stdout what they came to.
BOTO = r"""
import boto3, botocore, json, sys
client = boto3.client("events", endpoint_url=sys.argv[1], region_name="us-east-1")
out = []
for operation, arguments in json.load(sys.stdin):
    try:
        answer = client._make_api_call(operation, arguments)
        answer.pop("ResponseMetadata")
        out.append(answer)
    except botocore.exceptions.ClientError as error:
        out.append({"refused": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]})
json.dump(out, sys.stdout, default=lambda time: time.timestamp())
"""

NODE = r"""
const sdk = require("@aws-sdk/client-eventbridge");
(async () => {
  const client = new sdk.EventBridgeClient({ endpoint: process.argv[2], region: "us-east-1", maxAttempts: 1 });
  const out = [];
  for (const [operation, call] of JSON.parse(require("fs").readFileSync(0))) {
    for (const name of ["EventStartTime", "EventEndTime"]) if (name in call) call[name] = new Date(call[name] * 1000);
    try {
      const { $metadata, ...answer } = await client.send(new sdk[operation + "Command"](call));
      out.push(answer);
    } catch (error) {
      out.push({ refused: error.name, message: error.message });
    }
  }
  process.stdout.write(JSON.stringify(out));
})();
"""

BUS = "arn:aws:events:us-east-1:000000000000:event-bus/"
SINK = "arn:aws:lambda:us-east-1:000000000000:function:sink"


class EventBridge(PeerTest):
    def setUp(self):
        super().setUp()
        patch = unittest.mock.patch.dict(os.environ, {
            **CREDENTIALS, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"})
        patch.start()
        self.addCleanup(patch.stop)
        self.events = self.folder / "events"
        self.events.mkdir()

    def bridge(self, sources=None, **settings):
        sink = function("events", self.mark, WEIR_PEER_EVENTS=self.events)
        bridge = Weir(self.folder / "bridge", {"sink": sink}, sources or {}, **settings)
        self._bridges.append(bridge)
        return bridge.start()

    def ask(self, bridge, client, *calls):
        """What calls of EventBridge come to, by "boto3", "node" or "aws"."""
        if client == "aws":
            return [self.aws(bridge, re.sub(r"(?<!^)([A-Z])", r"-\1", operation).lower(), "--cli-input-json", json.dumps(arguments))
                    for operation, arguments in calls]
        if client == "boto3":
            command = [parts.python_with_boto(), "-c", BOTO]
        else:
            script = self.folder / "client.js"
            script.write_text(NODE)
            command = [parts.command("node"), script]
        done = subprocess.run([*command, bridge.gateway], input=json.dumps(calls), capture_output=True, text=True, timeout=60,
                              env={**os.environ, "NODE_PATH": parts.client_eventbridge()})
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def aws(self, bridge, *arguments):
        """What the aws command says, or is refused with."""
        done = subprocess.run([parts.command("aws"), "events", *arguments, "--endpoint-url", bridge.gateway, "--output", "json"],
                              capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return json.loads(done.stdout or "{}")
        refused = re.search(r"An error occurred \((\w+)\) when calling the \w+ operation: (.*)", done.stderr)
        self.assertTrue(refused, done.stderr)
        return {"refused": refused[1], "message": refused[2]}

    def got(self, count, bridge, seconds=30):
        """The events that the function got, once there are so many."""
        def read():
            return [json.loads(path.read_text()) for path in self.events.glob("*.json")]
        processes.wait_until(lambda: f"{count} events were seen; seen were {read()}; {processes.tail(bridge.log)}",
                             lambda: len(read()) >= count, seconds, every=0.1)
        found = read()
        self.assertEqual(len(found), count, found)
        return found

    def judged(self, events):
        verdict = subprocess.run([parts.command("node"), parts.HERE / "judge" / "eventbridge.cjs"], input=json.dumps(events),
                                 capture_output=True, text=True, timeout=30, env={"NODE_PATH": parts.powertools()})
        self.assertEqual((verdict.returncode, verdict.stderr), (0, ""), json.dumps(events, indent=1))
        self.assertEqual(json.loads(verdict.stdout), events, "Powertools knows every member, so it dropped none")


def entry(detail, **more):
    return {"Source": "shop", "DetailType": "Order", "Detail": json.dumps(detail), **more}


class Calls(EventBridge):
    def every_call(self, client):
        bridge = self.bridge()
        archive = "arn:aws:events:us-east-1:000000000000:archive/kept"
        event = {"id": "1", "account": "1", "source": "shop", "time": "2026-03-04T05:06:07Z", "region": "r", "detail-type": "t"}
        answers = self.ask(
            bridge, client,
            ["CreateEventBus", {"Name": "orders", "Tags": [{"Key": "team", "Value": "a"}]}],
            ["DescribeEventBus", {"Name": "orders"}],
            ["ListEventBuses", {}],
            ["PutRule", {"Name": "all", "EventBusName": "orders", "EventPattern": '{"source": ["shop"]}'}],
            ["DescribeRule", {"Name": "all", "EventBusName": "orders"}],
            ["ListRules", {"EventBusName": "orders"}],
            ["PutTargets", {"Rule": "all", "EventBusName": "orders", "Targets": [{"Id": "t", "Arn": SINK}]}],
            ["ListTargetsByRule", {"Rule": "all", "EventBusName": "orders"}],
            ["ListRuleNamesByTarget", {"TargetArn": SINK, "EventBusName": "orders"}],
            ["TestEventPattern", {"EventPattern": '{"source": ["shop"]}', "Event": json.dumps(event)}],
            ["CreateArchive", {"ArchiveName": "kept", "EventSourceArn": BUS + "orders", "RetentionDays": 3}],
            ["PutEvents", {"Entries": [entry({"n": 1}, EventBusName="orders"), entry([1])]}],
            ["DescribeArchive", {"ArchiveName": "kept"}],
            ["UpdateArchive", {"ArchiveName": "kept", "RetentionDays": 4}],
            ["ListArchives", {"NamePrefix": "ke"}],
            ["StartReplay", {"ReplayName": "again", "EventSourceArn": archive, "EventStartTime": int(time.time()) - 600,
                             "EventEndTime": int(time.time()) + 600, "Destination": {"Arn": BUS + "orders"}}],
            ["ListReplays", {"NamePrefix": "again"}],
            ["TagResource", {"ResourceARN": BUS + "orders", "Tags": [{"Key": "stage", "Value": "b"}]}],
            ["UntagResource", {"ResourceARN": BUS + "orders", "TagKeys": ["team"]}],
            ["ListTagsForResource", {"ResourceARN": BUS + "orders"}],
            ["DisableRule", {"Name": "all", "EventBusName": "orders"}],
            ["EnableRule", {"Name": "all", "EventBusName": "orders"}])
        self.assertEqual([each for each in answers if "refused" in each], [])
        (made, bus, buses, rule, described, rules, put, targets, names, tested, archived, events, kept, updated, archives, started,
         replays, _, _, tags, _, _) = answers
        self.assertEqual(made["EventBusArn"], BUS + "orders")
        self.assertEqual((bus["Arn"], len(buses["EventBuses"])), (BUS + "orders", 2))
        self.assertEqual((described["Arn"], described["State"]), (rule["RuleArn"], "ENABLED"))
        self.assertEqual([each["Name"] for each in rules["Rules"]], ["all"])
        self.assertEqual((put["FailedEntryCount"], targets["Targets"]), (0, [{"Id": "t", "Arn": SINK}]))
        self.assertEqual((names["RuleNames"], tested["Result"]), (["all"], True))
        self.assertEqual((archived["State"], updated["State"], kept["EventCount"]), ("ENABLED", "ENABLED", 1))
        self.assertEqual((events["FailedEntryCount"], events["Entries"][1]["ErrorCode"]), (1, "MalformedDetail"))
        self.assertEqual((archives["Archives"][0]["RetentionDays"], started["State"]), (4, "STARTING"))
        self.assertEqual((replays["Replays"][0]["ReplayName"], tags["Tags"]), ("again", [{"Key": "stage", "Value": "b"}]))
        first, second = sorted(self.got(2, bridge), key=lambda event: "replay-name" in event)
        self.assertEqual((first["id"], first["detail"]), (events["Entries"][0]["EventId"], {"n": 1}))
        self.assertEqual((second["replay-name"], second["detail"]), ("again", {"n": 1}))
        self.judged([first, second])
        self.assertEqual(bridge.terminate(), 0)
        bridge.start()
        after = self.ask(
            bridge, client,
            ["DescribeReplay", {"ReplayName": "again"}],
            ["CancelReplay", {"ReplayName": "again"}],
            ["DeleteRule", {"Name": "all", "EventBusName": "orders"}],
            ["RemoveTargets", {"Rule": "all", "EventBusName": "orders", "Ids": ["t"]}],
            ["DeleteRule", {"Name": "all", "EventBusName": "orders"}],
            ["DeleteArchive", {"ArchiveName": "kept"}],
            ["DeleteEventBus", {"Name": "orders"}],
            ["DescribeEventBus", {"Name": "orders"}],
            ["PutRule", {"Name": "bad", "EventPattern": '{"source": "shop"}'}],
            ["PutEvents", {"Entries": [entry({})] * 11}])
        self.assertEqual(after[0]["State"], "COMPLETED")
        self.assertEqual([each.get("refused") for each in after],
                         [None, "IllegalStatusException", "ValidationException", None, None, None, None, "ResourceNotFoundException",
                          "InvalidEventPatternException", "ValidationException"])
        self.assertEqual(after[2]["message"], "Rule can't be deleted since it has targets.")

    def test_boto3(self):
        self.every_call("boto3")

    def test_node(self):
        self.every_call("node")

    def test_the_aws_command(self):
        self.every_call("aws")

    def test_a_rule_of_the_configuration_and_the_aws_command(self):
        source = {"type": "eventbridge", "event_pattern": {"source": ["shop"]}, "function": "sink",
                  "input_transformer": {"input_paths_map": {"n": "$.detail.n"}, "input_template": '{"n": <n>, "rule": <aws.events.rule-name>}'}}
        bridge = self.bridge({"orders": source})

        put = self.aws(bridge, "put-events", "--entries", json.dumps([entry({"n": 7})]))
        self.assertEqual(put["FailedEntryCount"], 0)
        self.assertEqual(self.got(1, bridge), [{"n": 7, "rule": "orders"}])
        self.assertEqual([(rule["Name"], rule["ManagedBy"]) for rule in self.aws(bridge, "list-rules")["Rules"]], [("orders", "weir")])


class Queues(EventBridge):
    def message(self, server, queue, bridge, seconds=30):
        found = []

        def there():
            found.extend(server.call("ReceiveMessage", QueueUrl=queue, MessageAttributeNames=["All"],
                                     AttributeNames=["All"]).get("Messages", []))
            return found
        processes.wait_until(lambda: f"a message is in {queue}; {self.explain([bridge])}", there, seconds)
        server.call("DeleteMessage", QueueUrl=queue, ReceiptHandle=found[0]["ReceiptHandle"])
        return found[0]

    def targets(self, server):
        server.start()
        self.addCleanup(server.stop)
        queue, dead, ordered = (server.make_queue(name) for name in ("orders", "dead", "ordered.fifo"))
        bridge = self.bridge(aws={"region": server.region, "endpoint_url": server.url})
        gone = server.arn(queue).replace("orders", "gone")
        answers = self.ask(
            bridge, "boto3",
            ["PutRule", {"Name": "all", "EventPattern": '{"source": ["shop"]}'}],
            ["PutTargets", {"Rule": "all", "Targets": [
                {"Id": "there", "Arn": server.arn(queue), "InputPath": "$.detail"},
                {"Id": "ordered", "Arn": server.arn(ordered), "SqsParameters": {"MessageGroupId": "g"}},
                {"Id": "gone", "Arn": gone, "DeadLetterConfig": {"Arn": server.arn(dead)},
                 "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60}}]}],
            ["PutEvents", {"Entries": [entry({"n": 1})]}])
        self.assertEqual([each for each in answers if "refused" in each], [])
        self.assertEqual(json.loads(self.message(server, queue, bridge)["Body"]), {"n": 1})
        in_order = self.message(server, ordered, bridge)
        self.assertEqual((json.loads(in_order["Body"])["detail"], in_order["Attributes"]["MessageGroupId"]), ({"n": 1}, "g"))
        letter = self.message(server, dead, bridge)
        event = json.loads(letter["Body"])
        self.assertEqual(event["detail"], {"n": 1})
        self.judged([event])
        told = {name: each["StringValue"] for name, each in letter["MessageAttributes"].items()}
        # A queue that is not there is not tried again, whatever the policy.
        self.assertEqual((told["RULE_ARN"], told["TARGET_ARN"], told["ERROR_CODE"], told["RETRY_ATTEMPTS"]),
                         ("arn:aws:events:us-east-1:000000000000:rule/all", gone, "NO_RESOURCE", "0"))
        self.assertNotIn("EXHAUSTED_RETRY_CONDITION", told)

    def test_a_queue_that_always_fails_exhausts_its_policy(self):
        server = Moto(self.folder / "moto")
        server.start()
        self.addCleanup(server.stop)
        failing, old, dead = (server.make_queue(name) for name in ("failing", "old", "dead"))
        proxy = Refusing(server.url, ("/failing", "/old"))
        self.addCleanup(proxy.stop)
        bridge = self.bridge(aws={"region": server.region, "endpoint_url": proxy.url})
        target = {"DeadLetterConfig": {"Arn": server.arn(dead)}}
        answers = self.ask(
            bridge, "boto3",
            ["PutRule", {"Name": "all", "EventPattern": '{"source": ["shop"]}'}],
            ["PutTargets", {"Rule": "all", "Targets": [
                {**target, "Id": "failing", "Arn": server.arn(failing), "RetryPolicy": {"MaximumRetryAttempts": 1}},
                {**target, "Id": "old", "Arn": server.arn(old), "RetryPolicy": {"MaximumEventAgeInSeconds": 60}}]}],
            ["PutEvents", {"Entries": [entry({"n": 1})]}])
        self.assertEqual([each for each in answers if "refused" in each], [])
        for queue, condition, attempts, seconds in ((failing, "MaximumRetryAttempts", {1}, 30),
                                                    (old, "MaximumEventAgeInSeconds", range(3, 60), 120)):
            letter = self.message(server, dead, bridge, seconds)
            self.assertEqual(json.loads(letter["Body"])["detail"], {"n": 1})
            told = {name: each["StringValue"] for name, each in letter["MessageAttributes"].items()}
            self.assertEqual((told["TARGET_ARN"], told["EXHAUSTED_RETRY_CONDITION"]), (server.arn(queue), condition))
            self.assertIn(int(told["RETRY_ATTEMPTS"]), attempts)
            self.assertTrue(told["ERROR_CODE"] and told["ERROR_MESSAGE"], told)
            self.assertEqual(server.left(queue), (0, 0))
        self.assertEqual(proxy.refused["/failing"], 2)

    def test_queues_of_moto_and_a_dead_letter_queue_that_tells_why(self):
        self.targets(Moto(self.folder / "moto"))

    def test_queues_of_elasticmq_and_a_dead_letter_queue_that_tells_why(self):
        self.targets(Elasticmq(self.folder / "elasticmq"))
