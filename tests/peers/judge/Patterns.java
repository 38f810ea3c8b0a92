import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import software.amazon.event.ruler.JsonRuleCompiler;
import software.amazon.event.ruler.Machine;
import software.amazon.event.ruler.MachineComplexityEvaluator;

/**
 * AWS's event-ruler as a judge. Without arguments it speaks as `weir match --jsonl` does: a line {"id", "pattern", "event"}
 * gives a line {"id", "match", "error"}, and beside them "ways", the complexity of the pattern's wildcards. With
 * "bench PATTERNS EVENTS SECONDS" it adds all patterns of a file (one a line) to one machine, matches the events of the
 * other in turn on one thread, and prints {"events", "seconds", "matches"} of one whole pass, after a first that warms up.
 */
public class Patterns {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        if (arguments.length == 4 && arguments[0].equals("bench")) {
            bench(Files.readAllLines(Path.of(arguments[1])), Files.readAllLines(Path.of(arguments[2])),
                    Double.parseDouble(arguments[3]), out);
            return;
        }
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode asked = JSON.readTree(line);
            out.println(JSON.writeValueAsString(answer(asked)));
        }
    }

    private static ObjectNode answer(JsonNode asked) {
        ObjectNode answer = JSON.createObjectNode();
        answer.set("id", asked.get("id"));
        answer.putNull("match");
        answer.putNull("error");
        try {
            // Not Machine.addRule(name, json), which reads a pattern that it refuses once more, by old rules.
            Machine machine = Machine.builder().build();
            JsonRuleCompiler.compile(asked.get("pattern").asText()).forEach(rule -> machine.addPatternRule("rule", rule));
            answer.put("ways", machine.evaluateComplexity(new MachineComplexityEvaluator(1000)));
            answer.put("match", !machine.rulesForJSONEvent(asked.get("event").asText()).isEmpty());
        } catch (Exception refused) {
            answer.put("error", String.valueOf(refused.getMessage()));
        }
        return answer;
    }

    private static void bench(List<String> patterns, List<String> events, double seconds, PrintStream out) throws Exception {
        Machine machine = Machine.builder().build();
        for (int i = 0; i < patterns.size(); i++) {
            machine.addRule(Integer.toString(i), patterns.get(i));
        }
        pass(machine, events, seconds);
        out.println(pass(machine, events, seconds));
    }

    private static ObjectNode pass(Machine machine, List<String> events, double seconds) throws Exception {
        long done = 0;
        long matches = 0;
        long begin = System.nanoTime();
        double used = 0;
        while (used < seconds) {
            for (String event : events) {
                matches += machine.rulesForJSONEvent(event).size();
            }
            done += events.size();
            used = (System.nanoTime() - begin) / 1e9;
        }
        return JSON.createObjectNode().put("events", done).put("seconds", used)
                .put("matches", matches / (done / events.size()));
    }
}
