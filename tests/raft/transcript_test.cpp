// Every testdata/*.txt is a story (story.hpp): the commands are run and the whole text must come out as it stands in
// the file. WEIR_REWRITE=1 writes the files anew; the difference is then read like code.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/raft/story.hpp"

namespace weir::raft::test {
namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

/// The text with the output after each command replaced by what happens now.
std::string replay(const std::string& text) {
  Story story;
  std::istringstream lines(text);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  ")) {
      continue;
    }
    result += line + "\n";
    if (line.starts_with("> ")) {
      for (const std::string& output : story.execute(line.substr(2))) {
        result += "  " + output + "\n";
      }
    }
  }
  EXPECT_TRUE(story.violations().empty()) << story.violations().front();
  return result;
}

std::vector<std::string> story_names() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator("testdata")) {
    if (file.path().extension() == ".txt") {
      names.push_back(file.path().stem().string());
    }
  }
  std::ranges::sort(names);
  return names;
}

class Transcript : public testing::TestWithParam<std::string> {};

TEST_P(Transcript, HappensAsWritten) {
  const std::filesystem::path path = "testdata/" + GetParam() + ".txt";
  const std::string written = read_file(path);
  const std::string happened = replay(written);
  const char* rewrite = std::getenv("WEIR_REWRITE");  // NOLINT(concurrency-mt-unsafe): nothing writes the environment
  if (rewrite != nullptr && std::string(rewrite) == "1") {
    std::ofstream(path) << happened;
    return;
  }
  EXPECT_EQ(happened, written) << path << ": if this is meant, WEIR_REWRITE=1 writes it down";
}

INSTANTIATE_TEST_SUITE_P(Raft, Transcript, testing::ValuesIn(story_names()),
                         [](const auto& story) { return story.param; });

TEST(Transcripts, AreFound) {
  EXPECT_GE(story_names().size(), 10U);
}

}  // namespace
}  // namespace weir::raft::test
