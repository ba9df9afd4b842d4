// The public API: wires the parts together. The plan, the ledger and the accumulator decide; the pool and the exchange
// act.
#include <tutti/ensemble.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "common/mutex.hpp"
#include "coordinator/api/collecting.hpp"
#include "coordinator/api/fitted.hpp"
#include "coordinator/api/leases.hpp"
#include "coordinator/api/members.hpp"
#include "coordinator/api/model_choice.hpp"
#include "coordinator/api/prediction.hpp"
#include "coordinator/api/submissions.hpp"
#include "coordinator/api/training.hpp"
#include "coordinator/api/weight_files.hpp"
#include "coordinator/decide/cascade.hpp"
#include "coordinator/decide/lineup.hpp"
#include "coordinator/observe/trace.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/memory_bounds.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/pool/batch_trial.hpp"
#include "coordinator/pool/pool.hpp"
#include "images/sources.hpp"
#include "images/tiles.hpp"
#include "results/sinks.hpp"

namespace tutti {

namespace {

Plan checked_plan(const config::EnsembleSpec& spec, const Options& options, const std::filesystem::path& worker) {
  Plan plan = plan_of(spec, options, worker);
  check_memory(plan);
  return plan;
}

std::unique_ptr<TraceRecorder> make_trace(const Plan& plan, const std::filesystem::path& file) {
  std::vector<std::string> names;
  for (const MemberPlan& member : plan.members) names.push_back(member.request.name);
  return std::make_unique<TraceRecorder>(file, std::move(names), std::chrono::steady_clock::now());
}

void check_callback(const SubmitDone& done) {
  if (!done) throw Error(ErrorKind::usage, "submit() was given an empty callback");
}

}  // namespace

class Ensemble::Impl {
 public:
  Impl(const Spec& spec, const Options& options) : Impl(spec, options, find_worker(options.worker)) {}

  Impl(const Spec& spec, const Options& options, const std::filesystem::path& worker)
      : Impl(chosen(spec, options, worker), worker) {}

  Impl(const Chosen& chosen, const std::filesystem::path& worker)
      : Impl(chosen.spec, chosen.options, worker, checked_plan(chosen.spec.checked(), chosen.options, worker)) {}

  Impl(const Spec& spec, const Options& options, const std::filesystem::path& worker, Plan plan)
      : spec_(spec),
        trace_(options.trace.empty() ? nullptr : make_trace(plan, options.trace)),
        events_(options.on_event),
        pool_(std::move(plan), worker, options.debug_member, trace_.get(), &events_, options.stop),
        members_(pool_, spec, {worker, options.environment}),
        cascade_(pool_.plan().cascade, pool_.plan().combined()),
        terms_{pool_.plan().chains().rounds_of_rows(cascade_.rounds_of_members()), pool_.plan().quorum.has_value()},
        leases_(pool_.exchange(), pool_.arena(), pool_.plan().arena, most_of_segment()),
        submissions_(pool_.exchange(), options.most_submissions, coalesce_setting()) {
    if (pool_.plan().batches == Batches::to_measure) {
      {
        const std::stop_callback giving_up(options.stop, [this] { pool_.fail(start_given_up()); });
        measure_batches(pool_);
      }
      if (options.stop.stop_requested()) throw start_given_up();  // perhaps after the last of them
    }
    events_.open();
  }

  // Ends what is running, so that every call has returned and every future is settled before the parts are destroyed,
  // the last one built first.
  ~Impl() {
    const Error closed(ErrorKind::interrupted, "the ensemble was closed before this call finished");
    pool_.exchange().fail(closed);
    if (is_called()) pool_.fail(closed);  // a call may be waiting for a worker; in a callback, too
    submissions_.close();
    events_.close();
    MutexLock lock(calls_mutex_);
    while (calls_ > 0) calls_changed_.wait(lock);
  }

  void run(Source& source, Sink& sink, const std::stop_token& stop) { run(source, sink, stop, lineup()); }

