#include "wire/outcome_codec.hpp"

#include <algorithm>
#include <array>

#include "wire/flat.hpp"
#include "wire/raft_generated.h"
#include "wire/rules.hpp"

namespace weir::wire {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

/// ForwardReply, and its outcome.
constexpr VerifyLimits kLimits{.depth = 2, .tables = 2};

fbs::EventResult to_fbs(const EventResult& result) {
  return {result.offset.value, result.position.value, result.time_ms, static_cast<fbs::Storing>(result.storing)};
}

struct Encoded {
  fbs::Outcome type;
  Offset<void> offset;
};

struct OutcomeEncoder {
  FlatBufferBuilder& builder;

  Encoded operator()(const Published& published) const {
    std::vector<fbs::EventResult> results;
    results.reserve(published.results.size());
    for (const auto& result : published.results) results.push_back(to_fbs(result));
    const auto vector = builder.CreateVectorOfStructs(results);
    return {fbs::Outcome::Published, fbs::CreatePublished(builder, vector).Union()};
  }
  Encoded operator()(const Claimed& claimed) const {
    const auto original = to_fbs(claimed.original);
    return {fbs::Outcome::Claimed,
            fbs::CreateClaimed(builder, static_cast<fbs::ClaimState>(claimed.state), &original).Union()};
  }
  Encoded operator()(const Refused& refused) const {
    const auto size = std::min(refused.detail.size(), kDetailBytesMax);
    const auto detail = builder.CreateString(refused.detail.data(), size);
    return {fbs::Outcome::Refused, fbs::CreateRefused(builder, static_cast<fbs::RefusalKind>(refused.kind),
                                                      refused.event, refused.offset.value, detail)
                                       .Union()};
  }
  Encoded operator()(const TopicChanged& changed) const {
    std::vector<fbs::SettingInForce> settings;
    for (const auto& setting : changed.settings.in_order()) {
      settings.emplace_back(setting.value, static_cast<std::uint8_t>(setting.kind));
    }
    const auto vector = builder.CreateVectorOfStructs(settings);
    return {
        fbs::Outcome::TopicChanged,
        fbs::CreateTopicChanged(builder, static_cast<fbs::TopicWhat>(changed.what), vector, changed.first_offset.value,
                                changed.next_offset.value, changed.bytes, changed.last_time_ms)
            .Union()};
  }
  Encoded operator()(const GroupChanged& changed) const {
    return {fbs::Outcome::GroupChanged,
            fbs::CreateGroupChanged(builder, static_cast<fbs::GroupWhat>(changed.what), changed.committed.value,
                                    changed.generation, changed.lease, changed.expires_ms)
                .Union()};
  }
};

EventResult decode_result(const fbs::EventResult& table, Rules& rules) {
  rules.number(table.offset(), "offset: below 2^62");
  rules.number(table.position(), "position: below 2^62");
  rules.number(table.time_ms(), "time_ms: below 2^62");
  rules.that(table.storing() == fbs::Storing::stored || table.storing() == fbs::Storing::duplicate,
             "storing: a known one");
  return {raft::Offset{table.offset()}, raft::Position{table.position()}, table.time_ms(),
          static_cast<Storing>(table.storing())};
}

Published decode_outcome(const fbs::Published& table, Rules& rules) {
  Published published;
  const auto* results = table.results();
  rules.that(results->size() <= kBatchEventsMax, "results: at most 65,536");
  rules.that(well_placed(results->Data(), kAlignment), "results: aligned");
  if (!rules.hold()) return published;
  published.results.reserve(results->size());
  for (const auto* result : *results) published.results.push_back(decode_result(*result, rules));
  return published;
}

Claimed decode_outcome(const fbs::Claimed& table, Rules& rules) {
  rules.that(table.state() >= fbs::ClaimState::claimed_now && table.state() <= fbs::ClaimState::published_before,
             "state: a known one");
  return {static_cast<ClaimState>(table.state()), decode_result(*table.original(), rules)};
}

Refused decode_outcome(const fbs::Refused& table, Rules& rules) {
  const auto detail = text_of(table.detail());
  rules.that(table.kind() >= fbs::RefusalKind::id_reuse && table.kind() <= fbs::RefusalKind::moved_on,
             "kind: a known one");
  rules.number(table.offset(), "offset: below 2^62");
  rules.that(detail.size() <= kDetailBytesMax, "detail: at most 4096 bytes");
  if (!rules.hold()) return {};
  return {static_cast<RefusalKind>(table.kind()), table.event(), raft::Offset{table.offset()}, std::string(detail)};
}

TopicChanged decode_outcome(const fbs::TopicChanged& table, Rules& rules) {
  std::array<Setting, 4> settings;
  rules.that(table.what() >= fbs::TopicWhat::created && table.what() <= fbs::TopicWhat::removed, "what: a known one");
  rules.that(table.settings()->size() == settings.size(), "settings: four");
  rules.that(well_placed(table.settings()->Data(), kAlignment), "settings: aligned");
  rules.number(table.first_offset(), "first offset: below 2^62");
  rules.number(table.next_offset(), "next offset: below 2^62");
  rules.number(table.bytes(), "bytes: below 2^62");
  rules.number(table.last_time_ms(), "time: below 2^62");
  if (!rules.hold()) return {};
  for (flatbuffers::uoffset_t i = 0; i < settings.size(); ++i) {
    const auto* setting = table.settings()->Get(i);
    settings[i] = {static_cast<Setting::Kind>(setting->kind()), setting->value()};
    const auto last_kind = i + 1 == settings.size() ? Setting::Kind::forever : Setting::Kind::value;
    rules.that(settings[i].kind >= Setting::Kind::unset && settings[i].kind <= last_kind, "setting: a known kind");
    rules.that((settings[i].kind == Setting::Kind::value) == (settings[i].value != 0),
               "setting: a value where it has one");
    rules.number(settings[i].value, "setting: below 2^62");
  }
  return {static_cast<TopicWhat>(table.what()),
          TopicSettings::from(settings),
          raft::Offset{table.first_offset()},
          raft::Offset{table.next_offset()},
          table.bytes(),
          table.last_time_ms()};
}

GroupChanged decode_outcome(const fbs::GroupChanged& table, Rules& rules) {
  rules.that(table.what() >= fbs::GroupWhat::created && table.what() <= fbs::GroupWhat::committed, "what: a known one");
  rules.number(table.committed(), "committed: below 2^62");
  rules.number(table.generation(), "generation: below 2^62");
  rules.number(table.lease(), "lease: below 2^62");
  rules.number(table.expires_ms(), "expires: below 2^62");
  return {.what = static_cast<GroupWhat>(table.what()),
          .committed = raft::Position{table.committed()},
          .generation = table.generation(),
          .lease = table.lease(),
          .expires_ms = table.expires_ms()};
}

}  // namespace

