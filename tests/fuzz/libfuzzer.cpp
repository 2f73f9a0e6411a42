// The door for libFuzzer (clang): WEIR_FUZZ_TARGET names the target, WEIR_FUZZ_SEEDS a folder for its seeds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/fuzz/targets.hpp"

namespace {

const weir::fuzz::Target* chosen = nullptr;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  chosen = weir::fuzz::find_target(variable("WEIR_FUZZ_TARGET"));
  if (chosen == nullptr) {
    std::fprintf(stderr, "WEIR_FUZZ_TARGET must be one of:");
    for (const auto& target : weir::fuzz::targets()) std::fprintf(stderr, " %s", std::string(target.name).c_str());
    std::fprintf(stderr, "\n");
    std::exit(2);
  }
  const std::string folder = variable("WEIR_FUZZ_SEEDS");
  int number = 0;
  for (const auto& seed : folder.empty() ? std::vector<std::string>{} : chosen->seeds()) {
    std::ofstream(folder + "/seed-" + std::to_string(number++), std::ios::binary) << seed;
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  chosen->run({reinterpret_cast<const char*>(data), size});
  return 0;
}