  void run(Source& source, Sink& sink, const std::stop_token& stop, const std::shared_ptr<const Lineup>& lineup) {
    const Call call(*this);
    FittedSource fitted = fit(source);
    Prediction prediction(fitted.source(), sink, lineup, trace_.get(), cascade_);
    const auto stream = std::make_shared<Stream>(prediction, TaskKind::predict, lineup->asked, terms_, lineup);
    const Error why(ErrorKind::interrupted, "the run was given up: its caller requested a stop");
    const std::stop_callback giving_up(stop, [&] { pool_.exchange().fail_call(*stream, why, 0, std::nullopt); });
    pool_.exchange().drive(stream);
    say_unturned(fitted.source());
  }

  Predictions predict(const std::unique_ptr<Source>& source) {
    refuse_saved(pool_.plan());
    const auto answering = lineup();
    const auto sink = collecting(*source, *answering);
    run(*source, *sink, {}, answering);
    return sink->take();
  }

  std::future<Predictions> submit(std::unique_ptr<Source> source, const SubmitOptions& options) {
    const Call call(*this);
    return submissions_.add(submission_of(std::move(source), options));
  }

  void submit(std::unique_ptr<Source> source, SubmitDone done, const SubmitOptions& options) {
    check_callback(done);
    const Call call(*this);
    auto submission = submission_of(std::move(source), options);
    submission->done = std::move(done);
    submissions_.enter(std::move(submission));
  }

  Lease lease(std::size_t count, SubmitOptions options) {
    const Call call(*this);
    refuse_saved(pool_.plan());
    refuse_lease(pool_.plan());
    if (submissions_.is_own_thread()) options.when_full = WhenFull::refuse;
    return leases_.lease(count, pool_.plan().input, options);
  }

  /// The lease is as it was if this throws.
  std::future<Predictions> submit(Lease& lease, SubmitDone done, const SubmitOptions& options) {
    const Call call(*this);
    auto submission = submission_of(leases_.samples_of(lease), options);
    submission->leased = leases_.slot_of(lease);
    submission->done = std::move(done);
    std::future<Predictions> future;
    if (!submission->done) future = submission->promise.get_future();
    Leases::Closing closing(lease);  // not later: the callback may destroy the lease
    submissions_.enter(std::move(submission));
    closing.keep();
    return future;
  }

  /// What a program hands over, as samples: the inputs themselves, or tiles of them. `Given`: Images or Samples.
  template <class Given>
  std::unique_ptr<Source> samples_of(const Given& given) const {
    const std::optional<Tiles>& tiles = pool_.plan().input.tiles;
    if (!tiles) return images::make_memory(given);
    auto inputs = images::large_memory(given);
    const std::uint64_t count = inputs->count();
    return images::tiled(std::move(inputs), *tiles, 0, count);
  }

  TrainResult train(Source& source, const std::filesystem::path& folder,
                    const std::function<void(const EpochResult&)>& on_epoch) {
    const Call call(*this);
    const MutexLock one_at_a_time(members_.changing);
    members_.check_may_train();
    FittedSource fitted = fit(source);
    const Learns learns = spec_.checked().members.front().train.learns;
    check_trains(pool_.plan(), learns, source);
    TrainResult result{weight_files(pool_.plan(), folder)};
    members_.note_trained();
    pool_.command(ByRank<control::Message>(result.weights.size(), control::BeginTraining{}));
    train_epochs(fitted.source(), learns, on_epoch);
    say_unturned(fitted.source());
    ByRank<control::Message> save;
    for (const auto& file : result.weights) save.push_back(control::Save{file.string()});
    pool_.command(std::move(save));
    const std::vector<MemberStatus> members = pool_.status(StatusDetail::counters).members;
    for (std::size_t rank = 0; rank < members.size(); ++rank)
      if (members[rank].state == WorkerState::absent) result.weights[rank].clear();
    return result;
  }

  void replace_member(std::string_view name, const Spec& next, const std::stop_token& stop) {
    const Call call(*this);
    members_.replace(name, next.checked(), stop);
  }
  void add_member(const MemberSpec& member, const std::stop_token& stop) {
    const Call call(*this);
    members_.add(member, stop);
  }
  void remove_member(std::string_view name) {
    const Call call(*this);
    members_.remove(name);
  }
  Spec described() const { return Spec(lineup()->description); }

