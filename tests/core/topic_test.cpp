#include "broker/core/topic.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::broker {
namespace {

TEST(TopicName, OfOneToSixteenLevelsIsTaken) {
  std::string deepest = "a";
  for (int i = 1; i < 16; ++i) {
    deepest += "/a";
  }
  for (const auto& name : {std::string("a"), std::string("sensors/kitchen/temp"), std::string("A-Z_0~9.x"), deepest,
                           std::string(64, 'x'), std::string("a/...")}) {
    EXPECT_TRUE(check_topic(name)) << name;
  }
  EXPECT_FALSE(check_topic(deepest + "/a"));
}

TEST(TopicName, Fault094OutsideTheGrammarIsRefused) {
  const std::vector<std::string> names{"",
                                       "/",
                                       "/a",
                                       "a/",
                                       "a//b",
                                       ".",
                                       "..",
                                       "a/../b",
                                       "a/.",
                                       "%2e%2e",
                                       "a%2fb",
                                       std::string("a\0b", 3),
                                       "a\r\nb",
                                       "a b",
                                       "\xc3\xa4",
                                       "\xff",
                                       "a*",
                                       "a/*",
                                       "a/#",
                                       "+",
                                       std::string(65, 'x'),
                                       std::string(300, 'x'),
                                       std::string(65'536, 'x')};
  for (const auto& name : names) {
    EXPECT_FALSE(check_topic(name)) << name;
  }
}

TEST(TopicName, MayBeAsLongAs255BytesInAll) {
  std::string name(63, 'a');
  for (int i = 0; i < 3; ++i) {
    name += "/" + std::string(63, 'a');
  }
  ASSERT_EQ(name.size(), 255U);
  EXPECT_TRUE(check_topic(name));
  EXPECT_FALSE(check_topic(name + "a"));
}

TEST(TopicName, BelowSysBelongsToTheBroker) {
  EXPECT_FALSE(check_topic("$sys/raft"));
  EXPECT_FALSE(check_topic("$sys"));
}

bool matches(const char* pattern, const char* topic) {
  const auto parsed = Pattern::parse(pattern);
  EXPECT_TRUE(parsed) << pattern;
  return parsed && parsed->matches(topic);
}

TEST(Pattern, StarAndPlusAreExactlyOneLevel) {
  for (const char* pattern : {"a/*/c", "a/+/c"}) {
    EXPECT_TRUE(matches(pattern, "a/b/c"));
    EXPECT_FALSE(matches(pattern, "a/c"));
    EXPECT_FALSE(matches(pattern, "a/b/b/c"));
    EXPECT_FALSE(matches(pattern, "a/b/c/d"));
    EXPECT_FALSE(matches(pattern, "a/b/cc"));
  }
  EXPECT_TRUE(matches("*", "a"));
  EXPECT_FALSE(matches("*", "a/b"));
}

TEST(Pattern, DoubleStarAndHashAreTheRestOfAtLeastOneLevel) {
  for (const char* pattern : {"a/**", "a/#"}) {
    EXPECT_TRUE(matches(pattern, "a/b"));
    EXPECT_TRUE(matches(pattern, "a/b/c"));
    EXPECT_FALSE(matches(pattern, "a"));
    EXPECT_FALSE(matches(pattern, "ab/c"));
  }
  EXPECT_TRUE(matches("**", "a"));
  EXPECT_TRUE(matches("**", "a/b/c"));
}

TEST(Pattern, WithoutWildcardsIsThatTopicAlone) {
  const auto pattern = Pattern::parse("a/b");
  ASSERT_TRUE(pattern);
  EXPECT_TRUE(pattern->is_topic());
  EXPECT_TRUE(pattern->matches("a/b"));
  EXPECT_FALSE(pattern->matches("a/b/c"));
  EXPECT_FALSE(pattern->matches("a"));
  EXPECT_FALSE(Pattern::parse("a/*")->is_topic());
}

TEST(Pattern, HasTheRestWildcardInLastPlaceOnly) {
  EXPECT_FALSE(Pattern::parse("**/a"));
  EXPECT_FALSE(Pattern::parse("a/#/b"));
  EXPECT_FALSE(Pattern::parse("a*"));
  EXPECT_FALSE(Pattern::parse("a/b*/c"));
  EXPECT_FALSE(Pattern::parse(""));
  EXPECT_FALSE(Pattern::parse("a//**"));
}

}  // namespace
}  // namespace weir::broker
