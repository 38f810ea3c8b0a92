#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::observe {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// One scrape in the Prometheus text exposition. Samples of one name are gathered under one header, in the order of
/// their first mention. Names carry their base unit; counters end in `_total`.
class MetricsPage {
 public:
  MetricsPage();
  ~MetricsPage();

  void counter(std::string_view name, std::string_view help, const Labels& labels, double value);
  void gauge(std::string_view name, std::string_view help, const Labels& labels, double value);
  /// `counts`: per bucket, not cumulated; one more than `bounds`, for what lies above.
  void histogram(std::string_view name, std::string_view help, const Labels& labels, std::span<const double> bounds,
                 std::span<const std::uint64_t> counts, double sum);

  std::string text() const;

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace weir::observe
