// LibTorch's exceptions as messages for the user: short, without C++ backtraces.
#pragma once

#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <tutti/error.hpp>

#include "worker/failure.hpp"

namespace tutti::worker {

/// At most about a thousand characters of `text`: its beginning and its end.
std::string shortened(std::string_view text);

/// What a message of LibTorch gives as the reason, shortened: of a TorchScript traceback the last line, then the place
/// in the module's Python code; no list of kernels ("CPU: registered at ...").
std::string reason_in(std::string_view text);

/// The same of an exception, without its C++ backtrace.
std::string reason_of(const std::exception& error);

/// The hint if the reason is in the model itself: a device in its code, weights that are not float32. Empty: it is not.
std::string_view fault_of_model(std::string_view reason);

/// Whether LibTorch, or C++ itself, ran out of memory on the CPU or on a GPU.
bool is_out_of_memory(const std::exception& error);

/// What may be at fault when `work` fails: a model, whose own faults are then looked for, or only the machine.
enum class Blame { model, machine };

/// The hint if the reason is that a model that takes other samples got a batch of `count`: it has another batch built
/// in, or takes pictures of one channel. Empty: it is not.
std::string misfit_hint(const std::string& reason, std::uint32_t count);

/// The hint if samples of these sizes look like pictures whose channels are the last axis. Empty: they do not.
std::string layout_hint(std::span<const std::uint32_t> dims);

/// Calls `work`; an exception of LibTorch becomes Error(kind, message, its reason, hint); if memory ran out,
/// out_of_memory(message and reason); if a model is at fault, Error(usage) with that hint. An Error passes through.
/// `hint` is a text, or makes one of the reason.
template <class Hint, class Work>
auto explained(ErrorKind kind, std::string_view message, const Hint& hint, Work work, Blame blame = Blame::model) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    if (is_out_of_memory(error)) throw out_of_memory(fmt::format("{} ({})", message, reason_of(error)));
    const std::string reason = reason_of(error);
    if (const std::string_view fault = fault_of_model(reason); blame == Blame::model && !fault.empty())
      throw Error(ErrorKind::usage, std::string(message), reason, std::string(fault));
    if constexpr (std::is_invocable_v<Hint, const std::string&>)
      throw Error(kind, std::string(message), reason, hint(reason));
    else
      throw Error(kind, std::string(message), reason, std::string(hint));
  }
}

inline constexpr std::string_view kNoUsableGpu = "there is no usable GPU";

/// Calls `work`, which only finds out whether this process can use a GPU. An exception becomes Error(failed,
/// kNoUsableGpu), as above.
template <class Work>
void gpu_explained(Work work) {
  explained(ErrorKind::failed, kNoUsableGpu, "see 'nvidia-smi' and CUDA_VISIBLE_DEVICES, or assign cpu instead", work,
            Blame::machine);
}

}  // namespace tutti::worker
