#include "tests/bench/take_cut.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace weir::bench::test {

std::vector<Answer> take_cut(const std::function<std::unique_ptr<PublishProtocol>()>& make, const std::string& bytes) {
  std::vector<Answer> whole;
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const auto protocol = make();
    std::vector<Answer> answers;
    std::string reply;
    const auto first = protocol->take(std::string_view(bytes).substr(0, cut), answers, reply);
    EXPECT_TRUE(first) << cut << ": " << first.error();
    const auto second = protocol->take(std::string_view(bytes).substr(first.value_or(0)), answers, reply);
    EXPECT_TRUE(second) << cut << ": " << second.error();
    EXPECT_EQ(first.value_or(0) + second.value_or(0), bytes.size()) << cut;
    if (cut == 0) whole = answers;
    EXPECT_EQ(answers.size(), whole.size()) << cut;
    for (std::size_t i = 0; i < std::min(answers.size(), whole.size()); ++i) {
      EXPECT_EQ(answers[i].rid, whole[i].rid) << cut;
      EXPECT_EQ(answers[i].stored, whole[i].stored) << cut;
      EXPECT_EQ(answers[i].duplicates, whole[i].duplicates) << cut;
      EXPECT_EQ(answers[i].problem, whole[i].problem) << cut;
    }
  }
  return whole;
}

}  // namespace weir::bench::test
