"""Lambda's management API with AWS's own clients: boto3, @aws-sdk/client-lambda and the aws command; and what it made, run."""

import base64
import io
import json
import os
import pathlib
import re
import subprocess
import unittest.mock
import urllib.request
import zipfile

from lib import parts, processes
from lib.case import PeerTest
from lib.weir import Weir, function

# Calls of Lambda on stdin, [operation, arguments] each; on stdout what they came to. A zip goes as base64, and so does a payload.
BOTO = r"""
import base64, boto3, botocore, json, sys
from botocore.config import Config
client = boto3.client("lambda", endpoint_url=sys.argv[1], region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}))
out = []
for operation, arguments in json.load(sys.stdin):
    for place in (arguments, arguments.get("Code", {})):
        if "ZipFile" in place: place["ZipFile"] = base64.b64decode(place["ZipFile"])
    try:
        if operation.startswith("wait:"):
            client.get_waiter(operation[5:]).wait(**arguments, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
            out.append({})
            continue
        answer = client._make_api_call(operation, arguments)
        status = answer.pop("ResponseMetadata")["HTTPStatusCode"]
        if "Payload" in answer: answer["Payload"] = answer["Payload"].read().decode()
        out.append({**answer, "status": status})
    except botocore.exceptions.ClientError as error:
        out.append({"refused": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]})
json.dump(out, sys.stdout, default=lambda time: time.timestamp())
"""

NODE = r"""
const sdk = require("@aws-sdk/client-lambda");
(async () => {
  const client = new sdk.LambdaClient({ endpoint: process.argv[2], region: "us-east-1", maxAttempts: 1 });
  const out = [];
  for (const [operation, call] of JSON.parse(require("fs").readFileSync(0))) {
    for (const place of [call, call.Code ?? {}]) if (place.ZipFile) place.ZipFile = Buffer.from(place.ZipFile, "base64");
    try {
      if (operation.startsWith("wait:")) {
        const name = operation.slice(5).split("_").map((word) => word[0].toUpperCase() + word.slice(1)).join("");
        await sdk["waitUntil" + name]({ client, maxWaitTime: 20, minDelay: 1, maxDelay: 1 }, call);
        out.push({});
        continue;
      }
      const { $metadata, ...answer } = await client.send(new sdk[operation + "Command"](call));
      if (answer.Payload) answer.Payload = Buffer.from(answer.Payload).toString();
      if (answer.LastModified instanceof Date) answer.LastModified = answer.LastModified.getTime() / 1000;
      out.push({ ...answer, status: $metadata.httpStatusCode });
    } catch (error) {
      out.push({ refused: error.name, message: error.message });
    }
  }
  process.stdout.write(JSON.stringify(out));
})();
"""

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
ROLE = "arn:aws:iam::000000000000:role/r"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:dead"

PYTHON = """
import os
def handler(event, context):
    return {"said": "%s", "event": event, "version": context.function_version, "stage": os.environ.get("STAGE")}
"""
NODEJS = """exports.handler = async (event, context) => ({ said: "%s", event, version: context.functionVersion });"""


