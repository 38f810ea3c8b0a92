"""Prints each record of a Kafka event; the key of `records` is "topic-partition"."""
import base64


def handler(event, context):
    for partition, records in event["records"].items():
        for record in records:
            value = record.get("value")
            text = None if value is None else base64.b64decode(value).decode(errors="replace")
            print(f"{partition}@{record['offset']}: {text}")
