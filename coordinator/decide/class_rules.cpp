#include "coordinator/decide/class_rules.hpp"

#include <numeric>

#include "common/check.hpp"
#include "common/wide_vectors.hpp"
#include "coordinator/decide/argmax.hpp"

namespace tutti {
namespace {

/// If the members together rule every class out, the sum is 0 and there is nothing to divide by.
double divisor_of(double sum) { return sum > 0 ? sum : 1.0; }

void normalise_row(std::span<float> row) {
  double sum = 0;
  for (const float value : row) sum += static_cast<double>(value);
  const double divisor = divisor_of(sum);
  for (float& value : row) value = static_cast<float>(static_cast<double>(value) / divisor);
}

void add(const float* x, std::size_t size, double* sums) {
  with_wide_vectors([=] {
    for (std::size_t p = 0; p < size; ++p) sums[p] += static_cast<double>(x[p]);
  });
}

void divide(float* x, std::size_t size, const double* divisors) {
  with_wide_vectors([=] {
    for (std::size_t p = 0; p < size; ++p) x[p] = static_cast<float>(static_cast<double>(x[p]) / divisors[p]);
  });
}

}  // namespace

void Decisions::look(std::uint32_t c, const float* x, std::size_t size) {
  std::uint32_t* const classes = classes_.data();
  float* const tops = tops_.data();
  if (c == 0) {
    std::fill_n(classes, size, 0U);
    std::copy_n(x, size, tops);
    return;
  }
  with_wide_vectors([=] {
    // Two loops: of one loop for both, GCC makes branches.
    for (std::size_t p = 0; p < size; ++p) classes[p] = tops[p] < x[p] ? c : classes[p];
    for (std::size_t p = 0; p < size; ++p) tops[p] = tops[p] < x[p] ? x[p] : tops[p];
  });
}

void Decisions::look_at(const float* values, const ClassAxis& axis, const Patch& patch) {
  for (std::uint32_t c = 0; c < axis.classes; ++c) look(c, values + patch.first + c * axis.inner, patch.size);
}

void Predictor::write(std::uint64_t samples, float* values, std::int64_t* predicted) {
  const std::size_t inner = axis_.inner;
  if (inner >= Patch::kMost)
    return for_each_patch(samples, axis_, [&](const Patch& patch) {
      for (std::uint32_t c = 0; c < axis_.classes; ++c) {
        const std::size_t first = patch.first + c * inner;
        rule_.write(first, {values + first, patch.size});
        look(c, values + first, patch.size);
      }
      finish(patch, values, predicted);
    });
  // Some rows, or other small blocks of classes x inner values, at a time.
  constexpr std::size_t kTogether = 2048;
  const std::size_t block = axis_.classes * inner;
  const std::size_t blocks = samples * axis_.outer;
  const std::size_t together = std::max<std::size_t>(1, kTogether / block);
  for (std::size_t b = 0; b < blocks;) {
    const std::size_t end = std::min(blocks, b + together);
    rule_.write(b * block, {values + b * block, (end - b) * block});
    for (; b < end; ++b) {
      float* const begin = values + b * block;
      if (inner == 1) {
        finish_row({begin, block}, predicted + b);
        continue;
      }
      for (std::uint32_t c = 0; c < axis_.classes; ++c) look(c, begin + c * inner, inner);
      finish({b * block, inner, b * inner}, values, predicted);
    }
  }
}

void Predictor::finish_row(std::span<float> row, std::int64_t* predicted) const {
  if (normalises_) normalise_row(row);
  *predicted = static_cast<std::int64_t>(argmax(row));
}

void Predictor::look(std::uint32_t c, const float* x, std::size_t size) {
  if (!normalises_) return decisions_.look(c, x, size);
  if (c == 0) std::fill_n(sums_.begin(), size, 0.0);
  add(x, size, sums_.data());
}

void Predictor::finish(const Patch& patch, float* values, std::int64_t* predicted) {
  if (normalises_) {
    std::transform(sums_.begin(), sums_.begin() + patch.size, sums_.begin(), divisor_of);
    for (std::uint32_t c = 0; c < axis_.classes; ++c) {
      float* const x = values + patch.first + c * axis_.inner;
      divide(x, patch.size, sums_.data());
      decisions_.look(c, x, patch.size);
    }
  }
  std::copy_n(decisions_.classes(), patch.size, predicted + patch.position);
}

void MostConfident::write(const Patch& patch, float* values, std::int64_t* predicted) {
  if (axis_.inner == 1) return write_row(patch.first, values, predicted + patch.position);
  std::uint32_t* const chosen = chosen_.data();
  float* const confidence = confidence_.data();
  const float* const tops = decisions_.tops();
  std::fill_n(chosen, patch.size, 0U);
  for (std::uint32_t m = 0; m < members_.size(); ++m) {
    decisions_.look_at(members_[m].data(), axis_, patch);
    if (m == 0) std::copy_n(tops, patch.size, confidence);
    for (std::size_t p = 0; p < patch.size; ++p) chosen[p] = confidence[p] < tops[p] ? m : chosen[p];
    for (std::size_t p = 0; p < patch.size; ++p) confidence[p] = confidence[p] < tops[p] ? tops[p] : confidence[p];
  }
  for (std::uint32_t c = 0; c < axis_.classes; ++c) {
    const std::size_t first = patch.first + c * axis_.inner;
    for (std::size_t p = 0; p < patch.size; ++p) values[first + p] = members_[chosen[p]][first + p];
    decisions_.look(c, values + first, patch.size);
  }
  std::copy_n(decisions_.classes(), patch.size, predicted + patch.position);
}

void MostConfident::write_row(std::size_t first, float* values, std::int64_t* predicted) const {
  std::span<const float> surest;
  std::size_t choice = 0;
  for (const auto member : members_) {
    const auto row = member.subspan(first, axis_.classes);
    const std::size_t largest = argmax(row);
    if (!surest.empty() && !(row[largest] > surest[choice])) continue;
    surest = row;
    choice = largest;
  }
  std::copy(surest.begin(), surest.end(), values + first);
  *predicted = static_cast<std::int64_t>(choice);
}

template <class Sum>
Vote<Sum>::Vote(Answers members, std::span<const float> weights, const ClassAxis& axis)
    : members_(members),
      weights_(weights),
      axis_(axis),
      total_(std::accumulate(weights.begin(), weights.end(), Sum{0})),
      most_(std::min<std::size_t>(Patch::kMost, axis.inner)),
      choices_(members.size() * most_),
      votes_(axis.classes) {
  TUTTI_CHECK(total_ > Sum{0}, "the configuration and choose() see to it");
}

template <class Sum>
void Vote<Sum>::write(const Patch& patch, float* values, std::int64_t* predicted) {
  if (axis_.inner == 1) {
    for (std::size_t m = 0; m < members_.size(); ++m)
      choices_[m] = static_cast<std::uint32_t>(argmax(members_[m].subspan(patch.first, axis_.classes)));
    std::fill_n(values + patch.first, axis_.classes, 0.0F);
  } else {
    for (std::size_t m = 0; m < members_.size(); ++m) {
      decisions_.look_at(members_[m].data(), axis_, patch);
      std::copy_n(decisions_.classes(), patch.size, choices_.data() + m * most_);
    }
    for (std::size_t c = 0; c < axis_.classes; ++c)
      std::fill_n(values + patch.first + c * axis_.inner, patch.size, 0.0F);
  }
  for (std::size_t p = 0; p < patch.size; ++p) predicted[patch.position + p] = count_votes(patch.first + p, p, values);
}

template <class Sum>
std::uint32_t Vote<Sum>::count_votes(std::size_t place, std::size_t p, float* values) {
  const std::uint32_t first = choice(0, p);
  bool unanimous = true;
  for (std::size_t m = 1; m < members_.size(); ++m) unanimous &= choice(m, p) == first;
  if (unanimous) {
    values[place + first * axis_.inner] = 1.0F;
    return first;
  }
  Sum most{0};
  for (std::size_t m = 0; m < members_.size(); ++m) {
    Sum& votes = votes_[choice(m, p)];
    votes += static_cast<Sum>(weights_[m]);
    most = std::max(most, votes);
  }
  leaders_.clear();
  for (std::size_t m = 0; m < members_.size(); ++m) {
    const std::uint32_t c = choice(m, p);
    if (votes_[c] == most && std::find(leaders_.begin(), leaders_.end(), c) == leaders_.end()) leaders_.push_back(c);
  }
  const std::uint32_t winner = leaders_.size() == 1 ? leaders_.front() : best_leader(place);
  for (std::size_t m = 0; m < members_.size(); ++m) {
    const std::uint32_t c = choice(m, p);
    if (votes_[c] > Sum{0}) values[place + c * axis_.inner] = static_cast<float>(votes_[c] / total_);
    votes_[c] = Sum{0};
  }
  return winner;
}

template <class Sum>
std::uint32_t Vote<Sum>::best_leader(std::size_t place) {
  std::sort(leaders_.begin(), leaders_.end());
  std::uint32_t best = leaders_.front();
  Sum most = score(place + best * axis_.inner);
  for (const std::uint32_t c : std::span(leaders_).subspan(1)) {
    const Sum other = score(place + c * axis_.inner);
    if (!(other > most)) continue;
    best = c;
    most = other;
  }
  return best;
}

template <class Sum>
Sum Vote<Sum>::score(std::size_t place) const {
  Sum sum{0};
  for (std::size_t m = 0; m < members_.size(); ++m)
    sum += static_cast<Sum>(weights_[m]) * static_cast<Sum>(members_[m][place]);
  return sum;
}

template class Vote<float>;
template class Vote<double>;

}  // namespace tutti
