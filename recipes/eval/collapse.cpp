#include "vitrail/recipes/eval/collapse.h"

#include "vitrail/core/ops.h"
#include "vitrail/core/parallel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

namespace vitrail::recipes {
namespace {

/// The entropy of each row of p [N, K], in nats.
std::vector<double> entropies(const Tensor& p) {
  const int64_t n = p.size(0), k = p.size(1);
  std::vector<double> result(static_cast<size_t>(n));
  const float* probs = p.data<float>();
  parallel_for(n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      double sum = 0;
      for (int64_t i = row * k; i < (row + 1) * k; ++i)
        if (probs[i] > 0) sum -= double(probs[i] * std::log(probs[i]));
      result[size_t(row)] = sum;
    }
  });
  return result;
}

/// Subtracts the mean row from each row of x.
Tensor centred(const Tensor& x) { return core::sub(x, core::mean(x, {0}, /*keepdim=*/true)); }

double participation_ratio(const Tensor& features) {
  const Tensor x = centred(features);
  // The products of rows with rows and of columns with columns have the same eigenvalues; the smaller is enough.
  const bool wide = x.size(1) > x.size(0);
  const Tensor products = wide ? core::matmul(x, x, core::Trans::no, core::Trans::yes)
                               : core::matmul(x, x, core::Trans::yes, core::Trans::no);
  const double trace = std::pow(core::norm(x), 2), squares = std::pow(core::norm(products), 2);
  return squares > 0 ? trace * trace / squares : 0;
}

}  // namespace

Stats CollapseSigns::stats() const {
  return {{"t_entropy", entropy}, {"t_kl", kl}, {"feat_rank", rank}, {"feat_std", feat_std}};
}

CollapseSigns collapse_signs(const Tensor& probs, const Tensor& features) {
  const Tensor p = probs.to(DType::f32).contiguous(), x = features.to(DType::f32);
  CollapseSigns signs;
  signs.entropy = entropies(core::mean(p, {0}, /*keepdim=*/true))[0];
  // The mean KL divergence of the rows from the mean row is the entropy of the mean row minus the mean entropy of the
  // rows.
  const std::vector<double> rows = entropies(p);
  const double within = std::accumulate(rows.begin(), rows.end(), 0.0) / double(rows.size());
  signs.kl = std::max(0.0, signs.entropy - within);
  signs.rank = participation_ratio(x);
  const Tensor unit = core::l2_normalize(x).y;
  signs.feat_std = core::norm(centred(unit)) / std::sqrt(double(unit.size(0)));
  return signs;
}

std::string CollapseWatch::add(const CollapseSigns& signs) {
  constexpr double kRate = 0.02, kShare = 0.02, kLeastStd = 0.05;
  const double rate = std::max(1.0 / double(++steps_), kRate);
  smooth_.entropy += rate * (signs.entropy - smooth_.entropy);
  smooth_.kl += rate * (signs.kl - smooth_.kl);
  smooth_.rank += rate * (signs.rank - smooth_.rank);
  smooth_.feat_std += rate * (signs.feat_std - smooth_.feat_std);
  if (steps_ < patience_) return "";

  const double most = std::log(double(out_dim_));
  const auto once = [](bool& warned) { return !std::exchange(warned, true); };
  if (smooth_.entropy < kShare * most && once(warned_of_one_))
    return fmt::format(
        "collapse: nearly all images go to one prototype (entropy of the teacher's mean output {:.3g} of {:.3g}); "
        "raise teacher.temp, teacher.warmup_temp or teacher.momentum, or lower optim.lr",
        smooth_.entropy, most);
  if (smooth_.kl < kShare * most && smooth_.entropy >= kShare * most && once(warned_of_uniform_))
    return fmt::format(
        "collapse: the teacher says the same of all images (divergence of its outputs from their mean {:.3g}, "
        "entropy of the mean {:.3g} of {:.3g}); lower teacher.temp and teacher.warmup_temp, or optim.lr, or set "
        "head.norm_last_layer true",
        smooth_.kl, smooth_.entropy, most);
  if (smooth_.feat_std < kLeastStd && once(warned_of_features_))
    return fmt::format(
        "collapse: features of all images are nearly one (deviation {:.3g} of at most 1, effective rank {:.1f}); "
        "lower optim.lr, lengthen schedule.warmup_epochs, or set optim.clip_grad to 0.3",
        smooth_.feat_std, smooth_.rank);
  return "";
}

}  // namespace vitrail::recipes
