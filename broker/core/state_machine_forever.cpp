// Ids of topics whose dedup is forever: a row of their own outlives the event (docs/decisions/0022).
#include <utility>

#include "broker/core/state_machine.hpp"

namespace weir::broker {

using Kind = wire::Setting::Kind;

bool StateMachine::is_event(const Match& match) {
  return match.row ? match.row->position != raft::Position{} : match.entry->publish() != nullptr;
}

wire::Hash128 StateMachine::content_of(const Match& match) {
  return match.row ? match.row->content : wire::content_digest(match.entry->publish()->event(match.place.ordinal));
}

std::optional<raft::TopicId> StateMachine::forever_topic(std::string_view topic) const {
  const auto known = dedup_set_count_ == 0 ? std::nullopt : topic_id(topic);
  return known && settings(*known).dedup_ms.kind == Kind::forever ? known : std::nullopt;
}

std::optional<ForeverRow> StateMachine::forever_row(storage::IdHash hash, std::string_view topic,
                                                    const EventId& id) const {
  const auto known = forever_topic(topic);
  return known ? forever_ids_.find(*known, hash, id) : std::nullopt;
}

void StateMachine::remember_forever(raft::TopicId topic, storage::IdHash hash, const EventId& id,
                                    const ForeverRow& row) {
  forever_ids_.add(topic, hash, id, row);
  delta_.add(topic, id, row);
}

wire::Refused StateMachine::no_room_forever(std::string_view topic) const {
  return {.kind = wire::RefusalKind::quota,
          .event = 0,
          .offset = {},
          .detail = "topic '" + std::string(topic) + "' remembers ids forever, and the " +
                    std::to_string(forever_ids_.bytes_max()) + " bytes that all such topics share hold no more than " +
                    std::to_string(forever_ids_.size()) +
                    " of them; nothing was stored: give a topic another dedup, or remove one"};
}

bool StateMachine::restate_forever_ids(ForeverIds::Walk& walk, std::size_t bytes) {
  return forever_ids_.visit(walk, bytes, [this](raft::TopicId topic, const EventId& id, const ForeverRow& row) {
    delta_.add(topic, id, row);
  });
}

/// Not those that went before the state was saved, nor what an earlier delta had already.
void StateMachine::restore_forever(ImageReader& image) {
  const auto [topic, id, row] = image.forever_id();
  if (topic.value >= topics_.size() || topics_[topic.value].forever_from == raft::Index{} ||
      row.log_index < topics_[topic.value].forever_from) {
    return;
  }
  const auto hash = hash_of(topics_[topic.value].name, id);
  if (!forever_ids_.find(topic, hash, id)) {
    forever_ids_.add(topic, hash, id, row);
  }
}

}  // namespace weir::broker
