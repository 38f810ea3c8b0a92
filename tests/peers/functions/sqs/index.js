// The function of the peer tests for queues: AWS's own runtime client, and Powertools' batch processors to say what failed.
//
// First of all one line of JSON goes to the file WEIR_PEER_OUT, with every message in the order of the event. A body that begins
// with `fail` fails, one that begins with `once` fails the first time it comes. WEIR_PEER_MODE: "standard" and "fifo" report
// failures with Powertools, "plain" throws. WEIR_PEER_EVENTS, a folder: the whole event is kept there as it came.
const { appendFileSync, openSync, writeFileSync } = require("node:fs");
const { createRequire } = require("node:module");

const { WEIR_PEER_OUT, WEIR_PEER_EVENTS, WEIR_PEER_DELAY_MS = "0", WEIR_PEER_MODE = "plain", WEIR_PEER_MODULES } = process.env;
const powertools = createRequire(`${WEIR_PEER_MODULES}/`)("@aws-lambda-powertools/batch");

function firstTime(what) {
  try {
    openSync(`${WEIR_PEER_OUT}.${what}`, "wx");
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

function onMessage(message) {
  if (message.body.startsWith("fail")) throw new Error(`refused: ${message.body}`);
  if (message.body.startsWith("once") && firstTime(message.messageId)) throw new Error(`not yet: ${message.body}`);
  // Only what succeeded, in its order: a second file, for the order within a group.
  appendFileSync(`${WEIR_PEER_OUT}.done`, `${message.body}\n`);
}

exports.handler = async (event, context) => {
  const messages = event.Records.map((r) => ({
    id: r.messageId,
    body: r.body,
    group: r.attributes.MessageGroupId ?? "",
    receives: Number(r.attributes.ApproximateReceiveCount),
  }));
  appendFileSync(WEIR_PEER_OUT, JSON.stringify({ request_id: context.awsRequestId, messages }) + "\n");
  if (WEIR_PEER_EVENTS) writeFileSync(`${WEIR_PEER_EVENTS}/${context.awsRequestId}.json`, JSON.stringify(event));
  await new Promise((resolve) => setTimeout(resolve, Number(WEIR_PEER_DELAY_MS)));
  if (WEIR_PEER_MODE === "fifo") {
    return powertools.processPartialResponseSync(event, onMessage, new powertools.SqsFifoPartialProcessor(), {
      context,
      throwOnFullBatchFailure: false,
    });
  }
  if (WEIR_PEER_MODE === "standard") {
    return powertools.processPartialResponse(event, onMessage, new powertools.BatchProcessor(powertools.EventType.SQS), {
      context,
      throwOnFullBatchFailure: false,
    });
  }
  event.Records.forEach(onMessage);
  return null;
};
