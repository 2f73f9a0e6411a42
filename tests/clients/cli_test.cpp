#include "clients/cli/cli.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <initializer_list>

#include "tests/clients/fake_broker.hpp"
#include "tests/clients/run_cli.hpp"

namespace weir::cli {
namespace {

using test::FakeAnswer;
using test::FakeBroker;
using test::FakeRequest;
using test::FakeSocket;
using test::run_cli;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::string published(const char* id, const char* duplicate) {
  return std::string(R"({"topic":"demo/hello","offset":0,"position":1,"cursor":"e7.1","id":)") + id +
         R"(,"time":"2026-11-20T10:00:40.001Z","duplicate":)" + duplicate + "}";
}

/// Stores every line of a batch; as a broker, one offset after the other.
FakeAnswer store_batch(const FakeRequest& request) {
  std::string results;
  std::uint64_t offset = 0;
  for (const char c : request.body) {
    if (c != '\n') continue;
    results += (offset == 0 ? "" : ",") + std::string(R"({"offset":)") + std::to_string(offset) +
               R"(,"position":1,"id":null,"duplicate":false})";
    ++offset;
  }
  return {.status = 201, .body = R"({"topic":"t","results":[)" + results + R"(],"cursor":"e7.1"})"};
}

class File {
 public:
  explicit File(std::string_view bytes) : name_(::testing::TempDir() + "weir-cli-test-input") {
    std::ofstream(name_, std::ios::binary) << bytes;
  }
  ~File() { std::remove(name_.c_str()); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  std::string name_;
};

TEST(CommandLine, PubSaysStoredThenDuplicate) {
  FakeBroker fresh(
      [](const FakeRequest&) { return FakeAnswer{.status = 201, .body = published("\"first\"", "false")}; });
  const auto stored = run_cli({"pub", "demo/hello", "hi", "--id", "first", "--server", fresh.endpoint().text()});
  EXPECT_EQ(stored.code, 0) << stored.err;
  EXPECT_THAT(stored.out, MatchesRegex("demo/hello 0 stored first [0-9]+\\.[0-9] ms\n"));
  ASSERT_EQ(fresh.requests().size(), 1U);
  EXPECT_EQ(fresh.requests()[0].body, "hi");

  FakeBroker again(
      [](const FakeRequest&) { return FakeAnswer{.status = 200, .body = published("\"first\"", "true")}; });
  const auto duplicate = run_cli({"pub", "demo/hello", "hi", "--id", "first", "--server", again.endpoint().text()});
  EXPECT_EQ(duplicate.code, 0) << duplicate.err;
  EXPECT_EQ(duplicate.out, "demo/hello 0 duplicate of 10:00:40 first\n");
}

TEST(CommandLine, PayloadNamedLikeAVerbIsAPayload) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 201, .body = published("null", "false")}; });
  const auto ran = run_cli({"pub", "demo/hello", "version", "--server", broker.endpoint().text()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  ASSERT_EQ(broker.requests().size(), 1U);
  EXPECT_EQ(broker.requests()[0].body, "version");
}

TEST(CommandLine, HeadersTravelWithTheEvent) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 201, .body = published("null", "false")}; });
  const auto ran = run_cli({"pub", "-H", "content-type: text/csv", "-H", "Colour: red", "demo/hello", "a,b", "--key",
                            "k", "--server", broker.endpoint().text()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  ASSERT_EQ(broker.requests().size(), 1U);
  EXPECT_EQ(broker.requests()[0].content_type, "text/csv");
  EXPECT_EQ(broker.requests()[0].target, "/v1/events/demo/hello?key=k");
}

TEST(CommandLine, LinesGoAsOneBatchWithIdsFromTheTemplate) {
  FakeBroker broker(store_batch);
  const File input(std::string_view("foobar\none\r\n\xFF\n", 13));
  const auto ran = run_cli({"pub", "t", "--lines", "--from-file", input.name(), "--id-template", "{line}:{hash}",
                            "--server", broker.endpoint().text()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  ASSERT_EQ(broker.requests().size(), 1U);
  EXPECT_EQ(broker.requests()[0].body,
            "{\"id\":\"1:85944171f73967e8\",\"content_type\":\"text/plain\",\"data\":\"foobar\"}\n"
            "{\"id\":\"2:0715aab46adb6746\",\"content_type\":\"text/plain\",\"data\":\"one\\r\"}\n"
            "{\"id\":\"3:af64724c8602eb6e\",\"content_type\":\"application/octet-stream\",\"data_base64\":\"/w==\"}\n");
  EXPECT_THAT(ran.out, MatchesRegex("t 0 stored - .*\nt 1 stored - .*\nt 2 stored - .*\n"));
  EXPECT_EQ(ran.err, "") << "three lines need no summary";
}

TEST(CommandLine, ManyLinesAreSummedUp) {
  FakeBroker broker(store_batch);
  std::string lines;
  for (int n = 0; n < 2'500; ++n) lines += "line\n";
  const File input(lines);
  const auto ran =
      run_cli({"pub", "t", "--lines", "-q", "--from-file", input.name(), "--server", broker.endpoint().text()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, MatchesRegex("2500 stored, 0 duplicates, [0-9]+ events/s\n"));
  EXPECT_EQ(broker.requests().size(), 3U);
}

TEST(CommandLine, LostBatchNamesItsLines) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.then = FakeAnswer::Then::say_nothing_and_close}; });
  const File input("a\nb\n");
  const auto ran = run_cli({"pub", "t", "--lines", "--from-file", input.name(), "--server", broker.endpoint().text()});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.err, HasSubstr("weir: lines 1-2: "));
  EXPECT_THAT(ran.err, HasSubstr("outcome is unknown"));
}

