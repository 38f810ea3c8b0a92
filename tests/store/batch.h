#pragma once

#include <optional>
#include <utility>

#include "store/event_store.h"

namespace weir::test {

/// One event, and the note that goes with it.
inline store::StoredBatch batch_of(store::StoredEvent event, std::optional<store::StoredNote> note = std::nullopt) {
  store::StoredBatch batch;
  batch.events.push_back(std::move(event));
  if (note) batch.notes.push_back(std::move(*note));
  return batch;
}

}  // namespace weir::test
