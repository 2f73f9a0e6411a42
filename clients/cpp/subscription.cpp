#include "clients/cpp/subscription.hpp"

#include <algorithm>
#include <thread>

#include "clients/cpp/event_json.hpp"
#include "clients/cpp/json_fields.hpp"
#include "clients/cpp/json_slices.hpp"
#include "clients/cpp/text.hpp"

namespace weir::client {
namespace {

using std::chrono::milliseconds;

/// Enough to keep a broker writing while credit travels back; small enough that a slow reader holds little.
constexpr std::uint64_t kCredit = 1'024;
/// A resumed subscription with nothing new says so after this, if the broker sends no `caught-up`.
constexpr milliseconds kResumeGrace{1'000};
/// For the answer to `sub`: more than a broker takes to find a leader.
constexpr milliseconds kSubscribeTimeout{10'000};
constexpr milliseconds kSendTimeout{5'000};
/// Between two rounds over all members.
constexpr milliseconds kRoundPause{100};
/// Beyond this many topics a jump in a new topic's offsets is not looked for; positions are still checked.
constexpr std::size_t kTopicsTracked = 10'000;

std::string_view epoch_of(std::string_view cursor) {
  return cursor.substr(0, cursor.rfind('.'));
}

/// How many events a gap names: a number, or an object with the ends of a range; nothing when it does not say.
std::optional<std::uint64_t> count_missing(const boost::json::object& gap) {
  if (const auto number = json_u64(gap, "missing")) return number;
  const auto* missing = json_at(gap, "missing");
  if (missing == nullptr || !missing->is_object()) return std::nullopt;
  const auto& range = missing->get_object();
  if (const auto count = json_u64(range, "count")) return count;
  const auto from = json_u64(range, "from");
  const auto to = json_u64(range, "to");
  return from && to && *to >= *from ? std::optional(*to - *from + 1) : std::nullopt;
}

/// "orders/new offsets 0-41", or the frame as it came.
std::string gap_text(const boost::json::object& gap, const std::string& frame) {
  const auto* missing = json_at(gap, "missing");
  if (missing == nullptr || !missing->is_object()) return frame;
  const auto& range = missing->get_object();
  const auto from = json_u64(range, "from");
  const auto to = json_u64(range, "to");
  if (!from || !to) return frame;
  return json_text(range, "topic").value_or("") + " offsets " + std::to_string(*from) + "-" + std::to_string(*to);
}

}  // namespace

Subscription::Subscription(ClientOptions client, SubscribeOptions options)
    : options_(std::move(options)), client_(std::move(client)) {}

Result<std::optional<Notice>> Subscription::next(milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  while (pending_.empty()) {
    if (!socket_) {
      if (auto connected = connect(deadline); !connected) return std::unexpected(std::move(connected.error()));
      if (!socket_) return std::nullopt;
    }
    const auto frame = socket_->receive(wait_until(deadline));
    Result<void> handled;
    if (!frame) {
      handled = lost(client_.members().current().text() + ": " + frame.error());
    } else if (*frame) {
      handled = handle(**frame);
    } else if (answer_by_ && Clock::now() >= *answer_by_) {
      handled = lost(client_.members().current().text() + ": no answer to the subscription");
    } else if (!answer_by_ && resuming_ && Clock::now() >= resumed_at_ + kResumeGrace) {
      finish_resuming(0);
    } else {
      return std::nullopt;
    }
    if (!handled) return std::unexpected(std::move(handled.error()));
  }
  Notice notice = std::move(pending_.front());
  pending_.pop_front();
  return notice;
}

/// The next time at which something must be looked at even if no frame comes.
Deadline Subscription::wait_until(Deadline deadline) const {
  if (answer_by_) return std::min(deadline, *answer_by_);
  return resuming_ ? std::min(deadline, resumed_at_ + kResumeGrace) : deadline;
}

/// Tries members until one takes the connection or the time is up; leaves `socket_` empty when it is.
Result<void> Subscription::connect(Deadline deadline) {
  if (!lost_at_) lost_at_ = Clock::now();
  while (true) {
    const bool round_done = attempts_ > 0 && attempts_ % client_.members().all().size() == 0;
    if (round_done) std::this_thread::sleep_until(std::min(deadline, Clock::now() + kRoundPause));
    if (attempts_ > 0 && Clock::now() >= deadline) return {};
    auto connected = connect_once();
    if (connected || connected.error().code != errc::unreachable) return connected;
    if (given_up()) return connected;
    ++attempts_;
    client_.members().move_on();
  }
}

bool Subscription::given_up() const {
  return lost_at_ && Clock::now() >= *lost_at_ + (was_subscribed_ ? options_.reconnect_for : options_.connect_for);
}

Result<void> Subscription::connect_once() {
  const auto server = client_.members().current();
  auto socket = WebSocket::connect(server, "/v1/ws", "weir.json.v1", Clock::now() + client_.options().connect_timeout);
  if (!socket) {
    const auto& answer = socket.error().answer;
    if (!answer || answer->status >= 500) return failure(errc::unreachable, socket.error().text);
    return std::unexpected(refusal(server.text(), decode_problem(answer->status, "", answer->body)));
  }
  if (auto sent = socket->send(subscribe_frame(), Clock::now() + kSendTimeout); !sent) {
    return failure(errc::unreachable, server.text() + ": " + sent.error());
  }
  socket_.emplace(std::move(*socket));
  uncredited_ = 0;
  resuming_ = !cursor_.empty();
  answer_by_ = Clock::now() + kSubscribeTimeout;
  if (client_.options().learning == Learning::members) client_.learn_members();
  return {};
}

std::string Subscription::subscribe_frame() const {
  const std::string from = cursor_.empty() ? options_.from : "after:" + cursor_;
  std::string frame = R"({"op":"sub","sid":1,"topic":)" + json_quoted(options_.pattern);
  if (!from.empty()) frame += ",\"from\":" + json_quoted(from);
  if (options_.payload == Payload::exact) frame += R"(,"data":"base64")";
  return frame + ",\"credit\":" + std::to_string(kCredit) + "}";
}

Result<void> Subscription::lost(std::string why) {
  socket_.reset();
  client_.members().move_on();
  if (!answer_by_) {
    pending_.emplace_back(Lost{std::move(why)});
    return {};
  }
  // Taken and dropped again before it was subscribed: one more attempt that failed, on the same clock.
  answer_by_.reset();
  ++attempts_;
  if (given_up()) return failure(errc::unreachable, std::move(why));
  return {};
}

Result<void> Subscription::handle(const std::string& frame) {
  const auto quoted = json_member(frame, "op");
  const std::string_view op =
      quoted && quoted->size() >= 2 ? quoted->substr(1, quoted->size() - 2) : std::string_view{};
  if (op == "event") return on_event(frame);
  if (op == "error") return on_error_frame(frame);
  if (op == "gap") return on_gap(frame);
  const auto object = json_object(frame);
  if (!object) return failure(errc::bad_answer, "a frame is not JSON: " + frame.substr(0, 200));
  const auto cursor = json_text(*object, "cursor").value_or("");
  if (op == "subscribed") {
    answer_by_.reset();
    lost_at_.reset();
    was_subscribed_ = true;
    attempts_ = 0;
    resumed_at_ = Clock::now();
    if (cursor_.empty()) return advance(cursor);
  } else if (op == "caught-up") {
    if (resuming_) finish_resuming(0);
    if (auto advanced = advance(cursor); !advanced) return advanced;
    pending_.emplace_back(CaughtUp{cursor_});
  } else if (op == "goaway") {
    auto left = lost(client_.members().current().text() + " asked to go elsewhere");
    if (const auto to = parse_endpoint(json_text(*object, "to").value_or(""))) client_.members().prefer(*to);
    return left;
  }
  return {};  // an op of a later release
}

Result<void> Subscription::on_error_frame(std::string_view frame) {
  const auto problem = decode_problem(0, "", json_member(frame, "problem").value_or("{}"));
  auto error = refusal(options_.pattern, problem);
  if (problem.status != 503) return std::unexpected(std::move(error));
  return lost(std::move(error.text));
}

Result<void> Subscription::on_event(const std::string& frame) {
  auto event = decode_event(frame);
  if (!event) return std::unexpected(std::move(event.error()));
  const auto position = cursor_position(event->cursor);
  if (!position) return failure(errc::bad_answer, "an event has no cursor: " + frame.substr(0, 200));
  if (auto given = give_credit(); !given) return given;
  const bool same_life = cursor_.empty() || epoch_of(cursor_) == epoch_of(event->cursor);
  if (same_life && position_ && *position <= *position_) {
    ++duplicates_dropped_;
    return {};
  }
  check_offset(*event);
  if (auto advanced = advance(event->cursor); !advanced) return advanced;
  pending_.emplace_back(std::move(*event));
  return {};
}

/// Offsets have no holes while retained: a jump that no gap announced is a defect, and is said.
void Subscription::check_offset(const ReceivedEvent& event) {
  const auto known = next_offsets_.find(event.topic);
  const bool jumped = known != next_offsets_.end() && event.offset > known->second;
  const std::uint64_t missed = jumped ? event.offset - known->second : 0;
  if (resuming_) finish_resuming(missed);
  if (jumped) {
    pending_.emplace_back(Gap{.source = Gap::Source::offsets,
                              .missed = missed,
                              .detail = event.topic + " went from offset " + std::to_string(known->second - 1) +
                                        " to " + std::to_string(event.offset)});
  }
  if (known != next_offsets_.end())
    known->second = event.offset + 1;
  else if (next_offsets_.size() < kTopicsTracked)
    next_offsets_.emplace(event.topic, event.offset + 1);
}

Result<void> Subscription::on_gap(const std::string& frame) {
  const auto object = json_object(frame);
  if (!object) return failure(errc::bad_answer, "a gap is not JSON");
  const auto missed = count_missing(*object);
  if (resuming_) finish_resuming(missed);
  next_offsets_.clear();  // the jump that follows has been announced
  pending_.emplace_back(Gap{.source = Gap::Source::broker, .missed = missed, .detail = gap_text(*object, frame)});
  return advance(json_text(*object, "cursor").value_or(""));
}

void Subscription::finish_resuming(std::optional<std::uint64_t> missed) {
  resuming_ = false;
  pending_.emplace_back(Resumed{.cursor = cursor_, .server = client_.members().current().text(), .missed = missed});
}

/// A cursor of another epoch belongs to another log: nothing before it means anything there.
Result<void> Subscription::advance(const std::string& cursor) {
  const auto position = cursor_position(cursor);
  if (!position) return {};
  if (!cursor_.empty() && epoch_of(cursor_) != epoch_of(cursor)) {
    return failure(errc::refused, "the log was replaced: the cursor went from " + cursor_ + " to " + cursor);
  }
  if (position_ && *position < *position_) return {};
  cursor_ = cursor;
  position_ = position;
  return {};
}

Result<void> Subscription::give_credit() {
  if (++uncredited_ < kCredit / 2) return {};
  const auto frame = R"({"op":"credit","sid":1,"n":)" + std::to_string(uncredited_) + "}";
  uncredited_ = 0;
  const auto sent = socket_->send(frame, Clock::now() + kSendTimeout);
  return sent ? Result<void>{} : lost(client_.members().current().text() + ": " + sent.error());
}

}  // namespace weir::client
