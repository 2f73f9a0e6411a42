// Virtual time: what happens when. Tasks of one moment run in the order in which they were added. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace weir::sim {

inline constexpr std::uint64_t kMillisecond = 1'000;
inline constexpr std::uint64_t kSecond = 1'000'000;

class Timeline {
 public:
  using Task = std::move_only_function<void()>;

  [[nodiscard]] std::uint64_t now_us() const { return now_us_; }
  void after(std::uint64_t delay_us, Task task);
  /// Goes to the next task and runs it. False if there is none.
  bool run_next();
  [[nodiscard]] std::uint64_t tasks_run() const { return tasks_run_; }

 private:
  struct Entry {
    std::uint64_t at_us = 0;
    std::uint64_t number = 0;
    Task task;
  };
  static bool later(const Entry& a, const Entry& b);

  std::vector<Entry> heap_;  ///< the earliest in front
  std::uint64_t now_us_ = 0;
  std::uint64_t last_number_ = 0;
  std::uint64_t tasks_run_ = 0;
};

}  // namespace weir::sim
