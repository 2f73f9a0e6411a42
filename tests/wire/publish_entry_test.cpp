// PUBLISH requests and entries: built, verified, read in place, merged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "tests/wire/samples.hpp"

namespace weir::wire::test {
namespace {

using testing::ElementsAre;

Errc code_of(const std::expected<raft::Bytes, Error>& data) {
  return data ? Errc{} : data.error().code;
}

TEST(PublishEntry, ShowsWhatWasAdded) {
  const Request request = full_request();
  const PublishView view = viewed(built(request));
  EXPECT_EQ(view.time_ms(), 0U);
  EXPECT_EQ(view.request_count(), 1U);
  EXPECT_EQ(view.event_count(), 2U);
  EXPECT_THAT(view.topics(), ElementsAre("orders", "stock"));
  EXPECT_EQ(view.topic_number(1), 1U);
  EXPECT_EQ(view.id(1), "a2");
  EXPECT_EQ(view.source(0), "till-7");
  EXPECT_TRUE(view.every_event_has_id());
  EXPECT_THAT(copy_of(view), ElementsAre(request));
}

TEST(PublishEntry, KnowsWhetherEveryEventHasAnId) {
  const auto every = [](std::vector<std::string> ids) {
    Request request;
    for (auto& id : ids) request.events.push_back({.id = std::move(id)});
    return viewed(built(request)).every_event_has_id();
  };
  EXPECT_TRUE(every({"a"}));
  EXPECT_TRUE(every({"a", "b", "c"}));
  EXPECT_FALSE(every({""}));
  EXPECT_FALSE(every({"", "b", "c"}));
  EXPECT_FALSE(every({"a", "", "c"}));
  EXPECT_FALSE(every({"a", "b", ""}));
}

TEST(PublishEntry, ColumnsThatNobodyUsesAreNotThere) {
  Request plain{.events = {{.topic = "t", .body = "b"}}};
  Request with_key = plain;
  with_key.events[0].key = "k";
  // 4 for the end, 4 for its length; the blob; their two places in the table and in its vtable.
  EXPECT_GE(built(with_key).size(), built(plain).size() + 16);
}

TEST(PublishEntry, ReadsTheSameAtAnyAddress) {
  const raft::Bytes data = built(full_request());
  for (std::size_t shift = 0; shift < 8; ++shift) {
    EXPECT_THAT(copy_of(viewed(tight(data.view(), shift))), ElementsAre(full_request())) << shift;
  }
}

TEST(PublishEntry, AViewKeepsItsBytesAlive) {
  auto data = built(full_request());
  auto view = std::make_unique<PublishView>(viewed(tight(data.view())));
  const PublishView copy = *view;
  view.reset();
  data = {};
  EXPECT_THAT(copy_of(copy), ElementsAre(full_request()));
}

TEST(PublishEntry, Fault074SizesAtTheirLimits) {
  const auto with = [](auto change) {
    PublishBuilder builder;
    change(builder);
    return builder.finish();
  };
  const std::string body(kEventBytesMax, 'b');
  EXPECT_TRUE(with([&](auto& b) { b.add({.topic = "t", .body = ""}); }));
  EXPECT_TRUE(with([&](auto& b) { b.add({.topic = "t", .body = body}); }));
  EXPECT_TRUE(with([&](auto& b) { b.add({.topic = std::string_view(body).substr(0, 255)}); }));
  EXPECT_TRUE(with([&](auto& b) { b.add({.topic = "t", .id = std::string_view(body).substr(0, 256)}); }));
  EXPECT_EQ(code_of(with([&](auto&) {})), Errc::malformed);
  EXPECT_EQ(code_of(with([&](auto& b) { b.add({.topic = ""}); })), Errc::malformed);
  EXPECT_EQ(code_of(with([&](auto& b) { b.add({.topic = std::string_view(body).substr(0, 256)}); })), Errc::malformed);
  EXPECT_EQ(code_of(with([&](auto& b) { b.add({.topic = "t", .id = std::string_view(body).substr(0, 257)}); })),
            Errc::malformed);
  EXPECT_EQ(code_of(with([&](auto& b) {
              b.add({.topic = "t"});
              b.expect("t", raft::Offset{raft::kNumberLimit});
            })),
            Errc::malformed);
}

TEST(PublishEntry, Fault074TooManyEventsOrBytesAreTooLarge) {
  PublishBuilder most;
  for (std::size_t n = 0; n < kBatchEventsMax; ++n) most.add({.topic = "t", .body = "b"});
  EXPECT_TRUE(most.finish());
  PublishBuilder too_many;
  for (std::size_t n = 0; n <= kBatchEventsMax; ++n) too_many.add({.topic = "t", .body = "b"});
  EXPECT_EQ(too_many.event_count(), kBatchEventsMax + 1);
  EXPECT_EQ(code_of(too_many.finish()), Errc::too_large);

  const std::string body(kEventBytesMax, 'b');
  PublishBuilder too_large;
  for (int n = 0; n < 12; ++n) too_large.add({.topic = "t", .body = body});
  EXPECT_EQ(code_of(too_large.finish()), Errc::too_large);
  PublishBuilder far_too_large;
  for (int n = 0; n < 5000; ++n) far_too_large.add({.topic = "t", .body = body});
  EXPECT_EQ(code_of(far_too_large.finish()), Errc::too_large);
  PublishBuilder expectations;
  expectations.add({.topic = "t"});
  for (std::size_t n = 0; n <= kBatchEventsMax; ++n) expectations.expect("t", raft::Offset{1});
  EXPECT_EQ(code_of(expectations.finish()), Errc::too_large);
}

TEST(PublishEntry, ManyTopicsKeepTheirOrderOfFirstUse) {
  Request request;
  for (int n = 0; n < 300; ++n) request.events.push_back({.topic = "t" + std::to_string((n * 7) % 100)});
  const PublishView view = viewed(built(request));
  EXPECT_EQ(view.topics().size(), 100U);
  EXPECT_THAT(std::vector(view.topics().begin(), view.topics().begin() + 3), ElementsAre("t0", "t7", "t14"));
  EXPECT_THAT(copy_of(view), ElementsAre(request));
}

TEST(Merge, OfOneIsTheRequestWithTheTime) {
  std::mt19937_64 random(seed());
  for (int n = 0; n < 200; ++n) {
    const PublishView request = viewed(built(random_request(random)));
    const raft::Bytes merged = merge({&request, 1}, 0);
    EXPECT_EQ(merged, request.bytes());
    const PublishView stamped = viewed(merge({&request, 1}, 1'700'000'000'000));
    EXPECT_EQ(stamped.time_ms(), 1'700'000'000'000U);
    EXPECT_EQ(copy_of(stamped), copy_of(request));
  }
}

TEST(Merge, TheTimeStandsWhereAReaderWithoutThisCodeFindsIt) {
  // Not in place here, but in place is possible: nothing else differs between two times.
  const PublishView request = viewed(built(full_request()));
  const auto early = merge({&request, 1}, 0x0101010101010101);
  const auto late = merge({&request, 1}, 0x0202020202020202);
  ASSERT_EQ(early.size(), late.size());
  std::size_t different = 0;
  for (std::size_t n = 0; n < early.size(); ++n) different += early.view()[n] != late.view()[n] ? 1U : 0U;
  EXPECT_EQ(different, 8U);
}

TEST(Merge, KeepsEveryRequestInOrder) {
  std::mt19937_64 random(seed());
  for (int round = 0; round < 300; ++round) {
    std::vector<Request> requests(1 + random() % 12);
    std::vector<PublishView> views;
    std::size_t bytes_max = 0;
    for (auto& request : requests) {
      request = random_request(random);
      views.push_back(viewed(built(request)));
      bytes_max += views.back().merged_bytes_max();
    }
    const raft::Bytes merged = merge(views, 99);
    EXPECT_LE(merged.size(), bytes_max);
    const PublishView view = viewed(merged);
    EXPECT_EQ(view.time_ms(), 99U);
    EXPECT_EQ(copy_of(view), requests);
    // Merging what was merged is the same as merging at once.
    const std::vector<PublishView> twice{viewed(merge({views.data(), 1}, 5)), viewed(merge(views, 6))};
    auto expected = std::vector{requests[0]};
    expected.insert(expected.end(), requests.begin(), requests.end());
    EXPECT_EQ(copy_of(viewed(merge(twice, 7))), expected);
  }
}

TEST(Merge, MoreTopicsThanSixteenBitsCanNumber) {
  std::vector<PublishView> views;
  for (int part = 0; part < 3; ++part) {
    PublishBuilder builder;
    for (int n = 0; n < 30'000; ++n) builder.add({.topic = std::to_string(part) + "-" + std::to_string(n)});
    views.push_back(viewed(builder.finish().value()));
  }
  const PublishView merged = viewed(merge(views, 1));
  EXPECT_EQ(merged.topics().size(), 90'000U);
  EXPECT_EQ(merged.event(89'999).topic, "2-29999");
}

TEST(Merge, AnEntryThatGrewBeyondItsRequestsIsStillRead) {
  // 40 requests of many small events, each with one event that uses all columns.
  std::vector<PublishView> views;
  std::size_t sum = 0;
  for (int part = 0; part < 40; ++part) {
    PublishBuilder builder;
    for (std::size_t n = 0; n < 40'000; ++n) builder.add({.topic = "t", .body = "b"});
    views.push_back(viewed(builder.finish().value()));
    sum += views.back().bytes().size();
  }
  views.push_back(viewed(built(full_request())));
  ASSERT_LT(sum, kEntryBytesMax);
  const auto merged = merge(views, 1);
  EXPECT_GT(merged.size(), kEntryBytesMax);
  EXPECT_EQ(PublishView::verify(merged).has_value(), merged.size() <= kMergedBytesMax);
  std::size_t bytes_max = 0;
  for (const auto& view : views) bytes_max += view.merged_bytes_max();
  EXPECT_LE(merged.size(), bytes_max);
}

struct Lie {
  std::string name;
  std::function<void(RawEntry&)> tell;
};

void expect_refused(const std::vector<Lie>& lies) {
  for (const auto& lie : lies) {
    RawEntry told = honest_entry();
    lie.tell(told);
    const auto view = PublishView::verify(told.build());
    ASSERT_FALSE(view) << lie.name;
    EXPECT_EQ(view.error().code, Errc::malformed) << lie.name;
  }
}

TEST(PublishEntry, AnHonestEntryOfAnotherWriterIsRead) {
  const auto requests = copy_of(viewed(honest_entry().build()));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(
      requests[0].events[1],
      (Event{.topic = "stock", .id = "a2", .source = "", .key = "key", .content_type = "", .headers = {}, .body = ""}));
  EXPECT_EQ(requests[1].events[0], (Event{.topic = "orders",
                                          .id = "a3",
                                          .source = "s",
                                          .key = "",
                                          .content_type = "text/plain",
                                          .headers = {{"x-a", "vv"}},
                                          .body = "yzw"}));
  EXPECT_THAT(requests[0].events[0].headers, ElementsAre(std::pair("x-a", "v"), std::pair("x-b", "")));
  EXPECT_EQ(requests[1].request_id, "r2");
  EXPECT_THAT(requests[1].expectations, ElementsAre(std::pair("orders", 4)));
}

TEST(PublishEntry, Fault040FieldsOfALaterVersionAreSkipped) {
  RawEntry later = honest_entry();
  later.numbers[30] = {1, 2, 3};
  later.blobs[31] = "later";
  EXPECT_EQ(copy_of(viewed(later.build())), copy_of(viewed(honest_entry().build())));
}

TEST(PublishEntry, Fault087RequiredFieldsMustBeThere) {
  for (const int field : {time_ms, request_end, body_end, body, topics}) {
    RawEntry raw = honest_entry();
    raw.erase(field);
    EXPECT_FALSE(PublishView::verify(raw.build())) << field;
  }
}

TEST(PublishEntry, Fault087AColumnIsWholeOrNotThere) {
  for (const int field : {id_end,
                          id,
                          source_end,
                          source,
                          key_end,
                          key,
                          content_types,
                          header_event,
                          header_names,
                          header_name,
                          header_value_end,
                          header_value,
                          request_id_end,
                          request_id,
                          expectation_request,
                          expectation_topic,
                          expectation_next,
                          commit_request,
                          commit_group,
                          commit_lease,
                          commit_position}) {
    RawEntry raw = honest_entry();
    raw.erase(field);
    EXPECT_FALSE(PublishView::verify(raw.build())) << field;
  }
  for (const auto& column :
       std::vector<std::vector<int>>{{id_end, id},
                                     {source_end, source},
                                     {key_end, key},
                                     {content_types, content_type},
                                     {header_event, header_names, header_name, header_value_end, header_value},
                                     {request_id_end, request_id},
                                     {expectation_request, expectation_topic, expectation_next},
                                     {commit_request, commit_group, commit_lease, commit_position}}) {
    RawEntry raw = honest_entry();
    for (const int field : column) raw.erase(field);
    EXPECT_TRUE(PublishView::verify(raw.build())) << column[0];
  }
}

TEST(PublishEntry, Fault088ColumnsThatDoNotFitTogetherAreRefused) {
  std::vector<Lie> lies;
  for (const int field : {body_end, topic, id_end, source_end, key_end, content_type, header_event, header_name,
                          header_value_end, request_id_end, expectation_request, commit_request}) {
    const auto name = std::to_string(field);
    lies.push_back({"one more in " + name, [=](auto& e) { e.numbers[field].push_back(e.numbers[field].back()); }});
    lies.push_back({"one less in " + name, [=](auto& e) { e.numbers[field].pop_back(); }});
  }
  for (const int field : {body_end, id_end, source_end, key_end, header_value_end, request_id_end}) {
    const auto name = std::to_string(field);
    lies.push_back({"ends beyond its blob: " + name, [=](auto& e) { ++e.numbers[field].back(); }});
    lies.push_back({"ends before its blob does: " + name, [=](auto& e) { --e.numbers[field].back(); }});
    lies.push_back({"far beyond: " + name, [=](auto& e) { e.numbers[field].front() = 0xffffffff; }});
  }
  for (const int field :
       {topic, content_type, header_name, header_event, expectation_request, commit_request, request_end}) {
    const auto name = std::to_string(field);
    lies.push_back({"out of range: " + name, [=](auto& e) { e.numbers[field].back() = 1000; }});
    lies.push_back({"maximum: " + name, [=](auto& e) { e.numbers[field].back() = 0xffffffff; }});
  }
  expect_refused(lies);
}

TEST(PublishEntry, Fault088RowsOutOfOrderAreRefused) {
  expect_refused({
      {"body ends fall", [](auto& e) { e.numbers[body_end] = {2, 1, 4}; }},
      {"id ends fall", [](auto& e) { e.numbers[id_end] = {4, 2, 6}; }},
      {"a request without events", [](auto& e) { e.numbers[request_end] = {3, 3}; }},
      {"a first request without events", [](auto& e) { e.numbers[request_end] = {0, 3}; }},
      {"requests fall", [](auto& e) { e.numbers[request_end] = {3, 2}; }},
      {"requests have too few events", [](auto& e) { e.numbers[request_end] = {1, 2}; }},
      {"headers of events fall", [](auto& e) { e.numbers[header_event] = {2, 0, 0}; }},
      {"expectations of requests fall",
       [](auto& e) {
         e.numbers[expectation_request] = {1, 0};
         e.names[expectation_topic] = {"a", "b"};
         e.longs[expectation_next] = {1, 2};
       }},
      {"commits of requests fall",
       [](auto& e) {
         e.numbers[commit_request] = {1, 0};
         e.names[commit_group] = {"a", "b"};
         e.longs[commit_lease] = {1, 2};
         e.longs[commit_position] = {1, 2};
       }},
      {"topics not in order of use", [](auto& e) { e.numbers[topic] = {1, 0, 0}; }},
      {"a topic that is not used", [](auto& e) { e.names[topics].push_back("idle"); }},
      {"a topic twice", [](auto& e) { e.names[topics] = {"orders", "orders"}; }},
      {"two topics without numbers", [](auto& e) { e.erase(topic); }},
      {"a content type twice", [](auto& e) { e.names[content_types] = {"a", "a"}; }},
      {"numbers of content types without types", [](auto& e) { e.erase(content_types); }},
      {"header names not in order of use", [](auto& e) { e.numbers[header_name] = {1, 0, 1}; }},
  });
}

TEST(PublishEntry, Fault088ValuesOutOfBoundsAreRefused) {
  expect_refused({
      {"time 2^62", [](auto& e) { e.time = raft::kNumberLimit; }},
      {"time max", [](auto& e) { e.time = ~std::uint64_t{0}; }},
      {"an empty topic", [](auto& e) { e.names[topics] = {"orders", ""}; }},
      {"a long topic", [](auto& e) { e.names[topics] = {"orders", std::string(256, 't')}; }},
      {"an empty expected topic", [](auto& e) { e.names[expectation_topic] = {""}; }},
      {"an expected offset of 2^62", [](auto& e) { e.longs[expectation_next] = {raft::kNumberLimit}; }},
      {"an empty group", [](auto& e) { e.names[commit_group] = {""}; }},
      {"a long group", [](auto& e) { e.names[commit_group] = {std::string(65, 'g')}; }},
      {"a lease of 2^62", [](auto& e) { e.longs[commit_lease] = {raft::kNumberLimit}; }},
      {"a committed position of 2^62", [](auto& e) { e.longs[commit_position] = {raft::kNumberLimit}; }},
      {"a long request id",
       [](auto& e) {
         e.blobs[request_id] = std::string(257, 'r');
         e.numbers[request_id_end] = {0, 257};
       }},
      {"a long id",
       [](auto& e) {
         e.blobs[id] = std::string(257, 'i');
         e.numbers[id_end] = {0, 257, 257};
       }},
      {"no topics", [](auto& e) { e.names[topics] = {}; }},
      {"no events",
       [](auto& e) {
         for (const int field : {topic, id_end, source_end, key_end, content_type}) e.erase(field);
         for (const int field : {id, source, key, content_types}) e.erase(field);
         e.numbers[body_end] = {};
         e.blobs[body] = "";
         e.numbers[request_end] = {};
       }},
  });
}

}  // namespace
}  // namespace weir::wire::test
