// The control plane: small JSON messages over one SEQPACKET socket per worker. The messages as values, and their
// text; who sends and receives them is said elsewhere. It never carries images.
//
//   worker                         coordinator
//     hello {build_id}         ->                      refused where the build differs
//                              <-  preload {cuda}      only to a spare: it opens its libraries; not answered
//                              <-  load {member}
//     ready {output, ...}      ->                      after loading and warm-up; one of both for each member
//                              <-  start {channel, arena}
//                              <-  checkpoint_file {seat, file}           to a member that is trained; not answered
//                              <-  begin_training {seat} | restore {seat, file} | save {seat, path}
//                              <-  stop
//                              <-  feed {number, ...}, forget {number}    only to a stage; not answered
//     done {seat, problem}     ->                      the answer to begin_training, restore and save
//     failure {text}           ->                      at any time; the worker then leaves
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tutti/error.hpp>

#include "common/wire/arena.hpp"
#include "common/wire/member_request.hpp"

namespace tutti::control {

/// A message that is longer is refused; texts are cut to fit.
constexpr std::size_t kMaxBytes = 60 * 1024;

struct Hello {
  std::string build_id;
};
/// Open the libraries of LibTorch's backend, for the CPU or for CUDA: the member comes later.
struct Preload {
  bool cuda = false;
};
/// One for each member of the unit, by seat.
struct Load {
  MemberRequest member;
  bool more = false;  ///< another follows
  UnitMode mode = UnitMode::loop;
};
/// One for each member, by seat.
struct Ready {
  Dims output;  ///< of the prediction of one sample
  double load_seconds = 0;
  double warm_up_seconds = 0;
  std::uint64_t parameters = 0;
  std::string backend;               ///< "fake", "torch 2.11.0"
  double batch_seconds = 0;          ///< of a full batch, as the warm-up judges
  std::string note;                  ///< what the user should know about the loaded model, or nothing
  std::vector<NamedLayout> parts{};  ///< of `output`, if it joins several outputs of the model
};
struct Start {
  Generation generation{};
  std::vector<std::uint32_t> widths;  ///< values per prediction, by seat
  ArenaLayout arena;
  bool allow_nan = false;
  std::vector<std::uint32_t> rows{};  ///< the most rows of a sample, by seat: see ChannelLayout
};
/// A channel of another worker, whose outputs of one member are read for tasks with this number; its descriptor, which
/// can only be read, comes with the message. Slots and images are those of `start`.
struct Feed {
  std::uint32_t number = 0;           ///< at least 1
  std::vector<std::uint32_t> widths;  ///< of that channel
  Seat seat{};                        ///< whose outputs
  std::vector<std::uint32_t> rows{};  ///< of that channel
};
/// No further task has this number: the memory need not be kept.
struct Forget {
  std::uint32_t number = 0;
};
/// One of the two files in which the member keeps its checkpoints, written alternately; its descriptor comes with the
/// message.
struct CheckpointFile {
  Seat seat{};
  std::uint32_t file = 0;  ///< 0 or 1
};
struct BeginTraining {
  Seat seat{};
};
/// Go on from a checkpoint that an earlier generation wrote.
struct Restore {
  std::uint32_t file = 0;  ///< see CheckpointFile
  Seat seat{};
};
struct Save {
  std::string path;
  Seat seat{};
};
struct Stop {};
struct Done {
  std::string problem;  ///< empty: done as told
  std::string hint;
  Seat seat{};  ///< of the member that was told
};
/// What went wrong, for the user; `hint` may be empty. `usage`: the configuration is at fault, not the machine.
struct Failure {
  std::string text;
  std::string hint;
  bool usage = false;
};

/// An Error as its message and detail on one line, and its hint.
Failure failure_of(const Error& error);

using Message =
    std::variant<Hello, Preload, Load, Ready, Start, Feed, Forget, CheckpointFile, BeginTraining, Restore, Save, Stop, Done,
                 Failure>;

/// One line of JSON, at most kMaxBytes: a Failure's text is cut to fit, anything else that is longer throws
/// Error(usage) naming the message.
std::string encode(const Message& message);
/// Throws Error(failed) that says what is wrong with the text: not JSON, unknown type, a field missing, of the wrong
/// type or out of range. Never reads what it has not checked; the text may come from a broken worker.
Message decode(std::string_view text);

}  // namespace tutti::control
