"""The gateway with AWS's own clients: the aws command, boto3 and @aws-sdk/client-lambda."""

import base64
import json
import os
import subprocess

from lib import parts, processes, weir
from lib.case import PeerTest

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
KEYS = {"WEIRKEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
NOT_JSON = ("Could not parse request body into json: Could not parse payload into json: Unexpected character ('}' (code 125)): "
            "was expecting double-quote to start field name\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` "
            "disabled); line: 1, column: 9]")

# Reads one JSON list of calls, [[{method arguments}], ...], and prints one JSON list of what each came to.
BOTO = r"""
import base64, json, sys, boto3, botocore
from botocore.config import Config
client = boto3.client("lambda", endpoint_url=sys.argv[1], config=Config(retries={"total_max_attempts": 1}))
out = []
for call in json.load(sys.stdin):
    try:
        answer = client.invoke(**call)
        out.append({"status": answer["StatusCode"], "payload": answer["Payload"].read().decode(), "id": answer["ResponseMetadata"]["RequestId"],
                    "error": answer.get("FunctionError"), "version": answer.get("ExecutedVersion"), "log": answer.get("LogResult")})
    except botocore.exceptions.ClientError as error:
        out.append({"status": error.response["ResponseMetadata"]["HTTPStatusCode"], "type": error.response["Error"]["Code"],
                    "message": error.response["Error"]["Message"], "modelled": type(error).__name__})
json.dump(out, sys.stdout)
"""

NODE = r"""
const { LambdaClient, InvokeCommand } = require("@aws-sdk/client-lambda");
(async () => {
  const client = new LambdaClient({ endpoint: process.argv[2], region: "us-east-1", maxAttempts: 1 });
  const out = [];
  for (const call of JSON.parse(require("fs").readFileSync(0))) {
    try {
      const answer = await client.send(new InvokeCommand(call));
      out.push({ status: answer.StatusCode, payload: Buffer.from(answer.Payload ?? []).toString(), id: answer.$metadata.requestId,
                 error: answer.FunctionError ?? null, version: answer.ExecutedVersion ?? null, log: answer.LogResult ?? null });
    } catch (error) {
      out.push({ status: error.$metadata?.httpStatusCode, type: error.name, message: error.message, modelled: error.constructor.name });
    }
  }
  process.stdout.write(JSON.stringify(out));
})();
"""


class Gateway(PeerTest):
    def start(self, **settings):
        (port,) = processes.free_ports(1)
        functions = {name: weir.function(name, self.mark) for name in ("node", "python")}
        self.running = weir.Weir(self.folder / "bridge", functions, {}, listen=f"127.0.0.1:{port}", **settings).start()
        self._bridges.append(self.running)
        self.url = f"http://127.0.0.1:{port}"

    def environment(self, key="WEIRKEY", secret=KEYS["WEIRKEY"]):
        return {**os.environ, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "NODE_PATH": parts.client_lambda()}

    def clients(self):
        """{name: function from a list of calls to the list of what they came to}"""
        def run(*command):
            def send(calls, **credentials):
                done = subprocess.run([*command, self.url], input=json.dumps(calls), capture_output=True, text=True, timeout=60,
                                      env=self.environment(**credentials))
                self.assertEqual(done.returncode, 0, done.stderr)
                return json.loads(done.stdout)
            return send
        script = self.folder / "client.js"
        script.write_text(NODE)
        return {"boto3": run(parts.python_with_boto(), "-c", BOTO), "client-lambda": run(parts.command("node"), script)}

    def test_answers_and_errors_as_the_sdks_see_them(self):
        self.start()
        tail = base64.b64encode(b'{"custom": {"a": "b"}}').decode()
        calls = [{"FunctionName": "node", "Payload": '{"do": "echo"}', "LogType": "Tail", "ClientContext": tail},
                 {"FunctionName": "arn:aws:lambda:us-east-1:000000000000:function:python", "Qualifier": "$LATEST",
                  "Payload": '{"do": "throw"}'},
                 {"FunctionName": "node", "InvocationType": "Event", "Payload": '{"do": "echo"}'},
                 {"FunctionName": "node", "InvocationType": "DryRun"},
                 {"FunctionName": "nobody"},
                 {"FunctionName": "node", "Qualifier": "7"},
                 {"FunctionName": "node", "Payload": '{"a":1,}'}]
        for name, send in self.clients().items():
            with self.subTest(client=name):
                echo, threw, event, dry, nobody, version, bad = send(calls)
                self.assertEqual((echo["status"], echo["error"], echo["version"]), (200, None, "$LATEST"), echo)
                self.assertRegex(echo["id"], f"^{UUID}$")
                self.assertEqual(json.loads(echo["payload"])["request_id"], echo["id"])
                self.assertIn(f"END RequestId: {echo['id']}", base64.b64decode(echo["log"]).decode(errors="replace"))
                self.assertEqual((threw["status"], threw["error"]), (200, "Unhandled"), threw)
                self.assertEqual(json.loads(threw["payload"])["errorType"], "OrderRefused")
                self.assertEqual((event["status"], event["payload"]), (202, ""), event)
                self.assertEqual((dry["status"], dry["payload"]), (204, ""), dry)
                missing = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:"
                self.assertEqual(nobody, {"status": 404, "type": "ResourceNotFoundException", "message": f"{missing}nobody:$LATEST",
                                          "modelled": "ResourceNotFoundException"})
                self.assertEqual(version["message"], f"{missing}node:7")
                self.assertEqual((bad["type"], bad["message"]), ("InvalidRequestContentException", NOT_JSON))

    def test_signatures(self):
        self.start(access_keys=KEYS)
        call = [{"FunctionName": "node", "Payload": '{"do": "echo"}'}]
        for name, send in self.clients().items():
            with self.subTest(client=name):
                self.assertEqual(send(call)[0]["status"], 200)
                wrong = send(call, secret="wrong")[0]
                self.assertEqual((wrong["status"], wrong["type"]), (403, "InvalidSignatureException"), wrong)
                unknown = send(call, key="NOBODY")[0]
                self.assertEqual((unknown["status"], unknown["type"]), (403, "UnrecognizedClientException"), unknown)

    def test_the_aws_command(self):
        self.start(access_keys=KEYS)

        def aws(*arguments):
            out = self.folder / "out.json"
            done = subprocess.run([parts.command("aws"), "lambda", "invoke", "--endpoint-url", self.url, *arguments, out],
                                  capture_output=True, text=True, timeout=60, env=self.environment())
            return done, out
        done, out = aws("--function-name", "python", "--payload", '{"do": "echo"}', "--log-type", "Tail",
                        *self.raw_payload())
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual((told["StatusCode"], told["ExecutedVersion"]), (200, "$LATEST"))
        self.assertIn("REPORT RequestId", base64.b64decode(told["LogResult"]).decode(errors="replace"))
        self.assertEqual(json.loads(out.read_text())["event"], {"do": "echo"})
        done, _ = aws("--function-name", "python", "--invocation-type", "Event")
        self.assertEqual(json.loads(done.stdout)["StatusCode"], 202, done.stderr)
        done, _ = aws("--function-name", "python", "--invocation-type", "DryRun")
        self.assertEqual(json.loads(done.stdout)["StatusCode"], 204, done.stderr)
        done, _ = aws("--function-name", "nobody")
        self.assertIn("An error occurred (ResourceNotFoundException) when calling the Invoke operation: Function not found: "
                      "arn:aws:lambda:us-east-1:000000000000:function:nobody:$LATEST", done.stderr)

    def raw_payload(self):
        """Version 2 of the command takes payloads as base64 unless it is told otherwise; version 1 knows no such option."""
        said = subprocess.run([parts.command("aws"), "--version"], capture_output=True, text=True, timeout=60)
        return ("--cli-binary-format", "raw-in-base64-out") if "aws-cli/2" in said.stdout + said.stderr else ()

    def test_an_event_handed_over_by_weir_invoke(self):
        self.start(access_keys=KEYS)
        done = weir.command("invoke", "node", "--async", "--config", self.running.config, "--event", "-", stdin='{"do": "echo"}')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, f"^{UUID}\n$")
        self.running.terminate()
        done = weir.command("invoke", "node", "--async", "--config", self.running.config, "--event", "-", stdin='{}')
        self.assertEqual(done.returncode, 3, done.stdout)

    def test_what_was_given_up_on_is_shown_and_sent_again(self):
        (port,) = processes.free_ports(1)
        function = {**weir.function("node", self.mark), "maximum_retry_attempts": 0}
        self.running = weir.Weir(self.folder / "bridge", {"node": function}, {}, listen=f"127.0.0.1:{port}").start()
        self._bridges.append(self.running)

        def deadletter(*arguments, status=0):
            done = weir.command("deadletter", *arguments, "--config", self.running.config)
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)
            return done.stdout if status == 0 else done.stderr

        def letters():
            return json.loads(deadletter("list", "--json"))

        def lose(count):
            for _ in range(count):
                weir.command("invoke", "node", "--async", "--config", self.running.config, "--event", "-", stdin='{"do": "throw"}')
        lose(2)
        processes.wait_until(lambda: f"two dead letters: {letters()}", lambda: len(letters()) == 2, 20)
        first, second = letters()
        self.assertEqual((first["function"], first["condition"], first["bytes"]), ("node", "RetriesExhausted", 15))
        self.assertRegex(first["request_id"], f"^{UUID}$")
        self.assertIn(first["request_id"], deadletter("list"))
        whole = json.loads(deadletter("show", first["id"]))
        self.assertEqual((whole["payload"], whole["record"]["requestContext"]["requestId"]), ({"do": "throw"}, first["request_id"]))
        self.assertEqual(deadletter("show", first["id"], "--payload"), '{"do": "throw"}\n')
        self.assertIn("no such dead letter", deadletter("show", 999, status=1))
        self.assertEqual(json.loads(deadletter("list", "--json", "--function", "nobody")), [])
        self.assertIn("by their ids, or say --all", deadletter("redrive", status=2))
        self.assertEqual(deadletter("redrive", first["id"]), "1 dead letter is sent again\n")
        # It fails again, with a new request id.
        processes.wait_until(lambda: f"two again: {letters()}", lambda: len(letters()) == 2 and letters()[0]["id"] == second["id"], 20)
        self.assertNotEqual(letters()[1]["request_id"], first["request_id"])
        self.running.terminate()
        self.assertEqual(len(letters()), 2)
        self.assertEqual(deadletter("show", second["id"], "--payload"), '{"do": "throw"}\n')
        self.assertEqual(deadletter("redrive", "--all", "--function", "node"), "2 dead letters are sent again when the bridge runs\n")
        self.assertEqual(letters(), [])
