#include "clients/cli/discovery.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

#include "clients/cpp/json_fields.hpp"

namespace weir::cli {
namespace {

namespace fs = std::filesystem;

constexpr auto kDefaultServer = "127.0.0.1:7400";
/// Far more than nine nodes need; a larger file is not ours.
constexpr std::size_t kDevFileBytesMax = 65'536;

std::string environment(const char* name) {
  // Read on the main thread before any other exists (cli.hpp).
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::string{} : std::string(value);
}

std::string system_text(int code) {
  return std::generic_category().message(code);
}

/// The folder, opened: what is checked and locked is what the name meant at this moment.
int open_folder(const fs::path& folder) {
  return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

std::expected<void, std::string> check_descriptor(int descriptor, const fs::path& folder, uid_t user) {
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) return std::unexpected(folder.string() + ": " + system_text(errno));
  if (status.st_uid != user) return std::unexpected(folder.string() + " belongs to another user; it is not read");
  if ((status.st_mode & 077U) != 0) {
    return std::unexpected(folder.string() + " is open to other users; close it with chmod 700, or remove it");
  }
  return {};
}

}  // namespace

Places Places::from_environment() {
  Places places;
  std::error_code ignored;  // an unusable folder counts as none
  const fs::path runtime = environment("XDG_RUNTIME_DIR");
  if (runtime.is_absolute() && fs::is_directory(runtime, ignored)) places.runtime = runtime;
  places.temp = fs::temp_directory_path(ignored);
  if (places.temp.empty()) places.temp = "/tmp";
  places.user = ::geteuid();
  return places;
}

fs::path Places::dev_folder() const {
  return runtime.empty() ? temp / ("weir-" + std::to_string(user)) : runtime / "weir";
}

std::string encode_dev_file(const DevFile& file) {
  boost::json::array nodes;
  for (const auto& node : file.nodes) {
    nodes.push_back(boost::json::object{
        {"node", node.node}, {"pid", static_cast<std::int64_t>(node.pid)}, {"http", node.http}, {"raft", node.raft}});
  }
  return boost::json::serialize(boost::json::object{{"pid", static_cast<std::int64_t>(file.pid)},
                                                    {"folder", file.folder.string()},
                                                    {"temporary", file.temporary},
                                                    {"nodes", std::move(nodes)}}) +
         "\n";
}

std::optional<DevFile> decode_dev_file(std::string_view text) {
  const auto object = client::json_object(text);
  const auto* nodes = object ? client::json_at(*object, "nodes") : nullptr;
  if (nodes == nullptr || !nodes->is_array()) return std::nullopt;
  DevFile file{.pid = static_cast<pid_t>(client::json_u64(*object, "pid").value_or(0)),
               .folder = client::json_text(*object, "folder").value_or(""),
               .temporary = client::json_bool(*object, "temporary").value_or(false),
               .nodes = {}};
  for (const auto& one : nodes->get_array()) {
    if (!one.is_object()) return std::nullopt;
    const auto& node = one.get_object();
    file.nodes.push_back(DevNode{.node = client::json_text(node, "node").value_or(""),
                                 .pid = static_cast<pid_t>(client::json_u64(node, "pid").value_or(0)),
                                 .http = client::json_text(node, "http").value_or(""),
                                 .raft = client::json_text(node, "raft").value_or("")});
  }
  return file;
}

std::expected<void, std::string> write_dev_file(const fs::path& path, const DevFile& file) {
  const fs::path fresh = path.string() + ".new";
  const std::string text = encode_dev_file(file);
  ::unlink(fresh.c_str());
  const int descriptor = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (descriptor < 0) return std::unexpected(fresh.string() + ": " + system_text(errno));
  const bool whole = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool closed = ::close(descriptor) == 0;
  if (!whole || !closed || ::rename(fresh.c_str(), path.c_str()) != 0) {
    const int code = errno;
    ::unlink(fresh.c_str());
    return std::unexpected(path.string() + ": " + system_text(code));
  }
  return {};
}

std::expected<void, std::string> check_private(const fs::path& folder, uid_t user) {
  const int descriptor = open_folder(folder);
  if (descriptor < 0) {
    if (errno == ENOENT) return {};
    return std::unexpected(folder.string() + " is not a folder of this user: " + system_text(errno));
  }
  auto checked = check_descriptor(descriptor, folder, user);
  ::close(descriptor);
  return checked;
}

std::expected<std::optional<DevFile>, std::string> read_dev_file(const Places& places) {
  if (auto checked = check_private(places.dev_folder(), places.user); !checked) {
    return std::unexpected(std::move(checked.error()));
  }
  std::ifstream in(places.dev_file(), std::ios::binary);
  std::string text(kDevFileBytesMax, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return decode_dev_file(text);
}

std::expected<std::optional<DevFile>, std::string> running_dev(const Places& places) {
  const int descriptor = open_folder(places.dev_folder());
  const bool held = descriptor >= 0 && ::flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  if (descriptor >= 0) ::close(descriptor);
  auto file = read_dev_file(places);
  if (!file || held) return file;
  return std::nullopt;
}

std::expected<DevLock, std::string> DevLock::take(const Places& places) {
  const auto folder = places.dev_folder();
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return std::unexpected(folder.string() + ": " + system_text(errno));
  }
  const int descriptor = open_folder(folder);
  if (descriptor < 0) return std::unexpected(folder.string() + ": " + system_text(errno));
  DevLock lock(descriptor);
  if (auto checked = check_descriptor(descriptor, folder, places.user); !checked) {
    return std::unexpected(std::move(checked.error()));
  }
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    return std::unexpected("another 'weir dev' of this user is running (its file: " + places.dev_file().string() + ")");
  }
  return lock;
}

DevLock::DevLock(DevLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

DevLock::~DevLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

client::Result<std::vector<client::Endpoint>> find_servers(const std::string& named, const Places& places) {
  if (!named.empty()) return client::parse_endpoints(named);
  const auto dev = running_dev(places);
  if (!dev) return client::failure(client::errc::bad_argument, dev.error());
  std::string servers;
  for (const auto& node : dev->value_or(DevFile{}).nodes) servers += node.http + ",";
  return client::parse_endpoints(servers.empty() ? kDefaultServer : servers);
}

}  // namespace weir::cli
