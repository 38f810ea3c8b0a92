// The function of the peer tests for Node, run by AWS's own runtime client (npm aws-lambda-ric).
//
// A Kafka event: one line of JSON is appended to the file WEIR_PEER_OUT, with every record in the order of the event, before
// anything else happens; then the handler waits WEIR_PEER_DELAY_MS. A record whose value begins with `throw-once` makes it
// throw, the first time that record comes; one that begins with `throw-always`, every time. The first record whose value
// begins with `fail` is reported as failed (batchItemFailures). WEIR_PEER_EVENTS, a folder: the whole event is kept there as it came.
// Any other event says in `do` what is to happen.
import { appendFileSync, openSync, writeFileSync } from "node:fs";

const { WEIR_PEER_OUT, WEIR_PEER_EVENTS, WEIR_PEER_DELAY_MS = "0", WEIR_PEER_NAME = "" } = process.env;

class OrderRefused extends Error {
  constructor(message) {
    super(message);
    this.name = "OrderRefused";
  }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function firstTime(what) {
  try {
    openSync(`${WEIR_PEER_OUT}.${what}`, "wx");
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

async function onRecords(event, context) {
  const records = Object.entries(event.records).flatMap(([shard, list]) =>
    list.map((r) => ({
      shard,
      topic: r.topic,
      partition: r.partition,
      offset: r.offset,
      value: r.value == null ? null : Buffer.from(r.value, "base64").toString(),
    })),
  );
  const line = { name: WEIR_PEER_NAME, pid: process.pid, request_id: context.awsRequestId, records };
  // One write to a file opened for appending: lines of several processes do not mix.
  appendFileSync(WEIR_PEER_OUT, JSON.stringify(line) + "\n");
  if (WEIR_PEER_EVENTS) writeFileSync(`${WEIR_PEER_EVENTS}/${context.awsRequestId}.json`, JSON.stringify(event));
  await sleep(Number(WEIR_PEER_DELAY_MS));
  for (const r of records) {
    if (r.value?.startsWith("throw-once") && firstTime(`${r.topic}-${r.partition}-${r.offset}`))
      throw new OrderRefused(`record ${r.topic}/${r.partition}@${r.offset}`);
    if (r.value?.startsWith("throw-always")) throw new OrderRefused("this one never works");
  }
  const failed = records.find((r) => r.value?.startsWith("fail"));
  return failed ? { batchItemFailures: [{ itemIdentifier: { partition: failed.shard, offset: failed.offset } }] } : null;
}

export const handler = async (event, context) => {
  console.log("peer function was asked for", event.records ? "records" : event.do);
  if (event.records) return onRecords(event, context);
  switch (event.do) {
    case "echo":
      return { event, request_id: context.awsRequestId, arn: context.invokedFunctionArn, left: context.getRemainingTimeInMillis() };
    case "environment":
      return process.env;
    case "throw":
      throw new OrderRefused("no such customer: Zoë");
    case "exit":
      process.exit(event.status);
      break;
    case "kill":
      process.kill(process.pid, "SIGKILL");
      return sleep(60_000);
    case "hang":
      return sleep(600_000);
    case "huge":
      return "x".repeat(event.bytes);
    default:
      throw new Error(`what is ${JSON.stringify(event)}?`);
  }
};
