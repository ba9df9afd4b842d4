// The predictions of many batches, one after the other, while a few are computed at the same time.
//
//   for (tutti::Predictions& p : tutti::map(ensemble, batches)) ...   // in the order of the batches
//
// Only the standard library; no thread of its own.
#pragma once

#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>

#include <tutti/ensemble.hpp>

namespace tutti {

/// Settings of map().
struct MapOptions {
  /// How many batches are submitted at a time, at least 1. Each may be of several segments; with as many as the
  /// ensemble has `slots`, and one more, its workers do not wait for the caller.
  std::size_t in_flight = 4;
  /// Of each batch: one point in time as the deadline of all, their priority, and a stop, which ends the map.
  SubmitOptions submit{};
};

/// The predictions of the batches of a range, in order: an input range, which can be gone through once. Made by map().
/// One thread at a time, which must not be that of a callback of submit(): it waits.
template <class Batches, class Samples>
class Mapped {
  using Range = std::remove_reference_t<Batches>;
  using Reference = std::ranges::range_reference_t<Range>;
  /// Elements that stay where they are are read there; others are kept until their predictions are yielded.
  static constexpr bool kStay = std::ranges::forward_range<Range> && std::is_lvalue_reference_v<Reference>;

 public:
  /// For map().
  Mapped(Ensemble& ensemble, Batches&& batches, Samples samples, const MapOptions& options)
      : ensemble_(ensemble),
        batches_(std::forward<Batches>(batches)),
        samples_(std::move(samples)),
        in_flight_(options.in_flight),
        options_(options.submit),
        forward_(options.submit.stop, Forward{stop_}) {
    if (in_flight_ < 1)
      throw Error(ErrorKind::usage, "in_flight must be at least 1, not " + std::to_string(in_flight_));
    options_.stop = stop_.get_token();
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  /// Gives up what is in flight, and waits until nobody reads its samples any more.
  ~Mapped() { give_up(); }

  /// Of the predictions; they may be moved out of it.
  class Iterator {
   public:
    using value_type = Predictions;          ///< in order
    using difference_type = std::ptrdiff_t;  ///< of no use

    /// Of no range.
    Iterator() = default;
    /// For Mapped.
    explicit Iterator(Mapped& mapped) : mapped_(&mapped) {}
    /// Valid until the iterator is advanced.
    Predictions& operator*() const { return *mapped_->current_; }
    /// As begin().
    Iterator& operator++() {
      mapped_->advance();
      return *this;
    }
    /// As begin().
    void operator++(int) { ++*this; }
    /// Whether nothing is left.
    friend bool operator==(const Iterator& at, std::default_sentinel_t /*end*/) { return at.is_over(); }

   private:
    bool is_over() const { return !mapped_->current_; }
    Mapped* mapped_ = nullptr;
  };

  /// Submits the first batches and waits for the first predictions. Throws what submit() or the future of a batch
  /// throws, or the function that makes its samples, in its turn: after the predictions of the batches before it. What
  /// the range itself throws, it throws at once. Either gives up what is in flight, and ends the range.
  Iterator begin() {
    if (!next_) {
      next_.emplace(std::ranges::begin(batches_));
      advance();
    }
    return Iterator(*this);
  }
  /// After the last batch.
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  struct Forward {
    std::stop_source stop;
    void operator()() { stop.request_stop(); }
  };
  using Item = std::conditional_t<kStay, std::add_pointer_t<Reference>, std::ranges::range_value_t<Range>>;
  /// Never moves: the samples are views of the item.
  struct InFlight {
    template <class Given>
    explicit InFlight(Given&& given) : item(std::forward<Given>(given)) {}
    Item item;
    std::future<Predictions> future{};
  };

  void advance() {
    current_.reset();
    if (over_) return;
    try {
      while (waiting_.size() < in_flight_ && *next_ != std::ranges::end(batches_)) submit_next();
      if (waiting_.empty()) {
        over_ = true;
        return;
      }
      current_.emplace(waiting_.front().future.get());
      waiting_.pop_front();
    } catch (...) {
      give_up();
      throw;
    }
  }

  void submit_next() {
    if constexpr (kStay)
      waiting_.emplace_back(std::addressof(**next_));
    else
      waiting_.emplace_back(**next_);
    InFlight& added = waiting_.back();
    try {
      const auto& item = [&]() -> const auto& {
        if constexpr (kStay)
          return *added.item;
        else
          return added.item;
      }
      ();
      added.future = ensemble_.submit(std::invoke(samples_, item), options_);
    } catch (...) {
      std::promise<Predictions> failed;
      failed.set_exception(std::current_exception());
      added.future = failed.get_future();
    }
    ++*next_;
  }

  void give_up() {
    over_ = true;
    stop_.request_stop();
    for (InFlight& one : waiting_)
      if (one.future.valid()) one.future.wait();
    waiting_.clear();
  }

  Ensemble& ensemble_;
  Batches batches_;
  Samples samples_;
  const std::size_t in_flight_;
  SubmitOptions options_;
  std::stop_source stop_;
  std::stop_callback<Forward> forward_;
  std::optional<std::ranges::iterator_t<Range>> next_;
  std::deque<InFlight> waiting_;
  std::optional<Predictions> current_;
  bool over_ = false;
};

/// The predictions of each element of `batches`, in order, while a few of them are computed at the same time; no more
/// are taken from `batches` until one is yielded. An element is Images, EncodedImages or Samples, or `samples` makes
/// these of it, as views of memory that the element holds or that stays valid until its predictions are yielded.
/// `batches` and `ensemble` outlive what is returned; a range that is a temporary is moved into it. Leaving the loop
/// early gives up what is in flight. Throws Error(usage) if `in_flight` is 0; for other errors see Mapped::begin().
template <std::ranges::input_range Batches, class Samples = std::identity>
requires requires(Ensemble& to, Samples& make, std::ranges::range_value_t<Batches>& item) {
  to.submit(std::invoke(make, std::as_const(item)), SubmitOptions{});
}
Mapped<Batches, Samples> map(Ensemble& ensemble, Batches&& batches, Samples samples = {},
                             const MapOptions& options = {}) {
  return Mapped<Batches, Samples>(ensemble, std::forward<Batches>(batches), std::move(samples), options);
}
/// The same of elements that are samples.
template <std::ranges::input_range Batches>
Mapped<Batches, std::identity> map(Ensemble& ensemble, Batches&& batches, const MapOptions& options) {
  return map(ensemble, std::forward<Batches>(batches), std::identity{}, options);
}

}  // namespace tutti
