#include "bench/events.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace weir::bench {

std::string stamp_text(std::uint64_t ns) {
  std::array<char, kStampSize> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), ns, 16).ptr;
  const auto size = static_cast<std::size_t>(end - digits.data());
  return std::string(kStampSize - size, '0').append(digits.data(), size);
}

std::optional<std::uint64_t> stamp_of(std::string_view payload) {
  if (payload.size() < kStampSize) return std::nullopt;
  std::uint64_t ns = 0;
  const char* const end = payload.data() + kStampSize;
  const auto parsed = std::from_chars(payload.data(), end, ns, 16);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return ns;
}

EventMaker::EventMaker(std::string run, std::size_t payload_size, Ids ids, double repeats)
    : run_(std::move(run)), ids_(ids), repeats_(repeats), stamps_(kRemembered) {
  // Printable, so that every protocol carries it as it is; without runs, so that nothing could compress it to nothing.
  std::uint32_t state = 0x9e3779b9U;
  for (std::size_t i = kStampSize; i < payload_size; ++i) {
    state = (state * 1'664'525U) + 1'013'904'223U;
    filling_ += static_cast<char>('a' + ((state >> 24U) % 26U));
  }
}

void EventMaker::make_new(BenchEvent& event, std::uint64_t ns) {
  event.body.assign(stamp_text(ns)).append(filling_);
  event.id.clear();
  if (ids_ == Ids::every_event) event.id.append(run_).append("-").append(std::to_string(made_));
  stamps_[made_ % kRemembered] = ns;
  ++made_;
}

std::span<const BenchEvent> EventMaker::make(std::size_t count, std::uint64_t ns) {
  batch_.resize(count);
  for (BenchEvent& event : batch_) {
    // From the count, not step by step: rounding does not add up.
    const auto due = static_cast<std::uint64_t>((repeats_ * static_cast<double>(made_ + repeated_ + 1)) + 1e-9);
    if (due <= repeated_ || made_ == 0) {
      make_new(event, ns);
      continue;
    }
    const std::uint64_t back = 1 + ((repeated_ * 997) % std::min<std::uint64_t>(made_, kRemembered));
    const std::uint64_t number = made_ - back;
    event.body.assign(stamp_text(stamps_[number % kRemembered])).append(filling_);
    event.id.assign(run_).append("-").append(std::to_string(number));
    ++repeated_;
  }
  return batch_;
}

}  // namespace weir::bench
