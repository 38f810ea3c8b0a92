// Reads {"from": seconds, "count": n, "expressions": [cron fields, ...]} on stdin, has npm's aws-cron-parser look for the next
// runs of each behind that time, and prints them in seconds: a list for each, shorter where there are no more.
const cron = require("aws-cron-parser");

const { from, count, expressions } = JSON.parse(require("fs").readFileSync(0));
console.log(JSON.stringify(expressions.map((expression) => {
  const parsed = cron.parse(expression);
  const runs = [];
  for (let at = new Date(from * 1000); runs.length < count; ) {
    at = cron.next(parsed, at);
    if (!at) break;
    runs.push(at.getTime() / 1000);
  }
  return runs;
})));
