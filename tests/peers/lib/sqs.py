"""Servers that speak SQS, and what a test asks of them: ElasticMQ, and moto's."""

import collections
import hashlib
import http.server
import json
import pathlib
import threading
import urllib.error
import urllib.request

from lib import parts, processes

# What weir is to have in its environment to sign with; neither server looks at signatures.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "peer", "AWS_SECRET_ACCESS_KEY": "peersecret"}
AUTHORIZATION = ("AWS4-HMAC-SHA256 Credential=peer/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=00")

SETTINGS = """
include classpath("application.conf")
node-address {{ protocol = http, host = "127.0.0.1", port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-port = {port}, bind-hostname = "127.0.0.1", sqs-limits = strict }}
rest-stats {{ enabled = false }}
queues-storage {{ enabled = true, path = "{folder}/queues.conf" }}
messages-storage {{
  enabled = true, driver-class = "org.h2.Driver", uri = "jdbc:h2:{folder}/messages", username = "elasticmq",
  password = "elasticmq", prune-data-on-init = false
}}
"""


class _Server:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "server.log"
        (self.port,) = processes.free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self._process = None

    def start(self):
        self._process = processes.start(self._command(), self.log, cwd=self.folder)

        def answers():
            if self._process.poll() is not None:
                raise AssertionError(f"the server ended with {self._process.returncode}:\n{processes.tail(self.log)}")
            try:
                self.call("ListQueues")
                return True
            except OSError:
                return False
        processes.wait_until(lambda: f"the server answers:\n{processes.tail(self.log)}", answers, 60)
        return self

    def stop(self):
        if self._process is not None:
            # ElasticMQ waits for its connections, which are polled; what it has said is on disk by then.
            processes.stop(self._process, 3)

    def call(self, operation, **arguments):
        """An operation of SQS; AssertionError with what the server says when it refuses."""
        request = urllib.request.Request(self.url + "/", data=json.dumps(arguments).encode(), method="POST", headers={
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{operation}",
            "Authorization": AUTHORIZATION})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{operation}: {error.code} {error.read().decode(errors='replace')}") from None

    def make_queue(self, name, **attributes):
        """The URL of a new queue."""
        if name.endswith(".fifo"):
            attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true", **attributes}
        return self.call("CreateQueue", QueueName=name, Attributes=attributes)["QueueUrl"]

    def arn(self, queue):
        return self.attributes(queue)["QueueArn"]

    def attributes(self, queue):
        return self.call("GetQueueAttributes", QueueUrl=queue, AttributeNames=["All"])["Attributes"]

    def left(self, queue):
        """How many messages wait, and how many are invisible."""
        attributes = self.attributes(queue)
        return int(attributes["ApproximateNumberOfMessages"]), int(attributes["ApproximateNumberOfMessagesNotVisible"])

    def send(self, queue, bodies, group=None):
        """{message's id: body}."""
        sent = {}
        for first in range(0, len(bodies), 10):
            entries = [{"Id": str(i), "MessageBody": body, **({} if group is None else {"MessageGroupId": group})}
                       for i, body in enumerate(bodies[first:first + 10])]
            done = self.call("SendMessageBatch", QueueUrl=queue, Entries=entries)
            if done.get("Failed"):
                raise AssertionError(f"not all were sent: {done['Failed']}")
            sent.update({each["MessageId"]: entries[int(each["Id"])]["MessageBody"] for each in done["Successful"]})
        return sent


class Elasticmq(_Server):
    """Queues and messages are on disk under `folder`: after stop(), start() comes back with the same address and both."""

    region = "elasticmq"

    def _command(self):
        (self.folder / "elasticmq.conf").write_text(SETTINGS.format(port=self.port, folder=self.folder))
        return [parts.command("java"), "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                f"-Dconfig.file={self.folder / 'elasticmq.conf'}", "-cp", f"{parts.elasticmq_jars()}/*",
                "org.elasticmq.server.Main"]


class Moto(_Server):
    """Gives a message to one receive at a time, which moto by itself does not: see moto_in_turns.py."""

    region = "us-east-1"

    def _command(self):
        return [parts.python_with_boto(), parts.HERE / "lib" / "moto_in_turns.py", "-H", "127.0.0.1", "-p", self.port]


class Refusing:
    """In front of such a server: answers 503 to what is sent to some of its queues, by the ends of their URLs."""

    def __init__(self, server, queues):
        self.refused = collections.Counter()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                queue = json.loads(body).get("QueueUrl", "")
                ours = next((each for each in queues if queue.endswith(each)), None)
                if ours and self.headers["X-Amz-Target"].startswith("AmazonSQS.SendMessage"):
                    outer.refused[ours] += 1
                    self.answer(503, b'{"__type": "com.amazonaws.sqs#ServiceUnavailable", "message": "not now"}')
                    return
                asked = urllib.request.Request(server + self.path, data=body, headers=dict(self.headers), method="POST")
                try:
                    with urllib.request.urlopen(asked, timeout=30) as answer:
                        self.answer(answer.status, answer.read())
                except urllib.error.HTTPError as error:
                    with error:
                        self.answer(error.code, error.read())

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()
