// What one reader gets of the log, and how it looks on a stream and in frames (API §4, §5; FAULTS 56, 68, 69, 74).
#include <gtest/gtest.h>

#include <string>

#include "broker/http/delivery.hpp"
#include "broker/http/stream_text.hpp"
#include "broker/http/ws_message.hpp"
#include "tests/broker/http_events.hpp"

namespace weir::broker::http {
namespace {

constexpr std::uint64_t kNow = 1'800'000'000'000;

ReadPlan plan_for(std::string_view topic, From from = FromEarliest{}) {
  ReadPlan plan = websocket_plan({});
  plan.selector = parse_selector({topic}).value();
  plan.from = std::move(from);
  return plan;
}

ReadStart start_at(std::uint64_t first, std::uint64_t next) {
  ReadStart start;
  start.topic_exists = next > 0;
  start.first_offset = raft::Offset{first};
  start.next_offset = raft::Offset{next};
  return start;
}

/// Events [from, to) of topic a, at positions offset + 100.
ReadBatch batch_of(std::uint64_t from, std::uint64_t to, bool up_to_date = true) {
  ReadBatch batch;
  for (std::uint64_t offset = from; offset < to; ++offset) {
    wire::EventView event = json_event("a", "1");
    event.key = offset % 2 == 0 ? "even" : "odd";
    batch.events.push_back(read_event(event, offset, offset + 100, kNow - 1000 + offset));
  }
  batch.next.after = raft::Position{to + 99};
  batch.up_to_date = up_to_date;
  return batch;
}

std::string offsets(const Step& step) {
  std::string text;
  for (const ReadEvent& event : step.events) text += std::to_string(event.offset.value) + ' ';
  if (step.gap && step.gap->positions) {
    return "gap of positions " + std::to_string(step.gap->positions->from.value) + '-' +
           std::to_string(step.gap->positions->to.value);
  }
  if (step.gap) text += "gap " + std::to_string(step.gap->from.value) + '-' + std::to_string(step.gap->to.value) + ' ';
  if (step.caught_up) text += "caught-up ";
  if (step.finished) text += "finished ";
  return text;
}

TEST(Delivery, GivesWhatIsThere) {
  Delivery delivery(plan_for("a"), start_at(0, 3));
  EXPECT_EQ(offsets(delivery.take(batch_of(0, 3), kNow)), "0 1 2 caught-up ");
  EXPECT_EQ(delivery.position().value, 102U);
  EXPECT_EQ(delivery.next_offset().value, 3U);
  EXPECT_FALSE(delivery.gap_at_start());
}

TEST(Delivery, Fault74StopsExactlyAtItsLimit) {
  ReadPlan plan = plan_for("a");
  plan.limit = 2;
  Delivery delivery(plan, start_at(0, 5));
  EXPECT_EQ(delivery.limits(1000, 1).events_max, 2U);
  EXPECT_EQ(offsets(delivery.take(batch_of(0, 5), kNow)), "0 1 finished ");
  EXPECT_EQ(delivery.position().value, 101U) << "the cursor stays behind the last event given";
}

TEST(Delivery, FiltersByKeyButMovesOn) {
  ReadPlan plan = plan_for("a");
  plan.key = "odd";
  plan.limit = 2;
  Delivery delivery(plan, start_at(0, 9));
  EXPECT_EQ(offsets(delivery.take(batch_of(0, 2, false), kNow)), "1 ");
  EXPECT_EQ(offsets(delivery.take(batch_of(2, 9), kNow)), "3 finished ");
  EXPECT_EQ(delivery.next_offset().value, 4U);
}

TEST(Delivery, UntilIsInclusiveInAllItsForms) {
  const auto replay = [](Until until) {
    ReadPlan plan = plan_for("a");
    plan.until = std::move(until);
    Delivery delivery(plan, start_at(0, 5));
    return offsets(delivery.take(batch_of(0, 5), kNow));
  };
  EXPECT_EQ(replay(raft::Offset{2}), "0 1 2 finished ");
  EXPECT_EQ(replay(raft::Offset{4}), "0 1 2 3 4 caught-up finished ");
  EXPECT_EQ(replay(raft::Offset{5}), "0 1 2 3 4 caught-up ") << "not written yet: waits";
  EXPECT_EQ(replay(UntilCursor{"e7", raft::Position{101}}), "0 1 finished ");
  EXPECT_EQ(replay(UntilTime{kNow - 1000 + 1}), "0 1 finished ");
  EXPECT_EQ(replay(UntilTime{kNow - 1}), "0 1 2 3 4 caught-up finished ") << "past: nothing more can come";
  EXPECT_EQ(replay(UntilTime{kNow + 1}), "0 1 2 3 4 caught-up ") << "still to come: waits";
}

TEST(Delivery, Fault56MissingEventsAreAGapNeverSilence) {
  Delivery below_first(plan_for("a", FromOffset{raft::Offset{2}}), start_at(5, 9));
  ASSERT_TRUE(below_first.gap_at_start());
  EXPECT_EQ(below_first.gap_at_start()->from.value, 2U);
  EXPECT_EQ(below_first.gap_at_start()->to.value, 4U);
  EXPECT_FALSE(Delivery(plan_for("a", FromOffset{raft::Offset{5}}), start_at(5, 9)).gap_at_start()) << "exactly first";

  Delivery trimmed_meanwhile(plan_for("a"), start_at(0, 9));
  EXPECT_EQ(offsets(trimmed_meanwhile.take(batch_of(0, 2, false), kNow)), "0 1 ");
  EXPECT_EQ(offsets(trimmed_meanwhile.take(batch_of(5, 7), kNow)), "5 6 gap 2-4 caught-up ");
}

TEST(Delivery, Fault68FromTheFutureWaitsAndNamesItsPlace) {
  Delivery delivery(plan_for("a", FromOffset{raft::Offset{100}}), start_at(0, 5));
  EXPECT_FALSE(delivery.gap_at_start());
  EXPECT_EQ(delivery.next_offset().value, 100U);
}

TEST(Delivery, AnEmptyReadGoesOnAtTheEnd) {
  ReadBatch nothing;
  nothing.up_to_date = true;
  Delivery delivery(plan_for("a", FromCursor{"e7", raft::Position{104}}), start_at(0, 5));
  EXPECT_EQ(offsets(delivery.take(std::move(nothing), kNow)), "caught-up ");
  EXPECT_EQ(delivery.next_offset().value, 5U);
  EXPECT_EQ(offsets(delivery.take(batch_of(7, 8), kNow)), "7 gap 5-6 caught-up ");
}

std::string streamed(Format format) {
  const StreamText text(format, "e7", DataForm::natural);
  std::string out;
  text.append_opening(out, raft::Position{16});
  wire::EventView event = json_event("a", "{\"n\":\n1}");
  text.append_event(out, read_event(event, 0, 17));
  text.append_control(out, "caught-up", caught_up_members("e7.17"), raft::Position{17});
  text.append_control(out, "gap", gap_members({"a", raft::Offset{1}, raft::Offset{3}}), raft::Position{17});
  text.append_control(out, "goaway", goaway_members("n3:7400", "e7.17"), raft::Position{17});
  text.append_heartbeat(out);
  return out;
}

TEST(Delivery, Fault056WhatRetentionTookFromUnderAPatternOrACursorIsToldByPositions) {
  ReadBatch removed;
  removed.removed = RemovedRange{raft::Position{3}, raft::Position{8}};
  removed.next.gap_told = raft::Position{8};
  const std::string told = "gap of positions 3-8";
  Delivery pattern(plan_for("a/**", FromEarliest{}), {});
  EXPECT_EQ(offsets(pattern.take(removed, kNow)), told);
  EXPECT_EQ(pattern.state().gap_told, raft::Position{8}) << "once";
  Delivery cursor(plan_for("a", FromCursor{"e7", raft::Position{2}}), start_at(4, 9));
  EXPECT_EQ(offsets(cursor.take(removed, kNow)), told);
  Delivery counted(plan_for("a", FromOffset{raft::Offset{4}}), start_at(4, 9));
  EXPECT_EQ(offsets(counted.take(removed, kNow)), "") << "the next offset will show it";
  EXPECT_EQ(gap_members({.topic = {}, .from = {}, .to = {}, .positions = removed.removed}),
            R"("missing":{"from_position":3,"to_position":8})");
}

TEST(StreamText, SseDataHasNoEventNameControlsDo) {
  EXPECT_EQ(streamed(Format::sse),
            "retry: 1000\nid: e7.16\n\n"
            "id: e7.17\ndata: {\"topic\":\"a\",\"offset\":0,\"position\":17,\"id\":null,"
            "\"time\":\"2026-11-20T22:50:01.123Z\",\"data\":{\"n\":1}}\n\n"
            "event: caught-up\nid: e7.17\ndata: {\"cursor\":\"e7.17\"}\n\n"
            "event: gap\nid: e7.17\ndata: {\"first\":4,\"missing\":{\"topic\":\"a\",\"from\":1,\"to\":3}}\n\n"
            "event: goaway\nid: e7.17\ndata: {\"to\":\"n3:7400\",\"cursor\":\"e7.17\"}\n\n"
            ":\n\n");
}

TEST(StreamText, NdjsonLinesCarryTheirCursor) {
  EXPECT_EQ(streamed(Format::ndjson),
            "{\"topic\":\"a\",\"offset\":0,\"position\":17,\"cursor\":\"e7.17\",\"id\":null,"
            "\"time\":\"2026-11-20T22:50:01.123Z\",\"data\":{\"n\":1}}\n"
            "{\"control\":\"caught-up\",\"cursor\":\"e7.17\"}\n"
            "{\"control\":\"gap\",\"first\":4,\"missing\":{\"topic\":\"a\",\"from\":1,\"to\":3}}\n"
            "{\"control\":\"goaway\",\"to\":\"n3:7400\",\"cursor\":\"e7.17\"}\n"
            "\n");
}

TEST(StreamText, BarePayloadsHaveNoControls) {
  EXPECT_EQ(streamed(Format::text), "{\"n\":1}\n\n");
}

template <class T>
T operation(std::string_view frame) {
  const WsOperation parsed = parse_operation(frame, {}, kNow);
  const auto* const wanted = std::get_if<T>(&parsed);
  if (wanted == nullptr) {
    ADD_FAILURE() << frame << ": "
                  << (std::holds_alternative<WsRefused>(parsed) ? std::get<WsRefused>(parsed).problem.detail : "");
    return {};
  }
  return *wanted;
}

TEST(WsMessage, SubscriptionsAreReadWithTheirChoices) {
  const auto sub = operation<WsSubscribe>(
      R"({"op":"sub","sid":1,"topic":["sensors/**","a"],"from":"after:e7.90213","credit":256,"key":"k","data":"base64"})");
  EXPECT_EQ(sub.sid, 1U);
  EXPECT_EQ(sub.credit, 256U);
  EXPECT_EQ(sub.plan.selector->patterns.size(), 2U);
  EXPECT_EQ(std::get<FromCursor>(sub.plan.from).position.value, 90213U);
  EXPECT_EQ(sub.plan.key, "k");
  EXPECT_EQ(sub.plan.data, DataForm::base64);
  const auto plain = operation<WsSubscribe>(R"({"op":"sub","sid":0,"topic":"a","from":42})");
  EXPECT_FALSE(plain.credit);
  EXPECT_EQ(std::get<FromOffset>(plain.plan.from).offset.value, 42U);
  EXPECT_TRUE(
      std::holds_alternative<FromLatest>(operation<WsSubscribe>(R"({"op":"sub","sid":0,"topic":"a"})").plan.from));
}

TEST(WsMessage, PublishesKeepTheirPayload) {
  const auto pub = operation<WsPublish>(R"({"op":"pub","rid":9,"topic":"orders/new","id":"o","data":{ "n" : 1 }})");
  EXPECT_EQ(pub.rid, 9U);
  EXPECT_EQ(pub.publish.topic, "orders/new");
  EXPECT_EQ(pub.publish.ids, std::vector<std::string>{"o"});
  EXPECT_EQ(wire::PublishView::verify(pub.publish.bytes)->event(0).body, "{ \"n\" : 1 }");
}

TEST(WsMessage, Fault95BadFramesAreAnsweredWithTheirNumbers) {
  for (const char* frame : {"",
                            "1",
                            "[]",
                            "{}",
                            "{\"op\":1}",
                            "{\"op\":\"fly\"}",
                            "{\"op\":\"sub\",\"topic\":\"a\"}",
                            "{\"op\":\"sub\",\"sid\":-1,\"topic\":\"a\"}",
                            "{\"op\":\"sub\",\"sid\":1}",
                            "{\"op\":\"sub\",\"sid\":1,\"topic\":[]}",
                            "{\"op\":\"sub\",\"sid\":1,\"topic\":\"a/../b\"}",
                            "{\"op\":\"sub\",\"sid\":1,\"topic\":\"a\",\"form\":1}",
                            "{\"op\":\"sub\",\"sid\":1,\"topic\":\"a\",\"credit\":-1}",
                            "{\"op\":\"credit\",\"sid\":1}",
                            "{\"op\":\"pub\",\"rid\":1}",
                            "{\"op\":\"pub\",\"rid\":1,\"topic\":\"*\",\"data\":1}",
                            "{\"op\":\"pub\",\"rid\":\"x\",\"topic\":\"a\",\"data\":1}",
                            "{\"op\":\"unsub\"}",
                            "{\"op\":\"auth\",\"token\":\"t\"}",
                            "{\"op\":\"commit\",\"rid\":1}",
                            "{\"op\":\"pub\",\"op\":\"pub\"}"}) {
    EXPECT_TRUE(std::holds_alternative<WsRefused>(parse_operation(frame, {}, kNow))) << frame;
  }
  const auto refused = operation<WsRefused>(R"({"op":"pub","rid":9,"topic":"*","data":1})");
  EXPECT_EQ(refused.rid, 9U);
  EXPECT_TRUE(error_frame(refused.rid, refused.sid, refused.problem)
                  .starts_with(R"({"op":"error","rid":9,"problem":{"type":"urn:weir:problem:bad-request")"));
}

TEST(WsMessage, FramesAreThoseOfTheContract) {
  EXPECT_EQ(subscribed_frame(1, "e7.90213", "n2"), R"({"op":"subscribed","sid":1,"cursor":"e7.90213","node":"n2"})");
  std::string event;
  append_event_frame(event, 1, read_event(json_event("a", "1"), 18, 90214), {"e7", DataForm::natural, ShowCursor::yes});
  EXPECT_EQ(event, R"({"op":"event","sid":1,"topic":"a","offset":18,"position":90214,"cursor":"e7.90214","id":null,)"
                   R"("time":"2026-11-20T22:50:01.123Z","data":1})");
  EXPECT_EQ(control_frame("caught-up", 1, caught_up_members("e7.1")), R"({"op":"caught-up","sid":1,"cursor":"e7.1"})");
  const auto pub = operation<WsPublish>(R"({"op":"pub","rid":9,"topic":"a","data":1})");
  const wire::EventResult stored{raft::Offset{43}, raft::Position{90215}, 1, wire::Storing::stored};
  EXPECT_EQ(ack_frame(pub, wire::Published{{stored}}, "e7"),
            R"({"op":"ack","rid":9,"offset":43,"position":90215,"cursor":"e7.90215","duplicate":false})");
}

}  // namespace
}  // namespace weir::broker::http
