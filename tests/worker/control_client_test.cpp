// The worker's end of the control socket.
#include "worker/control_client.hpp"

#include <doctest/doctest.h>

#include <string>

#include <tutti/error.hpp>

#include "tests/common/error_of.hpp"
#include "tests/worker/requests.hpp"

namespace tutti::test {
namespace {

using worker::ControlClient;

TEST_CASE("messages arrive whole and in order") {
  Sockets sockets = Sockets::make();
  ControlClient coordinator(std::move(sockets.coordinator));
  ControlClient client(std::move(sockets.worker));
  coordinator.send(control::Save{"a"});
  coordinator.send(control::Stop{});
  const auto first = client.receive();
  REQUIRE(first);
  CHECK(std::get<control::Save>(*first).path == "a");
  const auto second = client.receive();
  REQUIRE(second);
  CHECK(std::holds_alternative<control::Stop>(*second));
}

TEST_CASE("the longest message passes through the socket") {
  Sockets sockets = Sockets::make();
  ControlClient coordinator(std::move(sockets.coordinator));
  ControlClient client(std::move(sockets.worker));
  const std::string path(control::kMaxBytes - control::encode(control::Save{}).size(), 'p');
  coordinator.send(control::Save{path});
  const auto message = client.receive();
  REQUIRE(message);
  CHECK(std::get<control::Save>(*message).path == path);
}

TEST_CASE("a peer that is gone is the end and not an error") {
  Sockets sockets = Sockets::make();
  ControlClient client(std::move(sockets.worker));
  sockets.coordinator.reset();
  CHECK_FALSE(client.receive().has_value());
  client.send(control::Done{});  // no SIGPIPE
}

TEST_CASE("a malformed message is rejected with its reason") {
  Sockets sockets = Sockets::make();
  ControlClient client(std::move(sockets.worker));
  REQUIRE(::send(sockets.coordinator.get(), "{}", 2, 0) == 2);
  const auto error = error_of([&] { client.receive(); });
  REQUIRE(error);
  CHECK(error->message() == "control message is malformed");
}

}  // namespace
}  // namespace tutti::test
