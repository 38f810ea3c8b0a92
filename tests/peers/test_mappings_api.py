"""Event source mappings made, changed and deleted with AWS's own clients of Lambda's API, over moto's queues and streams."""

import base64
import datetime
import json
import os
import pathlib
import unittest.mock
import urllib.error
import urllib.request

import test_lambda_api
from lib import case, parts, processes
from lib.case import PeerTest
from lib.sqs import Moto
from lib.weir import Weir, command, function

# Writes what it is given, a line an invocation, and who it is.
FUNCTION = """
import base64, json, os
def handler(event, context):
    texts = [r["body"] if "body" in r else base64.b64decode(r["kinesis"]["data"]).decode() for r in event["Records"]]
    with open(os.environ["OUT"], "a") as out:
        out.write(json.dumps({"function": context.function_name, "texts": texts}) + "\\n")
"""


class Mappings(PeerTest):
    ask = test_lambda_api.LambdaApi.ask
    aws = test_lambda_api.LambdaApi.aws

    def setUp(self):
        super().setUp()
        python = pathlib.Path(parts.python_with_runtime_client()).parent
        patch = unittest.mock.patch.dict(os.environ, {
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
            "AWS_CONFIG_FILE": str(self.folder / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "none"),
            "PATH": f"{python}:{os.environ['PATH']}"})
        patch.start()
        self.addCleanup(patch.stop)
        self.server = case.shared_broker(Moto)
        self.name = self.id().rsplit(".", 1)[-1].replace("test_", "")[:40]
        self.out = self.folder / "out.jsonl"

    def bridge_with(self, sources):
        self.bridge = Weir(self.folder / "bridge", {"fixed": function("python", self.mark)}, sources,
                           aws={"endpoint_url": self.server.url, "region": "us-east-1"})
        self._bridges.append(self.bridge)
        self.bridge.start()

    def make_function(self, name):
        made = self.ask("boto3", ["CreateFunction", {
            "FunctionName": name, "Runtime": "python3.12", "Handler": "app.handler", "Role": test_lambda_api.ROLE, "Timeout": 20,
            "Code": {"ZipFile": test_lambda_api.zipped("app.py", FUNCTION)},
            "Environment": {"Variables": {"WEIR_PEER_MARK": self.mark, "OUT": str(self.out)}}}])
        self.assertEqual(made.get("status"), 201, made)

    def calls(self, name=None):
        lines = self.out.read_text().splitlines() if self.out.exists() else []
        return [each["texts"] for each in map(json.loads, lines) if name in (None, each["function"])]

    def texts(self, name=None):
        return [text for texts in self.calls(name) for text in texts]

    def wait_for(self, texts, name=None, seconds=30):
        processes.wait_until(lambda: f"{sorted(texts)} are seen, there are {sorted(self.texts(name))}; {self.explain([self.bridge])}",
                             lambda: set(self.texts(name)) >= set(texts), seconds, every=0.1)

    def wait_state(self, uuid, state, seconds=40):
        """With the API itself, which is quicker than its clients are to start."""
        def get():
            try:
                with urllib.request.urlopen(f"{self.bridge.gateway}/2015-03-31/event-source-mappings/{uuid}", timeout=10) as answer:
                    return json.loads(answer.read())["State"]
            except urllib.error.HTTPError as error:
                with error:
                    return str(error.code)
        processes.wait_until(lambda: f"{uuid} is {state}, not {get()}; {self.explain([self.bridge])}", lambda: get() == state, seconds,
                             every=0.1)

    def kinesis(self, operation, **members):
        now = datetime.datetime.now(datetime.timezone.utc)
        request = urllib.request.Request(self.server.url, data=json.dumps(members).encode(), method="POST", headers={
            "X-Amz-Target": f"Kinesis_20131202.{operation}", "Content-Type": "application/x-amz-json-1.1",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=peer/{now:%Y%m%d}/us-east-1/kinesis/aws4_request, "
                             "SignedHeaders=host, Signature=00"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"{}")

    def stream(self, name):
        self.kinesis("CreateStream", StreamName=name, ShardCount=2)
        return self.kinesis("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]["StreamARN"]

    def put(self, stream, texts):
        self.kinesis("PutRecords", StreamName=stream, Records=[
            {"PartitionKey": text, "Data": base64.b64encode(text.encode()).decode()} for text in texts])

    def test_a_queue_with_the_aws_command(self):
        self.bridge_with({})
        self.make_function("queued")
        queue = self.server.make_queue(self.name)
        arn = self.server.arn(queue)
        create = ("create-event-source-mapping", "--function-name", "queued", "--event-source-arn")
        self.assertIn("The specified queue does not exist.", self.aws(*create, arn + "gone", refused=True))
        self.assertIn("Function does not exist", self.aws("create-event-source-mapping", "--function-name", "gone",
                                                          "--event-source-arn", arn, refused=True))
        made = self.aws(*create, arn, "--batch-size", "5")
        uuid = made["UUID"]
        self.assertEqual({name: made[name] for name in ("BatchSize", "EventSourceArn", "State", "StateTransitionReason")},
                         {"BatchSize": 5, "EventSourceArn": arn, "State": "Creating", "StateTransitionReason": "USER_INITIATED"})
        self.assertNotIn("LastProcessingResult", made)
        self.wait_state(uuid, "Enabled")
        self.assertIn("Please update or delete the existing mapping with UUID " + uuid, self.aws(*create, arn, refused=True))
        first = [f"one {i}" for i in range(12)]
        self.server.send(queue, first)
        self.wait_for(first)
        self.assertLessEqual(max(map(len, self.calls())), 5)

        stopped = self.aws("update-event-source-mapping", "--uuid", uuid, "--no-enabled", "--batch-size", "10")
        self.assertEqual((stopped["State"], stopped["BatchSize"]), ("Disabling", 10))
        self.wait_state(uuid, "Disabled")
        second = [f"two {i}" for i in range(20)]
        self.server.send(queue, second)
        self.assertEqual(self.bridge.terminate(), 0)
        self.assertEqual(self.server.left(queue), (20, 0))
        self.bridge.start()
        self.wait_state(uuid, "Disabled")
        before = len(self.calls())
        self.assertEqual(self.aws("update-event-source-mapping", "--uuid", uuid, "--enabled")["State"], "Enabling")
        self.wait_for(second)
        self.assertGreater(max(map(len, self.calls()[before:])), 5, "the batch size is the new one")
        self.assertEqual(sorted(self.texts()), sorted(first + second), "each came once")

        self.wait_state(uuid, "Enabled")
        self.assertEqual(self.aws("delete-event-source-mapping", "--uuid", uuid)["State"], "Deleting")
        self.wait_state(uuid, "404")
        self.server.send(queue, ["three"])
        self.assertEqual(self.aws("list-event-source-mappings"), {"EventSourceMappings": []})
        self.assertIn("The resource you requested does not exist.", self.aws("get-event-source-mapping", "--uuid", uuid, refused=True))
        self.assertEqual(self.server.left(queue), (1, 0))
        self.assertEqual(self.bridge.terminate(), 0)

    def test_a_stream_with_both_sdks(self):
        arn = self.stream(self.name)
        other = self.stream(self.name + "-other")
        fixed = {"type": "kinesis", "stream_arn": other, "starting_position": "LATEST", "function": "fixed"}
        self.bridge_with({"file": fixed})
        self.make_function("one")
        self.make_function("two")
        asked = {"FunctionName": "one", "EventSourceArn": arn, "StartingPosition": "TRIM_HORIZON", "BatchSize": 4}
        refused = self.ask("boto3", ["CreateEventSourceMapping", {**asked, "EventSourceArn": arn + "gone"}])
        self.assertEqual((refused["refused"], refused["message"]),
                         ("InvalidParameterValueException", f"Stream not found: {arn}gone"))
        first = [f"a {i}" for i in range(30)]
        self.put(self.name, first)
        made = self.ask("boto3", ["CreateEventSourceMapping", asked])
        uuid = made["UUID"]
        self.assertEqual((made["status"], made["State"], made["StateTransitionReason"], made["LastProcessingResult"]),
                         (202, "Creating", "User action", "No records processed"))
        self.wait_for(first)
        self.wait_state(uuid, "Enabled")
        self.assertLessEqual(max(map(len, self.calls())), 4)
        for client in ("boto3", "node"):
            got, listed = self.ask(client, ["GetEventSourceMapping", {"UUID": uuid}], ["ListEventSourceMappings", {}])
            self.assertEqual((got["LastProcessingResult"], got["MaximumRetryAttempts"], got["FunctionArn"]),
                             ("OK", -1, test_lambda_api.ARN + "one"))
            names = {each["EventSourceArn"]: each["UUID"] for each in listed["EventSourceMappings"]}
            self.assertEqual(set(names), {arn, other})
            refused = self.ask(client, ["DeleteEventSourceMapping", {"UUID": names[other]}])
            self.assertEqual(refused["refused"], "ResourceConflictException", refused)

        # A new configuration leaves it as it is, and what it has done is not done again.
        config = json.loads(self.bridge.config.read_text())
        config["sources"] = {}
        self.bridge.config.write_text(json.dumps(config))
        reloaded = command("reload", "--config", self.bridge.config)
        self.assertEqual(reloaded.returncode, 0, reloaded.stderr)
        self.assertEqual(self.ask("node", ["UpdateEventSourceMapping", {"UUID": uuid, "Enabled": False}])["State"], "Disabling")
        self.wait_state(uuid, "Disabled")
        second = [f"b {i}" for i in range(10)]
        self.put(self.name, second)
        self.bridge.kill()
        self.bridge.start()
        self.wait_state(uuid, "Disabled")
        self.assertEqual(len(self.texts()), 30)
        self.ask("node", ["UpdateEventSourceMapping", {"UUID": uuid, "Enabled": True}])
        self.wait_for(second)
        self.assertEqual(sorted(self.texts()), sorted(first + second), "each came once")
        self.wait_state(uuid, "Enabled")
        self.ask("boto3", ["UpdateEventSourceMapping", {"UUID": uuid, "FunctionName": "two"}])
        self.wait_state(uuid, "Enabled")
        third = [f"c {i}" for i in range(10)]
        self.put(self.name, third)
        self.wait_for(third, "two")
        self.assertIn(uuid, command("status", "--config", self.bridge.config).stdout)
        self.assertIn(uuid, command("checkpoint", "list", "--config", self.bridge.config).stdout)
        # Its function goes, it stays.
        self.ask("boto3", ["DeleteFunction", {"FunctionName": "two"}])
        self.assertEqual(self.ask("boto3", ["GetEventSourceMapping", {"UUID": uuid}])["State"], "Enabled")
        self.assertEqual(self.ask("node", ["DeleteEventSourceMapping", {"UUID": uuid}])["State"], "Deleting")
        self.wait_state(uuid, "404")
        self.assertNotIn(uuid, command("checkpoint", "list", "--config", self.bridge.config).stdout)
        self.assertEqual(self.bridge.terminate(), 0)
