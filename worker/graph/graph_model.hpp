// A member whose model is a GraphSession: which tensor of a sample goes to which input, batches that the model fixes,
// images whose channels come last, the choice and the type of the output. The same for every library.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tutti/error.hpp>

#include "worker/graph/graph_session.hpp"
#include "worker/model.hpp"

namespace tutti::worker {

/// Where a model has the channels of images if its sizes leave that open.
enum class Channels : std::uint8_t {
  first,
  unknown,  ///< such models are refused
};

/// What a backend knows about the model of a member.
struct GraphFile {
  std::string path;      ///< for messages; of a network of Tutti, its kind
  std::string output{};  ///< the name of the output to use; empty: it has one
  Channels channels = Channels::first;
  std::uint64_t parameters = 0;      ///< 0: not known
  std::vector<std::string> notes{};  ///< what the user should know already
};

/// Calls `work`; an exception of the library becomes Error(kind, message, its reason, hint).
template <class Work>
auto explained(ErrorKind kind, const std::string& message, const std::string& hint, Work work) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(kind, message, error.what(), hint);
  }
}

/// Throws Error(usage) if the path leads to nothing, or to a Git LFS pointer.
void check_model_file(const std::string& path);

/// The same model in float32, with as many lanes, for a session that computes in `precision`.
struct Exact {
  std::unique_ptr<GraphSession> session{};  ///< null: there is nothing to compare with
  std::string precision{};                  ///< for messages: "bf16"
};

/// Throws Error(usage) if the model does not take what the member takes, or has no such output. While the model warms
/// up, its outputs are compared with those of `exact`, and a note says how far apart they are.
std::unique_ptr<Model> make_graph_model(const MemberRequest& request, const GraphFile& file,
                                        std::unique_ptr<GraphSession> session, Exact exact = {});

}  // namespace tutti::worker
