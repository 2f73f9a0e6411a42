#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "clients/cli/id_template.hpp"
#include "clients/cli/line_reader.hpp"

namespace weir::cli {
namespace {

using Outcome = LineReader::Outcome;
using Wait = LineReader::Wait;

TEST(IdTemplate, LineAndHash) {
  const auto ids = IdTemplate::parse("{line}:{hash}");
  ASSERT_TRUE(ids) << ids.error();
  EXPECT_EQ(ids->id_of(7, "foobar"), "7:85944171f73967e8");
  EXPECT_EQ(ids->id_of(8, ""), "8:cbf29ce484222325");
}

TEST(IdTemplate, TextAroundAndBraces) {
  const auto ids = IdTemplate::parse("log-{{{line}}}-x");
  ASSERT_TRUE(ids) << ids.error();
  EXPECT_EQ(ids->id_of(3, "a"), "log-{3}-x");
}

TEST(IdTemplate, WhatCannotWorkIsRefused) {
  EXPECT_EQ(IdTemplate::parse("{nothing}").error(), "'{nothing}' is neither {line} nor {hash}");
  EXPECT_FALSE(IdTemplate::parse("{line"));
  EXPECT_FALSE(IdTemplate::parse("same"));
  EXPECT_FALSE(IdTemplate::parse(""));
}

/// A pipe whose reading end a LineReader reads.
class LineReaderTest : public ::testing::Test {
 protected:
  LineReaderTest() { EXPECT_EQ(::pipe(ends_.data()), 0); }
  ~LineReaderTest() override {
    ::close(ends_[0]);
    end();
  }
  void write(std::string_view bytes) const {
    ASSERT_EQ(::write(ends_[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void end() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }
  [[nodiscard]] LineReader reader() const { return LineReader(ends_[0]); }

 private:
  std::array<int, 2> ends_{-1, -1};
};

TEST_F(LineReaderTest, BytesOfALineAreKept) {
  write(std::string_view("one\r\n\n\xFF\0x\nlast", 14));
  end();
  auto lines = reader();
  std::string line;
  EXPECT_EQ(lines.next(line, Wait::yes), Outcome::line);
  EXPECT_EQ(line, "one\r");
  EXPECT_EQ(lines.next(line, Wait::yes), Outcome::line);
  EXPECT_EQ(line, "");
  EXPECT_EQ(lines.next(line, Wait::yes), Outcome::line);
  EXPECT_EQ(line, std::string("\xFF\0x", 3));
  EXPECT_EQ(lines.next(line, Wait::yes), Outcome::line);
  EXPECT_EQ(line, "last");
  EXPECT_EQ(lines.next(line, Wait::yes), Outcome::end);
}

TEST_F(LineReaderTest, UnfinishedLineIsNotWaitedForUnlessAsked) {
  auto lines = reader();
  std::string line;
  EXPECT_EQ(lines.next(line, Wait::no), Outcome::nothing_yet);
  write("first\nsec");
  EXPECT_EQ(lines.next(line, Wait::no), Outcome::line);
  EXPECT_EQ(lines.next(line, Wait::no), Outcome::nothing_yet);
  write("ond\n");
  EXPECT_EQ(lines.next(line, Wait::no), Outcome::line);
  EXPECT_EQ(line, "second");
}

TEST(LineReader, LineBeyondTheLimitIsRefusedBeforeItIsHeldWhole) {
  char name[] = "/tmp/weir-lines-XXXXXX";
  const int file = ::mkstemp(name);
  ASSERT_GE(file, 0);
  ::unlink(name);
  const std::string longer(LineReader::kLineBytesMax + 1, 'x');
  ASSERT_EQ(::write(file, longer.data(), longer.size()), static_cast<ssize_t>(longer.size()));
  ::lseek(file, 0, SEEK_SET);
  LineReader lines(file);
  std::string line;
  EXPECT_EQ(lines.next(line, Wait::yes), Outcome::too_long);
  ::close(file);
}

}  // namespace
}  // namespace weir::cli
