#include "clients/cpp/batch_publisher.hpp"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "clients/cpp/event_json.hpp"
#include "clients/cpp/json_fields.hpp"
#include "clients/cpp/json_slices.hpp"
#include "clients/cpp/text.hpp"
#include "clients/cpp/views.hpp"
#include "wire/client_message.hpp"

namespace weir::client {

namespace {

using std::chrono::milliseconds;

constexpr std::string_view kSubprotocol = "weir.bin.v1";
/// Between two tries when nobody can take it.
constexpr milliseconds kPause{50};

enum class Repeat : std::uint8_t { always_safe = 1, before_handover = 2 };

}  // namespace

struct BatchPublisher::Batch {
  wire::PublishView request;
  std::string topic;
  Deadline deadline;
  Repeat repeat = Repeat::before_handover;
  bool sent = false;          // on the present connection, and no answer says that it was not taken
  bool maybe_stored = false;  // an earlier answer was lost
};

BatchPublisher::BatchPublisher(ClientOptions options) : options_(std::move(options)), members_(options_.servers) {}
BatchPublisher::~BatchPublisher() = default;

Result<std::uint64_t> BatchPublisher::publish(std::string_view topic, std::span<const OutgoingEvent> events) {
  if (under_way() >= kUnderWayMax) return failure(errc::bad_argument, "too many batches are under way; take outcomes");
  wire::PublishBuilder builder;
  bool every_id = true;
  for (const OutgoingEvent& event : events) {
    wire::EventView view{.topic = topic,
                         .id = event.id,
                         .source = event.source,
                         .key = event.key,
                         .content_type = event.content_type,
                         .headers = {},
                         .body = event.data};
    if (view.content_type.empty()) view.content_type = is_utf8(event.data) ? "text/plain" : "application/octet-stream";
    for (const auto& [name, value] : event.headers) view.headers.push_back({name, value});
    builder.add(view);
    every_id = every_id && !event.id.empty();
  }
  auto bytes = builder.finish();
  if (!bytes) return failure(errc::bad_argument, bytes.error().text);
  auto request = wire::PublishView::verify(*std::move(bytes));
  if (!request) return failure(errc::bad_argument, request.error().text);
  const std::uint64_t number = next_number_++;
  waiting_.emplace(number, Batch{.request = *std::move(request),
                                 .topic = std::string(topic),
                                 .deadline = Clock::now() + options_.deadline,
                                 .repeat = every_id ? Repeat::always_safe : Repeat::before_handover});
  pending_.push_back(number);
  if (socket_ && !pause_until_) send_pending();
  return number;
}

std::optional<BatchOutcome> BatchPublisher::next(milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  while (ready_.empty() && !waiting_.empty()) {
    receive(deadline);
    give_up_late();
    if (Clock::now() >= deadline) break;
  }
  if (ready_.empty()) return std::nullopt;
  BatchOutcome outcome = std::move(ready_.front());
  ready_.pop_front();
  return outcome;
}

/// One step: connect, or send, or take one message; at most until the deadline.
void BatchPublisher::receive(Deadline deadline) {
  for (const auto& [number, batch] : waiting_) deadline = std::min(deadline, batch.deadline);
  if (!socket_) {
    connect(deadline);
    if (!socket_) return;
  }
  if (pause_until_ && Clock::now() >= *pause_until_) pause_until_.reset();
  if (!pause_until_) send_pending();
  if (!socket_) return;
  const auto message = socket_->receive(std::min(deadline, pause_until_.value_or(deadline)));
  if (!message) {
    lost(message.error());
  } else if (*message) {
    handle(**message, socket_->last_kind());
  }
}

void BatchPublisher::connect(Deadline deadline) {
  if (pause_until_) {
    // A socket that nobody has yet: the pause between two rounds over the members.
    std::this_thread::sleep_until(std::min(deadline, *pause_until_));
    pause_until_.reset();
  }
  const auto bound = std::min(deadline, Clock::now() + options_.connect_timeout);
  auto connected = WebSocket::connect(members_.current(), "/v1/ws", kSubprotocol, bound);
  if (!connected) {
    why_lost_ = connected.error().text;
    members_.move_on();
    pause_until_ = Clock::now() + kPause;
    return;
  }
  socket_ = std::move(*connected);
  if (options_.learning == Learning::off) return;
  HttpConnection asking(members_.current());
  const auto answer = asking.exchange({.target = "/v1/cluster"}, bound);
  if (!answer || answer->status != 200) return;
  if (const auto cluster = decode_cluster(answer->body)) members_.learn(cluster->endpoints());
}

void BatchPublisher::send_pending() {
  while (socket_ && !pending_.empty()) {
    const std::uint64_t number = pending_.front();
    const auto found = waiting_.find(number);
    if (found == waiting_.end()) {
      pending_.pop_front();
      continue;
    }
    std::string message;
    wire::append_publish(message, number, 0, found->second.request.bytes());
    // From here on it may have arrived.
    found->second.sent = true;
    pending_.pop_front();
    const auto sent = socket_->send(message, Clock::now() + options_.answer_timeout, MessageKind::binary);
    if (!sent) lost(sent.error());
  }
}

void BatchPublisher::lost(const std::string& why) {
  why_lost_ = members_.current().text() + ": " + why;
  socket_.reset();
  members_.move_on();
  pending_.clear();
  std::vector<std::uint64_t> unknown;
  for (auto& [number, batch] : waiting_) {
    if (batch.sent && batch.repeat == Repeat::before_handover) {
      unknown.push_back(number);
    } else {
      batch.maybe_stored = batch.maybe_stored || batch.sent;
      batch.sent = false;
      pending_.push_back(number);
    }
  }
  for (const std::uint64_t number : unknown) {
    finish(number, failure(errc::outcome_unknown, why_lost_ + "; the batch may or may not be stored"));
  }
}

void BatchPublisher::handle(const std::string& message, MessageKind kind) {
  if (kind == MessageKind::binary) {
    on_ack(message);
    return;
  }
  // What else a broker says, a goaway before it closes, is answered by what follows from it.
  if (json_member(message, "op") == R"("error")") on_error(message);
}

/// API.md §7: 503 is said only of what was not appended; after 504 it may have been.
void BatchPublisher::on_error(std::string_view frame) {
  const auto members = json_object(frame);
  const auto number = members ? json_u64(*members, "rid") : std::nullopt;
  const auto found = number ? waiting_.find(*number) : waiting_.end();
  if (found == waiting_.end()) {
    lost(std::string(frame.substr(0, 200)));
    return;
  }
  const auto body = json_member(frame, "problem").value_or("{}");
  const auto parsed = json_object(body);
  const auto status = parsed ? json_u64(*parsed, "status").value_or(0) : 0;
  Error error = refusal(found->second.topic, decode_problem(static_cast<unsigned>(status), "", body));
  const bool again = status == 503 || (status == 504 && found->second.repeat == Repeat::always_safe);
  if (!again) {
    if (status == 504) error.code = errc::outcome_unknown;
    finish(*number, std::unexpected(std::move(error)));
    return;
  }
  if (status == 504) found->second.maybe_stored = true;
  found->second.sent = false;
  why_lost_ = std::move(error.text);
  pending_.push_back(*number);
  pause_until_ = Clock::now() + kPause;
}

void BatchPublisher::on_ack(const std::string& message) {
  const auto decoded = wire::decode_client(raft::Bytes::copy_of(message));
  const auto* const ack = decoded ? std::get_if<wire::AckMessage>(&*decoded) : nullptr;
  if (ack == nullptr || !waiting_.contains(ack->rid)) {
    lost("an answer that cannot be understood");
    return;
  }
  const auto found = waiting_.find(ack->rid);
  const auto results = wire::results_of(*ack, found->second.request);
  if (!results) {
    finish(ack->rid, failure(errc::bad_answer, results.error().text));
    return;
  }
  BatchPublished published;
  for (std::uint32_t n = 0; n < results->size(); ++n) {
    const wire::EventResult& result = (*results)[n];
    const bool duplicate = result.storing == wire::Storing::duplicate;
    published.results.push_back({.topic = found->second.topic,
                                 .offset = result.offset.value,
                                 .position = result.position.value,
                                 .cursor = {},
                                 .id = std::string(found->second.request.id(n)),
                                 .time = {},
                                 .duplicate = duplicate});
    (duplicate ? published.duplicates : published.stored) += 1;
  }
  finish(ack->rid, std::move(published));
}

void BatchPublisher::finish(std::uint64_t number, Result<BatchPublished> result) {
  waiting_.erase(number);
  ready_.push_back({number, std::move(result)});
}

void BatchPublisher::give_up_late() {
  std::vector<std::uint64_t> late;
  const auto now = Clock::now();
  for (const auto& [number, batch] : waiting_) {
    if (batch.deadline <= now) late.push_back(number);
  }
  for (const std::uint64_t number : late) {
    const Batch& batch = waiting_.at(number);
    const bool maybe = batch.sent || batch.maybe_stored;
    finish(number, failure(maybe ? errc::outcome_unknown : errc::unreachable,
                           why_lost_.empty() ? "no answer in time" : why_lost_));
  }
}

}  // namespace weir::client
