#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/error.h"
#include "weir/base/time.h"
#include "weir/event/delivery.h"

namespace weir::sns {

/// What SNS sends to a subscriber. Of a Notification the token and the subscribe URL are empty, of the two
/// confirmations subject, attributes and unsubscribe URL.
struct Notification {
  Notification() = default;

  std::string type = "Notification";  ///< or "SubscriptionConfirmation", "UnsubscribeConfirmation"
  std::string id;
  std::string sequence;  ///< of FIFO topics; "" of others
  std::string topic_arn;
  std::optional<std::string> subject;
  std::string message;
  std::string timestamp;          ///< as it is written: it is signed so
  std::string signature_version;  ///< "1" or "2"; "" of what is not signed
  std::string signature;          ///< base64
  std::string certificate_url;
  std::string unsubscribe_url;
  std::string token;
  std::string subscribe_url;
  std::map<std::string, MessageAttribute> attributes;

  bool is_notification() const { return type == "Notification"; }
};

/// Reads what SNS posts to an endpoint. event.refused says what is wrong with it, without its text.
Result<Notification> read_notification(std::string_view body);

/// What the signature is made of. Source: sns-verify-signature-of-message; attributes are never part of it.
std::string string_to_sign(const Notification& notification);

/// The body for an HTTP endpoint, which a queue gets too. What is empty is left out.
std::string http_body(const Notification& notification);

/// Lambda's event: SigningCertUrl and UnsubscribeUrl, Subject also when there is none, MessageAttributes always.
std::string lambda_event(const Notification& notification, std::string_view subscription_arn);

/// The attributes as {"NAME":{"Type":..,"Value":..},..}: also what filter policies are matched with.
std::string attributes_json(const std::map<std::string, MessageAttribute>& attributes);

}  // namespace weir::sns
