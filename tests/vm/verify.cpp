// SPDX-License-Identifier: MIT
// verify OBJECT PROGRAM...: has the running kernel verify programs, and prints how many
// instructions its verifier processed: "PROGRAM COUNT" a line. What does not load: the end of the
// verifier's log on standard error, and exit status 1.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace {

constexpr unsigned statistics = 4;  // BPF_LOG_STATS in the kernel's bpf_verifier.h
constexpr size_t log_size = 1 << 20;

int quiet(libbpf_print_level /*level*/, const char* /*format*/, va_list /*arguments*/) { return 0; }

[[noreturn]] void fail(const std::string& what) {
  (void)std::fprintf(stderr, "verify: %s\n", what.c_str());
  std::exit(1);
}

// Maps that are none of the machine's, and small where the kernel would take its time to fill them.
void prepare_maps(bpf_object* object) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    bpf_map__set_pin_path(map, nullptr);
    const bpf_map_type type = bpf_map__type(map);
    if (type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH) {
      bpf_map__set_max_entries(map, 1024);
    }
  }
}

unsigned long processed(const char* log) {
  constexpr const char* word = "processed ";
  const char* found = std::strstr(log, word);
  return found == nullptr ? 0 : std::strtoul(found + std::strlen(word), nullptr, 10);
}

// The last lines of a log that may be long.
std::string end_of(const std::string& log) {
  constexpr size_t enough = 2000;
  return log.size() <= enough ? log : log.substr(log.size() - enough);
}

// 0 or an error; each program's log either way.
int load(const char* path, std::span<char*> names, std::vector<std::vector<char>>& logs) {
  bpf_object* object = bpf_object__open(path);
  if (object == nullptr) fail(std::string("cannot open ") + path);
  prepare_maps(object);
  for (size_t i = 0; i < names.size(); ++i) {
    bpf_program* program = bpf_object__find_program_by_name(object, names[i]);
    if (program == nullptr) fail(std::string("no program ") + names[i] + " in " + path);
    logs[i].assign(log_size, 0);
    bpf_program__set_log_level(program, statistics);
    bpf_program__set_log_buf(program, logs[i].data(), logs[i].size());
  }
  const int error = bpf_object__load(object);
  bpf_object__close(object);
  return error;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) fail("usage: verify OBJECT PROGRAM...");
  const std::span names(argv + 2, argv + argc);
  std::vector<std::vector<char>> logs(names.size());
  libbpf_set_print(quiet);
  if (const int error = load(argv[1], names, logs); error != 0) {
    for (const auto& log : logs) (void)std::fprintf(stderr, "%s\n", end_of(log.data()).c_str());
    fail(std::string(argv[1]) + " does not load: " + std::strerror(-error));
  }
  for (size_t i = 0; i < names.size(); ++i) {
    const unsigned long count = processed(logs[i].data());
    if (count == 0) fail("the kernel does not say what its verifier did");
    std::printf("%s %lu\n", names[i], count);
  }
}
