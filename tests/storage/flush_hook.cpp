#include "tests/storage/flush_hook.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "tests/storage/disk_recorder.hpp"

namespace weir::storage {
namespace {

std::function<int(int)>& current_answer() {
  static std::function<int(int)> answer;
  return answer;
}

}  // namespace

FlushHook::FlushHook(std::function<int(int file)> answer) {
  current_answer() = std::move(answer);
}
FlushHook::~FlushHook() {
  current_answer() = nullptr;
}

}  // namespace weir::storage

extern "C" int fdatasync(int file) {
  const auto& answer = weir::storage::current_answer();
  if (const int code = answer ? answer(file) : 0; code != 0) {
    errno = code;
    return -1;
  }
  const int done = static_cast<int>(syscall(SYS_fdatasync, file));
  if (done == 0) weir::storage::DiskRecorder::note_flush(file);
  return done;
}
