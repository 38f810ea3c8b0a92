#include "service/answers.h"

#include "weir/base/json_writer.h"

#include "service/xml_writer.h"

namespace weir::service {
namespace {

std::string json_type(std::string_view version) {
  return version.empty() ? "application/json" : "application/x-amz-json-" + std::string(version);
}

}  // namespace

ApiError not_kept(const Error& error, std::string_view code) {
  // Where the store is and what it is made of is not the caller's business: the log says it.
  return {500, code,
          error.code() == ErrorCode::kCancelled ? "Nothing was kept, because weir is starting or stopping."
                                                : "Nothing was kept (" + std::string(text(error.code())) + ")."};
}

ServiceAnswer json_answer(std::string body, std::string_view version) {
  return {200, json_type(version), std::move(body)};
}

ServiceAnswer json_error(const ApiError& error, std::string_view version) {
  std::string body;
  JsonWriter(body).begin_object().member("__type", error.code).member("message", error.message).end_object();
  ServiceAnswer answer(error.status, json_type(version), std::move(body));
  answer.headers.emplace_back("x-amzn-ErrorType", error.code);
  return answer;
}

ServiceAnswer form_answer(std::string_view operation, std::string_view result, std::string_view name_space,
                          std::string_view request_id) {
  std::string body;
  XmlWriter out(body);
  out.open(std::string(operation) + "Response", name_space);
  if (!result.empty()) out.open(std::string(operation) + "Result").raw(result).close();
  out.open("ResponseMetadata").element("RequestId", request_id).close().close();
  return {200, "text/xml", std::move(body)};
}

ServiceAnswer form_error(const ApiError& error, std::string_view name_space, std::string_view request_id) {
  std::string body;
  XmlWriter out(body);
  out.open("ErrorResponse", name_space).open("Error").element("Type", error.status < 500 ? "Sender" : "Receiver");
  out.element("Code", error.code).element("Message", error.message).close();
  out.element("RequestId", request_id).close();
  return {error.status, "text/xml", std::move(body)};
}

}  // namespace weir::service
