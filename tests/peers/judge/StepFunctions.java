// Calls Lambda as Step Functions Local does when it is started with --lambda-endpoint: with version 1 of AWS's SDK for Java, of
// which its jar is made. The endpoint is given; the region, the credentials and the rest are the SDK's ways.
//
//   java -cp JARS StepFunctions.java ENDPOINT
//
// A line in, FUNCTION TAB TYPE TAB PAYLOAD; a line of JSON out: the status, and what the SDK found in the answer, or its exception.
import com.amazonaws.ClientConfiguration;
import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.lambda.AWSLambda;
import com.amazonaws.services.lambda.AWSLambdaClientBuilder;
import com.amazonaws.services.lambda.model.AWSLambdaException;
import com.amazonaws.services.lambda.model.InvokeRequest;
import com.amazonaws.services.lambda.model.InvokeResult;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

public class StepFunctions {
  public static void main(String[] arguments) throws Exception {
    AWSLambda lambda = AWSLambdaClientBuilder.standard()
        .withEndpointConfiguration(new EndpointConfiguration(arguments[0], "us-east-1"))
        .withCredentials(new AWSStaticCredentialsProvider(new BasicAWSCredentials("AKIDPEERS", "peers")))
        .withClientConfiguration(new ClientConfiguration().withMaxErrorRetry(0))
        .build();
    ObjectMapper json = new ObjectMapper();
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] asked = line.split("\t", 3);
      Map<String, Object> told = new LinkedHashMap<>();
      try {
        InvokeResult result = lambda.invoke(
            new InvokeRequest().withFunctionName(asked[0]).withInvocationType(asked[1]).withPayload(asked[2]));
        told.put("status", result.getStatusCode());
        told.put("version", result.getExecutedVersion());
        told.put("error", result.getFunctionError());
        told.put("request_id", result.getSdkResponseMetadata().getRequestId());
        ByteBuffer payload = result.getPayload();
        told.put("payload", payload == null ? null : StandardCharsets.UTF_8.decode(payload).toString());
      } catch (AWSLambdaException refused) {
        told.put("status", refused.getStatusCode());
        told.put("exception", refused.getClass().getSimpleName());
        told.put("code", refused.getErrorCode());
        told.put("message", refused.getErrorMessage());
      }
      out.println(json.writeValueAsString(told));
    }
  }
}
