#include "lambda/remote/invoke_request.h"

#include <algorithm>

#include "weir/base/bytes.h"

#include "http/uri.h"

namespace weir::remote {

http::ClientRequest invoke_request(std::string_view base, std::string_view function, std::string_view qualifier,
                                   const Invocation& invocation) {
  while (base.ends_with('/')) base.remove_suffix(1);
  http::ClientRequest request;
  request.method = "POST";
  request.url.append(base)
      .append("/2015-03-31/functions/")
      .append(http::percent_encode(function))
      .append("/invocations");
  if (!qualifier.empty()) request.url.append("?Qualifier=").append(http::percent_encode(qualifier));
  request.headers.add("Content-Type", "application/json");
  request.headers.add("X-Amz-Invocation-Type", "RequestResponse");
  if (invocation.log_tail) request.headers.add("X-Amz-Log-Type", "Tail");
  if (!invocation.client_context.empty()) {
    std::string context;
    append_base64(context, invocation.client_context);
    request.headers.add("X-Amz-Client-Context", context);
  }
  // It came from outside: what would end the header line is no trace.
  const bool one_line = std::none_of(invocation.trace_header.begin(), invocation.trace_header.end(),
                                     [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (!invocation.trace_header.empty() && one_line) request.headers.add("X-Amzn-Trace-Id", invocation.trace_header);
  return request;
}

}  // namespace weir::remote
