// A bounded slice of `make fuzz` for every build: the seeds, what fuzzing has found before (tests/fuzz/corpus), and
// mutations of both from a seed.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/targets.hpp"

namespace weir::fuzz {
namespace {

constexpr int kMutationsOfEach = 3000;

std::vector<std::string> inputs_of(const Target& target) {
  auto inputs = target.seeds();
  const std::filesystem::path folder = std::filesystem::path(WEIR_FUZZ_CORPUS) / target.name;
  if (!std::filesystem::exists(folder)) return inputs;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

std::string mutated(std::string bytes, std::mt19937_64& random) {
  for (auto changes = random() % 4 + 1; changes > 0 && !bytes.empty(); --changes) {
    const auto place = random() % bytes.size();
    switch (random() % 4) {
      case 0:
        bytes[place] = static_cast<char>(random());
        break;
      case 1:
        bytes.erase(place, random() % 8 + 1);
        break;
      case 2:
        bytes.insert(place, bytes.substr(random() % bytes.size(), random() % 16));
        break;
      default:
        bytes[place] = static_cast<char>(bytes[place] ^ (1 << random() % 8));
        break;
    }
  }
  return bytes;
}

class Fuzz : public testing::TestWithParam<Target> {};

TEST_P(Fuzz, SeedsFindingsAndTheirMutationsKeepThePromises) {  // FAULTS 87, 88, 90, 91, 95, 98
  std::mt19937_64 random(20261121);
  for (const auto& input : inputs_of(GetParam())) {
    GetParam().run(input);
    for (int i = 0; i < kMutationsOfEach; ++i) GetParam().run(mutated(input, random));
  }
  GetParam().run({});
}

INSTANTIATE_TEST_SUITE_P(Targets, Fuzz, testing::ValuesIn(targets().begin(), targets().end()),
                         [](const testing::TestParamInfo<Target>& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace weir::fuzz
