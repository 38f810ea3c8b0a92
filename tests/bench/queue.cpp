// What weir's reading of an SQS queue is compared with, and what fills the queue.
//
// weir-bench-queue send QUEUE_URL COUNT BYTES CONNECTIONS
//   Sends COUNT messages of so many bytes.
// weir-bench-queue drain QUEUE_URL COUNT CONNECTIONS
//   The bare loop: on each connection ReceiveMessage of ten, then DeleteMessageBatch of what came, and nothing else,
//   until COUNT messages are deleted. Prints {"messages_per_second": between the first and the last tenth, "processor":
//   the part of one core that it used itself}.
//
// Each connection is a thread with a libcurl handle that keeps it open. Requests are signed, as SQS wants them
// (ElasticMQ looks at no signature, but a header that is another each time costs it something), and ask for the
// attributes that weir asks for: so the server has the same to do for both.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <curl/curl.h>
#include <sys/resource.h>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBatch = 10;

/// One connection to the server of a queue.
class Connection {
 public:
  /// `queue`: its URL, without characters that JSON would escape.
  explicit Connection(const std::string& queue) : curl_(curl_easy_init()), server_(server_of(queue)) {
    if (!curl_) throw std::runtime_error("no libcurl handle");
    curl_easy_setopt(curl_.get(), CURLOPT_URL, server_.c_str());
    curl_easy_setopt(curl_.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl_.get(), CURLOPT_PROXY, "");
    curl_easy_setopt(curl_.get(), CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl_.get(), CURLOPT_AWS_SIGV4, "aws:amz:elasticmq:sqs");
    curl_easy_setopt(curl_.get(), CURLOPT_USERPWD, "bench:secret");
    curl_easy_setopt(curl_.get(), CURLOPT_WRITEFUNCTION, &Connection::keep);
    curl_easy_setopt(curl_.get(), CURLOPT_WRITEDATA, &answer_);
  }

