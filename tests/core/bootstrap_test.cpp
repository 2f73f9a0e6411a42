#include "broker/core/bootstrap.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/node_fixture.hpp"

namespace weir::broker::test {
namespace {

using testing::HasSubstr;

TEST(Bootstrap, ANodeAloneFoundsAtOnce) {
  const Bootstrap alone(hello_of("n1", "", 1, {"n1"}));
  EXPECT_TRUE(alone.may_found());
}

TEST(Bootstrap, OnlyTheLowestNameFounds) {
  Bootstrap second(hello_of("n2", "", 2));
  second.met(hello_of("n1", "", 1));
  second.met(hello_of("n3", "", 3));
  EXPECT_FALSE(second.may_found());
}

TEST(Bootstrap, WaitsForEveryMember) {
  Bootstrap first(hello_of("n1", "", 1));
  EXPECT_FALSE(first.may_found());
  first.met(hello_of("n2", "", 2));
  EXPECT_FALSE(first.may_found());
  EXPECT_THAT(first.waiting_for(), "n3");
  first.met(hello_of("n3", "", 3));
  EXPECT_TRUE(first.may_found());
  first.lost("n2");
  EXPECT_FALSE(first.may_found());
}

TEST(Bootstrap, Fault023DoesNotFoundWithThoseThatNameOtherMembers) {
  Bootstrap first(hello_of("n1", "", 1));
  first.met(hello_of("n2", "", 2, {"n1", "n2"}));
  first.met(hello_of("n3", "", 3));
  EXPECT_FALSE(first.may_found());
  EXPECT_THAT(first.waiting_for(), HasSubstr("n2 (was started with other --peers)"));
}

TEST(Bootstrap, Fault024DoesNotFoundBesideAMemberOfACluster) {
  Bootstrap first(hello_of("n1", "", 100));
  first.met(hello_of("n2", "", 200));
  first.met(hello_of("n3", "c", 3));
  EXPECT_FALSE(first.may_found());
  EXPECT_EQ(first.cluster_met(), "c");
}

TEST(Bootstrap, Fault045NobodyFoundsWithThoseWhoseDataWasDamaged) {
  auto damaged = hello_of("n2", "", 22);
  damaged.lost_data = true;
  Bootstrap first(hello_of("n1", "", 1));
  first.met(damaged);
  first.met(hello_of("n3", "", 3));
  EXPECT_FALSE(first.may_found());
  EXPECT_THAT(first.waiting_for(), HasSubstr("n2 (lost its data"));

  auto self = hello_of("n1", "", 1, {"n1"});
  EXPECT_TRUE(Bootstrap(self).may_found());
  self.lost_data = true;
  EXPECT_FALSE(Bootstrap(self).may_found()) << "not even alone: its cluster may live elsewhere";
}

TEST(Bootstrap, NamesEveryMemberWithItsIncarnation) {
  Bootstrap first(hello_of("n1", "", 11));
  first.met(hello_of("n2", "", 22));
  first.met(hello_of("n3", "", 33));
  const auto config = first.compose(5);
  ASSERT_EQ(config.members.size(), 3U);
  EXPECT_EQ(config.members[0].incarnation, 11U);
  EXPECT_EQ(config.members[1].incarnation, 22U);
  EXPECT_EQ(config.members[2].node, id_of("n3"));
  EXPECT_EQ(config.epoch.size(), 9U);
  EXPECT_EQ(config.epoch.front(), 'e');
  EXPECT_NE(config.cluster_id.substr(0, 8), config.epoch.substr(1));
  EXPECT_NE(config.epoch, first.compose(6).epoch);
}

TEST(Bootstrap, AcceptsOnlyAConfigThatNamesThisLifeOfIt) {
  const Bootstrap second(hello_of("n2", "", 2));
  EXPECT_TRUE(second.accepts(config_of(kThree)));
  EXPECT_FALSE(Bootstrap(hello_of("n2", "", 222)).accepts(config_of(kThree)));
  EXPECT_FALSE(Bootstrap(hello_of("n4", "", 4)).accepts(config_of(kThree)));
}

TEST(Bootstrap, DrawsNamesOfItsAlphabet) {
  const auto name = base32_name(12345, 12);
  EXPECT_EQ(name.size(), 12U);
  EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), std::string::npos);
  EXPECT_NE(name, base32_name(12346, 12));
}

}  // namespace
}  // namespace weir::broker::test
