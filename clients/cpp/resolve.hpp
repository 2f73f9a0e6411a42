#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <vector>

#include "clients/cpp/endpoint.hpp"

/// For the two transport files only: everything else in clients/ stays free of Asio.
namespace weir::client {

/// Blocks while the system resolves a host name; an address is taken as it is.
inline boost::system::error_code resolve(const Endpoint& endpoint, boost::asio::io_context& io,
                                         std::vector<boost::asio::ip::tcp::endpoint>& addresses) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(endpoint.host, error);
  if (!error) {
    addresses.emplace_back(address, endpoint.port);
    return error;
  }
  boost::asio::ip::tcp::resolver resolver(io);
  error = {};
  for (const auto& found : resolver.resolve(endpoint.host, std::to_string(endpoint.port), error)) {
    addresses.push_back(found.endpoint());
  }
  return error;
}

}  // namespace weir::client
