// The table of results that the user sees.
#pragma once

#include <string>

#include "results/report.hpp"

namespace tutti::program {

/// The table of a run: member, device, accuracy, seconds, images/s; then the ensemble. Instead of the accuracy, masks
/// have mIoU and the accuracy of their pixels, numbers MAE and R2, several labels F1 and mAP. Values that are not known
/// show "-".
std::string results_table(const images::Report& report);

}  // namespace tutti::program
