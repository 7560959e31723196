// SPDX-License-Identifier: MIT
#pragma once

// The one way to Boost.Asio: precompiled here, its implementation compiled once in asio.cpp.
#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
