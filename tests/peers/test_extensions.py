"""Extensions that others wrote, as they are: AWS's Web Adapter out of a layer, and lambda_sigterm inside of a function.

Extensions in Go are published as sources that the module proxy does not serve; these two come from crates.io and PyPI.
"""

import json
import pathlib
import sys

from lib import parts, processes, weir
from lib.case import PeerTest
from test_clients import invoke

# A web server that knows nothing of Lambda, as somebody would hand it to the adapter.
SERVER = """#!{python}
import http.server, json, os
class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status=200):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        context = json.loads(self.headers.get("x-amzn-lambda-context") or "null")
        told = json.dumps({{"method": self.command, "path": self.path, "body": body, "pid": os.getpid(),
                           "request_id": (context or {{}}).get("request_id")}}).encode()
        self.send_response(418 if self.path == "/teapot" else status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)
    do_GET = do_POST = answer
    def log_message(self, *ignored): pass
print("the shop opens", flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Shop).serve_forever()
"""


def http_event(method, path, body=None):
    """An event of API Gateway, payload version 2.0."""
    return {"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": {"host": "shop.example"},
            "requestContext": {"accountId": "000000000000", "apiId": "api", "domainName": "shop.example", "domainPrefix": "shop",
                               "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "peers"},
                               "requestId": "id", "routeKey": "$default", "stage": "$default", "time": "12/Mar/2026:19:03:58 +0000",
                               "timeEpoch": 1773342238000},
            "body": body, "isBase64Encoded": False}


class WebAdapter(PeerTest):
    """The adapter registers itself for no event at all, waits for the web server, and then asks for the invocations in the
    function's place: to the function's own process nobody ever gives one."""

    def test_a_web_server_is_a_function(self):
        code = self.folder / "code"
        code.mkdir()
        bootstrap = code / "bootstrap"
        bootstrap.write_text(SERVER.format(python=sys.executable))
        bootstrap.chmod(0o755)
        port, = processes.free_ports(1)
        bridge = weir.Weir(self.folder / "bridge", {"shop": {
            "runtime": "provided.al2023", "directory": str(code), "layers": [str(parts.web_adapter())], "timeout": 20, "memory_size": 512,
            "environment": {"WEIR_PEER_MARK": self.mark, "PORT": str(port), "AWS_LWA_READINESS_CHECK_PATH": "/ready"}}}, {})
        self._bridges.append(bridge)
        bridge.start()
        pids = set()
        for method, path, body in (("GET", "/orders/7", None), ("POST", "/orders", '{"text": "Zoë"}'), ("GET", "/teapot", None)):
            with self.subTest(path=path):
                status, headers, payload = invoke(bridge, "shop", http_event(method, path, body))
                self.assertEqual((status, headers["X-Amz-Function-Error"]), (200, None), payload)
                self.assertEqual(payload["statusCode"], 418 if path == "/teapot" else 200)
                seen = json.loads(payload["body"])
                self.assertEqual((seen["method"], seen["path"], seen["body"]), (method, path, body or ""))
                self.assertEqual(seen["request_id"], headers["x-amzn-RequestId"])
                pids.add(seen["pid"])
        with self.subTest("an event of another kind comes as it is"):
            status, _, payload = invoke(bridge, "shop", {"Records": [{"eventSource": "aws:sqs", "body": "a"}]})
            self.assertEqual(status, 200, payload)
            self.assertEqual((payload["path"], json.loads(payload["body"])),
                             ("/events", {"Records": [{"eventSource": "aws:sqs", "body": "a"}]}))
            pids.add(payload["pid"])
        self.assertEqual(len(pids), 1, "one environment had them all")
        self.assertEqual(bridge.terminate(), 0)
        self.assertEqual(processes.with_environment(self.mark), {}, "server and adapter end with weir")


class Sigterm(PeerTest):
    """Lambda tells a function that it ends only when an extension is there: for that alone lambda_sigterm registers one."""

    def ended_with(self, register):
        """The function's log, once weir has ended."""
        code = self.folder / f"code-{register}"
        code.mkdir()
        (code / "app.py").write_text(f"""
import os, signal, sys
sys.path.append({parts.lambda_sigterm()!r})
def told(*ignored):
    print("told to end", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, told)
if {register}:
    import lambda_sigterm
    lambda_sigterm.register()
def handler(event, context):
    return event
""")
        # By its name, for AWS's client lets Python see signals only when AWS_EXECUTION_ENV says python3.12 or later.
        python = pathlib.Path(parts.python_with_runtime_client()).parent
        bridge = weir.Weir(self.folder / f"bridge-{register}", {"f": {
            "runtime": "python3.12", "handler": "app.handler", "directory": str(code), "timeout": 20, "memory_size": 512,
            "environment": {"WEIR_PEER_MARK": self.mark, "PATH": f"{python}:/usr/local/bin:/usr/bin:/bin"}}}, {})
        self._bridges.append(bridge)
        bridge.start()
        for number in range(2):
            status, headers, payload = invoke(bridge, "f", {"n": number})
            self.assertEqual((status, headers["X-Amz-Function-Error"], payload), (200, None, {"n": number}))
        self.assertEqual(bridge.terminate(), 0)
        return (bridge.folder / "state" / "logs" / "f.log").read_text()

    def test_with_an_extension_a_function_gets_sigterm(self):
        self.assertIn("told to end", self.ended_with(register=True))

    def test_without_one_it_does_not(self):
        self.assertNotIn("told to end", self.ended_with(register=False))
