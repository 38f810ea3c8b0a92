"""Servers that stand in for Kinesis, and a client of their API: JSON over HTTP, whose signature they do not check."""

import base64
import datetime
import json
import os
import pathlib
import urllib.error
import urllib.request

from lib import parts, processes

# What weir signs with; nobody checks the secret.
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "peer", "AWS_SECRET_ACCESS_KEY": "peer-secret", "AWS_REGION": "us-east-1",
               "AWS_EC2_METADATA_DISABLED": "true"}


class Server:
    """Started by start(); `url` is where it listens."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "kinesis.log"
        self.ports = processes.free_ports(2)
        self.url = f"http://127.0.0.1:{self.ports[0]}"
        self.process = None

    def start(self):
        self.process = processes.start(self.command(), self.log, cwd=self.folder, env=self.environment())

        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{processes.tail(self.log)}")
            try:
                return "StreamNames" in self.do("ListStreams")
            except OSError:
                return False
        processes.wait_until(lambda: f"the server answers:\n{processes.tail(self.log)}", answers, 20)
        return self

    def stop(self):
        if self.process is not None:
            processes.stop(self.process, 5)

    def do(self, operation, **members):
        """One call; AssertionError with the service's words when it fails."""
        now = datetime.datetime.now(datetime.timezone.utc)
        request = urllib.request.Request(self.url, data=json.dumps(members).encode(), method="POST", headers={
            "X-Amz-Target": f"Kinesis_20131202.{operation}", "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Date": now.strftime("%Y%m%dT%H%M%SZ"),
            "Authorization": f"AWS4-HMAC-SHA256 Credential=peer/{now:%Y%m%d}/us-east-1/kinesis/aws4_request, "
                             "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=00"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{operation}: {error.code} {error.read().decode(errors='replace')}") from None

    def wait_active(self, stream):
        processes.wait_until(f"{stream} is active", lambda: self.do("DescribeStreamSummary", StreamName=stream)[
            "StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE", 10)

    def create(self, stream, shards):
        self.do("CreateStream", StreamName=stream, ShardCount=shards)
        self.wait_active(stream)

    def arn(self, stream):
        return self.do("DescribeStreamSummary", StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]

    def shards(self, stream):
        return self.do("ListShards", StreamName=stream)["Shards"]

    def put(self, stream, records):
        """`records`: (key, text) each, in order for each key. Returns [(shard, sequence number), ...]."""
        placed = []
        for first in range(0, len(records), 500):
            answer = self.do("PutRecords", StreamName=stream, Records=[
                {"PartitionKey": key, "Data": base64.b64encode(text.encode()).decode()}
                for key, text in records[first:first + 500]])
            if answer.get("FailedRecordCount"):
                raise AssertionError(f"{answer['FailedRecordCount']} records were not taken")
            placed += [(record["ShardId"], record["SequenceNumber"]) for record in answer["Records"]]
        return placed


class Kinesalite(Server):
    def command(self):
        return [parts.command("node"), parts.kinesalite(), "--port", self.ports[0], "--createStreamMs", "20",
                "--updateStreamMs", "20", "--deleteStreamMs", "20", "--shardLimit", "100"]

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)}


class KinesisLocal(Server):
    """With enhanced fan-out."""

    def command(self):
        return [parts.command("node"), parts.kinesis_local()]

    def environment(self):
        quick = ("CREATE_STREAM", "REGISTER_STREAM_CONSUMER", "SPLIT_SHARD", "MERGE_SHARDS", "UPDATE_SHARD_COUNT")
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "KINESIS_MOCK_PLAIN_PORT": str(self.ports[0]),
                "KINESIS_MOCK_TLS_PORT": str(self.ports[1]), "LOG_LEVEL": "ERROR",
                "KINESIS_MOCK_CERT_PATH": str(pathlib.Path(parts.kinesis_local()).parent / "server.json"),
                **{f"{name}_DURATION": "50ms" for name in quick}}

    def consumer(self, stream):
        """The ARN of a new consumer of the stream."""
        arn = self.arn(stream)
        self.do("RegisterStreamConsumer", StreamARN=arn, ConsumerName="weir")

        def active():
            (consumer,) = self.do("ListStreamConsumers", StreamARN=arn)["Consumers"]
            return consumer["ConsumerARN"] if consumer["ConsumerStatus"] == "ACTIVE" else None
        return processes.wait_until("the consumer is active", active, 10)
