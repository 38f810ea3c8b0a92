#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

#include "weir/base/time.h"
#include "weir/event/delivery.h"

#include "service/answers.h"
#include "service/form.h"

namespace weir::sns {

/// What a call came to, or why it was refused.
template <typename T>
using Answered = boost::system::result<T, service::ApiError>;

service::ApiError invalid_parameter(std::string_view sentence);

/// What is asked of Publish, or of one entry of PublishBatch.
struct Message {
  Message() = default;

  std::string text;
  std::optional<std::string> subject;
  std::string structure;
  std::map<std::string, std::string> by_protocol;  ///< of MessageStructure=json, once it is checked
  std::map<std::string, MessageAttribute> attributes;
  std::string group;
  std::string deduplication;

  // What the topic gives it.
  std::string id;
  std::string sequence;  ///< of a FIFO topic
  WallTime at;
  std::string trace_header;

  const std::string& text_for(const std::string& protocol) const;
  /// What counts against the limits: the text, and names, types and values of attributes.
  std::size_t bytes() const;
};

/// `prefix`: "", or of a batch's entry "PublishBatchRequestEntries.member.1.".
Answered<Message> read_message(const service::Form& form, const std::string& prefix);

/// What does not depend on the topic; it takes MessageStructure apart.
Answered<void> check_message(Message& message);
/// What a FIFO topic wants and others refuse.
Answered<void> check_ordering(const Message& message, bool fifo, bool content_based);

}  // namespace weir::sns
