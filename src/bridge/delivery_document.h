#pragma once

#include <string>
#include <string_view>

#include "weir/event/delivery.h"

#include "store/event_store.h"

namespace weir::bridge {

/// Deliveries are kept among the events, so that one transaction holds both. A target has a colon ("sqs:orders"), a
/// function's name has none.
bool is_delivery(std::string_view function);

/// What the queue has to know of a delivery that waits.
struct DeliveryTerms {
  DeliveryRules rules;
  std::string group;
};

/// The event that a delivery is kept as: `function` is its target, `qualifier` its terms, `payload` a JSON document of
/// the rest.
store::StoredEvent stored_delivery(const ServiceDelivery& delivery, WallTime accepted);
/// Errors: store.corrupt, when it is not what stored_delivery() wrote.
Result<ServiceDelivery> read_delivery(const store::StoredEvent& stored);
Result<DeliveryTerms> read_terms(std::string_view qualifier);

}  // namespace weir::bridge
