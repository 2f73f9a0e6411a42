#include <algorithm>
#include <unordered_map>
#include <utility>

#include "bench/http_text.hpp"
#include "bench/protocols.hpp"
#include "wire/client_message.hpp"

namespace weir::bench {

namespace {

constexpr std::string_view kSubprotocol = "weir.bin.v1";
/// Events a reader lets the broker send ahead: a few megabytes of small ones.
constexpr std::uint64_t kCredit = 65'536;

class BinPublish final : public PublishProtocol {
 public:
  BinPublish(const client::Endpoint& server, std::shared_ptr<Topics> topics)
      : server_(server), topics_(std::move(topics)) {}

  [[nodiscard]] std::string opening() const override { return upgrade_request(server_, kSubprotocol); }
  [[nodiscard]] Taken open(std::string_view in) override { return take_upgrade(in); }
  void append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) override {
    wire::PublishBuilder builder;
    const std::string topic = topics_->next();
    for (const BenchEvent& event : events) {
      builder.add({.topic = topic, .id = event.id, .content_type = "text/plain", .body = event.body});
    }
    sizes_[rid] = events.size();
    message_.clear();
    // Within the limits that the command line keeps, a request can always be built.
    if (const auto request = builder.finish()) wire::append_publish(message_, rid, 0, *request);
    append_frame(out, Opcode::binary, message_);
  }
  [[nodiscard]] Taken take(std::string_view in, std::vector<Answer>& answers, std::string& reply) override;
  [[nodiscard]] std::size_t outstanding_max() const override { return 4096; }

 private:
  client::Endpoint server_;
  std::shared_ptr<Topics> topics_;
  std::string message_;
  std::unordered_map<std::uint64_t, std::size_t> sizes_;  // of requests without an answer; at most outstanding_max()
};

/// Without `stored`, which an Ack does not say: what is not a duplicate.
std::expected<Answer, std::string> answer_of(const WsFrame& frame) {
  if (frame.opcode == Opcode::text) {
    const auto rid = number_after(frame.payload, R"("rid":)");
    const auto problem = text_after(frame.payload, "urn:weir:problem:");
    if (rid && problem) return Answer{.rid = *rid, .problem = std::string(*problem)};
    return std::unexpected("the server says " + std::string(frame.payload.substr(0, 200)));
  }
  const auto message = wire::decode_client(raft::Bytes::copy_of(frame.payload));
  if (!message) return std::unexpected(message.error().text);
  const auto* const ack = std::get_if<wire::AckMessage>(&*message);
  if (ack == nullptr) return std::unexpected("the server sent a message that only a client sends");
  return Answer{.rid = ack->rid, .stored = 0, .duplicates = ack->duplicates.size()};
}

Taken BinPublish::take(std::string_view in, std::vector<Answer>& answers, std::string& reply) {
  return take_frames(in, reply, [&](const WsFrame& frame) -> std::expected<void, std::string> {
    auto answer = answer_of(frame);
    if (!answer) return std::unexpected(std::move(answer.error()));
    const auto size = sizes_.extract(answer->rid);
    if (size.empty()) return std::unexpected("an answer to a request that was not sent");
    if (answer->problem.empty()) answer->stored = size.mapped() - std::min(size.mapped(), answer->duplicates);
    answers.push_back(std::move(*answer));
    return {};
  });
}

class BinRead final : public ReadProtocol {
 public:
  BinRead(const client::Endpoint& server, const std::string& topic, ReadFrom from)
      : opening_(upgrade_request(server, kSubprotocol)) {
    append_frame(opening_, Opcode::text, subscribe_frame(topic, from, kCredit));
  }

  [[nodiscard]] std::string opening() const override { return opening_; }
  [[nodiscard]] Taken open(std::string_view in) override { return take_upgrade(in); }
  [[nodiscard]] Taken take(std::string_view in, const Heard& heard, std::string& reply) override;

 private:
  std::expected<void, std::string> hear(const WsFrame& frame, const Heard& heard);

  std::string opening_;
  std::uint64_t uncredited_ = 0;
};

std::expected<void, std::string> BinRead::hear(const WsFrame& frame, const Heard& heard) {
  if (frame.opcode == Opcode::text) return take_notice(frame.payload, heard);
  const auto message = wire::decode_client(raft::Bytes::copy_of(frame.payload));
  if (!message) return std::unexpected(message.error().text);
  const auto* const events = std::get_if<wire::EventsMessage>(&*message);
  if (events == nullptr) return std::unexpected("the server sent a message that a reader does not get");
  for (const wire::OrdinalRun& run : events->runs) {
    for (std::uint32_t i = 0; i < run.count; ++i) heard.event(events->entry.event(run.first + i).body);
  }
  uncredited_ += events->event_count();
  return {};
}

Taken BinRead::take(std::string_view in, const Heard& heard, std::string& reply) {
  auto taken = take_frames(in, reply, [&](const WsFrame& frame) { return hear(frame, heard); });
  if (taken && uncredited_ >= kCredit / 4) {
    append_frame(reply, Opcode::text, credit_frame(std::exchange(uncredited_, 0)));
  }
  return taken;
}

}  // namespace

std::unique_ptr<PublishProtocol> make_bin_publish(const client::Endpoint& server, std::shared_ptr<Topics> topics) {
  return std::make_unique<BinPublish>(server, std::move(topics));
}

std::unique_ptr<ReadProtocol> make_bin_read(const client::Endpoint& server, const std::string& topic, ReadFrom from) {
  return std::make_unique<BinRead>(server, topic, from);
}

}  // namespace weir::bench