EncodedFrame encode_reply(const ForwardReply& reply) {
  FlatBufferBuilder builder;
  const Encoded outcome = std::visit(OutcomeEncoder{builder}, reply.outcome);
  builder.FinishSizePrefixed(
      fbs::CreateForwardReply(builder, reply.number, reply.boot_nonce, outcome.type, outcome.offset), kFrameIdentifier);
  return seal(FrameType::forward_reply, finished(builder), {});
}

std::expected<ForwardReply, Error> decode_reply(const Payload& payload) {
  const auto* table = verified_prefixed<fbs::ForwardReply>(payload.table(), kFrameIdentifier, kLimits);
  if (table == nullptr) return malformed("ForwardReply: not a FlatBuffer of this schema");
  Rules rules("ForwardReply");
  ForwardReply reply{table->number(), table->boot_nonce(), {}};
  switch (table->outcome_type()) {
    case fbs::Outcome::Published:
      reply.outcome = decode_outcome(*table->outcome_as_Published(), rules);
      break;
    case fbs::Outcome::Claimed:
      reply.outcome = decode_outcome(*table->outcome_as_Claimed(), rules);
      break;
    case fbs::Outcome::Refused:
      reply.outcome = decode_outcome(*table->outcome_as_Refused(), rules);
      break;
    case fbs::Outcome::TopicChanged:
      reply.outcome = decode_outcome(*table->outcome_as_TopicChanged(), rules);
      break;
    case fbs::Outcome::GroupChanged:
      reply.outcome = decode_outcome(*table->outcome_as_GroupChanged(), rules);
      break;
    case fbs::Outcome::NONE:
    default:
      return std::unexpected(
          Error{Errc::unknown_type, "outcome " + std::to_string(static_cast<unsigned>(table->outcome_type()))});
  }
  if (!rules.hold()) return rules.error();
  return reply;
}

}  // namespace weir::wire
