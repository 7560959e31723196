// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sched.h>

#include <chrono>
#include <cstdlib>
#include <ostream>
#include <string>
#include <thread>

#include "health/check_http.h"
#include "health/check_tcp.h"
#include "health/curl_multi.h"
#include "tests/harness/fake_server.h"
#include "tests/harness/no_descriptors.h"

namespace xlvs::health {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using harness::ClosedPort;
using harness::Conversation;
using harness::DeafPort;
using harness::FakeServer;
using harness::NoDescriptors;

// For probes that are to end by themselves: only a hanging test ever waits for it.
constexpr auto long_enough = 20s;
// For probes that are to end by their deadline.
constexpr auto soon = 100ms;

// The outcome of one probe, by its text; everything else on `loop` runs beside it.
std::string ask(asio::io_context& loop, Prober& prober) {
  std::string result;
  asio::co_spawn(loop, prober.probe(), [&](const std::exception_ptr& exception, Outcome outcome) {
    if (exception) std::rethrow_exception(exception);
    result = text(outcome);
    loop.stop();
  });
  loop.restart();
  loop.run();
  return result;
}

std::string ask_tcp(asio::io_context& loop, const Endpoint& backend,
                    std::chrono::milliseconds timeout = long_enough) {
  TcpProber prober(backend, timeout);
  return ask(loop, prober);
}

std::string ask_http(asio::io_context& loop, const Endpoint& backend, Check check = {},
                     std::chrono::milliseconds timeout = long_enough) {
  check.timeout = timeout;
  HttpProber prober(std::make_shared<CurlMulti>(loop.get_executor()), backend, std::move(check));
  return ask(loop, prober);
}

TEST(TcpProbe, Accepted) {
  asio::io_context loop;
  const FakeServer server(loop.get_executor(), harness::answer(""));
  EXPECT_EQ(ask_tcp(loop, server.endpoint()), "answered the connect");
}

TEST(TcpProbe, AcceptedOverIPv6) {
  asio::io_context loop;
  const FakeServer server(loop.get_executor(), harness::answer(""), "::1");
  EXPECT_EQ(ask_tcp(loop, server.endpoint()), "answered the connect");
}

TEST(TcpProbe, Refused) {
  asio::io_context loop;
  const ClosedPort port(loop.get_executor());
  EXPECT_EQ(ask_tcp(loop, port.endpoint()), "connection refused");
}

TEST(TcpProbe, NoAnswerToTheSyn) {
  asio::io_context loop;
  const DeafPort port(loop.get_executor());
  EXPECT_EQ(ask_tcp(loop, port.endpoint(), soon), "connect timeout");
}

TEST(TcpProbe, NoDescriptor) {
  if (!NoDescriptors::possible) GTEST_SKIP() << "the sanitizers need descriptors themselves";
  asio::io_context loop;
  const FakeServer server(loop.get_executor(), harness::answer(""));
  const NoDescriptors exhausted;
  EXPECT_EQ(ask_tcp(loop, server.endpoint()),
            "no file descriptor left: director's fault (Too many open files)");
}

// A namespace of its own has no route to anywhere, not even to loopback, which is down in it.
TEST(Probes, NoRoute) {
  bool unshared = false;
  std::string tcp;
  std::string http;
  std::thread([&] {
    unshared = unshare(CLONE_NEWNET) == 0;
    if (!unshared) return;
    asio::io_context loop;
    const Endpoint backend{*Address::parse("192.0.2.1"), 80};
    tcp = ask_tcp(loop, backend);
    http = ask_http(loop, backend);
  }).join();
  if (!unshared) GTEST_SKIP() << "needs root for a network namespace";
  EXPECT_EQ(tcp, "no route (Network is unreachable)");
  EXPECT_EQ(http, "no route (Network is unreachable)");
}

TEST(HttpProbe, Refused) {
  asio::io_context loop;
  const ClosedPort port(loop.get_executor());
  EXPECT_EQ(ask_http(loop, port.endpoint()), "connection refused");
}

TEST(HttpProbe, NoAnswerToTheSyn) {
  asio::io_context loop;
  const DeafPort port(loop.get_executor());
  EXPECT_EQ(ask_http(loop, port.endpoint(), {}, soon), "connect timeout");
}

TEST(HttpProbe, NoDescriptor) {
  if (!NoDescriptors::possible) GTEST_SKIP() << "the sanitizers need descriptors themselves";
  asio::io_context loop;
  const FakeServer server(loop.get_executor(), harness::http("200 OK", ""));
  HttpProber prober(std::make_shared<CurlMulti>(loop.get_executor()), server.endpoint(),
                    {.timeout = long_enough});
  const NoDescriptors exhausted;
  EXPECT_EQ(ask(loop, prober), "no file descriptor left: director's fault (Too many open files)");
}

TEST(HttpProbe, AsksForWhatTheCheckSays) {
  asio::io_context loop;
  const FakeServer server(loop.get_executor(), harness::http("200 OK", "x"));
  ask_http(loop, server.endpoint(), {.path = "/a/../b c?d", .host = "www.example.com"});
  ask_http(loop, server.endpoint());
  ASSERT_EQ(server.requests().size(), 2U);
  EXPECT_EQ(server.requests()[0],
            "GET /a/../b%20c?d HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: xlvs\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(server.requests()[1], "GET / HTTP/1.1\r\nHost: " + server.endpoint().text() +
                                      "\r\nUser-Agent: xlvs\r\nAccept: */*\r\n"
                                      "Connection: close\r\n\r\n");
}

TEST(HttpProbe, AsksOverIPv6) {
  asio::io_context loop;
  const FakeServer server(loop.get_executor(), harness::http("200 OK", "x"), "::1");
  EXPECT_EQ(ask_http(loop, server.endpoint()), "answered with http status 200");
  ASSERT_EQ(server.requests().size(), 1U);
  EXPECT_NE(server.requests()[0].find("\r\nHost: " + server.endpoint().text()), std::string::npos);
}

TEST(HttpProbe, IgnoresTheProxyOfTheEnvironment) {
  asio::io_context loop;
  const ClosedPort proxy(loop.get_executor());
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"})
    setenv(name, ("http://" + proxy.endpoint().text()).c_str(), 1);
  const FakeServer server(loop.get_executor(), harness::http("200 OK", "x"));
  EXPECT_EQ(ask_http(loop, server.endpoint()), "answered with http status 200");
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) unsetenv(name);
}

