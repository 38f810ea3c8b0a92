package peer;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The function of the peer tests for Java, run by AWS's own runtime client (aws-lambda-java-runtime-interface-client).
 * The event says in `do` what is to happen, as it does to functions/node/index.mjs.
 */
public class Function implements RequestHandler<Map<String, Object>, Object> {
  public static class OrderRefused extends RuntimeException {
    OrderRefused(String message) {
      super(message);
    }
  }

  @Override
  public Object handleRequest(Map<String, Object> event, Context context) {
    System.out.println("peer function was asked for " + event.get("do"));
    switch (String.valueOf(event.get("do"))) {
      case "echo":
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("event", event);
        answer.put("request_id", context.getAwsRequestId());
        answer.put("arn", context.getInvokedFunctionArn());
        answer.put("left", context.getRemainingTimeInMillis());
        answer.put("trace", System.getProperty("com.amazonaws.xray.traceHeader"));
        answer.put("context", context.getClientContext() == null ? null : context.getClientContext().getCustom());
        answer.put("pid", ProcessHandle.current().pid());
        return answer;
      case "environment":
        return System.getenv();
      case "throw":
        throw new OrderRefused("no such customer: Zoë");
      case "exit":
        Runtime.getRuntime().halt(((Number) event.get("status")).intValue());
        return null;
      case "kill":
        try {
          // A process of Java may not end itself by ProcessHandle.
          new ProcessBuilder("/bin/kill", "-9", String.valueOf(ProcessHandle.current().pid())).start();
        } catch (java.io.IOException problem) {
          throw new IllegalStateException(problem);
        }
        return sleep(60_000);
      case "hang":
        return sleep(600_000);
      default:
        throw new IllegalArgumentException("what is " + event + "?");
    }
  }

  private static Object sleep(long milliseconds) {
    try {
      Thread.sleep(milliseconds);
      return null;
    } catch (InterruptedException problem) {
      throw new IllegalStateException(problem);
    }
  }
}
