// How events are published to other brokers, one event per request, many requests under way. As bench/protocol.hpp
// says: bytes in, bytes out.
#pragma once

#include <memory>
#include <string>

#include "bench/events.hpp"
#include "bench/protocol.hpp"

namespace weir::bench::compare {

/// Ids are remembered this long where the broker wants a time: the window NATS has if it is told nothing.
inline constexpr unsigned kDedupSeconds = 120;

/// JetStream: `subject` belongs to a stream. Acknowledgements come through one inbox; with ids in Nats-Msg-Id.
[[nodiscard]] std::unique_ptr<PublishProtocol> make_nats(const std::string& subject, const std::string& run);
/// Streams: XADD; with ids one script that sets a key for the id, and adds if it was not there.
[[nodiscard]] std::unique_ptr<PublishProtocol> make_redis(const std::string& stream, Ids ids);
/// gRPC: Put under numbered keys; with ids a transaction that creates the id's key if it is absent.
[[nodiscard]] std::unique_ptr<PublishProtocol> make_etcd(const client::Endpoint& server, const std::string& prefix,
                                                         Ids ids);

/// RabbitMQ: messages to a quorum queue, which is declared first, with publisher confirms. Ids mean nothing to it and
/// are left out. `queue` has at most 255 bytes.
[[nodiscard]] std::unique_ptr<PublishProtocol> make_rabbitmq(const std::string& queue);

}  // namespace weir::bench::compare
