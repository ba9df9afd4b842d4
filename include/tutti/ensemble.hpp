// The embeddable API: an ensemble of models, each in a separate worker process, that predicts as one.
//
//   tutti::Ensemble ensemble(tutti::load_spec("ensemble.yaml"));   // workers are up and warm, or it throws
//   tutti::Predictions p = ensemble.predict(images);               // waits
//   std::future<tutti::Predictions> f = ensemble.submit(images);   // does not
//
// The library installs no signal handlers and waits only for its own children; it works in a program that ignores
// SIGCHLD. One internal thread drives the workers while the Ensemble lives.
#pragma once

#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/encoded.hpp>
#include <tutti/error.hpp>
#include <tutti/images.hpp>
#include <tutti/lease.hpp>
#include <tutti/predictions.hpp>
#include <tutti/samples.hpp>
#include <tutti/spec.hpp>
#include <tutti/status.hpp>
#include <tutti/submit.hpp>

namespace tutti {

/// A checked ensemble description. Copies cheaply; immutable.
class TUTTI_API Spec {
 public:
  /// Checks a value that a program built or changed. Throws Error(usage) that lists every violation with the name of
  /// its field, such as `members[2].weight`; a field that would not count beside the others is one, too.
  explicit Spec(const EnsembleSpec& value);
  /// For Tutti itself; load_spec() and parse_spec() make one.
  explicit Spec(std::shared_ptr<const EnsembleSpec> checked) : checked_(std::move(checked)) {}
  /// The description in effect as a value: a copy of it can be changed, and checked again.
  const EnsembleSpec& checked() const noexcept { return *checked_; }
  /// The description in effect, as YAML: defaults are filled in.
  const std::string& yaml() const noexcept;
  /// The libraries that its members are computed with, each once: "torch", "onnxruntime", "openvino".
  std::vector<std::string> libraries() const;
  /// Those with which members may be computed that leave a choice (choose_models()). None of them need be there.
  std::vector<std::string> possible_libraries() const;

 private:
  std::shared_ptr<const EnsembleSpec> checked_;
};

/// Reads a YAML file; `overrides` are `key=value` pairs applied after it ("members.0.weight=2"). Throws Error(usage)
/// that lists every violation as file:line:column.
TUTTI_API Spec load_spec(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});
/// The same for YAML text. `${here}` at the start of a path stands for `folder` (empty: the current one), where
/// relative includes start, too. Other paths are relative to the current folder, as in a file.
TUTTI_API Spec parse_spec(std::string_view yaml, const std::vector<std::string>& overrides = {},
                          const std::filesystem::path& folder = {});

/// The description with one form for each member that leaves it open (`kind: auto`, `backend: auto`), as an Ensemble
/// would choose it: by measuring all of them, in workers that have ended when this returns, or from the user's cache.
/// With `batch_images: auto`, `options.batch_images` gets the batches that were measured with them. For programs that
/// start the same choice several times, or show it first. Throws Error like the constructor of an Ensemble.
TUTTI_API Spec choose_models(const Spec& spec, Options& options);

/// Thread-safe: every method may be called from any thread, any number of times, also at the same time; but a source or
/// a sink must not wait for a prediction of the same ensemble. A worker that dies, hangs or writes nonsense is
/// replaced, and its unfinished segments are computed again: the predictions stay the same to the last bit. If that is
/// not possible (`on_worker_failure`), running calls and later ones throw the same Error(failed), which names the
/// member. What is wrong with one call ends only that call: NaN in its predictions, a segment of it that kills workers,
/// a sample that cannot be read, a sink that throws.
class TUTTI_API Ensemble {
 public:
  /// Starts the workers and returns when all are loaded and warm. If it throws Error, nothing is left running.
  explicit Ensemble(const Spec& spec, Options options = {});
  /// Ends running calls and pending futures with Error(interrupted), stops the workers, waits for them (bounded by
  /// `stop_deadline_s`), and frees all memory.
  ~Ensemble();
  Ensemble(const Ensemble&) = delete;
  Ensemble& operator=(const Ensemble&) = delete;

