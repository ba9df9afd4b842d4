// Awaits predictions in coroutines of Boost.Asio: eight callers, each of which sends an image, waits for its class, and
// sends the next. One of them is in a hurry. The members are `fake`, which compute without LibTorch.
#include <chrono>
#include <cstdio>
#include <exception>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <tutti/asio.hpp>

namespace asio = boost::asio;

namespace {

const tutti::ImageShape kShape{3, 32, 32};

asio::awaitable<void> caller(tutti::Ensemble& ensemble, int number, tutti::SubmitOptions options) {
  const std::vector<float> pixels(kShape.elements(), 0.1F * static_cast<float>(number));
  for (int request = 0; request < 10; ++request) {
    if (options.priority > 0) options.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    const tutti::Predictions p =
        co_await tutti::async_predict(ensemble, tutti::Images(pixels, kShape), asio::use_awaitable, options);
    if (request == 9) std::printf("caller %d: class %d\n", number, static_cast<int>(p.predicted[0]));
  }
}

}  // namespace

int main() try {
  asio::io_context context;  // outlives the ensemble, whose calls end on it
  tutti::Ensemble ensemble(tutti::parse_spec(R"(
    members:
      - {name: a, model: {kind: fake, classes: 3}}
      - {name: b, model: {kind: fake, classes: 3}}
    assignment: cpu
    input: {shape: [3, 32, 32]}
  )"));
  std::exception_ptr failure;
  const auto note = [&](std::exception_ptr error) {
    if (error && !failure) failure = error;
  };
  for (int number = 0; number < 8; ++number) {
    tutti::SubmitOptions options;
    options.priority = number == 0 ? 1 : 0;
    asio::co_spawn(context, caller(ensemble, number, options), note);
  }
  context.run();
  if (failure) std::rethrow_exception(failure);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
