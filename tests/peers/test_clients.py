"""AWS's runtime clients for Go, Rust and Java, and a runtime in bash: each by the name of its runtime, through the Invoke API.

Ruby's client is not here: it is published on RubyGems alone, and the tests get nothing from there.
"""

import base64
import json
import re
import urllib.error
import urllib.request

from lib import parts, weir
from lib.case import PeerTest

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


def invoke(bridge, name, event, **headers):
    """(status, headers, payload) of one invocation through the gateway; the payload parsed when it is JSON."""
    data = event if isinstance(event, bytes) else json.dumps(event).encode()
    request = urllib.request.Request(f"{bridge.gateway}/2015-03-31/functions/{name}/invocations", data, method="POST",
                                     headers={each.replace("_", "-"): value for each, value in headers.items()})
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        text = answer.read()
    try:
        return answer.status, answer.headers, json.loads(text)
    except ValueError:
        return answer.status, answer.headers, text.decode()


class Client:
    """What every runtime client has to do; a class below is one client."""

    runtime, execution_env = "provided.al2023", None
    handler = "function.handler"
    throws = {"errorType": "OrderRefused", "errorMessage": "no such customer: Zoë"}
    kill = "signal: killed"
    whole_context = False

    def code(self):
        """The function's folder."""
        raise NotImplementedError

    def start(self):
        common = {"runtime": self.runtime, "handler": self.handler, "directory": str(self.code()), "memory_size": 512,
                  "environment": {"WEIR_PEER_MARK": self.mark, "WEIR_PEER_EXTRA": 'with "quotes"'}}
        bridge = weir.Weir(self.folder / "bridge", {"peer": {**common, "timeout": 20}, "brief": {**common, "timeout": 2}}, {})
        self._bridges.append(bridge)
        return bridge.start()

    def refused(self, bridge, name, event):
        """(payload, decoded tail of the log) of an invocation that fails as a function's error."""
        status, headers, payload = invoke(bridge, name, event, X_Amz_Log_Type="Tail")
        self.assertEqual((status, headers["X-Amz-Function-Error"]), (200, "Unhandled"), payload)
        return payload, base64.b64decode(headers["X-Amz-Log-Result"]).decode(errors="replace")

    def check_thrown(self, payload):
        """The whole of the client's own document."""
        self.assertEqual({name: payload.get(name) for name in self.throws}, self.throws, payload)

    def test_it(self):
        """One bridge for all: a start costs more than an invocation."""
        bridge = self.start()
        # All that the client for Rust insists on.
        client = {"client": {"installationId": "1", "appTitle": "peers", "appVersionName": "1", "appVersionCode": "1",
                             "appPackageName": "peers"}, "env": {"locale": "sv"}, "custom": {"who": "Zoe"}}
        event = {"do": "echo", "text": "Zoë \U0001f600", "list": [1, 2.5, "three"]}
        with self.subTest("an answer, and the context"):
            status, headers, payload = invoke(bridge, "peer", event, X_Amzn_Trace_Id=ROOT, X_Amz_Client_Context=base64.b64encode(
                json.dumps(client).encode()).decode())
            self.assertEqual((status, headers["X-Amz-Function-Error"]), (200, None), payload)
            self.assertEqual((payload["event"], payload["context"]), (event, client if self.whole_context else client["custom"]))
            self.assertRegex(payload["request_id"], f"^{UUID}$")
            self.assertEqual(payload["request_id"], headers["x-amzn-RequestId"])
            self.assertRegex(payload["arn"], r"^arn:aws:lambda:[a-z0-9-]+:\d{12}:function:peer$")
            self.assertTrue(10_000 < payload["left"] <= 20_000, payload["left"])
            self.assertIn(ROOT.split(";")[0], payload["trace"])
        with self.subTest("the environment"):
            status, _, variables = invoke(bridge, "peer", {"do": "environment"})
            self.assertEqual(status, 200, variables)
            self.assertEqual((variables["WEIR_PEER_EXTRA"], variables["AWS_LAMBDA_FUNCTION_NAME"], variables["_HANDLER"],
                              variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], variables["AWS_LAMBDA_FUNCTION_VERSION"]),
                             ('with "quotes"', "peer", self.handler, "512", "$LATEST"))
            self.assertEqual(variables.get("AWS_EXECUTION_ENV"), self.execution_env)
            self.assertIn("/opt", variables["LD_LIBRARY_PATH"])
        with self.subTest("an error keeps the environment"):
            pid = invoke(bridge, "peer", event)[2]["pid"]
            payload, log = self.refused(bridge, "peer", {"do": "throw"})
            self.check_thrown(payload)
            self.assertIn("peer function was asked for throw", log)
            self.assertEqual(invoke(bridge, "peer", event)[2]["pid"], pid)
        for event, reason in (({"do": "exit", "status": 0}, "Runtime exited without providing a reason"),
                              ({"do": "exit", "status": 3}, "Runtime exited with error: exit status 3"),
                              ({"do": "kill"}, f"Runtime exited with error: {self.kill}")):
            with self.subTest("a process that ends", event=event):
                payload, log = self.refused(bridge, "peer", event)
                self.assertEqual((set(payload), payload["errorType"]), ({"errorType", "errorMessage"}, "Runtime.ExitError"))
                self.assertRegex(payload["errorMessage"], f"^RequestId: {UUID} Error: {re.escape(reason)}$")
                self.assertRegex(log, "Status: error\tError Type: Runtime.ExitError")
        with self.subTest("a handler that takes too long, and the next invocation"):
            payload, log = self.refused(bridge, "brief", {"do": "hang"})
            self.assertEqual((set(payload), payload["errorType"]), ({"errorType", "errorMessage"}, "Sandbox.Timedout"))
            self.assertRegex(payload["errorMessage"], f"^RequestId: {UUID} Error: Task timed out after 2.00 seconds$")
            self.assertIn("Status: timeout", log)
            self.assertEqual(invoke(bridge, "brief", {"do": "echo"})[2]["event"], {"do": "echo"})
        self.more(bridge)
        self.assertEqual(bridge.terminate(), 0)

    def more(self, bridge):
        """What only this client does."""


