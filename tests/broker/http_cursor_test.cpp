#include <gtest/gtest.h>

#include "broker/http/cursor.hpp"

namespace weir::broker::http {
namespace {

TEST(Cursor, IsEpochAndPosition) {
  EXPECT_EQ(format_cursor("ek3f9q2ma", raft::Position{90213}), "ek3f9q2ma.90213");
  EXPECT_EQ(parse_cursor("ek3f9q2ma.90213"), (Cursor{"ek3f9q2ma", raft::Position{90213}}));
}

TEST(Cursor, RefusesEverythingElse) {
  for (const char* text : {"", ".", "e7", "e7.", "e7.-1", "e7.01", "e7.1 ", "x7.1", "e.1", "E7.1",
                           "e7.9007199254740992", "e7.1.2", "e7/1", "eaaaaaaaaaaaaaaaaaaaaaaa.1"}) {
    EXPECT_FALSE(parse_cursor(text)) << text;
  }
}

TEST(EntityTag, IsEpochAndNextOffsetInQuotes) {
  EXPECT_EQ(format_etag("e7", raft::Offset{42}), "\"e7-42\"");
  EXPECT_EQ(parse_etag("\"e7-42\""), (EntityTag{"e7", raft::Offset{42}}));
  for (const char* text : {"", "*", "e7-42", "\"e7\"", "\"e7-\"", "W/\"e7-42\"", "\"e7-1\", \"e7-2\""}) {
    EXPECT_FALSE(parse_etag(text)) << text;
  }
}

}  // namespace
}  // namespace weir::broker::http
