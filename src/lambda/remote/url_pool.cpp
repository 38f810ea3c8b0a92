#include "lambda/remote/url_pool.h"

#include <algorithm>
#include <chrono>

#include "weir/base/error.h"

namespace weir::remote {
namespace {

constexpr Duration kPassedOverMin = std::chrono::milliseconds(500);
constexpr Duration kPassedOverMax = std::chrono::seconds(30);

}  // namespace

UrlPool::UrlPool(std::size_t urls, int requests_per_url, std::uint64_t seed)
    : urls_(urls), requests_per_url_(requests_per_url), random_(seed), last_(urls - 1) {
  WEIR_ASSERT(urls > 0 && requests_per_url > 0);
}

std::optional<std::size_t> UrlPool::acquire(Instant now, const std::vector<bool>& tried) {
  std::optional<std::size_t> free;     // reachable, least busy
  std::optional<std::size_t> due;      // passed over long enough, and nobody tries it already
  std::optional<std::size_t> longest;  // passed over, tried longest ago
  bool any_reachable = false;
  for (std::size_t step = 1; step <= urls_.size(); ++step) {
    const std::size_t index = (last_ + step) % urls_.size();
    if (index < tried.size() && tried[index]) continue;
    const Url& url = urls_[index];
    if (url.refusals == 0) {
      any_reachable = true;
      if (has_place(url) && (!free || url.busy < urls_[*free].busy)) free = index;
      continue;
    }
    const auto before = [&](std::optional<std::size_t> other) { return !other || url.turn < urls_[*other].turn; };
    if (url.busy == 0 && url.retry_at <= now && before(due)) due = index;
    if (has_place(url) && before(longest)) longest = index;
  }
  // One that is due comes first: else a quiet pool would never find out that it is back.
  std::optional<std::size_t> chosen = due ? due : free;
  if (!chosen && !any_reachable) chosen = longest;
  if (!chosen) return std::nullopt;
  ++urls_[*chosen].busy;
  urls_[*chosen].turn = ++turns_;
  last_ = *chosen;
  return chosen;
}

void UrlPool::release(std::size_t url) {
  WEIR_ASSERT(urls_[url].busy > 0);
  --urls_[url].busy;
}

bool UrlPool::on_unreachable(Instant now, std::size_t url) {
  Url& which = urls_[url];
  // Calls that set out together and come back refused together are one refusal.
  if (which.refusals > 0 && now < which.retry_at) return false;
  const int doublings = std::min(which.refusals, 10);
  const Duration full = std::min(kPassedOverMax, kPassedOverMin * (1 << doublings));
  which.retry_at =
      now + full / 2 + Duration(static_cast<Duration::rep>(random_.unit() * static_cast<double>(full.count() / 2)));
  return ++which.refusals == 1;
}

bool UrlPool::on_reached(std::size_t url) {
  const bool news = urls_[url].refusals > 0;
  urls_[url].refusals = 0;
  return news;
}

std::optional<Instant> UrlPool::wake_at(Instant now) const {
  std::optional<Instant> wake;
  for (const Url& url : urls_) {
    if (url.refusals > 0 && url.busy == 0 && url.retry_at > now) wake = earlier(wake, url.retry_at);
  }
  return wake;
}

}  // namespace weir::remote
