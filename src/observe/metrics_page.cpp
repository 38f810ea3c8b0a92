#include "observe/metrics_page.h"

#include <algorithm>
#include <limits>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace weir::observe {

struct MetricsPage::Families {
  std::vector<prometheus::MetricFamily> all;

  prometheus::ClientMetric& add(std::string_view name, std::string_view help, prometheus::MetricType type,
                                const Labels& labels) {
    auto family = std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.name == name; });
    if (family == all.end()) {
      prometheus::MetricFamily made;
      made.name = name;
      made.help = help;
      made.type = type;
      family = all.insert(all.end(), std::move(made));
    }
    prometheus::ClientMetric metric;
    for (const auto& [key, value] : labels) metric.label.push_back({key, value});
    return family->metric.emplace_back(std::move(metric));
  }
};

MetricsPage::MetricsPage() : families_(std::make_unique<Families>()) {}
MetricsPage::~MetricsPage() = default;

void MetricsPage::counter(std::string_view name, std::string_view help, const Labels& labels, double value) {
  families_->add(name, help, prometheus::MetricType::Counter, labels).counter.value = value;
}

void MetricsPage::gauge(std::string_view name, std::string_view help, const Labels& labels, double value) {
  families_->add(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
}

void MetricsPage::histogram(std::string_view name, std::string_view help, const Labels& labels,
                            std::span<const double> bounds, std::span<const std::uint64_t> counts, double sum) {
  auto& histogram = families_->add(name, help, prometheus::MetricType::Histogram, labels).histogram;
  std::uint64_t cumulated = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    cumulated += counts[i];
    histogram.bucket.push_back({cumulated, i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity()});
  }
  histogram.sample_count = cumulated;
  histogram.sample_sum = sum;
}

std::string MetricsPage::text() const {
  return prometheus::TextSerializer().Serialize(families_->all);
}

}  // namespace weir::observe
