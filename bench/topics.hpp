// Where the requests of a bench go. One thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

namespace weir::bench {

/// One request after the other, over all connections: to `name`, or, if there are several, to `name`/0, `name`/1 ... in
/// turn.
class Topics {
 public:
  explicit Topics(std::string name, std::size_t count = 1) : name_(std::move(name)), count_(count) {}
  [[nodiscard]] std::string next() {
    if (count_ == 1) return name_;
    const std::size_t number = next_;
    next_ = (next_ + 1) % count_;
    return name_ + "/" + std::to_string(number);
  }

 private:
  std::string name_;
  std::size_t count_;
  std::size_t next_ = 0;
};

}  // namespace weir::bench
