#include "storage/random_id.hpp"

#include <random>

namespace weir::storage {

std::uint64_t random_id() {
  std::random_device device;
  std::uint64_t number = 0;
  while (number == 0) number = std::uint64_t{device()} << 32U | device();
  return number;
}

}  // namespace weir::storage
