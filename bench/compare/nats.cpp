// https://docs.nats.io/reference/reference-protocols/nats-protocol, and what JetStream answers to a publish.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <iterator>
#include <utility>

#include "bench/compare/peer_protocols.hpp"
#include "bench/http_text.hpp"

namespace weir::bench::compare {

namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::size_t kOutstandingMax = std::size_t{1} << 20U;

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A line without its end; nullopt: more bytes are needed.
std::optional<std::string_view> line_of(std::string_view in) {
  const auto end = in.find(kLineEnd);
  if (end == std::string_view::npos) return std::nullopt;
  return in.substr(0, end);
}

/// MSG subject sid [reply] size; HMSG subject sid [reply] head_size size.
struct Delivery {
  std::string_view subject;
  std::size_t head_size = 0;
  std::size_t size = 0;
};

std::optional<Delivery> parse_delivery(std::string_view line) {
  constexpr std::size_t kWordsMax = 6;
  std::array<std::string_view, kWordsMax> words;
  std::size_t count = 0;
  while (!line.empty() && count < kWordsMax) {
    const auto space = line.find(' ');
    words[count++] = line.substr(0, space);
    line = space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
  }
  const bool has_head = words[0] == "HMSG";
  if (!line.empty() || count < (has_head ? 5U : 4U)) return std::nullopt;
  const auto size = number_of<std::size_t>(words[count - 1]);
  const auto head_size = has_head ? number_of<std::size_t>(words[count - 2]) : 0;
  if (!size || !head_size || *head_size > *size) return std::nullopt;
  return Delivery{.subject = words[1], .head_size = *head_size, .size = *size};
}

class Nats final : public PublishProtocol {
 public:
  Nats(std::string subject, const std::string& run) : subject_(std::move(subject)), inbox_("_INBOX." + run + ".") {}

  [[nodiscard]] std::string opening() const override;
  [[nodiscard]] Taken open(std::string_view in) override;
  void append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) override;
  [[nodiscard]] Taken take(std::string_view in, std::vector<Answer>& answers, std::string& reply) override;
  [[nodiscard]] std::size_t outstanding_max() const override { return kOutstandingMax; }

 private:
  [[nodiscard]] Taken take_delivery(std::string_view in, std::string_view line, std::vector<Answer>& answers) const;

  std::string subject_;
  std::string inbox_;
};

std::string Nats::opening() const {
  return fmt::format(
      "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"protocol\":1}}\r\n"
      "SUB {}* 1\r\nPING\r\n",
      inbox_);
}

// The server speaks first: INFO. PONG says that it has read all of the opening.
Taken Nats::open(std::string_view in) {
  std::size_t consumed = 0;
  while (const auto line = line_of(in.substr(consumed))) {
    consumed += line->size() + kLineEnd.size();
    if (*line == "PONG") return consumed;
    if (line->starts_with("-ERR")) return std::unexpected(std::string(*line));
  }
  return 0;
}

void Nats::append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) {
  const BenchEvent& event = events.front();
  if (event.id.empty()) {
    fmt::format_to(std::back_inserter(out), "PUB {} {}{} {}\r\n", subject_, inbox_, rid, event.body.size());
  } else {
    constexpr std::string_view kBefore = "NATS/1.0\r\nNats-Msg-Id: ";
    constexpr std::string_view kAfter = "\r\n\r\n";
    const std::size_t head_size = kBefore.size() + event.id.size() + kAfter.size();
    fmt::format_to(std::back_inserter(out), "HPUB {} {}{} {} {}\r\n", subject_, inbox_, rid, head_size,
                   head_size + event.body.size());
    out.append(kBefore).append(event.id).append(kAfter);
  }
  out.append(event.body).append(kLineEnd);
}

Taken Nats::take_delivery(std::string_view in, std::string_view line, std::vector<Answer>& answers) const {
  const auto delivery = parse_delivery(line);
  if (!delivery) return std::unexpected("not a delivery: " + std::string(line));
  const std::size_t begin = line.size() + kLineEnd.size();
  const std::size_t end = begin + delivery->size + kLineEnd.size();
  if (in.size() < end) return 0;
  const auto rid = delivery->subject.starts_with(inbox_)
                       ? number_of<std::uint64_t>(delivery->subject.substr(inbox_.size()))
                       : std::nullopt;
  if (!rid) return std::unexpected("a delivery to " + std::string(delivery->subject));
  const auto body = in.substr(begin + delivery->head_size, delivery->size - delivery->head_size);
  Answer answer{.rid = *rid};
  if (body.contains("\"error\"")) {
    answer.problem = text_after(body, "\"description\":\"").value_or("error");
  } else if (!number_after(body, "\"seq\":")) {
    answer.problem = body.empty() ? "no responders" : "an answer without a sequence number";
  } else {
    const bool duplicate = body.contains("\"duplicate\":true") || body.contains("\"duplicate\": true");
    (duplicate ? answer.duplicates : answer.stored) = 1;
  }
  answers.push_back(std::move(answer));
  return end;
}

Taken Nats::take(std::string_view in, std::vector<Answer>& answers, std::string& reply) {
  std::size_t consumed = 0;
  while (const auto line = line_of(in.substr(consumed))) {
    std::size_t size = line->size() + kLineEnd.size();
    if (line->starts_with("MSG ") || line->starts_with("HMSG ")) {
      const auto taken = take_delivery(in.substr(consumed), *line, answers);
      if (!taken) return taken;
      if (*taken == 0) break;
      size = *taken;
    } else if (*line == "PING") {
      reply.append("PONG").append(kLineEnd);
    } else if (*line != "PONG" && *line != "+OK" && !line->starts_with("INFO ")) {
      return std::unexpected("the server said: " + std::string(*line));
    }
    consumed += size;
  }
  return consumed;
}

}  // namespace

std::unique_ptr<PublishProtocol> make_nats(const std::string& subject, const std::string& run) {
  return std::make_unique<Nats>(subject, run);
}

}  // namespace weir::bench::compare
