"""Amazon's DynamoDB Local, and what a test asks of it."""

import json
import pathlib
import urllib.error
import urllib.request

from lib import parts, processes

REGION = "ddblocal"  # what its ARNs and records say, whoever asks
# It takes any credentials and checks no signature, but one has to be there.
AUTHORIZATION = ("AWS4-HMAC-SHA256 Credential=peer/20260101/ddblocal/dynamodb/aws4_request, SignedHeaders=host, "
                 "Signature=00")
# What weir is to have in its environment to sign with.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "peer", "AWS_SECRET_ACCESS_KEY": "peersecret"}


def attribute(value):
    """A Python value as DynamoDB's JSON writes it."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, list):
        return {"L": [attribute(each) for each in value]}
    return {"S": value}


def item(**attributes):
    return {name: attribute(value) for name, value in attributes.items()}


class DynamodbLocal:
    """One server with its tables on disk under `folder`: after stop() or kill(), start() comes back with the same address,
    tables and streams."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "dynamodb.log"
        (self.port,) = processes.free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        service = parts.dynamodb_local()
        self.process = processes.start(
            [parts.command("java"), "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
             "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar", "-dbPath", self.folder / "data",
             "-sharedDb", "-disableTelemetry", "-port", self.port], self.log, cwd=service)

        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"DynamoDB Local ended with {self.process.returncode}:\n{processes.tail(self.log)}")
            try:
                self.call("ListTables", {})
                return True
            except OSError:
                return False
        processes.wait_until(lambda: f"DynamoDB Local answers:\n{processes.tail(self.log)}", answers, 30)
        return self

    def stop(self):
        if self.process is not None:
            processes.stop(self.process, 10)
        self.process = None

    def call(self, operation, arguments, api="DynamoDB_20120810"):
        request = urllib.request.Request(self.url, data=json.dumps(arguments).encode(), headers={
            "X-Amz-Target": f"{api}.{operation}", "Content-Type": "application/x-amz-json-1.0",
            "Authorization": AUTHORIZATION})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{operation}: {error.code} {error.read().decode(errors='replace')}") from None

    def make_table(self, name, view="NEW_AND_OLD_IMAGES"):
        """A table whose items have one key, `id`, and whose stream has that view type. Returns the stream's ARN."""
        return self.call("CreateTable", {
            "TableName": name, "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}})["TableDescription"]["LatestStreamArn"]

    def put(self, table, **attributes):
        self.call("PutItem", {"TableName": table, "Item": item(**attributes)})

    def update(self, table, key, **attributes):
        names = {f"#{name}": name for name in attributes}
        self.call("UpdateItem", {"TableName": table, "Key": item(id=key), "ExpressionAttributeNames": names,
                                 "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
                                 "ExpressionAttributeValues": {f":{n}": attribute(v) for n, v in attributes.items()}})

    def delete(self, table, key):
        self.call("DeleteItem", {"TableName": table, "Key": item(id=key)})
