// Predictions in coroutines and callbacks of Boost.Asio.
#include <doctest/doctest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <thread>
#include <tutti/asio.hpp>

#include "tests/common/sanitized.hpp"
#include "tests/integration/pools.hpp"

// clang 14 cannot assemble coroutines with a sanitizer: "Cannot represent a difference across sections".
#if !defined(__clang__) || !defined(TUTTI_SANITIZED)
#define TUTTI_TEST_COROUTINES
#endif

namespace tutti::test {
namespace {

namespace asio = boost::asio;

#ifdef TUTTI_TEST_COROUTINES
TEST_CASE("a coroutine awaits predictions on its own executor") {
  const NothingLeft census;
  const auto spec = fake_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(50);
  asio::io_context context;
  int right = 0;
  const auto coroutine = [&]() -> asio::awaitable<void> {
    const auto thread = std::this_thread::get_id();
    for (int call = 0; call < 3; ++call) {
      const Predictions p = co_await async_predict(ensemble, view(images), asio::use_awaitable);
      CHECK(std::this_thread::get_id() == thread);
      right += p.values == naive_mean(spec, images) ? 1 : 0;
    }
  };
  asio::co_spawn(context, coroutine, asio::detached);
  asio::co_spawn(context, coroutine, asio::detached);
  context.run();
  CHECK(right == 6);
}

TEST_CASE("an error arrives as an exception of the coroutine") {
  const NothingLeft census;
  auto spec = fake_spec(1);
  fake_model(spec, 0).faults = {{FaultKind::nan, FaultPhase::predict, 1}};
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(20);
  asio::io_context context;
  std::string message;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        try {
          co_await async_predict(ensemble, view(images), asio::use_awaitable);
        } catch (const Error& error) {
          message = error.message();
        }
        try {
          co_await async_predict(ensemble, Images(std::span<const float>(images), ImageShape{1, 2, 3}),
                                 asio::use_awaitable);
        } catch (const Error& error) {
          message += error.kind() == ErrorKind::usage ? "; usage" : "; ?";
        }
      },
      asio::detached);
  context.run();
  CHECK(message == "m0 on cpu predicted NaN or infinity on segment 0; usage");
}

#endif

// Handlers without an executor run on threads of Asio's own, which stay.
TEST_CASE("other completion tokens work, too") {
  const auto spec = fake_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(20);
  CHECK(async_predict(ensemble, view(images), asio::use_future).get().values == naive_mean(spec, images));
  std::promise<bool> called;
  async_predict(ensemble, view(images), [&](std::exception_ptr error, Predictions p) {
    called.set_value(error == nullptr && p.values == naive_mean(spec, images));
  });
  CHECK(called.get_future().get());
}

TEST_CASE("cancellation and stop tokens end the operation") {
  const NothingLeft census;
  auto spec = fake_spec(1);
  fake_model(spec, 0).delay_us = 5000;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(3000);
  asio::io_context context;
  asio::cancellation_signal signal;
  std::string cancelled;
  std::string stopped;
  const auto note = [](std::string& text) {
    return [&text](std::exception_ptr error, const Predictions&) {
      text = message_of([&] { std::rethrow_exception(error); });
    };
  };
  async_predict(ensemble, view(images),
                asio::bind_executor(context, asio::bind_cancellation_slot(signal.slot(), note(cancelled))));
  std::stop_source source;
  SubmitOptions options;
  options.stop = source.get_token();
  async_predict(ensemble, view(images), asio::bind_executor(context, note(stopped)), options);
  signal.emit(asio::cancellation_type::terminal);
  source.request_stop();
  context.run();
  CHECK(cancelled == "the prediction was given up: its caller requested a stop");
  CHECK(stopped == cancelled);
}

TEST_CASE("a handler whose executor has stopped is dropped with it and nothing leaks") {
  const NothingLeft census;
  const auto spec = fake_spec(1);
  const auto images = random_images(20);
  const auto alive = std::make_shared<int>(0);
  Ensemble ensemble(published(spec), with_worker());
  {
    asio::io_context context;
    async_predict(ensemble, view(images),
                  asio::bind_executor(context, [alive](std::exception_ptr, const Predictions&) { FAIL("called"); }));
    CHECK(happens([&] { return ensemble.status().members[0].images >= 20; }));
    ensemble.predict(view(images));  // the submission before it is settled, too
  }
  CHECK(happens([&] { return alive.use_count() == 1; }));
}

}  // namespace
}  // namespace tutti::test