TEST(HttpProbe, DoesNotFollowRedirects) {
  asio::io_context loop;
  const FakeServer elsewhere(loop.get_executor(), harness::http("200 OK", "x"));
  const FakeServer server(
      loop.get_executor(),
      harness::answer("HTTP/1.1 302 Found\r\nLocation: http://" + elsewhere.endpoint().text() +
                      "/\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_EQ(ask_http(loop, server.endpoint()), "http status 302, expected 2xx");
  EXPECT_EQ(ask_http(loop, server.endpoint(), {.status = {302}}), "answered with http status 302");
  EXPECT_EQ(elsewhere.accepted(), 0U);
}

TEST(HttpProbe, ChecksOfTheSameMultiRunSideBySide) {
  asio::io_context loop;
  const FakeServer silent(loop.get_executor(), harness::silence());
  const FakeServer server(loop.get_executor(), harness::http("200 OK", "x"));
  const auto multi = std::make_shared<CurlMulti>(loop.get_executor());
  HttpProber waiting(multi, silent.endpoint(), {.timeout = long_enough});
  HttpProber prober(multi, server.endpoint(), {.timeout = long_enough});
  asio::co_spawn(loop, waiting.probe(), asio::detached);
  EXPECT_EQ(ask(loop, prober), "answered with http status 200");
}

TEST(HttpProbe, MistakesInTheCheckAreTheDirectors) {
  asio::io_context loop;
  const FakeServer server(loop.get_executor(), harness::http("200 OK", "x"));
  EXPECT_EQ(ask_http(loop, server.endpoint(), {.host = "a\r\nX: y"}),
            "director's fault: host \"a\\x0d\\x0aX: y\" cannot be a header");
  EXPECT_EQ(ask_http(loop, server.endpoint(), {.expect_regex = "("}).find("director's fault:"), 0U);
  EXPECT_EQ(server.accepted(), 0U);
}

struct Row {
  const char* name;
  Conversation server;
  std::string text;
  std::chrono::milliseconds timeout = long_enough;
  Check check{};
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class HttpServer : public testing::TestWithParam<Row> {};

TEST_P(HttpServer, Row) {
  const Row& row = GetParam();
  asio::io_context loop;
  const FakeServer server(loop.get_executor(), row.server);
  EXPECT_EQ(ask_http(loop, server.endpoint(), row.check, row.timeout), row.text);
}

const std::string head = "HTTP/1.1 200 OK\r\n";
const std::string ok = "answered with http status 200";
const Check expects_x{.expect = "x"};

INSTANTIATE_TEST_SUITE_P(
    Answers, HttpServer,
    testing::Values(
        Row{"ok", harness::http("200 OK", "x"), ok},
        Row{"status", harness::http("503 No", ""), "http status 503, expected 2xx"},
        Row{"text", harness::http("200 OK", "axb"), ok, long_enough, expects_x},
        Row{"no_text", harness::http("200 OK", "ab"), "body without \"x\" in 2 bytes", long_enough,
            expects_x},
        Row{"regex", harness::http("200 OK", "axb"), ok, long_enough, {.expect_regex = "a.b"}},
        Row{"no_regex",
            harness::http("200 OK", "ax"),
            "body without a match of \"a.b\" in 2 bytes",
            long_enough,
            {.expect_regex = "a.b"}},
        Row{"http_1_0", harness::answer("HTTP/1.0 200 OK\r\n\r\nx"), ok, long_enough, expects_x},
        Row{"bare_newlines", harness::answer("HTTP/1.0 200 OK\n\nx"), ok, long_enough, expects_x},
        Row{"chunked",
            harness::answer(head + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"), ok,
            long_enough, expects_x},
        Row{"after_continue",
            harness::answer("HTTP/1.1 100 Continue\r\n\r\n" + head + "Content-Length: 0\r\n\r\n"),
            ok},
        Row{"no_content", harness::answer("HTTP/1.1 204 No Content\r\n\r\n"),
            "answered with http status 204"},
        Row{"kept_open_after_the_answer", harness::silence(head + "Content-Length: 1\r\n\r\nx"), ok,
            long_enough, expects_x},
        Row{"not_decompressed",
            harness::answer(head + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"), ok,
            long_enough, expects_x}),
    [](const auto& row) { return std::string(row.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Hostile, HttpServer,
    testing::Values(
        Row{"silent", harness::silence(), "timeout before an answer", soon},
        Row{"half_a_head", harness::silence(head + "A: b\r\n"), "timeout in the headers", soon},
        Row{"half_a_body", harness::silence(head + "Content-Length: 9\r\n\r\nx"),
            "timeout after 1 bytes of the body", soon, expects_x},
        // One byte a second, in the time that a test has.
        Row{"drips_headers", harness::for_ever(head + "A: ", "b", 10ms), "timeout in the headers",
            soon},
        Row{"half_a_status_line", harness::silence("HTTP/1."), "timeout before an answer", soon},
        Row{"headers_for_ever", harness::for_ever(head, "A: " + std::string(1000, 'b') + "\r\n"),
            "not HTTP (more than 65536 bytes of it)"},
        Row{"continues_for_ever", harness::for_ever("", "HTTP/1.1 100 Continue\r\n\r\n"),
            "not HTTP (more than 65536 bytes of it)"},
        Row{"one_header_of_8_MB",
            harness::answer(head + "A: " + std::string(8'000'000, 'b') + "\r\n\r\n"),
            "not HTTP (a header line without end)"},
        Row{"headers_of_10_MB", harness::for_ever(head, "A: " + std::string(90'000, 'b') + "\r\n"),
            "not HTTP (more than 65536 bytes of it)"},
        Row{"body_for_ever", harness::for_ever(head + "\r\n", std::string(10'000, 'b')), ok},
        Row{"body_for_ever_without_text",
            harness::for_ever(head + "\r\n", std::string(10'000, 'b')),
            "body without \"x\" in the first 1048576 bytes", long_enough, expects_x},
        Row{"chunks_for_ever",
            harness::for_ever(head + "Transfer-Encoding: chunked\r\n\r\n",
                              "2710\r\n" + std::string(10'000, 'b') + "\r\n"),
            ok},
        Row{"trailers_for_ever",
            harness::for_ever(head + "Transfer-Encoding: chunked\r\n\r\n0\r\n",
                              "A: " + std::string(1000, 'b') + "\r\n"),
            "not HTTP (more than 65536 bytes of it)"},
        Row{"endless_chunk_extension",
            harness::for_ever(head + "Transfer-Encoding: chunked\r\n\r\n1;", "aaaa", 1ms),
            "timeout after 0 bytes of the body", soon},
        Row{"bad_chunk", harness::answer(head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "not HTTP (a bad chunk)"},
        Row{"bad_length", harness::answer(head + "Content-Length: -1\r\n\r\nx"), "not HTTP"},
        Row{"garbage", harness::answer(std::string("\0\xff\x16\x03\x01garbage", 12)), "not HTTP"},
        Row{"garbage_lines", harness::answer("220 smtp.example.com ESMTP\r\n"), "not HTTP"},
        Row{"garbage_for_ever", harness::for_ever("", std::string(10'000, '\xaa')), "not HTTP"},
        Row{"wrong_version", harness::answer("HTTP/9.9 200 OK\r\n\r\n"), "not HTTP"},
        Row{"bad_status", harness::answer("HTTP/1.1 abc\r\n\r\n"), "not HTTP"},
        Row{"nothing", harness::answer(""), "closed early before an answer"},
        Row{"reset", harness::reset(), "connection reset"},
        Row{"reset_in_the_body", harness::reset(head + "Content-Length: 9\r\n\r\n"),
            "connection reset"},
        Row{"closed_in_the_status_line", harness::answer("HTTP/1.1 20"),
            "closed early before an answer"},
        Row{"closed_in_the_headers", harness::answer(head + "A: b\r\n"),
            "closed early in the headers"},
        Row{"closed_after_continue", harness::answer("HTTP/1.1 100 Continue\r\n\r\n"),
            "closed early before an answer"},
        Row{"closed_in_the_second_head", harness::answer("HTTP/1.1 100 Continue\r\n\r\n" + head),
            "closed early in the headers"},
        Row{"closed_in_the_body", harness::answer(head + "Content-Length: 9\r\n\r\nx"),
            "closed early after 1 bytes of the body"},
        Row{"closed_in_a_chunk", harness::answer(head + "Transfer-Encoding: chunked\r\n\r\n9\r\nx"),
            "closed early after 1 bytes of the body"},
        Row{"closed_before_the_last_chunk",
            harness::answer(head + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"),
            "closed early after 1 bytes of the body"}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace xlvs::health
