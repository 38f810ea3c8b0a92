// Prints each change of an item, by what DynamoDB's stream says of it.
exports.handler = async (event) => {
  for (const { eventName, dynamodb } of event.Records) {
    console.log(`${eventName} ${JSON.stringify(dynamodb.Keys)}: ${JSON.stringify(dynamodb.NewImage ?? null)}`);
  }
};
