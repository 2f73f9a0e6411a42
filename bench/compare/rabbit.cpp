// AMQP 0-9-1 (https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf) with RabbitMQ's publisher confirms: one message
// per event, confirmed by its number on the channel, many at once and in any order.
#include <fmt/format.h>

#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include "bench/compare/peer_protocols.hpp"

namespace weir::bench::compare {

namespace {

constexpr std::size_t kOutstandingMax = std::size_t{1} << 20U;
constexpr unsigned kByteBits = 8;
/// Type, channel and size come before the payload of a frame, and one byte after it (§4.2.3).
constexpr std::size_t kHeadSize = 7;
constexpr char kFrameEnd = '\xce';
constexpr std::uint16_t kChannel = 1;
constexpr std::uint16_t kConnectionScope = 0;
/// What the server offers if it is told nothing else.
constexpr std::uint32_t kFrameMax = 131'072;
constexpr std::uint32_t kReplicas = 3;

enum class FrameType : std::uint8_t { method = 1, header = 2, body = 3, heartbeat = 8 };

/// Class and number in one word, as they stand at the front of the payload.
enum class Method : std::uint32_t {
  connection_start_ok = 10U << 16U | 11U,
  connection_tune_ok = 10U << 16U | 31U,
  connection_open = 10U << 16U | 40U,
  connection_close = 10U << 16U | 50U,
  channel_open = 20U << 16U | 10U,
  channel_close = 20U << 16U | 40U,
  queue_declare = 50U << 16U | 10U,
  basic_publish = 60U << 16U | 40U,
  basic_return = 60U << 16U | 50U,
  basic_ack = 60U << 16U | 80U,
  basic_nack = 60U << 16U | 120U,
  confirm_select = 85U << 16U | 10U,
  confirm_select_ok = 85U << 16U | 11U,
};

/// Big-endian.
template <class Number>
void append_number(std::string& out, Number value) {
  for (std::size_t shift = sizeof value * kByteBits; shift > 0; shift -= kByteBits) {
    out += static_cast<char>(value >> (shift - kByteBits));
  }
}

/// Takes a number off the front. Requires its bytes.
template <class Number>
Number take_number(std::string_view& in) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i) value = value << kByteBits | static_cast<std::uint8_t>(in[i]);
  in.remove_prefix(sizeof(Number));
  return static_cast<Number>(value);
}

void append_short(std::string& out, std::string_view text) {
  append_number(out, static_cast<std::uint8_t>(text.size()));
  out.append(text);
}

