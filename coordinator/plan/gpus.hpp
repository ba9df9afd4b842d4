// Which NVIDIA GPUs are there, through the driver's management library, opened at run time. The coordinator never
// touches CUDA: a CUDA context in the parent would cost memory and forbid much, and a broken driver must not stop CPU
// members.
#pragma once

#include <string>
#include <vector>

#include "coordinator/plan/machine.hpp"

namespace tutti {

/// In the user's order (CUDA_VISIBLE_DEVICES is respected; else by PCI bus). Empty, with the reason in `why_none`,
/// where there is no driver, no GPU, or none is visible.
std::vector<Gpu> find_gpus(std::string& why_none);

/// The part of that which needs no driver: picks from `all` (in PCI order) what CUDA_VISIBLE_DEVICES `visible` names,
/// by number or uuid prefix; like CUDA, stops at the first name that fits nothing. A MIG instance is taken as it is
/// named, without asking whether it exists.
std::vector<Gpu> visible_gpus(const std::vector<Gpu>& all, const char* visible);

}  // namespace tutti
