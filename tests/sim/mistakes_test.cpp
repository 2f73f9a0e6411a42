// Do the checkers check? Mistakes that a disk, a network or a deployment could make are built into the harness; the
// checkers must see each of them within a few seeds. What the core's own WEIR_CHECKs see first does not count here.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/sim/simulation.hpp"

namespace weir::sim {
namespace {

constexpr std::uint64_t kSeedsMax = 60;
constexpr int kViolation = 3;

/// In a process of its own, because a broken invariant of the core aborts.
bool is_caught(Mistake mistake, std::uint64_t seed) {
  const pid_t child = fork();
  if (child == 0) {
    static_cast<void>(std::freopen("/dev/null", "w", stderr));
    const auto result = simulate({.seed = seed, .mistake = mistake});
    std::_Exit(result.violation.empty() ? 0 : kViolation);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) && WEXITSTATUS(status) == kViolation;
}

class Mistakes : public testing::TestWithParam<Mistake> {};

TEST_P(Mistakes, AreSeenByTheCheckers) {
  for (std::uint64_t seed = 1; seed <= kSeedsMax; ++seed) {
    if (is_caught(GetParam(), seed)) {
      RecordProperty("seeds", std::to_string(seed));
      return;
    }
  }
  FAIL() << "not seen within " << kSeedsMax << " seeds";
}

std::string name_of(const testing::TestParamInfo<Mistake>& info) {
  switch (info.param) {
    case Mistake::none:
      return "None";
    case Mistake::flush_lies:
      return "Fault048AFlushThatLies";
    case Mistake::vote_not_kept:
      return "Fault002AVoteThatIsNotKept";
    case Mistake::tail_lost:
      return "Fault003ASyncedTailThatIsLost";
    case Mistake::wiped_unnoticed:
      return "Fault024AWipedFolderUnderItsOldIncarnation";
    case Mistake::forward_repeated:
      return "AForwardedWriteDeliveredTwice";
    case Mistake::refusal_flipped:
      return "ARefusedVoteReadAsGranted";
    case Mistake::reply_inflated:
      return "AnAppendReplyThatClaimsTooMuch";
  }
  return "Unknown";
}

INSTANTIATE_TEST_SUITE_P(All, Mistakes,
                         testing::Values(Mistake::flush_lies, Mistake::vote_not_kept, Mistake::tail_lost,
                                         Mistake::wiped_unnoticed, Mistake::forward_repeated, Mistake::refusal_flipped,
                                         Mistake::reply_inflated),
                         name_of);

}  // namespace
}  // namespace weir::sim
