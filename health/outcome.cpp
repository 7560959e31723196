// SPDX-License-Identifier: MIT
#include "health/outcome.h"

#include <cerrno>
#include <system_error>

namespace xlvs::health {

std::string_view text(Reason reason) {
  switch (reason) {
    case Reason::answered:
      return "answered";
    case Reason::unchecked:
      return "not checked";
    case Reason::refused:
      return "connection refused";
    case Reason::no_route:
      return "no route";
    case Reason::connect_timeout:
      return "connect timeout";
    case Reason::timeout:
      return "timeout";
    case Reason::reset:
      return "connection reset";
    case Reason::closed_early:
      return "closed early";
    case Reason::not_http:
      return "not HTTP";
    case Reason::http_status:
      return "http status";
    case Reason::body_mismatch:
      return "body without";
    case Reason::failed:
      return "failed:";
    case Reason::no_descriptor:
      return "no file descriptor left: director's fault";
    case Reason::director_fault:
      return "director's fault:";
  }
  return "?";
}

std::string text(const Outcome& outcome) {
  std::string line(text(outcome.reason));
  if (!outcome.evidence.empty()) line += " " + outcome.evidence;
  return line;
}

bool succeeded(const Outcome& outcome) {
  return outcome.reason == Reason::answered || outcome.reason == Reason::unchecked;
}

bool is_directors_fault(const Outcome& outcome) {
  return outcome.reason == Reason::no_descriptor || outcome.reason == Reason::director_fault;
}

Outcome outcome_of_errno(int code) {
  const auto words = [code] { return std::generic_category().message(code); };
  switch (code) {
    case ECONNREFUSED:
      return {Reason::refused, ""};
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
      return {Reason::no_route, "(" + words() + ")"};
    case ETIMEDOUT:
      return {Reason::connect_timeout, ""};
    case ECONNRESET:
    case EPIPE:
      return {Reason::reset, ""};
    case EMFILE:
    case ENFILE:
      return {Reason::no_descriptor, "(" + words() + ")"};
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:         // epoll: fs.epoll.max_user_watches
    case EADDRNOTAVAIL:  // every local port towards this endpoint is taken
    case EBADF:
      return {Reason::director_fault, words()};
    default:
      return {Reason::failed, words()};
  }
}

std::string in_quotes(std::string_view raw) {
  constexpr size_t longest = 60;
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result = "\"";
  for (const char c : raw.substr(0, longest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      result += c;
    } else {
      result += "\\x";
      result += digits[byte >> 4U];
      result += digits[byte & 0xfU];
    }
  }
  return result + (raw.size() > longest ? "...\"" : "\"");
}

}  // namespace xlvs::health
