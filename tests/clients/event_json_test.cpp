#include "clients/cpp/event_json.hpp"

#include <gtest/gtest.h>

#include "clients/cpp/endpoint.hpp"
#include "clients/cpp/json_slices.hpp"
#include "clients/cpp/text.hpp"

namespace weir::client {
namespace {

std::string encoded(const OutgoingEvent& event) {
  const auto line = encode_line(event);
  return line ? *line : "error: " + line.error().text;
}

/// What is read back when a broker shows the line as it was sent.
std::string round_trip(const std::string& data, const std::string& content_type) {
  auto line = encoded({.data = data, .content_type = content_type});
  line.pop_back();
  const auto event = decode_event(R"({"topic":"t","offset":0,)" + line.substr(1));
  return event ? event->data : "error: " + event.error().text;
}

TEST(EncodeLine, BytesOfEveryKindSurvive) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const std::string& data :
       {std::string("hi"), std::string("tail\r"), std::string("a\nb"), std::string(), all, std::string("{\"n\":1.0}"),
        std::string("{ \"n\" : 1e400,\r\n \"m\":2}"), std::string("\"quoted\""), std::string("\xE2\x82\xAC")}) {
    EXPECT_EQ(round_trip(data, ""), data);
    EXPECT_EQ(round_trip(data, "text/plain"), data);
  }
}

TEST(EncodeLine, TypeIsTheOneABrokerWouldChoose) {
  EXPECT_EQ(encoded({.data = "hi"}), "{\"content_type\":\"text/plain\",\"data\":\"hi\"}\n");
  EXPECT_EQ(encoded({.data = "{\"a\":1.0}"}), "{\"content_type\":\"application/json\",\"data\":{\"a\":1.0}}\n");
  EXPECT_EQ(encoded({.data = "\xFF"}), "{\"content_type\":\"application/octet-stream\",\"data_base64\":\"/w==\"}\n");
}

TEST(EncodeLine, EveryFieldIsThere) {
  EXPECT_EQ(
      encoded(
          {.data = "x", .id = "1", .source = "s", .key = "k", .content_type = "text/plain", .headers = {{"a", "b"}}}),
      "{\"id\":\"1\",\"source\":\"s\",\"key\":\"k\",\"content_type\":\"text/plain\",\"headers\":{\"a\":\"b\"},"
      "\"data\":\"x\"}\n");
}

TEST(EncodeLine, IdThatIsNotUtf8IsRefused) {
  const auto line = encode_line({.data = "x", .id = "\xFF"});
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().code, errc::bad_argument);
}

TEST(DecodeEvent, JsonPayloadKeepsItsBytes) {
  const auto event = decode_event(
      R"({"op":"event","sid":1,"cursor":"e7.9","topic":"t","offset":3,"id":"i","time":"x","data":{"n":1.0,"big":12345678901234567890123}})");
  ASSERT_TRUE(event) << event.error().text;
  EXPECT_EQ(event->data, R"({"n":1.0,"big":12345678901234567890123})");
  EXPECT_EQ(
      event->json,
      R"({"cursor":"e7.9","topic":"t","offset":3,"id":"i","time":"x","data":{"n":1.0,"big":12345678901234567890123}})");
}

TEST(DecodeEvent, StringIsTextOnlyWhenItsTypeSaysSo) {
  EXPECT_EQ(decode_event(R"({"topic":"t","offset":0,"content_type":"text/plain","data":"h\u0069"})")->data, "hi");
  EXPECT_EQ(decode_event(R"({"topic":"t","offset":0,"data":"hi"})")->data, "\"hi\"");
}

TEST(DecodeEvent, DamageIsAnErrorNotAGuess) {
  EXPECT_FALSE(decode_event(""));
  EXPECT_FALSE(decode_event("[]"));
  EXPECT_FALSE(decode_event(R"({"topic":"t"})"));
  EXPECT_FALSE(decode_event(R"({"topic":"t","offset":-1,"data":1})"));
  EXPECT_FALSE(decode_event(R"({"topic":"t","offset":0,"data_base64":"a"})"));
  const std::string whole = R"({"topic":"t","offset":0,"id":"a\"b","data":{"x":[1,"}"]}})";
  ASSERT_TRUE(decode_event(whole));
  for (std::size_t cut = 0; cut < whole.size(); ++cut) EXPECT_FALSE(decode_event(whole.substr(0, cut))) << cut;
}

TEST(DecodeProblem, MillisecondsOfTheBodyAreFinerThanTheHeader) {
  EXPECT_EQ(decode_problem(503, "1", R"({"retry_after_ms":5})").retry_after, std::chrono::milliseconds(5));
  EXPECT_EQ(decode_problem(503, "1", "").retry_after, std::chrono::seconds(1));
  EXPECT_FALSE(decode_problem(503, "", "<html>").retry_after);
}

TEST(CursorPosition, IsBehindTheLastDot) {
  EXPECT_EQ(cursor_position("ek3f9q2ma.90213"), 90213U);
  EXPECT_FALSE(cursor_position("ek3f9q2ma"));
  EXPECT_FALSE(cursor_position("ek3f9q2ma."));
  EXPECT_FALSE(cursor_position("ek3f9q2ma.9x"));
}

TEST(JsonSlices, ValuesEndWhereTheyEnd) {
  const auto members = json_members(R"( { "a" : [1,{"b":"]}"}] , "c":"x\"y" ,"d":null } )");
  ASSERT_TRUE(members);
  ASSERT_EQ(members->size(), 3U);
  EXPECT_EQ((*members)[0].second, R"([1,{"b":"]}"}])");
  EXPECT_EQ((*members)[1].second, R"("x\"y")");
  EXPECT_EQ((*members)[2].second, "null");
  EXPECT_EQ(json_items("[1, {\"a\":2},\"x\"]")->size(), 3U);
  EXPECT_FALSE(json_members("{\"a\":1"));
  EXPECT_FALSE(json_members("{\"a\" 1}"));
  EXPECT_FALSE(json_items("[1"));
}

TEST(Base64, EveryLength) {
  EXPECT_EQ(base64_encode(""), "");
  EXPECT_EQ(base64_encode("f"), "Zg==");
  EXPECT_EQ(base64_encode("fo"), "Zm8=");
  EXPECT_EQ(base64_encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64_decode("Zg=="), "f");
  EXPECT_EQ(base64_decode("Zm9vYmFy"), "foobar");
  EXPECT_FALSE(base64_decode("Zg="));
  EXPECT_FALSE(base64_decode("Z g="));
}

TEST(ParseEndpoints, AddressesAsPeopleWriteThem) {
  EXPECT_EQ(parse_endpoint("http://127.0.0.1:7400/")->text(), "127.0.0.1:7400");
  EXPECT_EQ(parse_endpoint("[::1]:7400")->text(), "[::1]:7400");
  EXPECT_EQ(parse_endpoints("a:1,b:2,")->size(), 2U);
  for (const char* bad : {"", "a", ":1", "a:", "a:0", "a:65536", "a:1x", "a b:1", "::1:7400"}) {
    EXPECT_FALSE(parse_endpoint(bad)) << bad;
  }
}

}  // namespace
}  // namespace weir::client
