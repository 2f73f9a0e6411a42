// What a bench publishes: numbered events with ids, some of them again. Values only: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::bench {

/// Every payload begins with the time at which its event was meant to be sent, in ns, as this many hex digits.
inline constexpr std::size_t kStampSize = 16;
[[nodiscard]] std::string stamp_text(std::uint64_t ns);
/// Of a payload; nothing when it does not begin with a stamp.
[[nodiscard]] std::optional<std::uint64_t> stamp_of(std::string_view payload);

struct BenchEvent {
  std::string id;  ///< empty: none
  std::string body;
};

enum class Ids : std::uint8_t { none = 1, every_event = 2 };

class EventMaker {
 public:
  /// Ids begin with `run`, so that no two benches share one. `repeats`: the share of events that are one of the last
  /// few thousand again, with the same id and payload; 0 <= repeats < 1, and 0 without ids.
  EventMaker(std::string run, std::size_t payload_size, Ids ids, double repeats);

  /// The next `count` events, meant to be sent at `ns`. Valid until the next call.
  [[nodiscard]] std::span<const BenchEvent> make(std::size_t count, std::uint64_t ns);
  [[nodiscard]] std::uint64_t repeated() const { return repeated_; }

 private:
  /// Far enough back that most originals are stored, near enough that it costs no memory.
  static constexpr std::size_t kRemembered = 4096;

  void make_new(BenchEvent& event, std::uint64_t ns);

  std::string run_;
  Ids ids_;
  double repeats_;
  std::string filling_;
  std::vector<BenchEvent> batch_;
  std::vector<std::uint64_t> stamps_;  // of the last kRemembered new events, by number modulo kRemembered
  std::uint64_t made_ = 0;             // new events
  std::uint64_t repeated_ = 0;
};

}  // namespace weir::bench
