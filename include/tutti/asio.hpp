// Predictions in programs on Boost.Asio: a coroutine awaits one, or any other completion token takes it. The only
// public header that needs more than the standard library: Boost.Asio, which is header-only.
//
//   const tutti::Images images(pixels, shape);
//   tutti::Predictions p = co_await tutti::async_predict(ensemble, images, boost::asio::use_awaitable);
#pragma once

#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include <tutti/ensemble.hpp>

namespace tutti {
namespace detail {

/// The handler of one prediction, until it is called on its executor. If the executor has stopped, it never is, and its
/// memory is freed with what the executor drops.
template <class Handler>
class AsyncPrediction : public std::enable_shared_from_this<AsyncPrediction<Handler>> {
 public:
  explicit AsyncPrediction(Handler handler)
      : handler_(std::move(handler)),
        executor_(boost::asio::prefer(boost::asio::get_associated_executor(handler_),
                                      boost::asio::execution::outstanding_work.tracked)) {}

  template <class Given>
  void begin(Ensemble& ensemble, const Given& given, SubmitOptions options) {
    // A stop that the caller's options ask for, and the cancellation of the operation, both end it.
    forward_.emplace(options.stop, Forward{stop_});
    auto slot = boost::asio::get_associated_cancellation_slot(handler_);
    if (slot.is_connected()) slot.assign([stop = stop_](boost::asio::cancellation_type) { stop.request_stop(); });
    options.stop = stop_.get_token();
    options.when_full = WhenFull::refuse;  // an executor's thread does not wait
    try {
      ensemble.submit(
          given,
          [self = this->shared_from_this()](std::future<Predictions> future) { self->finish(std::move(future)); },
          options);
    } catch (...) {
      complete(std::current_exception(), {});
    }
  }

 private:
  struct Forward {
    std::stop_source stop;
    void operator()() { stop.request_stop(); }
  };

  void finish(std::future<Predictions> future) {
    std::exception_ptr error;
    Predictions predictions;
    try {
      predictions = future.get();
    } catch (...) {
      error = std::current_exception();
    }
    complete(error, std::move(predictions));
  }

  void complete(std::exception_ptr error, Predictions predictions) {
    boost::asio::post(executor_, [self = this->shared_from_this(), error, result = std::move(predictions)]() mutable {
      self->forward_.reset();
      auto slot = boost::asio::get_associated_cancellation_slot(self->handler_);
      if (slot.is_connected()) slot.clear();
      Handler handler = std::move(self->handler_);
      self.reset();
      std::move(handler)(error, std::move(result));
    });
  }

  Handler handler_;
  // Not a reference: an executor without the property is returned as it was given.
  using Executor =
      std::decay_t<decltype(boost::asio::prefer(boost::asio::get_associated_executor(std::declval<Handler&>()),
                                                boost::asio::execution::outstanding_work.tracked))>;
  Executor executor_;
  std::stop_source stop_;
  std::optional<std::stop_callback<Forward>> forward_;
};

}  // namespace detail

/// Predicts like Ensemble::submit(), and completes with (std::exception_ptr, Predictions) on the executor of the
/// completion handler, whose context must outlive the operation: make it before the ensemble. `Given`: Images,
/// EncodedImages or Samples, a view; what it shows must stay valid until then, and so must the ensemble. `options` are
/// those of submit(), but a full queue is always refused (QueueFull). The operation supports cancellation of every
/// type: it then completes with Error(interrupted). Thread-safe.
template <class Given, boost::asio::completion_token_for<void(std::exception_ptr, Predictions)> CompletionToken>
auto async_predict(Ensemble& ensemble, Given given, CompletionToken&& token, SubmitOptions options = {}) {
  return boost::asio::async_initiate<CompletionToken, void(std::exception_ptr, Predictions)>(
      [](auto handler, Ensemble* to, Given samples, SubmitOptions with) {
        using Handler = std::decay_t<decltype(handler)>;
        std::make_shared<detail::AsyncPrediction<Handler>>(std::move(handler))->begin(*to, samples, std::move(with));
      },
      token, &ensemble, std::move(given), std::move(options));
}

}  // namespace tutti
