// SPDX-License-Identifier: MIT
#include "loader/base/asio.h"

#include <boost/asio/impl/src.hpp>