  /// The answer's body, which lives until the next call. Throws for whatever is no 200.
  const std::string& call(const std::string& operation, const std::string& body) {
    const std::unique_ptr<curl_slist, FreeList> headers = headers_of(operation);
    answer_.clear();
    curl_easy_setopt(curl_.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl_.get(), CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(curl_.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    const CURLcode failed = curl_easy_perform(curl_.get());
    if (failed != CURLE_OK) throw std::runtime_error(operation + ": " + curl_easy_strerror(failed));
    long status = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) throw std::runtime_error(operation + ": " + std::to_string(status) + " " + answer_);
    return answer_;
  }

 private:
  struct Cleanup {
    void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  };
  struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  static std::string server_of(const std::string& queue) {
    const std::size_t host = queue.find("://");
    const std::size_t path = host == std::string::npos ? host : queue.find('/', host + 3);
    if (path == std::string::npos) throw std::runtime_error(queue + " is no URL of a queue");
    return queue.substr(0, path + 1);
  }

  static std::unique_ptr<curl_slist, FreeList> headers_of(const std::string& operation) {
    // Expect: libcurl would ask before it sends a longer body.
    curl_slist* list = nullptr;
    for (const std::string& header : {std::string("Content-Type: application/x-amz-json-1.0"),
                                      "X-Amz-Target: AmazonSQS." + operation, std::string("Expect:")})
      list = curl_slist_append(list, header.c_str());
    return std::unique_ptr<curl_slist, FreeList>(list);
  }

  static std::size_t keep(char* data, std::size_t, std::size_t size, void* answer) {
    static_cast<std::string*>(answer)->append(data, size);
    return size;
  }

  std::unique_ptr<CURL, Cleanup> curl_;
  std::string server_, answer_;
};

/// Runs `work(connection)` on so many connections at once; the first failure is thrown when all have ended.
template <typename Work>
void on_connections(const std::string& queue, int connections, Work work) {
  std::mutex guard;
  std::exception_ptr failure;
  std::vector<std::thread> threads;
  for (int i = 0; i < connections; ++i) {
    threads.emplace_back([&] {
      try {
        Connection connection(queue);
        work(connection);
      } catch (...) {
        const std::lock_guard lock(guard);
        if (!failure) failure = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

int send(const std::string& queue, int count, int bytes, int connections) {
  std::atomic<int> next = 0;
  on_connections(queue, connections, [&](Connection& connection) {
    for (;;) {
      const int first = next.fetch_add(kBatch);
      if (first >= count) return;
      std::string entries;
      for (int i = first; i < std::min(first + kBatch, count); ++i) {
        std::string body = std::to_string(i) + ' ';
        body.resize(static_cast<std::size_t>(std::max(bytes, 8)), 'x');
        entries +=
            (entries.empty() ? "" : ",") + (R"({"Id":")" + std::to_string(i)) + R"(","MessageBody":")" + body + "\"}";
      }
      const std::string& answer =
          connection.call("SendMessageBatch", R"({"QueueUrl":")" + queue + R"(","Entries":[)" + entries + "]}");
      if (answer.find(R"("Code")") != std::string::npos) throw std::runtime_error("a message was refused: " + answer);
    }
  });
  return 0;
}

/// The receipts of a ReceiveMessage's answer; they hold nothing that JSON escapes.
std::vector<std::string_view> receipts_of(std::string_view answer) {
  constexpr std::string_view kMark = R"("ReceiptHandle":")";
  std::vector<std::string_view> found;
  for (std::size_t at = answer.find(kMark); at != std::string_view::npos; at = answer.find(kMark, at)) {
    at += kMark.size();
    found.push_back(answer.substr(at, answer.find('"', at) - at));
  }
  return found;
}

double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

int drain(const std::string& queue, int count, int connections) {
  const std::string receive = R"({"QueueUrl":")" + queue +
                              R"(","MaxNumberOfMessages":10,"WaitTimeSeconds":1,"MessageSystemAttributeNames":["All"],)"
                              R"("AttributeNames":["All"],"MessageAttributeNames":["All"]})";
  const int first_mark = count / 10, last_mark = count - count / 10;
  std::atomic<int> deleted = 0;
  Clock::time_point began, ended;  // each written once, by whoever's delete passes its mark
  double used_before = 0, used_after = 0;
  on_connections(queue, connections, [&](Connection& connection) {
    while (deleted < count) {
      const std::string answer = connection.call("ReceiveMessage", receive);
      const std::vector<std::string_view> receipts = receipts_of(answer);
      if (receipts.empty()) continue;
      std::string entries;
      for (std::size_t i = 0; i < receipts.size(); ++i) {
        if (i > 0) entries += ',';
        entries += R"({"Id":")" + std::to_string(i) + R"(","ReceiptHandle":")";
        entries += receipts[i];
        entries += "\"}";
      }
      const std::string& gone =
          connection.call("DeleteMessageBatch", R"({"QueueUrl":")" + queue + R"(","Entries":[)" + entries + "]}");
      if (gone.find(R"("Code")") != std::string::npos) throw std::runtime_error("a delete was refused: " + gone);
      const int more = static_cast<int>(receipts.size()), before = deleted.fetch_add(more);
      const auto passes = [&](int mark) { return before < mark && before + more >= mark; };
      if (passes(first_mark)) began = Clock::now(), used_before = processor_seconds();
      if (passes(last_mark)) ended = Clock::now(), used_after = processor_seconds();
    }
  });
  const double seconds = std::chrono::duration<double>(ended - began).count();
  std::printf("{\"messages_per_second\": %.0f, \"processor\": %.3f}\n", (last_mark - first_mark) / seconds,
              (used_after - used_before) / seconds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (words.size() == 5 && words[0] == "send")
      return send(words[1], std::stoi(words[2]), std::stoi(words[3]), std::stoi(words[4]));
    if (words.size() == 4 && words[0] == "drain") return drain(words[1], std::stoi(words[2]), std::stoi(words[3]));
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "weir-bench-queue: %s\n", problem.what());
    return 1;
  }
  std::fprintf(stderr, "weir-bench-queue send QUEUE_URL COUNT BYTES CONNECTIONS | drain QUEUE_URL COUNT CONNECTIONS\n");
  return 2;
}