  /// The ensemble's predictions. The images' shape must be the ensemble's input shape, except for members that resize
  /// the pictures of a folder, and for `tiles` of its `input`: then images of any height and width are cut into these
  /// and their predictions are blended (docs/images.md). 0 images give 0 rows.
  Predictions predict(const Images& images);
  /// The same without waiting; `images` must stay valid until the future is ready. Throws QueueFull, if the options say
  /// so, and Error(usage) if the images do not fit. With `coalesce` in the description, its rows may share batches with
  /// those of other calls, and every batch is filled up to `batch_images`: the last bits may differ from those of
  /// predict().
  std::future<Predictions> submit(const Images& images, const SubmitOptions& options = {});
  /// The same with a callback, which gets the future when it is ready.
  void submit(const Images& images, SubmitDone done, const SubmitOptions& options = {});
  /// The same for encoded pictures, which are decoded on threads (`decode_threads`). The ensemble's `input` has a
  /// `resize`, or is a folder.
  Predictions predict(const EncodedImages& images);
  /// The same without waiting.
  std::future<Predictions> submit(const EncodedImages& images, const SubmitOptions& options = {});
  /// The same with a callback.
  void submit(const EncodedImages& images, SubmitDone done, const SubmitOptions& options = {});
  /// The same for samples that are tensors: those that the `inputs` of the ensemble's `input` declare.
  Predictions predict(const Samples& samples);
  /// The same without waiting.
  std::future<Predictions> submit(const Samples& samples, const SubmitOptions& options = {});
  /// The same with a callback.
  void submit(const Samples& samples, SubmitDone done, const SubmitOptions& options = {});
  /// Memory for `count` samples, into which the caller writes them, and which is then submitted: what submit() would
  /// copy is already where the workers read it. `count` is at least 1 and at most `segment_images` (with `coalesce`,
  /// the largest whole number of batches in it). All `slots` but one can be leased at a time. If there is none, it
  /// waits, or throws QueueFull, as `options` say: of these, the deadline, the stop and `when_full` count. Throws
  /// Error(usage) if samples are not stored as they are submitted: with `tiles`, and for pictures that members resize;
  /// and in a source or a sink of this ensemble. A train() of the same ensemble may have to wait until leases end.
  Lease lease(std::size_t count, const SubmitOptions& options = {});
  /// Predicts the samples of a lease of this ensemble: the bytes are those of submit() with the same samples. If it
  /// throws, such as QueueFull, the lease is as it was and can be submitted again. With `coalesce`, it does not share
  /// batches with other calls.
  std::future<Predictions> submit(Lease& lease, const SubmitOptions& options = {});
  /// The same with a callback.
  void submit(Lease& lease, SubmitDone done, const SubmitOptions& options = {});
  /// Streams `source` through the ensemble into `sink`, segment by segment, both called on this thread. The arena
  /// bounds the memory, however large the source is. An exception of source or sink ends the run and leaves this call.
  /// The run is given up when a stop is requested: Error(interrupted).
  void run(Source& source, Sink& sink, const std::stop_token& stop = {});

  /// Trains every member in its worker, all at the same time, on the labelled `source`, as their `train:` settings say.
  /// Saves member m's weights to its `weights` file, or to `<folder>/<name>.safetensors` if it has none. `on_epoch`
  /// is called on this thread. Same seeds, same bytes. Throws Error; one training at a time.
  TrainResult train(Source& source, const std::filesystem::path& folder,
                    const std::function<void(const EpochResult&)>& on_epoch = {});

  /// Gives the member that is called `name` the model of `next`, while predictions go on: the new version is loaded and
  /// warm before it takes over, between two segments, and the old worker leaves. Segments that are filled later get its
  /// predictions; a call that runs meanwhile may have some of both. `next` is the description that the ensemble has,
  /// with another `model` of this member, or what belongs to it (`output`, `input`, `views`); new weights in the same
  /// files count, too. Members that share its worker are loaded again with it; all replicas and stages change at once.
  /// While it is loaded, both need memory. It gets the batches of the old one, also those that were measured.
  /// Returns when it has taken over; one at a time, and not once train() was called. Throws Error, and the old version
  /// stays: Error(usage) if the descriptions differ in more, or the new version outputs another shape; Error(failed) if
  /// it does not fit into memory next to the old one, cannot be started, or dies before it takes over;
  /// Error(interrupted) if the ensemble ends meanwhile, or if a stop is requested before it takes over.
  void replace_member(std::string_view name, const Spec& next, const std::stop_token& stop = {});

  /// Adds a member, the last, while predictions go on: it is loaded and warm before this returns, on its `device`, and
  /// calls that begin later are answered by all members, as by an ensemble that was started with them. A call that
  /// began before is answered by the members of then. One change at a time, and not once train() was called. Throws
  /// Error, and the ensemble stays as it is: Error(usage) if the description with this member has mistakes (each with
  /// the name of its field), if it outputs another shape, or if the ensemble is of a kind whose members stay: with
  /// `cascade`, `quorum`, `coalesce` or saved predictions; or if it has `stages`; Error(failed) if it needs more memory
  /// than there is (the same bounds as at the start), or cannot be started; Error(interrupted) if the ensemble ends
  /// meanwhile, or if a stop is requested before it has joined. It has a worker of its own, with the threads and
  /// batches of a start with all these members; with `batch_images: auto` it is refused.
  void add_member(const MemberSpec& member, const std::stop_token& stop = {});
  /// Removes the member that is called `name`: calls that begin later are answered without it. Waits only for another
  /// change of members. Its workers stay, and are replaced, until the calls that began before have ended; one that it
  /// shares stays for the others. Throws Error(usage), and nothing has changed, if there is no such member, if it is
  /// the last that predicts, others cannot be combined, it is fused with others or shares replicas, or members stay.
  void remove_member(std::string_view name);

  /// The tensors of a sample as the workers get it; images that come as Images are one, called "image". Nothing if a
  /// sample is a picture that is resized or cut into tiles and may have any size.
  std::vector<NamedLayout> inputs() const;
  /// The description in effect: that of the start, with the members that are there, and their new versions.
  Spec spec() const;
  /// A copy of the state of now.
  Status status(StatusDetail detail = StatusDetail::counters) const;
  /// For a readiness probe. Ready means that a prediction would be computed now: the ensemble is neither starting,
  /// failed nor closed, every member that is left has a running worker (with a `quorum`, enough members have), and the
  /// rule can combine those that are left, whose weights may sum to 0.
  Health health() const;
  /// Ends running calls with Error(interrupted), and rejects later ones. For a program's second Ctrl-C; must not be
  /// called in a signal handler.
  void interrupt();
  /// Stops intake: running calls deliver the segments that are in flight and then throw Error(interrupted), after
  /// `drain_deadline_s` at the latest; later calls are rejected. Returns at once. For a program's first Ctrl-C.
  void drain();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tutti
