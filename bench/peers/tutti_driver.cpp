// Tutti as one of the contestants of scripts/bench-peers: a long-lived program that embeds an ensemble, reads the
// images once, and predicts them as often as it is asked to. It speaks the protocol of bench/peers/protocol.py and
// measures nothing else; the parent measures the memory of its family.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

#include "bench/rows.hpp"
#include "common/json.hpp"
#include "common/log.hpp"
#include "common/standard_streams.hpp"
#include "images/sources.hpp"

namespace {

using namespace tutti;
using Clock = std::chrono::steady_clock;

void say(const json::object& message) { std::cout << json::serialize(message) << std::endl; }

/// `count` values of a file without a header.
template <class Value>
std::vector<Value> read_values(const std::filesystem::path& file, std::size_t count) {
  std::vector<Value> values(count);
  std::ifstream in(file, std::ios::binary);
  if (!in) throw Error(ErrorKind::usage, fmt::format("cannot read '{}'", file.string()));
  const auto bytes = static_cast<std::streamsize>(count * sizeof(Value));
  if (!in.read(reinterpret_cast<char*>(values.data()), bytes))
    throw Error(ErrorKind::usage, fmt::format("'{}' is too short", file.string()),
                fmt::format("{} bytes are needed, and it has {}", bytes, in.gcount()));
  return values;
}

void save(const Predictions& answer, const std::filesystem::path& file) {
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(answer.values.data()),
            static_cast<std::streamsize>(answer.values.size() * sizeof(float)));
  if (!out.flush()) throw Error(ErrorKind::failed, fmt::format("could not write '{}'", file.string()));
}

/// Replies to requests until its input ends; `run` calls `work`.
void serve(const std::function<Predictions()>& work) {
  Predictions answer;
  for (std::string line; std::getline(std::cin, line);) {
    const json::object question = parse_json(line, "the question").as_object();
    if (question.contains("run")) {
      const auto begin = Clock::now();
      answer = work();
      const std::chrono::duration<double> elapsed = Clock::now() - begin;
      say({{"ran", {{"seconds", elapsed.count()}}}});
    } else if (const json::value* file = question.if_contains("save")) {
      save(answer, file->as_string().c_str());
      say({{"saved", json::object{}}});
    } else {
      throw Error(ErrorKind::usage, fmt::format("this program cannot '{}'", line), {}, "it knows 'run' and 'save'");
    }
  }
}

struct Command {
  std::filesystem::path spec;
  std::filesystem::path images;
  std::uint64_t count = 0;
  std::uint32_t side = 32;
  std::filesystem::path labels;  ///< empty: predict
  std::filesystem::path folder;  ///< for the trained weights
};

void work(const Command& command) {
  const ImageShape shape{3, command.side, command.side};
  const auto pixels = read_values<float>(command.images, command.count * shape.elements());
  const Images images(std::span<const float>(pixels), shape);
  const bool training = !command.labels.empty();
  const auto labels = training ? read_values<std::int64_t>(command.labels, command.count) : std::vector<std::int64_t>();
  const auto source = images::make_memory(images, labels);
  Ensemble ensemble(load_spec(command.spec), {.worker = {}, .debug_member = {}, .training = training});
  say({{"ready", json::object{}}});
  serve([&]() -> Predictions {
    if (!training) return ensemble.predict(images);
    std::filesystem::create_directories(command.folder);
    ensemble.train(*source, command.folder);
    return {};
  });
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  CLI::App app("Tutti as a contestant of scripts/bench-peers");
  Command command;
  bool certificate = false;
  app.add_option("spec", command.spec, "the ensemble's YAML file");
  app.add_option("images", command.images, "float32 images of three channels, without a header");
  app.add_option("--count", command.count, "how many of them")->check(CLI::PositiveNumber);
  app.add_option("--side", command.side, "their height and width")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--labels", command.labels, "train on these: one int64 per image, without a header");
  app.add_option("--folder", command.folder, "where the trained weights go");
  app.add_flag("--certificate", certificate, "print only the certificate that is in every row");
  CLI11_PARSE(app, argc, argv);
  log::set_level(log::Level::error);
  try {
    if (certificate)
      std::cout << json::serialize(bench::to_json({}, bench::certificate(0)).at("certificate")) << std::endl;
    else
      work(command);
  } catch (const Error& error) {
    say({{"failed", {{"text", error.what()}}}});
    return error.kind() == ErrorKind::usage ? 2 : 1;
  } catch (const std::exception& error) {
    say({{"failed", {{"text", error.what()}}}});
    return 1;
  }
  return 0;
}