def zipped(name, text):
    """A zip with one file, in base64. Equal texts give equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
        entry.external_attr = 0o644 << 16
        file.writestr(entry, text)
    return base64.b64encode(out.getvalue()).decode()


def python_zip(said):
    return zipped("app.py", PYTHON % said)


class LambdaApi(PeerTest):
    def setUp(self):
        super().setUp()
        python = pathlib.Path(parts.python_with_runtime_client()).parent
        node = pathlib.Path(parts.node_runtime_client()).parents[2]
        patch = unittest.mock.patch.dict(os.environ, {
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            # Where weir finds AWS's runtime clients.
            "PATH": f"{python}:{os.environ['PATH']}", "NODE_PATH": str(node)})
        patch.start()
        self.addCleanup(patch.stop)
        self.bridge = Weir(self.folder / "bridge", {"fixed": function("python", self.mark)}, {})
        self._bridges.append(self.bridge)
        self.bridge.start()

    def ask(self, client, *calls):
        """What calls of Lambda come to, by "boto3" or "node"."""
        environment = dict(os.environ)
        if client == "boto3":
            command = [parts.python_with_boto(), "-c", BOTO]
        else:
            script = self.folder / "client.js"
            script.write_text(NODE)
            command = [parts.command("node"), script]
            environment["NODE_PATH"] = parts.client_lambda()
        done = subprocess.run([*command, self.bridge.gateway], input=json.dumps(calls), capture_output=True, text=True, timeout=120,
                              env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = json.loads(done.stdout)
        return answers if len(answers) > 1 else answers[0]

    def aws(self, *arguments, refused=False):
        """What the aws command prints, of JSON its meaning."""
        done = subprocess.run([parts.command("aws"), "lambda", "--endpoint-url", self.bridge.gateway, *map(str, arguments)],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode != 0, refused, done.stderr + done.stdout)
        return done.stderr if refused else json.loads(done.stdout) if done.stdout.strip() else {}

    def creation(self, name, said="one", **more):
        """The arguments of CreateFunction. The mark finds its processes again."""
        return {"FunctionName": name, "Runtime": "python3.12", "Handler": "app.handler", "Role": ROLE, "Timeout": 20,
                "Code": {"ZipFile": python_zip(said)}, "Environment": {"Variables": {"WEIR_PEER_MARK": self.mark, **more}}}

    def invoke(self, name, client="boto3", qualifier=None, payload="1"):
        arguments = {"FunctionName": name, "Payload": payload, **({"Qualifier": qualifier} if qualifier else {})}
        answer = self.ask(client, ["Invoke", arguments])
        self.assertNotIn("FunctionError", answer, answer)
        return json.loads(answer["Payload"])

    def test_what_is_made_runs_changes_and_survives_a_restart(self):
        self.ask("boto3", ["CreateFunction", self.creation("made", STAGE="a")],
                 ["wait:function_active_v2", {"FunctionName": "made"}])
        self.assertEqual(self.invoke("made"), {"said": "one", "event": 1, "version": "$LATEST", "stage": "a"})
        published, updated, *_ = self.ask(
            "boto3", ["PublishVersion", {"FunctionName": "made"}],
            ["UpdateFunctionCode", {"FunctionName": "made", "ZipFile": python_zip("two")}],
            ["wait:function_updated_v2", {"FunctionName": "made"}],
            ["CreateAlias", {"FunctionName": "made", "Name": "live", "FunctionVersion": "1"}])
        self.assertEqual(published["Version"], "1")
        self.assertEqual(updated["LastUpdateStatus"], "InProgress")

        def what_runs():
            self.assertEqual(self.invoke("made")["said"], "two")
            self.assertEqual(self.invoke("made", qualifier="1")["said"], "one")
            self.assertEqual(self.invoke("made", qualifier="live"), {"said": "one", "event": 1, "version": "1", "stage": "a"})
        what_runs()
        before = self.ask("boto3", ["GetFunctionConfiguration", {"FunctionName": "made", "Qualifier": "live"}])
        self.assertEqual(self.bridge.terminate(), 0)
        self.bridge.start()
        self.assertEqual(self.ask("boto3", ["GetFunctionConfiguration", {"FunctionName": "made", "Qualifier": "live"}]), before)
        what_runs()
        # A weighted alias that sends all its calls to the other version.
        self.ask("boto3", ["PublishVersion", {"FunctionName": "made"}],
                 ["UpdateAlias", {"FunctionName": "made", "Name": "live",
                                  "RoutingConfig": {"AdditionalVersionWeights": {"2": 1.0}}}])
        self.assertEqual(self.invoke("made", qualifier="live")["version"], "2")
        self.ask("boto3", ["UpdateFunctionConfiguration", {"FunctionName": "made", "Environment": {
            "Variables": {"WEIR_PEER_MARK": self.mark, "STAGE": "b"}}}], ["wait:function_updated", {"FunctionName": "made"}])
        self.assertEqual(self.invoke("made")["stage"], "b")
        self.ask("boto3", ["DeleteFunction", {"FunctionName": "made"}], ["GetAccountSettings", {}])
        gone = self.ask("boto3", ["Invoke", {"FunctionName": "made"}])
        self.assertEqual((gone["refused"], gone["message"]), ("ResourceNotFoundException", f"Function not found: {ARN}made:$LATEST"))

    def test_a_node_function_made_by_the_node_client(self):
        creation = {**self.creation("node"), "Runtime": "nodejs20.x", "Handler": "index.handler",
                    "Code": {"ZipFile": zipped("index.js", NODEJS % "one")}}
        made, *_ = self.ask("node", ["CreateFunction", creation], ["wait:function_active_v2", {"FunctionName": "node"}])
        self.assertEqual((made["status"], made["State"]), (201, "Pending"))
        self.assertEqual(self.invoke("node", "node", payload='{"a":[1]}'), {"said": "one", "event": {"a": [1]}, "version": "$LATEST"})

    def test_every_call_and_both_sdks_read_the_same(self):
        answers = {}
        for client in ("boto3", "node"):
            # Each its own: versions are numbered on though the function was deleted.
            own = f"f-{client}"
            name = {"FunctionName": own}
            live = {**name, "Qualifier": "live"}
            calls = [
                ["CreateFunction", {**self.creation(own), "Tags": {"a": "1"}, "Publish": True}],
                ["wait:function_exists", name], ["wait:function_active", name], ["wait:published_version_active", {**name, "Qualifier": "1"}],
                ["GetFunction", name], ["GetFunctionConfiguration", name], ["ListFunctions", {}], ["ListFunctions", {"FunctionVersion": "ALL", "MaxItems": 2}],
                ["UpdateFunctionCode", {**name, "ZipFile": python_zip("dry"), "DryRun": True}],
                ["UpdateFunctionConfiguration", {**name, "Description": "d"}],
                ["PublishVersion", {**name, "Description": "second"}], ["ListVersionsByFunction", name],
                ["CreateAlias", {**name, "Name": "live", "FunctionVersion": "1",
                                 "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.25}}}],
                ["GetAlias", {**name, "Name": "live"}], ["UpdateAlias", {**name, "Name": "live", "Description": "l"}], ["ListAliases", name],
                ["PutFunctionConcurrency", {**name, "ReservedConcurrentExecutions": 5}], ["GetFunctionConcurrency", name],
                ["DeleteFunctionConcurrency", name], ["GetAccountSettings", {}],
                ["PutFunctionEventInvokeConfig", {**live, "MaximumRetryAttempts": 1, "DestinationConfig": {"OnFailure": {"Destination": QUEUE}}}],
                ["UpdateFunctionEventInvokeConfig", {**live, "MaximumEventAgeInSeconds": 60}], ["GetFunctionEventInvokeConfig", live],
                ["ListFunctionEventInvokeConfigs", name], ["DeleteFunctionEventInvokeConfig", live],
                ["GetProvisionedConcurrencyConfig", live], ["ListProvisionedConcurrencyConfigs", name],
                ["TagResource", {"Resource": ARN + own, "Tags": {"b": "ü 2"}}], ["UntagResource", {"Resource": ARN + own, "TagKeys": ["a"]}],
                ["ListTags", {"Resource": ARN + own}],
                ["AddPermission", {**live, "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com",
                                   "SourceArn": "arn:aws:s3:::b"}],
                ["GetPolicy", live], ["RemovePermission", {**live, "StatementId": "s"}], ["GetPolicy", live],
                ["CreateFunctionUrlConfig", {**name, "AuthType": "NONE"}], ["GetFunctionUrlConfig", name],
                ["UpdateFunctionUrlConfig", {**name, "AuthType": "AWS_IAM"}], ["ListFunctionUrlConfigs", name], ["DeleteFunctionUrlConfig", name],
                ["GetFunctionRecursionConfig", name], ["PutFunctionRecursionConfig", {**name, "RecursiveLoop": "Terminate"}],
                ["GetRuntimeManagementConfig", name], ["PutRuntimeManagementConfig", {**name, "UpdateRuntimeOn": "FunctionUpdate"}],
                ["GetFunctionCodeSigningConfig", name],
                ["DeleteFunction", {**name, "Qualifier": "1"}], ["DeleteAlias", {**name, "Name": "live"}],
                ["DeleteFunction", {**name, "Qualifier": "1"}], ["DeleteFunction", name], ["GetFunction", name],
                ["ListEventSourceMappings", {}]]
            got = self.ask(client, *calls)
            answers[client] = list(zip([operation for operation, _ in calls], got))
        self.maxDiff = None
        changing = re.compile(r'"(RevisionId|LastModified|LastModifiedTime|CreationTime|FunctionUrl|Location)": ("[^"]*"|[0-9.e+]+)')

        def plain(answer):
            return re.sub("f-(boto3|node)", "f", changing.sub(r'"\1": "..."', json.dumps(answer, sort_keys=True)))
        refused = []
        for (operation, boto), (_, node) in zip(*answers.values()):
            with self.subTest(operation):
                if "refused" in boto:
                    refused.append((operation, boto["refused"]))
                    self.assertEqual((boto["refused"], plain(boto["message"])), (node.get("refused"), plain(node.get("message"))))
                else:
                    self.assertNotIn("refused", node, node)
        by_boto = dict(answers["boto3"][:44])
        self.assertEqual(refused[:3], [("GetProvisionedConcurrencyConfig", "ProvisionedConcurrencyConfigNotFoundException"),
                                       ("GetPolicy", "ResourceNotFoundException"), ("DeleteFunction", "ResourceConflictException")])
        self.assertEqual(refused[-1], ("GetFunction", "ResourceNotFoundException"))
        statuses = {operation: answer.get("status") for operation, answer in answers["boto3"] if "status" in answer}
        self.assertEqual({name for name, status in statuses.items() if status == 201},
                         {"CreateFunction", "PublishVersion", "CreateAlias", "AddPermission", "CreateFunctionUrlConfig"})
        self.assertEqual({name for name, status in statuses.items() if status == 204},
                         {"DeleteFunctionConcurrency", "DeleteFunctionEventInvokeConfig", "TagResource", "UntagResource", "RemovePermission",
                          "DeleteFunctionUrlConfig", "DeleteAlias", "DeleteFunction"})
        self.assertEqual(by_boto["ListTags"]["Tags"], {"b": "ü 2"})
        self.assertEqual(by_boto["GetFunctionEventInvokeConfig"]["DestinationConfig"]["OnFailure"], {"Destination": QUEUE})
        self.assertEqual(plain(by_boto["ListAliases"]), plain(dict(answers["node"])["ListAliases"]))

    def test_the_aws_command(self):
        package = self.folder / "code.zip"
        package.write_bytes(base64.b64decode(python_zip("cli")))
        made = self.aws("create-function", "--function-name", "cli", "--runtime", "python3.12", "--handler", "app.handler", "--role", ROLE,
                        "--timeout", 20, "--zip-file", f"fileb://{package}", "--environment", f"Variables={{WEIR_PEER_MARK={self.mark}}}")
        self.assertEqual(made["State"], "Pending")
        for what in ("function-active", "function-active-v2", "function-exists", "function-updated"):
            self.aws("wait", what, "--function-name", "cli")
        out = self.folder / "out.json"
        self.aws("invoke", "--function-name", "cli", "--payload", '{"a": 1}', out)
        self.assertEqual(json.loads(out.read_text())["said"], "cli")
        # The link gives the code back.
        location = self.aws("get-function", "--function-name", "cli")["Code"]["Location"]
        with urllib.request.urlopen(location, timeout=10) as answer:
            self.assertEqual(answer.read(), package.read_bytes())
        self.assertEqual([each["FunctionName"] for each in self.aws("list-functions")["Functions"]], ["cli", "fixed"])
        self.assertEqual(self.aws("publish-version", "--function-name", "cli")["Version"], "1")
        self.aws("wait", "published-version-active", "--function-name", "cli", "--qualifier", "1")
        self.aws("create-alias", "--function-name", "cli", "--name", "live", "--function-version", "1")
        self.assertEqual(self.aws("put-function-concurrency", "--function-name", "cli", "--reserved-concurrent-executions", 0),
                         {"ReservedConcurrentExecutions": 0})
        self.assertIn("TooManyRequestsException", self.aws("invoke", "--function-name", "cli:live", out, refused=True))
        self.aws("delete-function-concurrency", "--function-name", "cli")
        self.aws("invoke", "--function-name", "cli:live", out)
        self.assertEqual(json.loads(out.read_text())["version"], "1")
        for call in (("delete-function", "--function-name", "fixed"), ("put-function-concurrency", "--function-name", "fixed",
                                                                         "--reserved-concurrent-executions", 1)):
            self.assertIn("ResourceConflictException", self.aws(*call, refused=True))
        broken = self.folder / "broken.zip"
        with zipfile.ZipFile(broken, "w"):
            pass  # the command itself looks whether it is a zip
        self.assertIn("InvalidParameterValueException",
                      self.aws("update-function-code", "--function-name", "cli", "--zip-file", f"fileb://{broken}", refused=True))
        self.aws("delete-function", "--function-name", "cli")
        self.assertIn("ResourceNotFoundException", self.aws("get-function", "--function-name", "cli", refused=True))

    def test_a_package_of_40_mb(self):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as file:
            file.writestr("app.py", PYTHON % "large")
            file.writestr("data.bin", os.urandom(40 << 20))
        package = self.folder / "large.zip"
        package.write_bytes(out.getvalue())
        made = self.aws("create-function", "--function-name", "large", "--runtime", "python3.12", "--handler", "app.handler", "--role", ROLE,
                        "--timeout", 20, "--zip-file", f"fileb://{package}", "--environment", f"Variables={{WEIR_PEER_MARK={self.mark}}}")
        self.assertEqual(made["CodeSize"], len(out.getvalue()))
        self.assertEqual(self.invoke("large")["said"], "large")
        too_large = self.folder / "too_large.zip"
        with zipfile.ZipFile(too_large, "w") as file:
            file.writestr("data.bin", bytes(50 << 20))
        self.assertIn("Zipped size must be smaller than 52428800 bytes",
                      self.aws("update-function-code", "--function-name", "large", "--zip-file", f"fileb://{too_large}", refused=True))
