"""A function that leads to itself. It writes down each of its invocations, a line in $WEIR_PEER_OUT; where $WEIR_PEER_CALLS
says "events" or "sns", it then puts an event on the bus `loop`, or publishes to the topic `loop`, with AWS's own client, which
hands on the trace header of the invocation by itself."""

import json
import os


def client(service):
    import boto3
    return boto3.client(service, endpoint_url=os.environ["WEIR_PEER_GATEWAY"], region_name="us-east-1",
                        aws_access_key_id="peer", aws_secret_access_key="peersecret")


def handler(event, context):
    out = os.open(os.environ["WEIR_PEER_OUT"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(out, f"{context.aws_request_id}\n".encode())
    finally:
        os.close(out)
    calls = os.environ.get("WEIR_PEER_CALLS")
    if calls == "events":
        client("events").put_events(Entries=[{"EventBusName": "loop", "Source": "loops", "DetailType": "Again", "Detail": "{}"}])
    elif calls == "sns":
        client("sns").publish(TopicArn="arn:aws:sns:us-east-1:000000000000:loop", Message="again")
    return json.dumps({"again": True})