class Go(Client, PeerTest):
    """aws-lambda-go. An error has no stack trace there, a panic has, and ends the process."""

    throws = {"errorType": "orderRefused", "errorMessage": "no such customer: Zoë"}

    def code(self):
        return parts.go_function()

    def more(self, bridge):
        pid = invoke(bridge, "peer", {"do": "echo"})[2]["pid"]
        payload, _ = self.refused(bridge, "peer", {"do": "panic"})
        self.assertEqual((payload["errorType"], payload["errorMessage"]), ("orderRefused", "no such customer: Zoë"))
        self.assertEqual(set(payload["stackTrace"][0]), {"path", "line", "label"})
        self.assertIn("handle", [frame["label"] for frame in payload["stackTrace"]])
        self.assertNotEqual(invoke(bridge, "peer", {"do": "echo"})[2]["pid"], pid, "the client ends itself after a panic")


class Rust(Client, PeerTest):
    """lambda_runtime. It has no stack traces; it answers a panic and goes on."""

    runtime = "provided.al2"
    kill = "signal: aborted"

    def code(self):
        return parts.rust_function()

    def more(self, bridge):
        pid = invoke(bridge, "peer", {"do": "echo"})[2]["pid"]
        payload, _ = self.refused(bridge, "peer", {"do": "panic"})
        self.assertIn("no such customer: Zoë", payload["errorMessage"])
        self.assertEqual(invoke(bridge, "peer", {"do": "echo"})[2]["pid"], pid)


class Java(Client, PeerTest):
    """aws-lambda-java-runtime-interface-client, whose native part is the one for glibc; found in lib of the function's folder."""

    runtime, execution_env = "java17.al2023", "AWS_Lambda_java17.al2023"
    handler = "peer.Function::handleRequest"
    throws = {"errorType": "peer.Function$OrderRefused", "errorMessage": "no such customer: Zoë"}

    def code(self):
        return parts.java_function()

    def check_thrown(self, payload):
        super().check_thrown(payload)
        self.assertRegex(payload["stackTrace"][0], r"^peer\.Function\.handleRequest\(Function\.java:\d+\)$")


class Bash(Client, PeerTest):
    """A runtime as AWS's tutorial for custom ones has it: curl in a loop."""

    whole_context = True  # it has the header as it came

    def code(self):
        return weir.FUNCTIONS / "bash"

    def check_thrown(self, payload):
        super().check_thrown(payload)
        self.assertEqual(payload["stackTrace"], ["bootstrap, in the loop"])


class Starting(PeerTest):
    def first(self, **function):
        bridge = weir.Weir(self.folder / "bridge", {"peer": {"timeout": 20, "memory_size": 512, **function,
                                                             "environment": {"WEIR_PEER_MARK": self.mark, **function.get("environment", {})}}}, {})
        self._bridges.append(bridge)
        return invoke(bridge.start(), "peer", {"do": "echo"})

    def test_a_runtime_that_reports_why_it_cannot_start(self):
        status, headers, payload = self.first(runtime="provided.al2023", handler="nowhere.handler", directory=str(weir.FUNCTIONS / "bash"))
        self.assertEqual((status, headers["X-Amz-Function-Error"]), (200, "Unhandled"))
        self.assertEqual(payload, {"errorType": "Runtime.NoSuchHandler", "errorMessage": "there is no handler nowhere.handler",
                                   "stackTrace": []})

    def test_a_class_of_java_that_is_not_there(self):
        status, headers, payload = self.first(runtime="java21", handler="peer.Nowhere", directory=str(parts.java_function()))
        self.assertEqual((status, headers["X-Amz-Function-Error"]), (200, "Unhandled"))
        self.assertEqual(payload["errorType"], "java.lang.ClassNotFoundException", payload)
        self.assertIn("peer.Nowhere", payload["errorMessage"])

    def test_ruby_without_its_client_says_how_to_get_it(self):
        """RubyGems, which alone has aws_lambda_ric, is not reached from here; without Ruby at all that is what is said."""
        status, headers, payload = self.first(runtime="ruby3.4", handler="function.handler", directory=str(self.folder))
        self.assertEqual((status, headers["X-Amz-Function-Error"]), (200, "Unhandled"))
        self.assertEqual(payload["errorType"], "Runtime.InvalidEntrypoint", payload)
        self.assertIn("ruby", payload["errorMessage"])