  std::vector<NamedLayout> inputs() const {
    const InputForm& form = pool_.plan().input;
    return form.planes.empty() && !form.tiles ? form.tensors : std::vector<NamedLayout>{};
  }
  Status status(StatusDetail detail) const { return members_.status(detail); }
  Health health() const { return members_.health(); }
  void interrupt() { pool_.fail(Error(ErrorKind::interrupted, "interrupted")); }
  void drain() { pool_.drain(Error(ErrorKind::interrupted, "interrupted")); }

 private:
  /// A call that a thread has made and that has not returned: the destructor waits for it.
  class Call {
   public:
    explicit Call(Impl& ensemble) : ensemble_(ensemble) {
      const MutexLock lock(ensemble_.calls_mutex_);
      ++ensemble_.calls_;
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() {
      const MutexLock lock(ensemble_.calls_mutex_);
      --ensemble_.calls_;
      ensemble_.calls_changed_.notify_all();
    }

   private:
    Impl& ensemble_;
  };

  bool is_called() {
    const MutexLock lock(calls_mutex_);
    return calls_ > 0;
  }

  /// What must live as long as the future: the view of the images, the buffer of the result, and the work between them.
  class Submitted final : public Submission {
   public:
    Submitted(Impl& ensemble, std::unique_ptr<Source> source)
        : source_(std::move(source)),
          fitted_(ensemble.fit(*source_)),
          lineup_(ensemble.lineup()),
          sink_(collecting(*source_, *lineup_)),
          ensemble_(ensemble) {}
    const std::shared_ptr<Stream>& stream() override {
      if (stream_) return stream_;
      prediction_.emplace(fitted_.source(), *sink_, lineup_, ensemble_.trace_.get(), ensemble_.cascade_);
      stream_ = std::make_shared<Stream>(*prediction_, TaskKind::predict, lineup_->asked, ensemble_.terms_, lineup_);
      return stream_;
    }
    CallRows rows() override { return {fitted_.source(), *sink_}; }
    Predictions take() override { return sink_->take(); }

   private:
    std::unique_ptr<Source> source_;
    FittedSource fitted_;
    const std::shared_ptr<const Lineup> lineup_;
    std::unique_ptr<images::CollectingSink> sink_;
    Impl& ensemble_;
    std::optional<Prediction> prediction_;
    std::shared_ptr<Stream> stream_;
  };

  std::unique_ptr<Submission> submission_of(std::unique_ptr<Source> source, const SubmitOptions& options) {
    refuse_saved(pool_.plan());
    auto submission = std::make_unique<Submitted>(*this, std::move(source));
    submission->options = options;
    return submission;
  }

  void train_epochs(Source& source, Learns learns, const std::function<void(const EpochResult&)>& on_epoch) {
    const std::vector<MemberPlan>& members = pool_.plan().members;
    std::uint64_t classes = std::numeric_limits<std::uint64_t>::max();
    const std::shared_ptr<const Lineup> answering = lineup();
    for (const LineupMember& member : answering->members) classes = std::min(classes, elements_of(member.output));
    for (std::uint32_t epoch = 1;; ++epoch) {
      ByRank<bool> asked;
      for (const MemberPlan& member : members) asked.push_back(epoch <= member.epochs);
      const bool final_for_some =
          std::any_of(members.begin(), members.end(), [&](const MemberPlan& member) { return member.epochs == epoch; });
      if (std::find(asked.begin(), asked.end(), true) == asked.end()) return;
      Epoch work(source, learns, spec_.checked().seed, epoch, static_cast<std::uint32_t>(classes), asked,
                 final_for_some);
      pool_.exchange().drive(std::make_shared<Stream>(work, TaskKind::train, asked));
      if (!on_epoch) continue;
      for (const EpochResult& result : work.results()) on_epoch(result);
    }
  }

  FittedSource fit(Source& source) const { return fitted(source, pool_.plan()); }

  /// Of calls that begin now.
  std::shared_ptr<const Lineup> lineup() const { return members_.lineup(); }

  /// Images of a segment: with `coalesce`, whole batches.
  std::uint32_t most_of_segment() const {
    const std::uint32_t batch = pool_.plan().members.front().request.batch_images;
    return spec_.checked().coalesce ? pool_.plan().arena.images / batch * batch : pool_.plan().arena.images;
  }

