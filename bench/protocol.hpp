// What a bench says on a connection and how it understands the answers: one pair of classes per protocol. Bytes in,
// bytes out; no sockets. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/events.hpp"
#include "bench/options.hpp"
#include "bench/topics.hpp"
#include "clients/cpp/endpoint.hpp"

namespace weir::bench {

/// How one request ended.
struct Answer {
  std::uint64_t rid = 0;  ///< the request's number
  std::uint64_t stored = 0;
  std::uint64_t duplicates = 0;
  std::string problem{};  ///< not empty: nothing was acknowledged, and why
};

/// Consumed bytes, or why the connection cannot go on.
using Taken = std::expected<std::size_t, std::string>;

class PublishProtocol {
 public:
  virtual ~PublishProtocol() = default;
  /// Sent first; its answer is taken by `open`. Empty: nothing to say.
  [[nodiscard]] virtual std::string opening() const = 0;
  /// Takes the answer to `opening`; 0 consumed: more bytes are needed.
  [[nodiscard]] virtual Taken open(std::string_view in) = 0;
  virtual void append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) = 0;
  /// Whole answers at the front of `in`. `reply` gets what must be sent back (pongs).
  [[nodiscard]] virtual Taken take(std::string_view in, std::vector<Answer>& answers, std::string& reply) = 0;
  /// Requests without an answer that one connection may have.
  [[nodiscard]] virtual std::size_t outstanding_max() const = 0;
};

/// What a reader hears.
struct Heard {
  std::function<void(std::string_view payload)> event;
  std::function<void()> caught_up;
};

class ReadProtocol {
 public:
  virtual ~ReadProtocol() = default;
  [[nodiscard]] virtual std::string opening() const = 0;
  [[nodiscard]] virtual Taken open(std::string_view in) = 0;
  /// Whole messages at the front of `in`. `reply` gets what must be sent back (credit, pongs).
  [[nodiscard]] virtual Taken take(std::string_view in, const Heard& heard, std::string& reply) = 0;
};

enum class ReadFrom : std::uint8_t { earliest = 1, latest = 2 };

/// `topics` are shared by all connections.
[[nodiscard]] std::unique_ptr<PublishProtocol> make_publish_protocol(Protocol protocol, const client::Endpoint& server,
                                                                     std::shared_ptr<Topics> topics);
/// http and ndjson read the same: a followed ndjson stream.
[[nodiscard]] std::unique_ptr<ReadProtocol> make_read_protocol(Protocol protocol, const client::Endpoint& server,
                                                               const std::string& topic, ReadFrom from);

}  // namespace weir::bench