void append_long(std::string& out, std::string_view text) {
  append_number(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

void append_frame(std::string& out, FrameType type, std::uint16_t channel, std::string_view payload) {
  append_number(out, static_cast<std::uint8_t>(type));
  append_number(out, channel);
  append_long(out, payload);
  out += kFrameEnd;
}

void append_method(std::string& out, std::uint16_t channel, Method method, std::string_view arguments) {
  std::string payload;
  append_number(payload, static_cast<std::uint32_t>(method));
  append_frame(out, FrameType::method, channel, payload.append(arguments));
}

struct AmqpFrame {
  std::uint8_t type = 0;
  std::string_view payload;
  std::size_t size = 0;  ///< on the wire
  [[nodiscard]] bool is(FrameType wanted) const { return type == static_cast<std::uint8_t>(wanted); }
};

/// nullopt: more bytes are needed.
std::expected<std::optional<AmqpFrame>, std::string> front_frame(std::string_view in) {
  if (in.starts_with("AMQP")) return std::unexpected("the server speaks another version of AMQP");
  if (in.size() < kHeadSize) return std::nullopt;
  std::string_view head = in;
  const auto type = take_number<std::uint8_t>(head);
  take_number<std::uint16_t>(head);
  const std::size_t payload_size = take_number<std::uint32_t>(head);
  if (payload_size > kFrameMax) return std::unexpected("a frame larger than agreed");
  if (head.size() <= payload_size) return std::nullopt;
  if (head[payload_size] != kFrameEnd) return std::unexpected("a frame without its end");
  return AmqpFrame{.type = type, .payload = head.substr(0, payload_size), .size = kHeadSize + payload_size + 1};
}

/// Its method, and in `arguments` what follows; nullopt: no method.
std::optional<Method> method_of(const AmqpFrame& frame, std::string_view& arguments) {
  arguments = frame.payload;
  if (!frame.is(FrameType::method) || arguments.size() < sizeof(std::uint32_t)) return std::nullopt;
  return static_cast<Method>(take_number<std::uint32_t>(arguments));
}

/// Of Close and Return, which begin with a code and a text.
std::string why(std::string_view arguments) {
  if (arguments.size() < sizeof(std::uint16_t) + 1) return "no reason";
  const auto code = take_number<std::uint16_t>(arguments);
  const std::size_t size = take_number<std::uint8_t>(arguments);
  return fmt::format("{} {}", code, arguments.substr(0, size));
}

class Rabbit final : public PublishProtocol {
 public:
  explicit Rabbit(const std::string& queue);

  [[nodiscard]] std::string opening() const override;
  [[nodiscard]] Taken open(std::string_view in) override;
  void append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) override;
  [[nodiscard]] Taken take(std::string_view in, std::vector<Answer>& answers, std::string& reply) override;
  [[nodiscard]] std::size_t outstanding_max() const override { return kOutstandingMax; }

 private:
  [[nodiscard]] std::string declare_arguments() const;
  [[nodiscard]] std::expected<void, std::string> hear(const AmqpFrame& frame, std::vector<Answer>& answers);
  [[nodiscard]] std::expected<void, std::string> confirm(std::string_view arguments, bool stored,
                                                         std::vector<Answer>& answers);

  std::string queue_;
  std::string publish_;  // the first frame of every event
  std::uint64_t published_ = 0;
  std::map<std::uint64_t, std::uint64_t> asked_;  // rids without an answer by their number on the channel, from 1
};

Rabbit::Rabbit(const std::string& queue) : queue_(queue) {
  std::string arguments(2, '\0');  // reserved
  append_short(arguments, "");     // the default exchange: the routing key is the queue
  append_short(arguments, queue);
  arguments += '\x01';  // mandatory: what finds no queue comes back; it would be confirmed without having been stored
  append_method(publish_, kChannel, Method::basic_publish, arguments);
}

std::string Rabbit::declare_arguments() const {
  std::string table;
  append_short(table, "x-queue-type");
  append_long(table += 'S', "quorum");
  append_short(table, "x-quorum-initial-group-size");
  append_number(table += 'I', kReplicas);
  std::string out(2, '\0');  // reserved
  append_short(out, queue_);
  out += '\x02';  // durable; not passive, exclusive or deleted by itself, and there is an answer
  append_long(out, table);
  return out;
}

// All at once, as the server reads one after the other; the user may come from the same host only.
std::string Rabbit::opening() const {
  using namespace std::string_literals;
  std::string start_ok;
  append_long(start_ok, "");  // nothing to say of the client
  append_short(start_ok, "PLAIN");
  append_long(start_ok, "\0guest\0guest"s);
  append_short(start_ok, "en_US");
  std::string tune_ok;
  append_number(tune_ok, kChannel);  // the highest
  append_number(tune_ok, kFrameMax);
  append_number(tune_ok, std::uint16_t{0});  // no heartbeats
  std::string out = "AMQP\0\0\x09\x01"s;
  append_method(out, kConnectionScope, Method::connection_start_ok, start_ok);
  append_method(out, kConnectionScope, Method::connection_tune_ok, tune_ok);
  append_method(out, kConnectionScope, Method::connection_open, "\x01/\0\0"s);  // the virtual host, and two reserved
  append_method(out, kChannel, Method::channel_open, "\0"s);
  append_method(out, kChannel, Method::queue_declare, declare_arguments());
  append_method(out, kChannel, Method::confirm_select, "\0"s);
  return out;
}

Taken Rabbit::open(std::string_view in) {
  std::size_t consumed = 0;
  while (true) {
    const auto frame = front_frame(in.substr(consumed));
    if (!frame) return std::unexpected(frame.error());
    if (!*frame) return 0;
    consumed += (*frame)->size;
    std::string_view arguments;
    const auto method = method_of(**frame, arguments);
    if (method == Method::confirm_select_ok) return consumed;
    if (method == Method::connection_close || method == Method::channel_close) return std::unexpected(why(arguments));
  }
}

void Rabbit::append(std::string& out, std::uint64_t rid, std::span<const BenchEvent> events) {
  constexpr std::uint16_t kBasic = 60;
  constexpr std::uint16_t kDeliveryModeIsSet = 1U << 12U;
  constexpr std::uint8_t kPersistent = 2;
  const BenchEvent& event = events.front();
  std::string header;
  append_number(header, kBasic);
  append_number(header, std::uint16_t{0});
  append_number(header, static_cast<std::uint64_t>(event.body.size()));
  append_number(header, kDeliveryModeIsSet);
  append_number(header, kPersistent);
  out.append(publish_);
  append_frame(out, FrameType::header, kChannel, header);
  append_frame(out, FrameType::body, kChannel, event.body);
  asked_.emplace_hint(asked_.end(), ++published_, rid);
}

/// Ack and Nack: a number, and whether all before it are meant too.
std::expected<void, std::string> Rabbit::confirm(std::string_view arguments, bool stored,
                                                 std::vector<Answer>& answers) {
  if (arguments.size() != sizeof(std::uint64_t) + 1) return std::unexpected("a confirm that is none");
  const auto number = take_number<std::uint64_t>(arguments);
  const bool multiple = (static_cast<std::uint8_t>(arguments.front()) & 1U) != 0;
  const auto end = asked_.upper_bound(number);
  if (end == asked_.begin() || (!multiple && std::prev(end)->first != number)) {
    return std::unexpected(fmt::format("a confirm of {}, which is not under way", number));
  }
  const auto begin = multiple ? asked_.begin() : std::prev(end);
  for (auto one = begin; one != end; ++one) {
    Answer answer{.rid = one->second};
    if (stored) {
      answer.stored = 1;
    } else {
      answer.problem = "nack";
    }
    answers.push_back(std::move(answer));
  }
  asked_.erase(begin, end);
  return {};
}

std::expected<void, std::string> Rabbit::hear(const AmqpFrame& frame, std::vector<Answer>& answers) {
  if (frame.is(FrameType::heartbeat)) return {};
  std::string_view arguments;
  const auto method = method_of(frame, arguments);
  if (method == Method::basic_ack || method == Method::basic_nack) {
    return confirm(arguments, method == Method::basic_ack, answers);
  }
  const bool says_why =
      method == Method::connection_close || method == Method::channel_close || method == Method::basic_return;
  return std::unexpected("the server said: " + (says_why ? why(arguments) : "what was not asked for"));
}

Taken Rabbit::take(std::string_view in, std::vector<Answer>& answers, std::string& /*reply*/) {
  std::size_t consumed = 0;
  while (true) {
    const auto frame = front_frame(in.substr(consumed));
    if (!frame) return std::unexpected(frame.error());
    if (!*frame) return consumed;
    if (auto heard = hear(**frame, answers); !heard) return std::unexpected(std::move(heard.error()));
    consumed += (*frame)->size;
  }
}

}  // namespace

std::unique_ptr<PublishProtocol> make_rabbitmq(const std::string& queue) {
  return std::make_unique<Rabbit>(queue);
}

}  // namespace weir::bench::compare
