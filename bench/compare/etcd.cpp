// etcd's KV service over gRPC (etcdserverpb/rpc.proto): one call per event, answers in any order.
#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "bench/compare/http2.hpp"
#include "bench/compare/peer_protocols.hpp"

namespace weir::bench::compare {

namespace {

constexpr std::size_t kOutstandingMax = std::size_t{1} << 20U;
/// A gRPC message begins with a byte (not compressed) and its size.
constexpr std::size_t kGrpcHead = 5;
/// What the server may send on the connection before it hears from us: the most there is (§6.9.1).
constexpr std::uint32_t kReceiveWindow = 0x7fff'ffffU - static_cast<std::uint32_t>(kFirstWindow);
constexpr std::uint32_t kGrantAfter = 1U << 20U;

struct Call {
  std::uint64_t rid = 0;
  std::string message;  ///< what has arrived
};

void append_preface(std::string& out) {
  out.append(kPreface);
  append_frame_head(out, FrameType::settings, 0, 0, 0);
  append_window_update(out, 0, kReceiveWindow);
}

class Etcd final : public PublishProtocol {
 public:
  Etcd(const client::Endpoint& server, std::string prefix, Ids ids)
      : prefix_(std::move(prefix)),
        ids_(ids),
        headers_(grpc_headers(server.text(), ids == Ids::none ? "/etcdserverpb.KV/Put" : "/etcdserverpb.KV/Txn")) {}

  // A client need not wait for the server's settings (§3.4): the preface leaves with the first call.
  [[nodiscard]] std::string opening() const override { return {}; }
  [[nodiscard]] Taken open(std::string_view /*in*/) override { return 0; }
  void append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) override;
  [[nodiscard]] Taken take(std::string_view in, std::vector<Answer>& answers, std::string& reply) override;
  [[nodiscard]] std::size_t outstanding_max() const override { return kOutstandingMax; }

 private:
  [[nodiscard]] std::string message_of(const BenchEvent& event);
  [[nodiscard]] std::expected<void, std::string> hear(const Frame& frame, std::vector<Answer>& answers,
                                                      std::string& reply);
  void hear_data(const Frame& frame, std::string& reply);
  void end_call(std::uint32_t stream, std::vector<Answer>& answers);
  void release(std::string& out);

  std::string prefix_;
  Ids ids_;
  std::string headers_;
  std::uint64_t keys_ = 0;
  std::uint32_t next_stream_ = 1;                  // a client's are odd
  std::unordered_map<std::uint32_t, Call> calls_;  // under way
  std::int64_t window_ = kFirstWindow;             // bytes of data that the server still takes
  std::string held_;                               // frames of data that wait for it, in order
  std::uint32_t ungranted_ = 0;                    // bytes of data that have come since the last grant
};

std::string Etcd::message_of(const BenchEvent& event) {
  const std::string key = prefix_ + (ids_ == Ids::none ? fmt::format("{:012}", keys_++) : event.id);
  std::string put;
  append_field(put, 1, key);
  append_field(put, 2, event.body);
  if (ids_ == Ids::none) return put;
  // Compare: target (field 2) CREATE (1), key (3), create_revision (5) is 0; EQUAL is what result means if it is left
  // out.
  std::string compare = "\x10\x01";
  append_field(compare, 3, key);
  compare.append("\x28\x00", 2);
  std::string operation;
  append_field(operation, 2, put);
  std::string transaction;
  append_field(transaction, 1, compare);
  append_field(transaction, 2, operation);
  return transaction;
}

void Etcd::append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) {
  const std::string message = message_of(events.front());
  const std::uint32_t stream = std::exchange(next_stream_, next_stream_ + 2);
  if (stream == 1) append_preface(out);
  calls_.emplace(stream, Call{.rid = rid, .message = {}});
  append_frame_head(out, FrameType::headers, kEndHeaders, stream, headers_.size());
  out.append(headers_);
  append_frame_head(held_, FrameType::data, kEndStream, stream, kGrpcHead + message.size());
  held_ += '\0';
  append_u32(held_, static_cast<std::uint32_t>(message.size()));
  held_.append(message);
  release(out);
}

/// Only data counts against the window, and frame heads do not (§6.9.1).
void Etcd::release(std::string& out) {
  std::size_t released = 0;
  while (const auto frame = front_frame(std::string_view(held_).substr(released))) {
    if (window_ < static_cast<std::int64_t>(frame->payload.size())) break;
    window_ -= static_cast<std::int64_t>(frame->payload.size());
    released += frame->size;
  }
  out.append(held_, 0, released);
  held_.erase(0, released);
}

void Etcd::hear_data(const Frame& frame, std::string& reply) {
  if (const auto call = calls_.find(frame.stream); call != calls_.end()) call->second.message.append(frame.payload);
  ungranted_ += static_cast<std::uint32_t>(frame.payload.size());
  if (ungranted_ >= kGrantAfter) append_window_update(reply, 0, std::exchange(ungranted_, 0));
}

// A call that fails has no message, only trailers; what they say is not decoded.
void Etcd::end_call(std::uint32_t stream, std::vector<Answer>& answers) {
  const auto call = calls_.extract(stream);
  if (call.empty()) return;
  const std::string_view message = call.mapped().message;
  Answer answer{.rid = call.mapped().rid};
  constexpr unsigned kSucceeded = 2;
  if (message.size() < kGrpcHead || message.size() - kGrpcHead != read_u32(message.substr(1))) {
    answer.problem = "the call failed";
  } else if (const auto succeeded = number_field(message.substr(kGrpcHead), kSucceeded); !succeeded) {
    answer.problem = "not a protocol buffer";
  } else {
    (ids_ == Ids::none || *succeeded == 1 ? answer.stored : answer.duplicates) = 1;
  }
  answers.push_back(std::move(answer));
}

std::expected<void, std::string> Etcd::hear(const Frame& frame, std::vector<Answer>& answers, std::string& reply) {
  if (frame.is(FrameType::goaway)) return std::unexpected("the server closes the connection");
  if (frame.is(FrameType::settings) && !frame.has(kAck)) append_frame_head(reply, FrameType::settings, kAck, 0, 0);
  if (frame.is(FrameType::ping) && !frame.has(kAck)) {
    append_frame_head(reply, FrameType::ping, kAck, 0, frame.payload.size());
    reply.append(frame.payload);
  }
  if (frame.is(FrameType::window_update) && frame.stream == 0 && frame.payload.size() == sizeof(std::uint32_t)) {
    window_ += read_u32(frame.payload);
    release(reply);
  }
  if (frame.is(FrameType::data)) {
    if (frame.has(kPadded)) return std::unexpected("the server pads its data");
    hear_data(frame, reply);
  }
  const bool may_end = frame.is(FrameType::data) || frame.is(FrameType::headers);
  if (frame.is(FrameType::rst_stream) || (may_end && frame.has(kEndStream))) end_call(frame.stream, answers);
  return {};
}

Taken Etcd::take(std::string_view in, std::vector<Answer>& answers, std::string& reply) {
  std::size_t consumed = 0;
  while (const auto frame = front_frame(in.substr(consumed))) {
    if (auto heard = hear(*frame, answers, reply); !heard) return std::unexpected(std::move(heard.error()));
    consumed += frame->size;
  }
  return consumed;
}

}  // namespace

std::unique_ptr<PublishProtocol> make_etcd(const client::Endpoint& server, const std::string& prefix, Ids ids) {
  return std::make_unique<Etcd>(server, prefix, ids);
}

}  // namespace weir::bench::compare
