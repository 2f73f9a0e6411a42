// Binary messages of one WebSocket (weir.bin.v1): publishing.
#include <utility>

#include "broker/http/answers.hpp"
#include "broker/http/websocket_session.hpp"
#include "broker/http/ws_bin.hpp"

namespace weir::broker::http {

void WebSocket::handle_binary(raft::Bytes message) {
  auto publish = parse_publish_message(std::move(message), shard_->limits());
  if (publish) {
    handle(*std::move(publish));
    return;
  }
  handle(publish.error());
  // Without a rid nobody can tell what was refused: the two sides do not speak the same format.
  if (!publish.error().rid) close(ws::close_code::bad_payload);
}

void WebSocket::handle(wire::PublishMessage message) {
  raft::Bytes request = message.request.bytes();
  const std::uint32_t timeout_ms = message.timeout_ms;
  hand_over(std::move(request), timeout_ms, [this, message = std::move(message)](const wire::Outcome& outcome) {
    const BinAnswer reply = answer_of(message, outcome);
    if (reply.error.empty()) {
      answer(reply.ack, FrameKind::binary);
    } else {
      answer(reply.error);
    }
  });
}

}  // namespace weir::broker::http
