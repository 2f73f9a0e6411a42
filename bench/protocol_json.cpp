#include <fmt/format.h>

#include <utility>

#include "bench/http_text.hpp"
#include "bench/protocols.hpp"

namespace weir::bench {

namespace {

constexpr std::string_view kSubprotocol = "weir.json.v1";
/// Events a reader lets the broker send ahead.
constexpr std::uint64_t kCredit = 16'384;

/// One frame is one event.
class JsonPublish final : public PublishProtocol {
 public:
  JsonPublish(const client::Endpoint& server, std::shared_ptr<Topics> topics)
      : server_(server), topics_(std::move(topics)) {}

  [[nodiscard]] std::string opening() const override { return upgrade_request(server_, kSubprotocol); }
  [[nodiscard]] Taken open(std::string_view in) override { return take_upgrade(in); }
  void append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) override {
    frame_.clear();
    fmt::format_to(std::back_inserter(frame_), R"({{"op":"pub","rid":{},"topic":"{}",)", rid, topics_->next());
    const BenchEvent& event = events.front();
    if (!event.id.empty()) frame_.append(R"("id":")").append(event.id).append(R"(",)");
    frame_.append(R"("data":")").append(event.body).append("\"}");
    append_frame(out, Opcode::text, frame_);
  }
  [[nodiscard]] Taken take(std::string_view in, std::vector<Answer>& answers, std::string& reply) override;
  [[nodiscard]] std::size_t outstanding_max() const override { return 4096; }

 private:
  client::Endpoint server_;
  std::shared_ptr<Topics> topics_;
  std::string frame_;
};

std::expected<Answer, std::string> answer_of(std::string_view text) {
  const auto rid = number_after(text, R"("rid":)");
  if (rid && text.starts_with(R"({"op":"ack")")) {
    const bool duplicate = text.ends_with(R"("duplicate":true})");
    return Answer{.rid = *rid, .stored = duplicate ? 0U : 1U, .duplicates = duplicate ? 1U : 0U};
  }
  const auto problem = text_after(text, "urn:weir:problem:");
  if (rid && problem) return Answer{.rid = *rid, .problem = std::string(*problem)};
  return std::unexpected("the server says " + std::string(text.substr(0, 200)));
}

Taken JsonPublish::take(std::string_view in, std::vector<Answer>& answers, std::string& reply) {
  return take_frames(in, reply, [&answers](const WsFrame& frame) -> std::expected<void, std::string> {
    auto answer = answer_of(frame.payload);
    if (!answer) return std::unexpected(std::move(answer.error()));
    answers.push_back(std::move(*answer));
    return {};
  });
}

class JsonRead final : public ReadProtocol {
 public:
  JsonRead(const client::Endpoint& server, const std::string& topic, ReadFrom from)
      : opening_(upgrade_request(server, kSubprotocol)) {
    append_frame(opening_, Opcode::text, subscribe_frame(topic, from, kCredit));
  }

  [[nodiscard]] std::string opening() const override { return opening_; }
  [[nodiscard]] Taken open(std::string_view in) override { return take_upgrade(in); }
  [[nodiscard]] Taken take(std::string_view in, const Heard& heard, std::string& reply) override;

 private:
  std::string opening_;
  std::uint64_t uncredited_ = 0;
};

Taken JsonRead::take(std::string_view in, const Heard& heard, std::string& reply) {
  return take_frames(in, reply, [&](const WsFrame& frame) -> std::expected<void, std::string> {
    if (!frame.payload.starts_with(R"({"op":"event")")) return take_notice(frame.payload, heard);
    if (const auto body = text_after(frame.payload, R"("data":")")) heard.event(*body);
    if (++uncredited_ >= kCredit / 2) append_frame(reply, Opcode::text, credit_frame(std::exchange(uncredited_, 0)));
    return {};
  });
}

}  // namespace

std::unique_ptr<PublishProtocol> make_json_publish(const client::Endpoint& server, std::shared_ptr<Topics> topics) {
  return std::make_unique<JsonPublish>(server, std::move(topics));
}

std::unique_ptr<ReadProtocol> make_json_read(const client::Endpoint& server, const std::string& topic, ReadFrom from) {
  return std::make_unique<JsonRead>(server, topic, from);
}

}  // namespace weir::bench
