// Lists the NVIDIA GPUs through the driver's management library, which is opened at run time. The coordinator never
// uses CUDA: a CUDA context in the parent would cost memory and restrict what it may do, and a broken driver must not
// stop CPU members.
#pragma once

#include <string>
#include <vector>

#include "coordinator/plan/machine.hpp"

namespace tutti {

/// In the user's order: that of CUDA_VISIBLE_DEVICES if it is set, else by PCI bus. Empty, with the reason in
/// `why_none`, if there is no driver, no GPU, or none is visible.
std::vector<Gpu> find_gpus(std::string& why_none);

/// The part of find_gpus() that needs no driver: picks from `all` (in PCI order) the GPUs that `visible`, the value of
/// CUDA_VISIBLE_DEVICES, names by number or uuid prefix. Like CUDA, stops at the first name that matches nothing. A MIG
/// instance is accepted as named, without checking that it exists.
std::vector<Gpu> visible_gpus(const std::vector<Gpu>& all, const char* visible);

}  // namespace tutti
