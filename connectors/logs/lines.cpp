#include "connectors/logs/lines.h"

#include <algorithm>
#include <cstring>

#include "observe/function_log_lines.h"

namespace weir::logs {

LineCutter::LineCutter(const pattern::LogPattern& filter, const std::optional<pattern::LogPattern>& start,
                       std::size_t message_bytes, std::uint64_t position, bool function_log)
    : filter_(filter), start_(start), message_bytes_(message_bytes), function_log_(function_log), read_to_(position) {}

std::size_t LineCutter::line_bytes() const {
  return message_bytes_ + (function_log_ ? observe::kFunctionLogPrefixMax : 0);
}

void LineCutter::feed(std::string_view bytes, const Take& take) {
  bool more = true;
  while (more && !bytes.empty()) {
    if (line_.empty() && !start_ && !filter_.needles().empty()) {
      // Whole lines, among which only those with one of the needles have to be looked at.
      const void* last = ::memrchr(bytes.data(), '\n', bytes.size());
      if (last != nullptr) {
        const auto lines = static_cast<std::size_t>(static_cast<const char*>(last) - bytes.data()) + 1;
        more = feed_searching(bytes.substr(0, lines), take);
        bytes.remove_prefix(lines);
        continue;
      }
    }
    const std::size_t end = bytes.find('\n');
    if (end != std::string_view::npos) {
      const std::uint64_t begin = read_to_ - line_.size();
      read_to_ += end + 1;
      if (line_.empty()) {
        more = line(bytes.substr(0, end), begin, read_to_, take);
      } else {
        std::string whole = std::move(line_);
        line_.clear();
        whole.append(bytes.substr(0, end));
        more = line(whole, begin, read_to_, take);
      }
      bytes.remove_prefix(end + 1);
      continue;
    }
    line_.append(bytes);
    read_to_ += bytes.size();
    bytes = {};
    // A line without end is not waited for: what fills a message is one, as the first part of a long line.
    while (line_.size() > line_bytes()) {
      const std::size_t size = fitting(line_);
      const std::string part = line_.substr(0, size);
      line_.erase(0, size);
      const std::uint64_t goes_on = read_to_ - line_.size();
      line(part, goes_on - size, goes_on, take);
    }
  }
}

bool LineCutter::feed_searching(std::string_view bytes, const Take& take) {
  const std::span<const std::string> needles = filter_.needles();
  // Where each needle comes next; looked for again only when that was passed.
  hits_.assign(needles.size(), 0);
  const auto look = [&](std::size_t number, std::size_t from) {
    const std::string& needle = needles[number];
    const void* found = ::memmem(bytes.data() + from, bytes.size() - from, needle.data(), needle.size());
    hits_[number] = found == nullptr ? std::string_view::npos
                                     : static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
  };
  for (std::size_t number = 0; number < needles.size(); ++number) look(number, 0);
  const std::uint64_t begin = read_to_;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t hit = std::ranges::min(hits_);
    if (hit == std::string_view::npos) break;
    const void* before = ::memrchr(bytes.data() + at, '\n', hit - at);
    const std::size_t first =
        before == nullptr ? at : static_cast<std::size_t>(static_cast<const char*>(before) - bytes.data()) + 1;
    // A needle that has a line's end in it is in no line.
    const std::size_t end = bytes.find('\n', hit);
    at = end + 1;
    if (!line(bytes.substr(first, end - first), begin + first, begin + at, take)) {
      read_to_ += at;
      return false;
    }
    for (std::size_t number = 0; number < needles.size(); ++number) {
      if (hits_[number] < at) look(number, at);
    }
  }
  read_to_ += bytes.size();
  return true;
}

bool LineCutter::line(std::string_view line, std::uint64_t begin, std::uint64_t end, const Take& take) {
  std::string_view text = line;
  if (text.ends_with('\r')) text.remove_suffix(1);
  std::optional<std::int64_t> time;
  if (function_log_) {
    if (const auto read = observe::read_function_log_line(text)) {
      time = read->time;
      text = read->message;
    }
  }
  if (!start_) {
    time_ = time;
    return cut(text, begin, end, take);
  }
  bool more = true;
  if (open_bytes_ > 0 && (start_->matches(text) || open_.size() + text.size() + 1 > message_bytes_))
    more = close(begin, take);
  if (open_bytes_ > 0) {
    open_ += '\n';
  } else {
    open_time_ = time;
  }
  open_.append(text);
  open_bytes_ += end - begin;
  return more;
}

void LineCutter::flush(bool to_end, const Take& take) {
  if (to_end && !line_.empty()) {
    const std::string last = std::move(line_);
    line_.clear();
    line(last, read_to_ - last.size(), read_to_, take);
  }
  if (open_bytes_ > 0) close(read_to_ - line_.size(), take);
}

void LineCutter::rewind() {
  read_to_ = done_to();
  open_bytes_ = 0;
  std::string().swap(line_);  // an assignment would keep the memory
  std::string().swap(open_);
}

bool LineCutter::close(std::uint64_t end, const Take& take) {
  const std::uint64_t begin = end - open_bytes_;
  open_bytes_ = 0;
  time_ = open_time_;
  const bool more = cut(open_, begin, end, take);
  open_.clear();
  return more;
}

bool LineCutter::cut(std::string_view text, std::uint64_t begin, std::uint64_t end, const Take& take) const {
  bool more = true;
  while (text.size() > message_bytes_) {
    const std::size_t size = fitting(text);
    more = message(text.substr(0, size), begin, take) && more;
    text.remove_prefix(size);
  }
  return message(text, end, take) && more;
}

bool LineCutter::message(std::string_view message, std::uint64_t end, const Take& take) const {
  // An event without a text is none: CloudWatch refuses it.
  return message.empty() || !filter_.matches(message) || take(message, end);
}

/// How much of a text that is too long makes a message, without taking a character apart.
std::size_t LineCutter::fitting(std::string_view text) const {
  constexpr std::size_t kCharacterBytes = 4;
  std::size_t size = message_bytes_;
  for (std::size_t i = 0; i + 1 < kCharacterBytes && size > 1; ++i) {
    if ((static_cast<unsigned char>(text[size]) & 0xC0U) != 0x80U) return size;
    --size;
  }
  return size;
}

}  // namespace weir::logs
