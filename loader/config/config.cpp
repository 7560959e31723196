// SPDX-License-Identifier: MIT
#include "loader/config/config.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "loader/base/fd.h"
#include "loader/config/compile.h"
#include "loader/config/document.h"
#include "loader/config/validate.h"

namespace xlvs::config {

namespace {

// By position, each once: two services may stumble over the same global value.
std::vector<Problem> in_order(std::vector<Problem> problems) {
  std::sort(problems.begin(), problems.end());
  problems.erase(std::unique(problems.begin(), problems.end()), problems.end());
  return problems;
}

// The whole file, or as much of it as shows that it is too long.
Result<std::string> read_text(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return Error::from_errno("open");
  std::string text;
  std::array<char, 65536> block{};
  while (text.size() <= max_text) {
    const ssize_t count = ::read(file.get(), block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Error::from_errno("read");
    if (count == 0) break;
    text.append(block.data(), static_cast<size_t>(count));
  }
  return text;
}

}  // namespace

Loaded load_text(const std::string& text, const Resolver& resolver) {
  Document document = read_document(text);
  if (!document.complete) return {std::nullopt, in_order(document.errors), {}};

  std::vector<Problem> errors = document.errors;
  const std::vector<Problem> invalid = validate(document);
  errors.insert(errors.end(), invalid.begin(), invalid.end());
  Report report;
  Configuration configuration = compile(document, resolver, report);
  errors.insert(errors.end(), report.errors().begin(), report.errors().end());

  Loaded loaded{std::nullopt, in_order(std::move(errors)), in_order(report.notes())};
  if (loaded.errors.empty()) loaded.configuration = std::move(configuration);
  return loaded;
}

Loaded load_file(const std::string& path, const Resolver& resolver) {
  const auto text = read_text(path);
  if (!text) return {std::nullopt, {{0, 0, "", "cannot " + text.error().message, ""}}, {}};
  return load_text(*text, resolver);
}

}  // namespace xlvs::config
