// `tutti combine`: what the command line says is combined (evaluation/combining.hpp).
#include <fmt/format.h>

#include <cstdio>
#include <stop_token>

#include "evaluation/combining.hpp"
#include "evaluation/evaluation_report.hpp"
#include "evaluation/run/lacking.hpp"
#include "program/commands.hpp"
#include "program/evaluate/array_words.hpp"
#include "program/say.hpp"
#include "program/session.hpp"
#include "program/summary.hpp"

namespace tutti::program {
namespace {

CombineInput saved_or_described(const CommandLine& line, const CombineOptions& options) {
  if (!line.labels.empty() || line.ignore_index || line.logits)
    throw Error(ErrorKind::usage, "'--labels', '--ignore-index' and '--logits' belong to '--predictions'",
                "a run says itself what its predictions are", "leave them out");
  if (line.file.empty())
    throw Error(ErrorKind::usage, "there is nothing to combine", {},
                "name the folder of a run, 'tutti combine runs/0001', or arrays: --predictions a.npy b.npy");
  const bool folder = std::filesystem::is_directory(line.file);
  const bool array = line.file.extension() == ".npy" || line.file.extension() == ".npz";
  if (!folder && (array || !std::filesystem::exists(line.file) || line.file.filename() == "report.json"))
    throw Error(ErrorKind::usage,
                fmt::format("{} is neither the folder of a run nor a description", line.file.string()), {},
                array ? fmt::format("arrays are combined with --predictions {} ...", line.file.string())
                      : "name the folder that the run said it wrote its report into: tutti combine runs/0001");
  return folder ? saved_input(line.file, options) : described_input(load(line, "combine"), line.file.string(), options);
}

CombineInput combined_input(const CommandLine& line, CombineOptions& options) {
  options.settings = line.overrides;
  if (line.predictions.empty()) return saved_or_described(line, options);
  ArrayWords words = array_words(line);
  options.settings = std::move(words.settings);
  return given_input(words.predictions, options);
}

}  // namespace

Outcome combine(const CommandLine& line, Interruption& interruption) {
  std::stop_source stop;
  CombineOptions options{
      .rules = line.rules, .weights = line.weights, .csv = line.csv, .output = line.output, .stop = stop.get_token()};
  const CombineInput input = combined_input(line, options);
  const Interruption::Watch watch(interruption, [&](int) { stop.request_stop(); });
  const auto signal = [&] { return std::string(signal_name(interruption.signal())); };
  const CombineResult done = combine_saved(input, options, signal);
  if (!line.quiet)
    say(stdout, fmt::format("{}report: {}\n", evaluation_table(*done.report.evaluation),
                            (done.folder / "report.json").string()));
  return is_incomplete(done.report) ? Outcome::incomplete : Outcome::complete;
}

}  // namespace tutti::program
