#include <fmt/format.h>
#include <deque>
#include <utility>

#include "bench/http_text.hpp"
#include "bench/protocols.hpp"
#include "clients/cpp/client.hpp"

namespace weir::bench {

namespace {

/// The two ways to publish over HTTP share how answers are read.
class HttpPublish : public PublishProtocol {
 public:
  HttpPublish(const client::Endpoint& server, std::shared_ptr<Topics> topics)
      : topics_(std::move(topics)), host_(server.text()) {}

  [[nodiscard]] std::string opening() const override { return {}; }
  [[nodiscard]] Taken open(std::string_view /*in*/) override { return 0; }
  [[nodiscard]] Taken take(std::string_view in, std::vector<Answer>& answers, std::string& reply) override;
  /// The broker answers one request of a connection after the other.
  [[nodiscard]] std::size_t outstanding_max() const override { return 1; }

 protected:
  void append_request(std::string& out, std::uint64_t rid, std::string_view query, std::string_view content_type,
                      std::string_view body);

 private:
  [[nodiscard]] virtual Answer answer_of(unsigned status, std::string_view body) const = 0;

  std::shared_ptr<Topics> topics_;
  std::string host_;
  std::deque<std::uint64_t> rids_;  // without an answer, in order; at most outstanding_max()
};

void HttpPublish::append_request(std::string& out, std::uint64_t rid, std::string_view query,
                                 std::string_view content_type, std::string_view body) {
  rids_.push_back(rid);
  fmt::format_to(std::back_inserter(out),
                 "POST {}{} HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
                 client::events_target(topics_->next()), query, host_, content_type, body.size());
  out += body;
}

Taken HttpPublish::take(std::string_view in, std::vector<Answer>& answers, std::string& /*reply*/) {
  std::size_t consumed = 0;
  while (true) {
    const std::string_view rest = in.substr(consumed);
    const auto head = parse_head(rest);
    if (!head) return std::unexpected(head.error());
    if (!*head) return consumed;
    const std::size_t body_size = (*head)->content_length.value_or(0);
    if (rest.size() < (*head)->size + body_size) return consumed;
    if (rids_.empty()) return std::unexpected("an answer without a request");
    Answer answer = answer_of((*head)->status, rest.substr((*head)->size, body_size));
    answer.rid = rids_.front();
    rids_.pop_front();
    answers.push_back(std::move(answer));
    consumed += (*head)->size + body_size;
  }
}

std::string problem_name(unsigned status, std::string_view body) {
  const auto name = text_after(body, "urn:weir:problem:");
  return name ? std::string(*name) : fmt::format("HTTP {}", status);
}

class SinglePublish final : public HttpPublish {
 public:
  using HttpPublish::HttpPublish;
  void append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) override {
    const BenchEvent& event = events.front();
    append_request(out, rid, event.id.empty() ? std::string{} : "?id=" + event.id, "text/plain", event.body);
  }

 private:
  [[nodiscard]] Answer answer_of(unsigned status, std::string_view body) const override {
    if (status == 201) return {.stored = 1};
    if (status == 200) return {.duplicates = 1};
    return {.problem = problem_name(status, body)};
  }
};

class NdjsonPublish final : public HttpPublish {
 public:
  using HttpPublish::HttpPublish;
  void append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) override {
    lines_.clear();
    for (const BenchEvent& event : events) {
      lines_ += '{';
      if (!event.id.empty()) lines_.append(R"("id":")").append(event.id).append(R"(",)");
      lines_.append(R"("data":")").append(event.body).append("\"}\n");
    }
    append_request(out, rid, {}, "application/x-ndjson", lines_);
  }

 private:
  [[nodiscard]] Answer answer_of(unsigned status, std::string_view body) const override {
    if (status != 201 && status != 200) return {.problem = problem_name(status, body)};
    const auto end = body.rfind(R"("stored":)");
    const std::string_view sums = end == std::string_view::npos ? std::string_view{} : body.substr(end);
    return {.stored = number_after(sums, R"("stored":)").value_or(0),
            .duplicates = number_after(sums, R"("duplicates":)").value_or(0)};
  }
  std::string lines_;
};

/// A followed ndjson stream: chunks, whose bytes are lines.
class NdjsonRead final : public ReadProtocol {
 public:
  NdjsonRead(const client::Endpoint& server, const std::string& topic, ReadFrom from)
      : request_(fmt::format("GET {}?follow=1&from={} HTTP/1.1\r\nHost: {}\r\nAccept: application/x-ndjson\r\n\r\n",
                             client::events_target(topic), from == ReadFrom::earliest ? "earliest" : "latest",
                             server.text())) {}

  [[nodiscard]] std::string opening() const override { return request_; }
  [[nodiscard]] Taken open(std::string_view in) override {
    const auto head = parse_head(in);
    if (!head) return std::unexpected(head.error());
    if (!*head) return 0;
    if ((*head)->status != 200) return std::unexpected(fmt::format("the stream was refused: {}", (*head)->status));
    return (*head)->size;
  }
  [[nodiscard]] Taken take(std::string_view in, const Heard& heard, std::string& reply) override;

 private:
  static void hear(std::string_view line, const Heard& heard);
  std::string request_;
  std::string line_;  // begun in an earlier chunk; at most one event
};

Taken NdjsonRead::take(std::string_view in, const Heard& heard, std::string& /*reply*/) {
  std::size_t consumed = 0;
  while (true) {
    const std::string_view rest = in.substr(consumed);
    const auto size_end = rest.find("\r\n");
    if (size_end == std::string_view::npos) return consumed;
    const auto size = chunk_size(rest.substr(0, size_end));
    if (!size) return std::unexpected("a chunk without a size");
    if (*size == 0) return std::unexpected("the server ended the stream");
    const std::size_t begin = size_end + 2;
    if (rest.size() < begin + *size + 2) return consumed;
    std::string_view text = rest.substr(begin, *size);
    consumed += begin + *size + 2;
    for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
      if (line_.empty()) {
        hear(text.substr(0, end), heard);
      } else {
        line_ += text.substr(0, end);
        hear(line_, heard);
        line_.clear();
      }
      text.remove_prefix(end + 1);
    }
    line_ += text;
  }
}

void NdjsonRead::hear(std::string_view line, const Heard& heard) {
  if (line.starts_with(R"({"control":"caught-up")")) heard.caught_up();
  if (!line.starts_with(R"({"topic":)")) return;
  if (const auto body = text_after(line, R"("data":")")) heard.event(*body);
}

}  // namespace

std::unique_ptr<PublishProtocol> make_single_publish(const client::Endpoint& server, std::shared_ptr<Topics> topics) {
  return std::make_unique<SinglePublish>(server, std::move(topics));
}

std::unique_ptr<PublishProtocol> make_ndjson_publish(const client::Endpoint& server, std::shared_ptr<Topics> topics) {
  return std::make_unique<NdjsonPublish>(server, std::move(topics));
}

std::unique_ptr<ReadProtocol> make_ndjson_read(const client::Endpoint& server, const std::string& topic,
                                               ReadFrom from) {
  return std::make_unique<NdjsonRead>(server, topic, from);
}

}  // namespace weir::bench
