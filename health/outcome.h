// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace xlvs::health {

enum class Reason : uint8_t {
  answered,         // the only success of a probe
  unchecked,        // check type none: up without a probe
  refused,          // RST to the SYN, or ICMP port unreachable
  no_route,         // no route, or ICMP host or network unreachable
  connect_timeout,  // no answer to the SYN
  timeout,          // connected, but not finished by the deadline
  reset,            // RST after the connect
  closed_early,     // FIN before the answer was whole
  not_http,         // garbage, or headers beyond all measure
  http_status,      // whole answer, unexpected status
  body_mismatch,    // expected status, but not the expected text
  failed,           // any other error
  no_descriptor,    // EMFILE, ENFILE: says nothing about the backend
  director_fault,   // out of memory, local ports ...: says nothing about the backend
};

// What one probe found.
struct Outcome {
  Reason reason = Reason::failed;
  std::string evidence;  // printable, one line, continues the reason's text: "503, expected 200"
  std::chrono::milliseconds duration{};

  bool operator==(const Outcome&) const = default;
};

std::string_view text(Reason reason);

// The reason's text and its evidence: "http status 503, expected 200".
std::string text(const Outcome& outcome);

bool succeeded(const Outcome& outcome);

// The director could not ask, so the outcome counts neither for nor against the backend.
bool is_directors_fault(const Outcome& outcome);

// The outcome of a socket call that failed with `code` (errno, positive).
Outcome outcome_of_errno(int code);

// `raw` in double quotes, with unprintable bytes as \xNN, cut after 60 bytes: for evidence.
std::string in_quotes(std::string_view raw);

}  // namespace xlvs::health