TEST(CommandLine, ExitCodesTellWhatHappened) {
  EXPECT_EQ(run_cli({"pub", "t", "x", "--timeout", "0.1", "--server", test::nobody().text()}).code, 3);
  EXPECT_EQ(run_cli({"pub"}).code, 2);
  EXPECT_EQ(run_cli({"nothing"}).code, 2);
  EXPECT_EQ(run_cli({}).code, 2);
  EXPECT_EQ(run_cli({"pub", "t", "x", "--lines"}).code, 2);
  EXPECT_EQ(run_cli({"pub", "t", "x", "--server", "nonsense"}).code, 2);
  EXPECT_EQ(run_cli({"--help"}).code, 0);
  FakeBroker broker([](const FakeRequest&) {
    return FakeAnswer{.status = 400,
                      .body = R"({"type":"urn:weir:problem:bad-request","title":"Bad\u001b[31m name","detail":"t"})"};
  });
  const auto refused = run_cli({"pub", "t", "x", "--server", broker.endpoint().text()});
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(refused.err, "weir: t: Bad\\x1b[31m name: t\n") << "what a server says is escaped";
}

TEST(CommandLine, VersionAndLaterVerbs) {
  EXPECT_THAT(run_cli({"version"}).out, MatchesRegex("weir [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  const auto watch = run_cli({"raft", "watch"});
  EXPECT_EQ(watch.code, 2);
  EXPECT_EQ(watch.err, "weir: 'raft watch' comes with a later release\n");
}

std::string event(std::uint64_t position, const std::string& rest) {
  return R"({"op":"event","sid":1,"cursor":"e7.)" + std::to_string(position) + R"(","topic":"demo/hello","offset":)" +
         std::to_string(position - 1) + "," + rest + "}";
}

TEST(CommandLine, SubPrintsALinePerEventAndResumes) {
  const auto no_route = [](const FakeRequest&) { return FakeAnswer{.status = 404}; };
  FakeBroker second(no_route, [](FakeSocket& socket) {
    socket.read();
    socket.send(R"({"op":"subscribed","sid":1,"cursor":"e7.1","node":"n2"})");
    socket.send(event(2, R"("id":null,"data":{"a":1.0})"));
    socket.read();
  });
  FakeBroker first(no_route, [](FakeSocket& socket) {
    socket.read();
    socket.send(R"({"op":"subscribed","sid":1,"cursor":"e7.0","node":"n1"})");
    socket.send(event(1, R"("id":"first","content_type":"text/plain","data":"h\ni")"));
  });
  first.set_members({second.endpoint()});
  const auto ran = run_cli({"sub", "demo/**", "--count", "2", "--server", first.endpoint().text()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "demo/hello 0 first h\\ni\ndemo/hello 1 - {\"a\":1.0}\n");
  EXPECT_THAT(ran.err, HasSubstr("\nresumed at e7.1, 0 missed\n"));
}

TEST(CommandLine, SubRawAsksForAndPrintsTheExactBytes) {
  std::string asked;
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 404}; },
                    [&](FakeSocket& socket) {
                      asked = socket.read();
                      socket.send(R"({"op":"subscribed","sid":1,"cursor":"e7.0","node":"n1"})");
                      socket.send(event(1, R"("id":null,"data_base64":"/wBhDQ==")"));
                      socket.read();
                    });
  const auto ran = run_cli({"sub", "demo/hello", "-o", "raw", "--count", "1", "--server", broker.endpoint().text()});
  broker.stop();
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, std::string("\xFF\0a\r\n", 5));
  EXPECT_THAT(asked, HasSubstr(R"("data":"base64")"));
}

