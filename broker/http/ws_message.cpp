#include "broker/http/ws_message.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "broker/core/topic.hpp"
#include "broker/http/answers.hpp"
#include "broker/http/cursor.hpp"
#include "broker/http/event_input.hpp"
#include "broker/http/group_answers.hpp"
#include "broker/http/group_request.hpp"
#include "broker/http/json_check.hpp"
#include "broker/http/json_text.hpp"
#include "wire/entry.hpp"

namespace weir::broker::http {

namespace {

/// Of a batch: the frame, `publish`, an event.
constexpr std::size_t kLevelsAbovePayload = 3;

/// A frame taken apart, with the numbers that go back in its answer.
struct Frame {
  std::vector<JsonMember> members;
  std::optional<std::uint64_t> rid;
  std::optional<std::uint64_t> sid;

  [[nodiscard]] std::optional<std::string_view> raw(std::string_view name) const {
    const auto found = std::ranges::find(members, name, &JsonMember::name);
    if (found == members.end() || json_kind(found->value) == JsonKind::null) return std::nullopt;
    return found->value;
  }
  [[nodiscard]] WsRefused refuse(Problem problem) const { return {rid, sid, std::move(problem)}; }
};

using Text = std::expected<std::optional<std::string>, std::string>;

Text text_of(const Frame& frame, std::string_view name) {
  const auto raw = frame.raw(name);
  if (!raw) return std::nullopt;
  if (json_kind(*raw) != JsonKind::string) return std::unexpected("'" + std::string(name) + "' must be a string");
  return json_unquoted(*raw);
}

/// Numbers are taken as numbers or, as in URLs, as text: `"from":42`, `"from":"earliest"`.
Text text_or_number(const Frame& frame, std::string_view name) {
  const auto raw = frame.raw(name);
  if (raw && json_kind(*raw) == JsonKind::number) return std::string(*raw);
  return text_of(frame, name);
}

std::expected<std::vector<std::string>, std::string> topics_of(const Frame& frame) {
  const auto raw = frame.raw("topic");
  if (!raw) return std::unexpected("'topic' is missing");
  std::vector<std::string> topics;
  const bool several = json_kind(*raw) == JsonKind::array;
  const auto elements = several ? json_elements(*raw) : std::vector<std::string_view>{*raw};
  for (const std::string_view element : elements) {
    if (json_kind(element) != JsonKind::string) return std::unexpected("'topic' must be a string or an array of them");
    topics.push_back(json_unquoted(element));
  }
  if (topics.empty()) return std::unexpected("'topic' names nothing");
  return topics;
}

std::expected<void, std::string> only_members(const Frame& frame, std::string_view known) {
  for (const JsonMember& member : frame.members) {
    if (!known.contains(' ' + member.name + ' ')) return std::unexpected("unknown member '" + member.name + "'");
  }
  return {};
}

std::expected<void, std::string> take_range(ReadPlan& plan, const Frame& frame, std::uint64_t now_ms) {
  const auto from = text_or_number(frame, "from");
  if (!from) return std::unexpected(from.error());
  if (*from) {
    auto parsed = parse_from(**from, now_ms);
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    plan.from = std::move(*parsed);
  }
  const auto until = text_or_number(frame, "until");
  if (!until) return std::unexpected(until.error());
  if (*until) {
    auto parsed = parse_until(**until, now_ms);
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    plan.until = std::move(*parsed);
  }
  return check_range(plan.from, plan.until, *plan.selector);
}

std::expected<void, std::string> take_choices(WsSubscribe& subscribe, const Frame& frame) {
  ReadPlan& plan = subscribe.plan;
  auto key = text_of(frame, "key");
  auto data = text_of(frame, "data");
  if (!key || !data) return std::unexpected(!key ? key.error() : data.error());
  plan.key = std::move(*key);
  if (*data && **data != "base64") return std::unexpected("the only form of 'data' is base64");
  if (*data) plan.data = DataForm::base64;
  for (const auto& [name, slot] : {std::pair{"credit", &subscribe.credit}}) {
    const auto raw = frame.raw(name);
    if (!raw) continue;
    *slot = json_unsigned(*raw);
    if (!*slot) return std::unexpected("'" + std::string(name) + "' must be a whole number");
  }
  if (const auto raw = frame.raw("limit")) {
    const auto limit = json_unsigned(*raw);
    if (!limit || *limit == 0) return std::unexpected("'limit' must be a whole number from 1 on");
    plan.limit = *limit;
  }
  return {};
}

WsOperation parse_subscribe(const Frame& frame, const HttpLimits& limits, std::uint64_t now_ms) {
  if (!frame.sid) return frame.refuse(bad_request("sub needs a 'sid' of your choice: a whole number"));
  auto known = only_members(frame, " op sid rid topic from until key data credit limit ");
  if (!known) return frame.refuse(bad_request(std::move(known.error())));
  const auto topics = topics_of(frame);
  if (!topics) return frame.refuse(bad_request(topics.error()));
  auto selector = parse_selector({topics->begin(), topics->end()});
  if (!selector) return frame.refuse(bad_request(std::move(selector.error())));
  WsSubscribe subscribe{*frame.sid, websocket_plan(limits), std::nullopt};
  subscribe.plan.selector = std::move(*selector);
  auto taken = take_range(subscribe.plan, frame, now_ms);
  if (taken) taken = take_choices(subscribe, frame);
  if (!taken) return frame.refuse(bad_request(std::move(taken.error())));
  return subscribe;
}

WsOperation parse_pub(const Frame& frame, std::string_view text, const HttpLimits& limits) {
  auto parsed = event_from_json(text, limits, " op rid expect ");
  if (!parsed) return frame.refuse(bad_request(std::move(parsed.error())));
  EventInput& event = parsed->event;
  if (parsed->kind == LineKind::control) return frame.refuse(bad_request("an event has 'data' or 'data_base64'"));
  if (auto checked = check_topic(event.topic); !checked) return frame.refuse(bad_request(std::move(checked.error())));
  wire::PublishBuilder builder;
  builder.add(event.view());
  if (const auto expect = frame.raw("expect")) {
    const auto next = json_unsigned(*expect);
    if (!next) return frame.refuse(bad_request("'expect' must be an offset"));
    builder.expect(event.topic, raft::Offset{*next});
  }
  auto bytes = builder.finish();
  if (!bytes) return frame.refuse(too_large(std::move(bytes.error().text)));
  WsPublish operation{frame.rid, {}};
  operation.publish.bytes = std::move(*bytes);
  operation.publish.topic = std::move(event.topic);
  operation.publish.ids.push_back(std::move(event.id));
  operation.publish.timeout_ms = limits.publish_timeout_ms;
  return operation;
}

WsOperation parse_commit(const Frame& frame, std::string_view epoch, const HttpLimits& limits) {
  const auto known = only_members(frame, " op rid group cursor lease ");
  if (!known) return frame.refuse(bad_request(known.error()));
  auto group = text_of(frame, "group");
  const auto cursor = text_of(frame, "cursor");
  const auto lease = text_of(frame, "lease");
  if (!group || !cursor || !lease) return frame.refuse(bad_request("'group', 'cursor' and 'lease' must be strings"));
  if (!*group || !*cursor) return frame.refuse(bad_request("commit needs 'group' and 'cursor'"));
  if (auto checked = check_group(**group); !checked) return frame.refuse(bad_request(std::move(checked.error())));
  auto change = commit_of(*std::move(*group), **cursor, lease->value_or(""), epoch);
  if (!change) return frame.refuse(std::move(change.error()));
  return WsCommit{frame.rid, *std::move(change), limits.publish_timeout_ms};
}

WsOperation parse_batch(const Frame& frame, std::string_view epoch, const HttpLimits& limits) {
  const auto known = only_members(frame, " op rid publish commit expect idempotency_key ");
  if (!known) return frame.refuse(bad_request(known.error()));
  auto key = text_of(frame, "idempotency_key");
  if (!key || key->value_or("").size() > limits.id_bytes_max) {
    return frame.refuse(
        bad_request("'idempotency_key' must be a string of at most " + std::to_string(limits.id_bytes_max) + " bytes"));
  }
  auto batch = batch_of(frame.members, key->value_or(""), epoch, limits);
  if (!batch) return frame.refuse(std::move(batch.error()));
  return WsBatch{frame.rid, *std::move(batch)};
}

WsOperation parse_credit(const Frame& frame) {
  const auto count = json_unsigned(frame.raw("n").value_or(""));
  if (!frame.sid || !count) return frame.refuse(bad_request("credit needs 'sid' and 'n', whole numbers"));
  return WsCredit{*frame.sid, *count};
}

std::expected<Frame, WsRefused> take_apart(std::string_view text, std::size_t depth_max) {
  if (auto checked = check_json(text, depth_max); !checked) {
    return std::unexpected(WsRefused{{}, {}, bad_request(std::move(checked.error()))});
  }
  if (json_kind(text) != JsonKind::object) {
    return std::unexpected(WsRefused{{}, {}, bad_request("a frame is one JSON object")});
  }
  Frame frame{json_members(text), {}, {}};
  for (const auto& [name, slot] : {std::pair{"rid", &frame.rid}, std::pair{"sid", &frame.sid}}) {
    const auto raw = frame.raw(name);
    if (!raw) continue;
    *slot = json_unsigned(*raw);
    if (!*slot) return std::unexpected(frame.refuse(bad_request(std::string(name) + " must be a whole number")));
  }
  return frame;
}

void append_number(JsonObject& object, std::string_view name, std::optional<std::uint64_t> value) {
  if (value) object.number(name, *value);
}

std::string other_answer(std::optional<std::uint64_t> rid) {
  return error_frame(rid, std::nullopt, Problem{.detail = "the node answered something else"});
}

}  // namespace

ReadPlan websocket_plan(const HttpLimits& limits) {
  ReadPlan plan;
  plan.from = FromLatest{};
  plan.mode = Mode::stream;
  plan.limit = std::numeric_limits<std::uint64_t>::max();
  plan.timeout_ms = limits.publish_timeout_ms;
  plan.cursor = ShowCursor::yes;
  return plan;
}

WsOperation parse_operation(std::string_view frame_text, const HttpLimits& limits, std::uint64_t now_ms,
                            std::string_view epoch) {
  const auto frame = take_apart(frame_text, limits.json_depth_max + kLevelsAbovePayload);
  if (!frame) return frame.error();
  const auto op = text_of(*frame, "op");
  if (!op || !*op) return frame->refuse(bad_request("'op' is missing: sub, credit, pub, batch, commit or unsub"));
  if (*op == "pub") return parse_pub(*frame, frame_text, limits);
  if (*op == "credit") return parse_credit(*frame);
  if (*op == "sub") return parse_subscribe(*frame, limits, now_ms);
  if (*op == "unsub") {
    if (!frame->sid) return frame->refuse(bad_request("unsub needs a 'sid'"));
    return WsUnsubscribe{*frame->sid};
  }
  if (*op == "commit") return parse_commit(*frame, epoch, limits);
  if (*op == "batch") return parse_batch(*frame, epoch, limits);
  if (*op == "auth") return frame->refuse(bad_request("op 'auth' comes with a later version"));
  return frame->refuse(bad_request("unknown op; this version knows sub, credit, pub, batch, commit and unsub"));
}

std::string subscribed_frame(std::uint64_t sid, std::string_view cursor, std::string_view node) {
  std::string text;
  JsonObject(text).text("op", "subscribed").number("sid", sid).text("cursor", cursor).text("node", node).end();
  return text;
}

void append_event_frame(std::string& out, std::uint64_t sid, const ReadEvent& event, const EventShape& shape) {
  JsonObject object(out);
  object.raw("op", R"("event")").number("sid", sid);
  append_event_members(object, out, event, shape);
  object.end();
}

void append_event_frame(std::string& out, std::uint64_t sid, std::string_view event) {
  JsonObject(out).raw("op", R"("event")").number("sid", sid);
  out += ',';
  out += event.substr(1);  // its members, and the brace behind them
}

std::string control_frame(std::string_view op, std::optional<std::uint64_t> sid, std::string_view members) {
  std::string text;
  JsonObject object(text);
  object.text("op", op);
  append_number(object, "sid", sid);
  if (!members.empty()) {
    text += ',';
    text += members;
  }
  object.end();
  return text;
}

std::string ack_frame(const WsPublish& operation, const wire::Outcome& outcome, std::string_view epoch) {
  const Retry retry = operation.publish.every_event_has_id() ? Retry::safe : Retry::unsafe;
  if (const auto* refused = std::get_if<wire::Refused>(&outcome)) {
    return error_frame(operation.rid, std::nullopt, refusal_problem(*refused, retry));
  }
  const auto* published = std::get_if<wire::Published>(&outcome);
  if (published == nullptr || published->results.size() != 1) return other_answer(operation.rid);
  const wire::EventResult& result = published->results.front();
  std::string text;
  JsonObject object(text);
  object.raw("op", R"("ack")");
  append_number(object, "rid", operation.rid);
  object.number("offset", result.offset.value).number("position", result.position.value);
  object.text("cursor", format_cursor(epoch, result.position));
  object.raw("duplicate", result.storing == wire::Storing::duplicate ? "true" : "false").end();
  return text;
}

std::string ack_frame(const WsCommit& operation, const wire::Outcome& outcome, std::string_view epoch) {
  if (const auto* refused = std::get_if<wire::Refused>(&outcome)) {
    return error_frame(operation.rid, std::nullopt, refusal_problem(*refused, Retry::safe));
  }
  const auto* changed = std::get_if<wire::GroupChanged>(&outcome);
  if (changed == nullptr) return other_answer(operation.rid);
  std::string text;
  JsonObject object(text);
  object.raw("op", R"("ack")");
  append_number(object, "rid", operation.rid);
  object.text("committed", format_cursor(epoch, operation.change.to));
  object.text("cursor", format_cursor(epoch, changed->committed)).end();
  return text;
}

std::string ack_frame(const WsBatch& operation, const wire::Outcome& outcome, std::string_view epoch) {
  if (const auto* refused = std::get_if<wire::Refused>(&outcome)) {
    return error_frame(operation.rid, std::nullopt, batch_problem(operation.batch, *refused));
  }
  std::string members;
  if (operation.batch.lone_commit) {
    members = lone_commit_members(operation.batch);
  } else if (const auto* published = std::get_if<wire::Published>(&outcome);
             published != nullptr && published->results.size() == operation.batch.ids.size()) {
    members = batch_members(operation.batch, *published, epoch);
  } else {
    return other_answer(operation.rid);
  }
  std::string text;
  JsonObject object(text);
  object.raw("op", R"("ack")");
  append_number(object, "rid", operation.rid);
  text += ',' + members;
  object.end();
  return text;
}

std::string error_frame(std::optional<std::uint64_t> rid, std::optional<std::uint64_t> sid, const Problem& problem) {
  std::string text;
  JsonObject object(text);
  object.text("op", "error");
  append_number(object, "rid", rid);
  append_number(object, "sid", sid);
  object.raw("problem", to_json(problem)).end();
  return text;
}

}  // namespace weir::broker::http
