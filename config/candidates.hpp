// Models of which one of several forms is chosen at the start: `kind: auto`, exported to several files, and
// `backend: auto`, a network of Tutti that several libraries can compute.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/reader.hpp"
#include "config/spec.hpp"

namespace tutti::config {

/// The word in place of a kind.
constexpr std::string_view kAutoKind = "auto";

/// Whether the form of a member, or the mode of a worker, is to be chosen.
bool leaves_choice(const EnsembleSpec& spec);

/// Reads `files` and `output`. The kinds follow from the endings of the files; those of a .onnx are `onnx` and
/// `openvino`.
void read_candidates(Fields& fields, ModelSpec& model, Violations& violations);

/// What `backend` may be: the libraries, and `auto`.
std::vector<std::string> backend_words();

/// `backend: auto` of a network of Tutti, whose other fields have been read: a candidate for each library.
void read_backends(Fields& fields, ModelSpec& model);

/// The files that the candidates of `kind: auto` are in, each once, in order.
std::vector<std::string> files_of_candidates(const ModelSpec& model);

/// Decides for one of the candidates of a model, by its place; the others are noted with this reason.
void take_candidate(ModelSpec& model, std::size_t place, std::string_view reason);

/// The same for the mode of a worker.
void take_mode(UnitSpec& unit, std::size_t place, std::string_view reason);

/// How a candidate is called: "onnx m.onnx", "small-cnn by openvino".
std::string candidate_name(const ModelKind& candidate);

}  // namespace tutti::config
