// JSON in and out (FAULTS 95, 114).
#include <gtest/gtest.h>

#include <string>

#include "broker/http/base64.hpp"
#include "broker/http/json_check.hpp"
#include "broker/http/json_text.hpp"
#include "broker/http/utf8.hpp"

namespace weir::broker::http {
namespace {

using namespace std::string_literals;

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(JsonCheck, TakesWhatIsJson) {
  for (const std::string& text :
       {"{}"s, "[]"s, " 1 "s, "\"\""s, "null"s, "-0.5e+10"s, R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})"s,
        R"("\ud83d\ude00 \u0000 \/")"s, R"({"":1," ":2})"s, "123456789012345678901234567890"s, nested(64)}) {
    const auto checked = check_json(text, 64);
    EXPECT_TRUE(checked) << text << ": " << checked.error();
  }
}

TEST(JsonCheck, Fault95RefusesTheRest) {
  for (const std::string& text : {""s,
                                  " "s,
                                  "{"s,
                                  "[1"s,
                                  "\"a"s,
                                  "[1]x"s,
                                  "{} {}"s,
                                  "NaN"s,
                                  "Infinity"s,
                                  "-"s,
                                  "01"s,
                                  "1."s,
                                  "'a'"s,
                                  "{a:1}"s,
                                  "[1,]"s,
                                  "{\"a\":1,}"s,
                                  "/**/1"s,
                                  "tru"s,
                                  "\"\x01\""s,
                                  "\"\n\""s,
                                  "\"\xff\""s,
                                  "\"\xc0\xaf\""s,
                                  "\"\xed\xa0\x80\""s,
                                  R"("\ud800")"s,
                                  R"("\udc00")"s,
                                  R"("\ud800\ud800")"s,
                                  R"("\x")"s,
                                  "\xef\xbb\xbf{}"s,
                                  nested(65),
                                  std::string(200'000, '['),
                                  std::string(200'000, '{')}) {
    EXPECT_FALSE(check_json(text, 64)) << text.substr(0, 40);
  }
}

TEST(JsonCheck, Fault95RefusesDuplicateNamesAtAnyDepth) {
  for (const char* text :
       {R"({"a":1,"a":2})", R"({"a":1,"\u0061":2})", R"([{"b":{"x":1,"y":{},"x":1}}])", R"({"":1,"":1})"}) {
    const auto checked = check_json(text, 64);
    ASSERT_FALSE(checked) << text;
    EXPECT_TRUE(checked.error().contains("twice")) << checked.error();
  }
  EXPECT_TRUE(check_json(R"({"a":{"b":1},"b":{"a":1},"c":[{"a":1},{"a":1}]})", 64));
}

TEST(JsonCheck, SaysWhere) {
  EXPECT_TRUE(check_json(R"({"a":tru})", 64).error().contains("byte")) << check_json(R"({"a":tru})", 64).error();
}

TEST(JsonText, Fault114StringsCannotLeaveTheirQuotes) {
  std::string out;
  append_json_string(out, "a\"b\\c\r\n\t\0\x1b\x7f\xc3\xa4"s);
  EXPECT_EQ(out, R"("a\"b\\c\r\n\t\u0000\u001b\u007fä")");
  out.clear();
  append_json_string(out, "a\xff\xc3");
  EXPECT_EQ(out, "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(JsonText, MembersKeepTheirBytes) {
  const auto members = json_members(R"( { "a" : 1.0e5 ,"b\"\u00e4": "x\"}," ,"c":{"d":[1,{"e":"]"}]}, "f":[ ] } )");
  ASSERT_EQ(members.size(), 4U);
  EXPECT_EQ(members[0].name, "a");
  EXPECT_EQ(members[0].value, "1.0e5");
  EXPECT_EQ(members[1].name, "b\"ä");
  EXPECT_EQ(members[1].value, R"("x\"},")");
  EXPECT_EQ(members[2].value, R"({"d":[1,{"e":"]"}]})");
  EXPECT_EQ(members[3].value, "[ ]");
  EXPECT_TRUE(json_members("{ }").empty());
}

TEST(JsonText, ElementsKeepTheirBytes) {
  EXPECT_EQ(json_elements(R"([ 1, "a,]" ,[2,3], {} ])"),
            (std::vector<std::string_view>{"1", R"("a,]")", "[2,3]", "{}"}));
  EXPECT_TRUE(json_elements(" [ ] ").empty());
}

TEST(JsonText, StringsAreUnescaped) {
  EXPECT_EQ(json_unquoted(R"("a\n\"\\\/\u00e4\ud83d\ude00\b\f\r\t")"), "a\n\"\\/ä😀\b\f\r\t");
}

TEST(JsonText, LineBreaksBetweenTokensAreDropped) {
  std::string out;
  append_json_on_one_line(out, "{\r\n \"a\":\n1}\n");
  EXPECT_EQ(out, R"({ "a":1})");
}

TEST(JsonText, NumbersAreWholeAndBelowTwoToThe53) {
  EXPECT_EQ(json_unsigned("9007199254740991"), 9007199254740991U);
  for (const char* text : {"9007199254740992", "-1", "1.0", "1e3", "\"1\"", "null", ""}) {
    EXPECT_FALSE(json_unsigned(text)) << text;
  }
}

TEST(Utf8, IsStrict) {
  for (const std::string& text : {""s, "a"s, "ä€😀"s, "\xf4\x8f\xbf\xbf"s, std::string(100, 'a') + "é"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  for (const std::string& text : {"\x80"s, "\xc3"s, "\xc0\x80"s, "\xe0\x80\x80"s, "\xed\xa0\x80"s, "\xf0\x80\x80\x80"s,
                                  "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xe2\x82"s, "aaaaaaaaaaaa\xff"s}) {
    EXPECT_FALSE(is_utf8(text)) << text;
  }
}

TEST(Base64, GoesBothWays) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    std::string text;
    append_base64(text, bytes);
    EXPECT_EQ(decode_base64(text), bytes);
    bytes += static_cast<char>(i);
  }
  std::string text;
  append_base64(text, "hi");
  EXPECT_EQ(text, "aGk=");
}

TEST(Base64, RefusesOtherSpellings) {
  for (const char* text : {"a", "aG", "aGk", "aGl=", "aGk=aGk=", "a===", "====", "aG-=", "aGk =", "\n"}) {
    EXPECT_FALSE(decode_base64(text)) << text;
  }
}

}  // namespace
}  // namespace weir::broker::http
