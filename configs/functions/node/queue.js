// A function of an SQS queue: `node_modules/.bin/aws-lambda-ric queue.handler` (npm install aws-lambda-ric).
// With function_response_types: [ReportBatchItemFailures] what is named in batchItemFailures stays in the queue; the rest is deleted.
exports.handler = async (event) => {
  const batchItemFailures = [];
  for (const message of event.Records) {
    try {
      console.log(`${message.messageId} (${message.attributes.ApproximateReceiveCount}): ${message.body}`);
    } catch (error) {
      batchItemFailures.push({ itemIdentifier: message.messageId });
    }
  }
  return { batchItemFailures };
};
