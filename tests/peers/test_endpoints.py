"""Functions elsewhere: AWS's Runtime Interface Emulator behind `url`, real signatures and sources of credentials for `arn`."""

import http.server
import json
import os
import random
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

from lib import parts, processes, weir
from lib.case import PeerTest

SUCCESS, FUNCTION_ERROR, BAD_CALL, NOT_DELIVERED = 0, 1, 2, 3


class Rie:
    """One emulator with a function of AWS's own Python client in it."""

    def __init__(self, folder, mark, timeout=20, handler="app.handler", program=None):
        self.port, api = processes.free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"rie-{self.port}.log"
        command = program or [parts.python_with_runtime_client(), "-m", "awslambdaric", handler]
        # A clean environment: the emulator hands its own to the function.
        self.process = processes.start(
            [parts.rie(), "--runtime-interface-emulator-address", f"127.0.0.1:{self.port}", "--runtime-api-address",
             f"127.0.0.1:{api}", *command],
            self.log, cwd=weir.FUNCTIONS / "python",
            env={"PATH": os.environ["PATH"], "WEIR_PEER_MARK": mark, "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout)})
        processes.wait_until("the emulator listens", self._listens, 10)

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        processes.stop(self.process, 5)


class Emulated(PeerTest):
    """weir's `url` endpoint and the emulator that AWS puts into images."""

    def emulator(self, **how):
        rie = Rie(self.folder, self.mark, **how)
        self.addCleanup(rie.stop)
        return rie

    def invoke(self, urls, event, *options, **function):
        """(exit status, payload, stderr); the payload parsed when it is JSON."""
        bridge = weir.Weir(self.folder / f"bridge-{time.monotonic_ns()}",
                           {"far": {"url": urls, "function_name": "function", **function}}, {})
        file = self.folder / "event.json"
        file.write_text(json.dumps(event))
        done = weir.command("invoke", "far", "--config", bridge.config, "--event", file, *options)
        try:
            return done.returncode, json.loads(done.stdout), done.stderr
        except ValueError:
            return done.returncode, done.stdout, done.stderr

    def test_an_answer_and_an_exception(self):
        rie = self.emulator()
        status, payload, told = self.invoke(rie.url, {"do": "echo", "text": "Zoë"})
        self.assertEqual((status, payload["event"]), (SUCCESS, {"do": "echo", "text": "Zoë"}), told)
        status, payload, told = self.invoke(rie.url, {"do": "throw"})
        self.assertEqual((status, payload["errorType"], payload["errorMessage"]),
                         (FUNCTION_ERROR, "OrderRefused", "no such customer: Zoë"), told)

    def test_a_timeout_reads_as_lambdas(self):
        rie = self.emulator(timeout=1)
        status, payload, told = self.invoke(rie.url, {"do": "hang"})
        self.assertEqual((status, payload["errorType"]), (FUNCTION_ERROR, "Sandbox.Timedout"), told)
        self.assertRegex(payload["errorMessage"], r"^RequestId: [0-9a-f-]{36} Error: Task timed out after 1.00 seconds$")

    def test_a_process_that_exits(self):
        rie = self.emulator()
        status, payload, told = self.invoke(rie.url, {"do": "exit", "status": 3})
        self.assertEqual(status, FUNCTION_ERROR, (payload, told))
        self.assertIn("errorType", payload)

    def test_an_emulator_that_somebody_else_keeps_busy(self):
        """A second call at a time is refused with 400 by its source, and makes the emulator of SAM 1.170 crash (a nil pointer
        in rapidcore): both are told as not delivered. weir itself gives it one at a time."""
        rie = self.emulator()
        request = urllib.request.Request(f"{rie.url}/2015-03-31/functions/function/invocations",
                                         data=json.dumps({"do": "hang"}).encode(), method="POST")

        def hang():
            try:
                urllib.request.urlopen(request, timeout=30).read()
            except OSError:
                pass  # the emulator crashed, or is stopped below
        busy = threading.Thread(target=hang, daemon=True)
        busy.start()
        processes.wait_until("the function has the call", lambda: b"asked for hang" in rie.log.read_bytes(), 10)
        status, _, told = self.invoke(rie.url, {"do": "echo"})
        self.assertEqual(status, NOT_DELIVERED, told)
        self.assertRegex(told, "TooManyRequestsException|closed the connection before its answer was whole")
        rie.stop()
        busy.join(10)
        for pid in processes.with_environment(self.mark):  # which a crashed emulator leaves behind
            os.kill(pid, 9)

    def test_one_of_two_is_down(self):
        rie = self.emulator()
        down = f"http://127.0.0.1:{processes.free_ports(1)[0]}"
        status, payload, told = self.invoke([down, rie.url], {"do": "echo"})
        self.assertEqual(status, SUCCESS, (payload, told))
        status, _, told = self.invoke(down, {"do": "echo"})
        self.assertEqual(status, NOT_DELIVERED)
        self.assertIn(f"{down} cannot be reached", told)

    def test_a_wrong_name_is_told(self):
        rie = self.emulator()
        status, _, told = self.invoke(rie.url, {"do": "echo"}, function_name="other")
        self.assertEqual(status, NOT_DELIVERED)
        self.assertIn("no answer of Lambda's Invoke API", told)


# What botocore is asked to sign, in an interpreter that has it; prints the headers it adds, as JSON lines.
BOTO_SIGNS = r"""
import datetime, json, sys
import botocore.auth, botocore.awsrequest, botocore.credentials
from unittest import mock
for line in sys.stdin:
    a = json.loads(line)
    at = datetime.datetime.fromtimestamp(a["at_ms"] / 1000, datetime.timezone.utc)
    request = botocore.awsrequest.AWSRequest(method=a["method"], url="https://" + a["host"] + a["target"],
                                             data=a["body"].encode(), headers=dict(a["headers"]))
    keys = botocore.credentials.Credentials(a["key"], a["secret"], a["token"] or None)
    class Frozen(botocore.auth.SigV4Auth):
        pass
    names = [n for n in ("get_current_datetime",) if hasattr(botocore.auth, n)]
    patches = [mock.patch.object(botocore.auth, n, lambda *x, **y: at if y.get("remove_tzinfo") is False else at.replace(tzinfo=None)) for n in names]
    for p in patches: p.start()
    Frozen(keys, a["service"], a["region"]).add_auth(request)
    for p in patches: p.stop()
    print(json.dumps({k: v for k, v in request.headers.items()}), flush=True)
"""


class Signatures(PeerTest):
    """http::sign() and botocore's SigV4Auth make the same signature of the same request."""

    def requests(self):
        targets = ["/", "/2015-03-31/functions/f/invocations", "/2015-03-31/functions/f/invocations?Qualifier=%24LATEST",
                   "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A1%3Afunction%3Af/invocations?Qualifier=live",
                   "/a%20b/%C3%BC", "/?b=2&a=1&a=0", "/?empty=&plain", "/?x=%2F%3D%26", "/~user/-._", "/a//b", "/a/./b/../c",
                   "/?a=b%20c&A=d", "/%25"]
        bodies = ["", "{}", '{"text":"Zoë"}', "x" * 5000]
        headers = [[], [["Content-Type", "application/json"]],
                   [["X-Amz-Invocation-Type", "RequestResponse"], ["X-Amz-Log-Type", "Tail"], ["X-Amzn-Trace-Id", "Root=1"]],
                   [["X-Amz-Client-Context", "e30="], ["X-Custom", "  two   blanks  "], ["User-Agent", "weir"]],
                   [["Content-Type", "application/x-www-form-urlencoded; charset=utf-8"]]]
        dice = random.Random(1)
        for target in targets:
            for host in ("lambda.eu-west-1.amazonaws.com", "127.0.0.1:4566"):
                for token in ("", "t0ken/+="):
                    yield {"method": dice.choice(["POST", "GET", "PUT"]), "host": host, "target": target,
                           "body": dice.choice(bodies), "headers": dice.choice(headers), "key": "AKIDEXAMPLE",
                           "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "token": token,
                           "region": dice.choice(["eu-west-1", "us-gov-west-1"]), "service": dice.choice(["lambda", "sts"]),
                           "at_ms": dice.randrange(1_600_000_000, 1_900_000_000) * 1000}

    def test_they_are_the_same(self):
        asked = list(self.requests())
        lines = "".join(json.dumps(each) + "\n" for each in asked)
        ours = subprocess.run([parts.sign_tool()], input=lines, capture_output=True, text=True, timeout=60, check=True)
        theirs = subprocess.run([parts.python_with_boto(), "-c", BOTO_SIGNS], input=lines, capture_output=True, text=True,
                                timeout=120)
        self.assertEqual(theirs.returncode, 0, theirs.stderr)
        mine = [json.loads(line) for line in ours.stdout.splitlines()]
        others = [json.loads(line) for line in theirs.stdout.splitlines()]
        self.assertEqual((len(mine), len(others)), (len(asked), len(asked)))
        for request, one, other in zip(asked, mine, others):
            with self.subTest(target=request["target"], headers=request["headers"]):
                self.assertRegex(other.get("Authorization", ""), "Signature=[0-9a-f]{64}$")
                self.assertEqual(one.get("Authorization"), other.get("Authorization"))
                self.assertEqual(one.get("X-Amz-Date"), other.get("X-Amz-Date"))


class Surroundings(http.server.BaseHTTPRequestHandler):
    """Instance metadata, container metadata and Lambda on one port; credentials for an hour, others each time."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *ignored):
        pass

    def answer(self, status, body, **headers):
        data = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def keys(self):
        self.server.given += 1
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        return json.dumps({"Code": "Success", "AccessKeyId": f"ASIA{self.server.given}", "SecretAccessKey": "hush",
                           "Token": "hush-token", "Expiration": end})

    def do_PUT(self):
        self.answer(200, "imds-token")

    def do_GET(self):
        if self.path == "/container":
            right = self.headers.get("Authorization") == "hush-container"
            return self.answer(200 if right else 403, self.keys() if right else "{}")
        if self.headers.get("X-aws-ec2-metadata-token") != "imds-token":
            return self.answer(401, "")
        root = "/latest/meta-data/iam/security-credentials/"
        return self.answer(200, "role" if self.path == root else self.keys())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        used = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        self.server.calls.append((self.path, used))
        self.answer(200, json.dumps({"used": used, "event": json.loads(body)}), x_amzn_RequestId="6f1c")


class Credentials(PeerTest):
    ARN = "arn:aws:lambda:eu-west-1:123456789012:function:billing:live"

    def surroundings(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Surroundings)
        server.given, server.calls = 0, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server, f"http://127.0.0.1:{server.server_address[1]}"

    def invoke(self, environment, **function):
        bridge = weir.Weir(self.folder / f"bridge-{time.monotonic_ns()}", {"far": {"arn": self.ARN, **function}}, {})
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return weir.command("invoke", "far", "--config", bridge.config, "--event", "-", stdin='{"n": 1}',
                            env={**clean, "HOME": str(self.folder), "AWS_EC2_METADATA_DISABLED": "true", **environment})

    def test_instance_and_container_metadata(self):
        server, url = self.surroundings()
        rows = {"instance": {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": url},
                "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/container",
                              "AWS_CONTAINER_AUTHORIZATION_TOKEN": "hush-container"}}
        for name, environment in rows.items():
            with self.subTest(source=name):
                done = self.invoke({**environment, "AWS_ENDPOINT_URL_LAMBDA": url})
                self.assertEqual(done.returncode, SUCCESS, done.stderr)
                self.assertEqual(json.loads(done.stdout), {"used": f"ASIA{server.given}", "event": {"n": 1}})
                self.assertNotIn("hush", done.stdout + done.stderr)
        path = server.calls[0][0]
        self.assertEqual(urllib.parse.unquote(path),
                         f"/2015-03-31/functions/{self.ARN.removesuffix(':live')}/invocations?Qualifier=live")

    def test_moto_gives_a_role(self):
        """moto's STS, asked with a signature and with a web identity."""
        _, url = self.surroundings()
        port, = processes.free_ports(1)
        moto = processes.start([parts.python_with_boto(), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], self.folder / "moto.log")
        self.addCleanup(processes.stop, moto, 5)
        sts = f"http://127.0.0.1:{port}"

        def up():
            try:
                return urllib.request.urlopen(f"{sts}/moto-api/data.json", timeout=5).status == 200
            except OSError:
                return False
        processes.wait_until("moto answers", up, 60)
        (self.folder / "config").write_text(
            "[profile r]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = s\nexternal_id = x y\n"
            "[profile s]\naws_access_key_id = AKID\naws_secret_access_key = hush\n")
        (self.folder / "token").write_text("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.\n")
        rows = {"role": {"AWS_CONFIG_FILE": str(self.folder / "config"), "AWS_PROFILE": "r"},
                "web identity": {"AWS_WEB_IDENTITY_TOKEN_FILE": str(self.folder / "token"),
                                 "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r"}}
        for name, environment in rows.items():
            with self.subTest(source=name):
                done = self.invoke({**environment, "AWS_ENDPOINT_URL_STS": sts}, endpoint_url=url)
                self.assertEqual(done.returncode, SUCCESS, done.stderr)
                self.assertRegex(json.loads(done.stdout)["used"], "^ASIA")

    def test_none_are_told_with_what_was_looked_for(self):
        done = self.invoke({})
        self.assertEqual(done.returncode, NOT_DELIVERED)
        for word in ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", ".aws/credentials", "AWS_CONTAINER_CREDENTIALS"):
            self.assertIn(word, done.stderr)
