#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <string>

#include "broker/log.hpp"

namespace weir::broker {
namespace {

TEST(Log, TextLinesAreKeysAndValues) {
  EXPECT_EQ(log_payload(LogFormat::text, LogLevel::info, "n1", "role changed",
                        {{"role", "leader"}, {"term", 7}, {"why", ""}}),
            R"(info node=n1 msg="role changed" role=leader term=7 why="")");
}

TEST(Log, WhatAPeerSaysCannotBreakALine) {  // FAULTS 114
  const std::string hostile = "a\r\nlevel=error \x1B[31m\"q\" \\ \xC3\xA4";
  const std::string text = log_payload(LogFormat::text, LogLevel::info, "n1", "refused", {{"why", hostile}});
  EXPECT_EQ(text, R"(info node=n1 msg=refused why="a\x0d\x0alevel=error \x1b[31m\"q\" \\ \xc3\xa4")");
  const std::string json =
      "{" + log_payload(LogFormat::json, LogLevel::info, "n1", "refused", {{"why", hostile}, {"count", 2}}) + "}";
  const auto parsed = boost::json::parse(json);
  EXPECT_EQ(parsed.at("count").as_int64(), 2);
  EXPECT_TRUE(parsed.at("why").as_string().starts_with("a\r\nlevel=error \x1B[31m\"q\" \\ "));
}

TEST(Log, LongValuesAreCut) {
  const std::string line =
      log_payload(LogFormat::text, LogLevel::info, "n1", "refused", {{"why", std::string(100'000, 'x')}});
  EXPECT_LT(line.size(), kLogValueBytesMax + 100);
  EXPECT_TRUE(line.ends_with("x...\"")) << line.substr(line.size() - 10);
}

TEST(Log, LevelsAndFormatsHaveNames) {
  for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error, LogLevel::off}) {
    EXPECT_EQ(parse_log_level(to_string(level)), level);
  }
  EXPECT_EQ(parse_log_format("json"), LogFormat::json);
  EXPECT_FALSE(parse_log_level("LOUD"));
  EXPECT_FALSE(parse_log_format("xml"));
}

}  // namespace
}  // namespace weir::broker