  std::optional<CoalesceSetting> coalesce_setting() const {
    const auto& coalesce = spec_.checked().coalesce;
    if (!coalesce) return std::nullopt;
    const std::uint32_t batch = pool_.plan().members.front().request.batch_images;
    return CoalesceSetting{
        std::chrono::microseconds(coalesce->max_delay_us), {lineup(), trace_.get(), batch, most_of_segment()}, terms_};
  }

  const Spec spec_;  // as it was at the start: only what does not change with the members is used
  // Its destructor writes the file, after the destructors of everything that reports to it.
  const std::unique_ptr<TraceRecorder> trace_;
  Events events_;
  Pool pool_;  // thread-safe
  Members members_;
  const Cascade cascade_;
  const Terms terms_;
  const Leases leases_;  // thread-safe

  Mutex calls_mutex_;
  Condition calls_changed_;
  std::size_t calls_ TUTTI_GUARDED_BY(calls_mutex_) = 0;

  Submissions submissions_;  // thread-safe
};

Ensemble::Ensemble(const Spec& spec, Options options) : impl_(std::make_unique<Impl>(spec, options)) {}
Ensemble::~Ensemble() = default;
Predictions Ensemble::predict(const Images& images) { return impl_->predict(impl_->samples_of(images)); }
std::future<Predictions> Ensemble::submit(const Images& images, const SubmitOptions& options) {
  return impl_->submit(impl_->samples_of(images), options);
}
void Ensemble::submit(const Images& images, SubmitDone done, const SubmitOptions& options) {
  impl_->submit(impl_->samples_of(images), std::move(done), options);
}
Predictions Ensemble::predict(const EncodedImages& images) { return impl_->predict(images::make_memory(images)); }
std::future<Predictions> Ensemble::submit(const EncodedImages& images, const SubmitOptions& options) {
  return impl_->submit(images::make_memory(images), options);
}
void Ensemble::submit(const EncodedImages& images, SubmitDone done, const SubmitOptions& options) {
  impl_->submit(images::make_memory(images), std::move(done), options);
}
Predictions Ensemble::predict(const Samples& samples) { return impl_->predict(impl_->samples_of(samples)); }
std::future<Predictions> Ensemble::submit(const Samples& samples, const SubmitOptions& options) {
  return impl_->submit(impl_->samples_of(samples), options);
}
void Ensemble::submit(const Samples& samples, SubmitDone done, const SubmitOptions& options) {
  impl_->submit(impl_->samples_of(samples), std::move(done), options);
}
Lease Ensemble::lease(std::size_t count, const SubmitOptions& options) { return impl_->lease(count, options); }
std::future<Predictions> Ensemble::submit(Lease& lease, const SubmitOptions& options) {
  return impl_->submit(lease, {}, options);
}
void Ensemble::submit(Lease& lease, SubmitDone done, const SubmitOptions& options) {
  check_callback(done);
  static_cast<void>(impl_->submit(lease, std::move(done), options));
}
void Ensemble::run(Source& source, Sink& sink, const std::stop_token& stop) { impl_->run(source, sink, stop); }
TrainResult Ensemble::train(Source& source, const std::filesystem::path& folder,
                            const std::function<void(const EpochResult&)>& on_epoch) {
  return impl_->train(source, folder, on_epoch);
}
void Ensemble::replace_member(std::string_view name, const Spec& next, const std::stop_token& stop) {
  impl_->replace_member(name, next, stop);
}
void Ensemble::add_member(const MemberSpec& member, const std::stop_token& stop) { impl_->add_member(member, stop); }
void Ensemble::remove_member(std::string_view name) { impl_->remove_member(name); }
Spec Ensemble::spec() const { return impl_->described(); }
std::vector<NamedLayout> Ensemble::inputs() const { return impl_->inputs(); }
Status Ensemble::status(StatusDetail detail) const { return impl_->status(detail); }
Health Ensemble::health() const { return impl_->health(); }
void Ensemble::interrupt() { impl_->interrupt(); }
void Ensemble::drain() { impl_->drain(); }

}  // namespace tutti
