"""A MinIO server of a test's own, with a webhook as its one target of notifications."""

import json
import os
import pathlib
import subprocess

from lib import parts, processes

ACCESS_KEY, SECRET_KEY = "peer-access", "peer-secret-key"


class Minio:
    """`webhook`: where notifications go, with `token` in their Authorization. They are kept on disk until that takes them."""

    def __init__(self, folder, webhook, token):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "minio.log"
        (port,) = processes.free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self._environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "MINIO_BROWSER": "off",
            "MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY,
            "MINIO_NOTIFY_WEBHOOK_ENABLE_WEIR": "on", "MINIO_NOTIFY_WEBHOOK_ENDPOINT_WEIR": webhook,
            "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_WEIR": token,
            "MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_WEIR": str(self.folder / "queue")}
        self.process = self._client = None

    def start(self):
        self.process = processes.start([parts.minio(), "server", "--quiet", "--address", self.address, self.folder / "data"],
                                       self.log, env=self._environment)
        with open(self.folder / "client.log", "ab") as log:
            self._client = subprocess.Popen(
                [parts.python_with_boto(), str(parts.HERE / "lib" / "s3_client.py"), f"http://{self.address}", ACCESS_KEY,
                 SECRET_KEY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)

        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"MinIO ended with {self.process.returncode}:\n{processes.tail(self.log)}")
            return "answer" in self._ask("list_buckets", {})
        processes.wait_until(lambda: f"MinIO answers:\n{processes.tail(self.log)}", answers, 30)
        return self

    def stop(self):
        if self._client is not None:
            self._client.stdin.close()
            self._client.stdout.close()
            self._client.wait(10)
        if self.process is not None:
            processes.stop(self.process, 10)

    def _ask(self, operation, arguments):
        self._client.stdin.write(json.dumps([operation, arguments]) + "\n")
        self._client.stdin.flush()
        line = self._client.stdout.readline()
        if not line:
            raise AssertionError(f"the S3 client ended:\n{processes.tail(self.folder / 'client.log')}")
        return json.loads(line)

    def do(self, operation, **arguments):
        """An operation of boto3's S3 client; AssertionError when it fails."""
        done = self._ask(operation, arguments)
        if "error" in done:
            raise AssertionError(f"{operation}: {done['error']}")
        return done["answer"]

    def make_bucket(self, name, events, suffix=None):
        """A bucket that notifies the webhook of `events`."""
        self.do("create_bucket", Bucket=name)
        rules = {} if suffix is None else {"Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": suffix}]}}}
        self.do("put_bucket_notification_configuration", Bucket=name, NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": "arn:minio:sqs::WEIR:webhook", "Events": events, **rules}]})
