// RESP2: https://redis.io/docs/latest/develop/reference/protocol-spec/. Answers come in the order of the commands.
#include <fmt/format.h>

#include <charconv>
#include <deque>
#include <initializer_list>
#include <iterator>
#include <utility>

#include "bench/compare/peer_protocols.hpp"

namespace weir::bench::compare {

namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::size_t kOutstandingMax = std::size_t{1} << 20U;
/// One round trip, and nothing can come between the look and the addition.
constexpr std::string_view kScript =
    "if redis.call('SET',KEYS[1],'1','NX','EX',ARGV[2]) then "
    "return redis.call('XADD',KEYS[2],'*','e',ARGV[1]) end return false";

void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
  for (const std::string_view word : words) {
    fmt::format_to(std::back_inserter(out), "${}\r\n", word.size());
    out.append(word).append(kLineEnd);
  }
}

struct Reply {
  enum class Kind : std::uint8_t { text = 1, nil = 2, error = 3 } kind = Kind::text;
  std::string_view text;
  std::size_t size = 0;  ///< on the wire
};

/// Simple strings, errors and bulk strings: nothing else is asked for. nullopt: more bytes are needed.
std::expected<std::optional<Reply>, std::string> parse_reply(std::string_view in) {
  const auto line_end = in.find(kLineEnd);
  if (line_end == std::string_view::npos) return std::nullopt;
  const std::string_view line = in.substr(1, line_end - 1);
  const std::size_t after = line_end + kLineEnd.size();
  if (in[0] == '+') return Reply{.kind = Reply::Kind::text, .text = line, .size = after};
  if (in[0] == '-') return Reply{.kind = Reply::Kind::error, .text = line, .size = after};
  if (in[0] == '$' && line == "-1") return Reply{.kind = Reply::Kind::nil, .text = {}, .size = after};
  std::size_t size = 0;
  const auto parsed = std::from_chars(line.data(), line.data() + line.size(), size);
  if (in[0] != '$' || parsed.ec != std::errc{} || parsed.ptr != line.data() + line.size()) {
    return std::unexpected("not a reply: " + std::string(in.substr(0, line_end)));
  }
  if (in.size() < after + size + kLineEnd.size()) return std::nullopt;
  return Reply{.kind = Reply::Kind::text, .text = in.substr(after, size), .size = after + size + kLineEnd.size()};
}

class Redis final : public PublishProtocol {
 public:
  Redis(std::string stream, Ids ids) : stream_(std::move(stream)), ids_(ids) {}

  [[nodiscard]] std::string opening() const override;
  [[nodiscard]] Taken open(std::string_view in) override;
  void append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) override;
  [[nodiscard]] Taken take(std::string_view in, std::vector<Answer>& answers, std::string& reply) override;
  [[nodiscard]] std::size_t outstanding_max() const override { return kOutstandingMax; }

 private:
  std::string stream_;
  Ids ids_;
  std::string script_;               // its name, from the server
  std::deque<std::uint64_t> asked_;  // rids without an answer, oldest first
};

std::string Redis::opening() const {
  std::string out;
  if (ids_ == Ids::none) {
    append_command(out, {"PING"});
  } else {
    append_command(out, {"SCRIPT", "LOAD", kScript});
  }
  return out;
}

Taken Redis::open(std::string_view in) {
  const auto reply = parse_reply(in);
  if (!reply) return std::unexpected(reply.error());
  if (!*reply) return 0;
  if ((*reply)->kind != Reply::Kind::text) return std::unexpected(std::string((*reply)->text));
  script_ = (*reply)->text;
  return (*reply)->size;
}

void Redis::append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) {
  const BenchEvent& event = events.front();
  if (ids_ == Ids::none) {
    append_command(out, {"XADD", stream_, "*", "e", event.body});
  } else {
    append_command(out, {"EVALSHA", script_, "2", event.id, stream_, event.body, std::to_string(kDedupSeconds)});
  }
  asked_.push_back(rid);
}

Taken Redis::take(std::string_view in, std::vector<Answer>& answers, std::string& /*reply*/) {
  std::size_t consumed = 0;
  while (true) {
    const auto reply = parse_reply(in.substr(consumed));
    if (!reply) return std::unexpected(reply.error());
    if (!*reply) return consumed;
    if (asked_.empty()) return std::unexpected("an answer to nothing");
    consumed += (*reply)->size;
    Answer answer{.rid = asked_.front()};
    asked_.pop_front();
    if ((*reply)->kind == Reply::Kind::error) {
      answer.problem = (*reply)->text.substr(0, (*reply)->text.find(' '));
    } else {
      ((*reply)->kind == Reply::Kind::nil ? answer.duplicates : answer.stored) = 1;
    }
    answers.push_back(std::move(answer));
  }
}

}  // namespace

std::unique_ptr<PublishProtocol> make_redis(const std::string& stream, Ids ids) {
  return std::make_unique<Redis>(stream, ids);
}

}  // namespace weir::bench::compare
