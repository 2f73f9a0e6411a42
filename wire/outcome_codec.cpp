#include "wire/outcome_codec.hpp"

#include <algorithm>

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
  rules.that(table.kind() >= fbs::RefusalKind::id_reuse && table.kind() <= fbs::RefusalKind::unfit,
             "kind: a known one");
  rules.number(table.offset(), "offset: below 2^62");
  rules.that(detail.size() <= kDetailBytesMax, "detail: at most 4096 bytes");
  if (!rules.hold()) return {};
  return {static_cast<RefusalKind>(table.kind()), table.event(), raft::Offset{table.offset()}, std::string(detail)};
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
    case fbs::Outcome::NONE:
    default:
      return std::unexpected(
          Error{Errc::unknown_type, "outcome " + std::to_string(static_cast<unsigned>(table->outcome_type()))});
  }
  if (!rules.hold()) return rules.error();
  return reply;
}

}  // namespace weir::wire
