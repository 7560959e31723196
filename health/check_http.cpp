// SPDX-License-Identifier: MIT
#include "health/check_http.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "health/curl_multi.h"

namespace xlvs::health {

namespace asio = boost::asio;

namespace {

// All header lines of an answer together, 1xx and trailers included.
constexpr size_t header_limit = size_t{64} << 10U;

// What has arrived so far. curl itself reports success for an answer that ends within its headers,
// and has no limit to their sum, so both are watched here.
struct Arrived {
  std::string body;
  size_t header_bytes = 0;
  bool headers_ended = false;
  bool body_full = false;
  bool too_many_headers = false;
};

size_t on_header(const char* data, size_t size, size_t count, void* self) noexcept {
  auto& arrived = *static_cast<Arrived*>(self);
  const std::string_view line(data, size * count);
  arrived.header_bytes += line.size();
  arrived.too_many_headers = arrived.header_bytes > header_limit;
  if (line.starts_with("HTTP/")) arrived.headers_ended = false;  // the answer after a 1xx
  if (line == "\r\n" || line == "\n") arrived.headers_ended = true;
  return arrived.too_many_headers ? 0 : line.size();
}

size_t on_body(const char* data, size_t size, size_t count, void* self) noexcept {
  auto& arrived = *static_cast<Arrived*>(self);
  const std::string_view piece(data, size * count);
  arrived.body += piece.substr(0, body_limit - arrived.body.size());
  arrived.body_full = arrived.body.size() == body_limit;
  return arrived.body_full ? 0 : piece.size();
}

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

HeaderList request_headers(const std::string& host) {
  HeaderList list(curl_slist_append(nullptr, "Connection: close"));
  // Without one, curl writes the URL's address and port.
  if (!host.empty()) curl_slist_append(list.get(), ("Host: " + host).c_str());
  return list;
}

template <typename Value>
Value info(CURL* easy, CURLINFO which) {
  Value value{};
  curl_easy_getinfo(easy, which, &value);
  return value;
}

Outcome at_the_deadline(CURL* easy, const Arrived& arrived) {
  if (info<curl_off_t>(easy, CURLINFO_CONNECT_TIME_T) == 0) return {Reason::connect_timeout, ""};
  if (arrived.headers_ended)
    return {Reason::timeout, "after " + std::to_string(arrived.body.size()) + " bytes of the body"};
  if (arrived.header_bytes > 0) return {Reason::timeout, "in the headers"};
  return {Reason::timeout, "before an answer"};
}

Outcome explain(const Transfer& transfer, CURLcode result, const Arrived& arrived) {
  const auto code = static_cast<int>(info<long>(transfer.handle(), CURLINFO_OS_ERRNO));
  switch (result) {
    case CURLE_COULDNT_CONNECT:
      if (transfer.open_error() != 0) return outcome_of_errno(transfer.open_error());
      if (code != 0) return outcome_of_errno(code);
      break;
    case CURLE_OPERATION_TIMEDOUT:  // the kernel's: curl is given no limit
      return {Reason::connect_timeout, ""};
    case CURLE_GOT_NOTHING:
      return {Reason::closed_early, "before an answer"};
    case CURLE_PARTIAL_FILE:
      return {Reason::closed_early,
              "after " + std::to_string(arrived.body.size()) + " bytes of the body"};
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      // Without an errno it was not the socket that failed but the chunks' encoding.
      return code != 0 ? outcome_of_errno(code) : Outcome{Reason::not_http, "(a bad chunk)"};
    case CURLE_WRITE_ERROR:
      if (arrived.too_many_headers)
        return {Reason::not_http, "(more than " + std::to_string(header_limit) + " bytes of it)"};
      break;
    case CURLE_OUT_OF_MEMORY:  // also curl's answer to one header line above 100 KiB
      if (!arrived.headers_ended) return {Reason::not_http, "(a header line without end)"};
      break;
    case CURLE_UNSUPPORTED_PROTOCOL:  // HTTP/0.9, which is: anything
    case CURLE_WEIRD_SERVER_REPLY:
      return {Reason::not_http, ""};
    default:
      break;
  }
  return {Reason::failed, curl_easy_strerror(result)};
}

}  // namespace

HttpProber::HttpProber(std::shared_ptr<CurlMulti> multi, const Endpoint& backend, Check check)
    : multi_(std::move(multi)),
      check_(std::move(check)),
      url_("http://" + backend.text() + "/"),
      target_(request_target(check_.path)) {
  if (std::any_of(check_.host.begin(), check_.host.end(), [](char c) { return c <= ' '; }))
    mistake_ = "host " + in_quotes(check_.host) + " cannot be a header";
  if (check_.expect_regex.empty()) return;
  Result<BodyPattern> pattern = BodyPattern::make(check_.expect_regex);
  if (pattern) {
    pattern_ = *std::move(pattern);
  } else {
    mistake_ = pattern.error().message;
  }
}

asio::awaitable<Outcome> HttpProber::probe() {
  if (!mistake_.empty()) co_return Outcome{Reason::director_fault, mistake_};

  const HeaderList headers = request_headers(check_.host);
  Arrived arrived;
  Transfer transfer(multi_);
  transfer.set(CURLOPT_URL, url_.c_str());
  transfer.set(CURLOPT_REQUEST_TARGET, target_.c_str());
  transfer.set(CURLOPT_HTTPHEADER, headers.get());
  transfer.set(CURLOPT_USERAGENT, "xlvs");
  transfer.set(CURLOPT_PROTOCOLS_STR, "http");
  transfer.set(CURLOPT_PROXY, "");  // empty: not even that of the environment
  transfer.set(CURLOPT_FOLLOWLOCATION, 0L);
  transfer.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  transfer.set(CURLOPT_HTTP09_ALLOWED, 0L);
  transfer.set(CURLOPT_FRESH_CONNECT, 1L);
  transfer.set(CURLOPT_FORBID_REUSE, 1L);
  transfer.set(CURLOPT_NOSIGNAL, 1L);
  transfer.set(CURLOPT_HEADERFUNCTION, &on_header);
  transfer.set(CURLOPT_HEADERDATA, &arrived);
  transfer.set(CURLOPT_WRITEFUNCTION, &on_body);
  transfer.set(CURLOPT_WRITEDATA, &arrived);

  const std::optional<CURLcode> result = co_await transfer.perform(check_.timeout);
  if (!result) co_return at_the_deadline(transfer.handle(), arrived);
  const bool whole = *result == CURLE_OK || (*result == CURLE_WRITE_ERROR && arrived.body_full);
  if (!whole) co_return explain(transfer, *result, arrived);
  if (!arrived.headers_ended) co_return Outcome{Reason::closed_early, "in the headers"};
  co_return judge(check_, pattern_, info<long>(transfer.handle(), CURLINFO_RESPONSE_CODE),
                  arrived.body);
}

}  // namespace xlvs::health
