"""The functions of configs/stream-rules.yaml. They fail where a record says so, so that the rules can be watched."""
import base64
import json


def read(data):
    return json.loads(base64.b64decode(data))


def clicks(event, context):
    """Kinesis: says which record it could not do, so that those in front of it count as done (ReportBatchItemFailures)."""
    for record in event["Records"]:
        click = read(record["kinesis"]["data"])
        if "page" not in click:
            return {"batchItemFailures": [{"itemIdentifier": record["kinesis"]["sequenceNumber"]}]}
        print(f"{record['kinesis']['partitionKey']} looks at {click['page']}")
    return {"batchItemFailures": []}


def totals(event, context):
    """Kinesis, tumbling windows: what it returns as `state` it gets again with the next call of the same window."""
    counted = event["state"].get("clicks", 0) + len(event["Records"])
    if event["isFinalInvokeForWindow"]:
        print(f"{counted} clicks from {event['window']['start']} on, in {event['shardId']}")
    return {"state": {"clicks": counted}}


def orders(event, context):
    """A table's stream: raises for an item that it cannot handle, which fails the whole batch."""
    for record in event["Records"]:
        item = record["dynamodb"]["NewImage"]
        if float(item["total"]["N"]) < 0:
            raise ValueError(f"order {item['id']['S']} has a negative total")
        print(f"order {item['id']['S']}: {item['total']['N']}")


def payments(event, context):
    """Kafka: raises for what is not a payment."""
    for partition, records in event["records"].items():
        for record in records:
            payment = read(record["value"])
            print(f"{partition}@{record['offset']}: {payment['amount']} of {payment['customer']}")