TEST(CommandLine, GetFindsExactlyTheOffset) {
  FakeBroker broker([](const FakeRequest& request) {
    if (request.accept == "application/octet-stream") {
      return FakeAnswer{.status = 200, .body = std::string("\xFF\0", 2), .headers = {{"Weir-Next", "8"}}};
    }
    return FakeAnswer{.status = 200,
                      .body = "{\"topic\":\"a/b\",\"offset\":7,\"id\":\"i\",\"data\":{\"n\":1.0}}\n",
                      .headers = {{"Weir-Next", "8"}}};
  });
  const auto server = broker.endpoint().text();
  EXPECT_EQ(run_cli({"get", "a/b", "7", "--server", server}).out, "a/b 7 i {\"n\":1.0}\n");
  EXPECT_EQ(run_cli({"get", "a/b", "7", "-o", "raw", "--server", server}).out, std::string("\xFF\0", 2));
  EXPECT_EQ(run_cli({"get", "a/b", "7", "-o", "json", "--server", server}).out,
            "{\"topic\":\"a/b\",\"offset\":7,\"id\":\"i\",\"data\":{\"n\":1.0}}\n");
  EXPECT_EQ(broker.requests()[0].target, "/v1/events/a/b?limit=1&from=7");
  const auto other = run_cli({"get", "a/b", "6", "-o", "raw", "--server", server});
  EXPECT_EQ(other.code, 1);
  EXPECT_EQ(other.err, "weir: a/b has no event 6; its next offset is 8\n");
}

TEST(CommandLine, IdSaysWhereAndWhen) {
  FakeBroker broker([](const FakeRequest&) {
    return FakeAnswer{.status = 200,
                      .body = R"({"topic":"a","offset":3,"position":9,"time":"2026-11-20T22:50:01.123Z"})"};
  });
  EXPECT_EQ(run_cli({"id", "a", "o 1", "--server", broker.endpoint().text()}).out,
            "a 3 stored o 1 2026-11-20T22:50:01.123Z\n");
  EXPECT_EQ(broker.requests()[0].target, "/v1/ids/a?id=o%201");
}

TEST(CommandLine, TopicLsInEveryFormat) {
  const std::string body =
      R"({"topics":[{"topic":"a","first_offset":0,"next_offset":1,"events":1,"last_time":null},{"topic":"b","first_offset":0,"next_offset":0,"events":0,"last_time":null}]})";
  FakeBroker broker([&](const FakeRequest&) { return FakeAnswer{.status = 200, .body = body}; });
  const auto server = broker.endpoint().text();
  EXPECT_EQ(run_cli({"topic", "ls", "--server", server}).out,
            "TOPIC  FIRST  NEXT  EVENTS  LAST\na          0     1       1  -\nb          0     0       0  -\n");
  EXPECT_EQ(run_cli({"topic", "ls", "-o", "json", "--server", server}).out, body + "\n");
  EXPECT_THAT(run_cli({"topic", "ls", "-o", "ndjson", "--server", server}).out,
              MatchesRegex("\\{\"topic\":\"a\".*\n\\{\"topic\":\"b\".*\n"));
}

TEST(CommandLine, ClusterStatusAsksEveryMember) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 404}; });
  const auto ran = run_cli({"cluster", "status", "--server", broker.endpoint().text()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("NODE"));
  EXPECT_THAT(ran.out, HasSubstr("n1*   leader"));
}

TEST(CommandLine, RaftLogPassesItsRange) {
  FakeBroker broker([](const FakeRequest&) { return FakeAnswer{.status = 200, .body = R"({"entries":[]})"}; });
  EXPECT_EQ(run_cli({"raft", "log", "--from", "3", "--limit", "5", "--server", broker.endpoint().text()}).out,
            "INDEX  TERM  COMMAND  TOPIC/OFFSET  ID  BYTES  STATE\n");
  EXPECT_EQ(broker.requests()[0].target, "/v1/raft/log?from=3&limit=5");
}

}  // namespace
}  // namespace weir::cli
