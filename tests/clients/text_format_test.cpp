#include "clients/cli/text_format.hpp"

#include <gtest/gtest.h>

namespace weir::cli {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(Escape, NothingCanForgeALineOrMoveTheCursor) {
  EXPECT_EQ(escape("a\r\nb\tc\x1b[31m\x7f"), "a\\r\\nb\\tc\\x1b[31m\\x7f");
  EXPECT_EQ(escape(std::string("nul\0byte", 8)), "nul\\x00byte");
  EXPECT_EQ(escape("\xC2\x9B"
                   "31m"),
            "\\u{9b}31m")
      << "a C1 control is an escape sequence of one character";
  EXPECT_EQ(escape("\xE2\x80\xAE"
                   "evil"),
            "\\u{202e}evil")
      << "right-to-left override";
  EXPECT_EQ(escape("\xE2\x80\xA8"), "\\u{2028}");
}

TEST(Escape, TextStaysText) {
  EXPECT_EQ(escape("Grüße, 世界 😀 \\n"), "Grüße, 世界 😀 \\n");
}

TEST(Escape, BytesThatAreNotUtf8AreShown) {
  EXPECT_EQ(escape("\xFF\xC3"), "\\xff\\xc3");
  EXPECT_EQ(escape("\xED\xA0\x80"), "\\xed\\xa0\\x80") << "a surrogate is not UTF-8";
  EXPECT_EQ(escape("\xC0\xAF"), "\\xc0\\xaf") << "an overlong slash is not UTF-8";
}

TEST(PublishedLine, StoredAndDuplicate) {
  client::Published published{.topic = "orders/new",
                              .offset = 42,
                              .position = 90213,
                              .cursor = "e7.90213",
                              .id = "o-1001",
                              .time = "2026-11-20T22:50:01.123Z",
                              .duplicate = false};
  EXPECT_EQ(published_line(published, microseconds(912)), "orders/new 42 stored o-1001 0.9 ms\n");
  published.duplicate = true;
  EXPECT_EQ(published_line(published, microseconds(912)), "orders/new 42 duplicate of 22:50:01 o-1001\n");
  published.time.clear();
  EXPECT_EQ(published_line(published, microseconds(912)), "orders/new 42 duplicate o-1001\n");
  published.duplicate = false;
  published.id.clear();
  EXPECT_EQ(published_line(published, milliseconds(241)), "orders/new 42 stored - 241 ms\n");
}

TEST(PublishedJson, IsOneObjectPerLine) {
  const client::Published published{
      .topic = "a", .offset = 1, .position = 2, .cursor = "", .id = "x\"y", .time = "", .duplicate = true};
  EXPECT_EQ(published_json(published),
            "{\"topic\":\"a\",\"offset\":1,\"position\":2,\"cursor\":null,\"id\":\"x\\\"y\",\"time\":null,"
            "\"duplicate\":true}\n");
}

TEST(EventLine, TopicOffsetIdData) {
  client::ReceivedEvent event{.topic = "demo/hello",
                              .offset = 0,
                              .position = 1,
                              .cursor = "e7.1",
                              .id = "first",
                              .time = "",
                              .data = "hi",
                              .json = ""};
  EXPECT_EQ(event_line(event), "demo/hello 0 first hi\n");
  event.id.reset();
  event.data = "two\nlines";
  EXPECT_EQ(event_line(event), "demo/hello 0 - two\\nlines\n");
}

TEST(ClusterTable, LeaderIsStarredAndLearnerMarked) {
  const auto row = [](const char* node, const char* role, std::uint64_t last) {
    StatusRow out{.member = {}, .answers = true};
    out.member.node = node;
    out.member.role = role;
    out.member.term = 3;
    out.member.last_index = last;
    out.member.commit_index = 40;
    out.member.applied_index = 40;
    return out;
  };
  auto leader = row("n2", "leader", 42);
  leader.member.fsync_p99_us = 1'240;
  leader.member.disk_bytes = 5'400'000;
  leader.member.uptime_ms = 125'000;
  StatusRow silent{.member = {}, .answers = false};
  silent.member.node = "n3";
  EXPECT_EQ(cluster_table({row("n1", "follower", 40), leader, silent, row("n4", "learner", 7)}, Colour::off),
            "NODE  ROLE      TERM  LAST  COMMIT  APPLIED  LAG  FSYNC-P99     DISK  UP\n"
            "n1    follower     3    40      40       40    2          -        -  yes\n"
            "n2*   leader       3    42      40       40    0     1.2 ms  5.1 MiB  2m\n"
            "n3    -            -     -       -        -    -          -        -  no\n"
            "n4    learner      3     7      40       40   35          -        -  yes\n");
}

TEST(ClusterTable, OfTwoLeadersTheOneOfTheHigherTermIsStarred) {
  StatusRow old{.member = {}, .answers = true};
  old.member.node = "n1";
  old.member.role = "leader";
  old.member.term = 2;
  StatusRow fresh = old;
  fresh.member.node = "n2";
  fresh.member.term = 3;
  const auto text = cluster_table({old, fresh}, Colour::off);
  EXPECT_NE(text.find("n2*"), std::string::npos) << text;
  EXPECT_EQ(text.find("n1*"), std::string::npos) << text;
}

TEST(ClusterTable, ColourIsOnlyForTerminals) {
  StatusRow silent{.member = {}, .answers = false};
  silent.member.node = "n3";
  EXPECT_EQ(cluster_table({silent}, Colour::off).find('\x1b'), std::string::npos);
  EXPECT_NE(cluster_table({silent}, Colour::on).find("\x1b[31m"), std::string::npos);
}

TEST(RaftLogTable, PlacesOfEveryKind) {
  const auto entries = client::decode_raft_log(R"({"node":"n1","first":1,"last":5,"commit_index":4,"applied_index":4,
    "entries":[
      {"index":1,"term":1,"command":"CONFIG","bytes":90,"time":"x","state":"applied","events":[],"event_count":0},
      {"index":2,"term":1,"command":"SET","bytes":123,"time":"x","state":"applied","events":[{"topic":"a","offset":0,"id":"x"}],"event_count":1},
      {"index":3,"term":1,"command":"SET","bytes":99123,"time":"x","state":"applied","events":[{"topic":"a","offset":1,"id":null},{"topic":"a","offset":2,"id":null}],"event_count":42},
      {"index":4,"term":2,"command":"SET","bytes":123,"time":"x","state":"committed","events":[{"topic":"a","offset":null,"id":"x","duplicate":true}],"event_count":1},
      {"index":5,"term":2,"command":"SET","bytes":12,"time":"x","state":"uncommitted","events":[{"topic":"b\n","offset":null,"id":"y"}],"event_count":1}
    ]})");
  ASSERT_TRUE(entries) << entries.error().text;
  EXPECT_EQ(raft_log_table(*entries),
            "INDEX  TERM  COMMAND  TOPIC/OFFSET  ID  BYTES  STATE\n"
            "    1     1  CONFIG   -             -      90  applied\n"
            "    2     1  SET      a/0           x     123  applied\n"
            "    3     1  SET      a/1 +41       -   99123  applied\n"
            "    4     2  SET      a/dup         x     123  committed\n"
            "    5     2  SET      b\\n/-         y      12  uncommitted\n");
}

TEST(TopicsTable, OneRowPerTopic) {
  const auto topics = client::decode_topics(
      R"({"topics":[{"topic":"orders/new","first_offset":0,"next_offset":42,"events":42,"last_time":"2026-11-20T22:50:01.123Z"},
                    {"topic":"empty","first_offset":0,"next_offset":0,"events":0,"last_time":null}]})");
  ASSERT_TRUE(topics) << topics.error().text;
  EXPECT_EQ(topics_table(*topics),
            "TOPIC       FIRST  NEXT  EVENTS  LAST\n"
            "orders/new      0    42      42  2026-11-20T22:50:01.123Z\n"
            "empty           0     0       0  -\n");
}

}  // namespace
}  // namespace weir::cli
