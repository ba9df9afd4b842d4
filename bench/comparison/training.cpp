#include "bench/comparison/training.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include <tutti/ensemble.hpp>

#include "bench/comparison/comparison.hpp"
#include "common/log.hpp"
#include "images/sources.hpp"

namespace tutti::bench {
namespace {

/// The description without files to write to, on such images.
Field for_training(Field field, const ImageSet& images) {
  field.spec.input.shape = field.spec.train_input.shape = images.shape();
  field.spec.input.has_bytes = field.spec.train_input.has_bytes = images.pixel_type() == Dtype::uint8;
  for (config::MemberSpec& member : field.spec.members) member.model.weights.clear();
  return field;
}

std::uint32_t epochs_of(const config::EnsembleSpec& spec) {
  const std::uint32_t epochs = spec.members.front().train.epochs;
  for (const config::MemberSpec& member : spec.members)
    if (member.train.epochs != epochs)
      throw Error(ErrorKind::usage, "--train needs members that train for the same number of epochs",
                  fmt::format("{} trains for {} epochs, {} for {}", spec.members.front().name, epochs, member.name,
                              member.train.epochs),
                  "set the same 'train.epochs' for all");
  return epochs;
}

/// One way to train, and its times.
struct Way {
  std::string name;
  std::string note;
  std::string skipped;
  std::function<double()> train;
  std::vector<double> seconds;
};

class Training {
 public:
  Training(const Field& field, const ImageSet& images)
      : field_(for_training(field, images)),
        images_(images),
        epochs_(epochs_of(field.spec)),
        folder_(field.departure),
        source_(images::make_memory(images.view(), images.labels())) {
    ways_.push_back(one_after_another("one after another, one thread", 1));
    if (field_.usable_cores > 1)
      ways_.push_back(one_after_another("one after another, all cores", field_.usable_cores));
    ways_.push_back(side_by_side());
  }

  std::vector<Row> run(int repeats) {
    for (int round = 0; round <= repeats; ++round) {  // the first one warms up
      log::info("training, {} of {}", round, repeats);
      for (Way& way : ways_) {
        if (!way.skipped.empty()) continue;
        const double seconds = way.train();
        if (round > 0) way.seconds.push_back(seconds);
      }
    }
    std::vector<Row> rows;
    for (const Way& way : ways_) rows.push_back(row_of(way));
    return rows;
  }

 private:
  Way one_after_another(const std::string& name, std::uint32_t threads) {
    Way way{.name = name, .note = {}, .skipped = {}, .train = {}, .seconds = {}};
    try {
      const Setting setting{threads, 1, field_.spec.batch_images};
      singles_.push_back(
          std::make_unique<SingleProcess>(name, single_launch(field_, setting), images_, field_.departure));
      SingleProcess& process = *singles_.back();
      process.prepare(single_job(field_, Strategy::sequential, setting, images_, true));
      way.train = [&process, epochs = epochs_] { return process.train(epochs); };
    } catch (const Refused& refused) {
      way.skipped = refused.message();
    }
    return way;
  }

  Way side_by_side() {
    pool_.emplace(Spec(std::make_shared<config::EnsembleSpec>(field_.spec)),
                  Options{.worker = field_.worker, .debug_member = {}, .training = true});
    const std::uint32_t threads = pool_->status().members.front().threads;
    return {.name = "side by side in the pool",
            .note = to_text(Contender::multiprocess, {threads, 1, 1}),
            .skipped = {},
            .train =
                [this] {
                  const auto begin = std::chrono::steady_clock::now();
                  pool_->train(*source_, folder_.held_path());
                  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
                },
            .seconds = {}};
  }

  Row row_of(const Way& way) const {
    Row row{.bench = "training", .name = way.name, .unit = "s", .samples = way.seconds};
    row.conditions = conditions_of(field_, images_, field_.spec.members.front().train.batch_images);
    row.conditions["epochs"] = epochs_;
    row.skipped = way.skipped;
    row.note = way.note;
    const Way& one = ways_.front();
    if (!one.seconds.empty() && !way.seconds.empty())
      row.note += fmt::format("{}{:.2f}x one after another, one thread", row.note.empty() ? "" : "; ",
                              statistics(one.seconds).median / statistics(way.seconds).median);
    return row;
  }

  const Field field_;
  const ImageSet& images_;
  const std::uint32_t epochs_;
  const FolderForATime folder_;
  std::unique_ptr<Source> source_;
  std::vector<std::unique_ptr<SingleProcess>> singles_;
  std::optional<Ensemble> pool_;
  std::vector<Way> ways_;
};

}  // namespace

std::vector<Row> training_rows(const Field& field, const ImageSet& images, int repeats) {
  if (!images.labelled())
    throw Error(ErrorKind::usage, fmt::format("{} has no labels to train on", images.name()), {},
                "give 'train.input' labels ('labels' for npy, 'classes' for random), or remove --train");
  return Training(field, images).run(repeats);
}

}  // namespace tutti::bench
