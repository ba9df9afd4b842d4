// What the measuring programs share: the certificate of a run and rows of median, minimum and maximum.
#pragma once

#include <string>
#include <vector>

namespace tutti::bench {

/// One line that says what was measured where.
void print_certificate(int repeats);
void print_header();
/// One figure: its samples, their unit, and what is aimed at (may be empty).
void print_row(const std::string& name, std::vector<double> samples, const std::string& unit, const std::string& aim);

/// "m0", "m1" ... of one model, on the CPU.
std::string members_yaml(const std::string& model, int members);

}  // namespace tutti::bench
