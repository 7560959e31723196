// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "health/check.h"
#include "health/http_answer.h"
#include "loader/state/configuration.h"

namespace xlvs::health {

class CurlMulti;

// Succeeds when the backend answers GET with the expected status and body. The connection is a new
// one each time and goes to the backend's address, whatever Host header, proxy variables or
// redirects say: the answer itself is what is judged.
class HttpProber : public Prober {
 public:
  // `backend` with the port to ask.
  HttpProber(std::shared_ptr<CurlMulti> multi, const Endpoint& backend, Check check);
  boost::asio::awaitable<Outcome> probe() override;

 private:
  std::shared_ptr<CurlMulti> multi_;
  Check check_;
  std::string url_;
  std::string target_;
  std::optional<BodyPattern> pattern_;
  std::string mistake_;  // in the check itself; empty: none
};

}  // namespace xlvs::health
