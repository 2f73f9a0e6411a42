// What a bench is asked to do. Values only: no thread rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/events.hpp"
#include "clients/cpp/endpoint.hpp"

namespace weir::bench {

enum class Work : std::uint8_t {
  pub = 1,     ///< how many events are acknowledged, and how soon
  sub = 2,     ///< how fast events that are stored already are read
  e2e = 3,     ///< from the sending of an event to its arrival at one reader
  fanout = 4,  ///< the same with many readers
};
[[nodiscard]] std::string_view to_string(Work work);

enum class Protocol : std::uint8_t { http = 1, ndjson = 2, ws = 3, bin = 4 };
[[nodiscard]] std::string_view to_string(Protocol protocol);
[[nodiscard]] std::optional<Protocol> protocol_of(std::string_view name);

struct BenchOptions {
  Work work = Work::pub;
  Protocol protocol = Protocol::ws;
  std::size_t payload_size = 128;  ///< bytes, at least kStampSize
  std::size_t batch = 1;           ///< events a request
  std::size_t clients = 1;         ///< publishing connections
  std::size_t readers = 0;         ///< reading connections
  std::size_t in_flight = 1000;    ///< events sent and not acknowledged, over all connections
  double rate = 0;                 ///< events per second, open loop; 0: closed loop
  double repeats = 0;              ///< share of events that are sent again
  Ids ids = Ids::every_event;
  double warm_up_s = 1;
  double seconds = 10;       ///< at most: of `sub` it is a bound
  std::uint64_t events = 0;  ///< publish so many and stop; 0: until the time is over. Of `sub`: to be read
  std::string topic;         ///< never empty here
  std::size_t topics = 1;    ///< more: their names are `topic`/0, `topic`/1 ...; a request goes to one
  std::string run;           ///< 8 hex digits: the beginning of all ids
};

/// One member, as GET /v1/cluster names it.
struct Target {
  std::string node;
  client::Endpoint http;
  bool leads = false;
};

/// Everybody, the leader among them.
struct Targets {
  std::vector<Target> nodes;
  std::string durability;  ///< what an acknowledgement says: "quorum-disk"
  [[nodiscard]] const Target& leader() const;
};

}  // namespace weir::bench
