// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <variant>

namespace xlvs {

// What went wrong, in words for the operator; `code` is the errno behind it, 0 if there is none.
struct Error {
  std::string message;
  int code = 0;

  // For the call that has just failed: reads errno.
  static Error from_errno(const std::string& tried) { return from_code(tried, errno); }
  // `code` is positive or negative, as libbpf returns it.
  static Error from_code(const std::string& tried, int code) {
    const int positive = code < 0 ? -code : code;
    return {tried + ": " + std::strerror(positive), positive};
  }
  // The caller's context goes in front: "load configuration: open x.json: No such file".
  [[nodiscard]] Error in(const std::string& context) const {
    return {context + ": " + message, code};
  }
};

// A value or an Error, with std::expected's names so that it can be replaced by it in C++23.
template <typename T = void>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool has_value() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return has_value(); }
  T& operator*() & { return std::get<T>(state_); }
  const T& operator*() const& { return std::get<T>(state_); }
  T&& operator*() && { return std::get<T>(std::move(state_)); }
  T* operator->() { return &std::get<T>(state_); }
  const T* operator->() const { return &std::get<T>(state_); }
  [[nodiscard]] const Error& error() const { return std::get<Error>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error)
      : error_(std::move(error)), failed_(true) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool has_value() const { return !failed_; }
  explicit operator bool() const { return has_value(); }
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace xlvs
