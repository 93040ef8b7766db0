// "did you mean ...?": the known name nearest to an unknown one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

/// The candidate nearest to name, or "" if none is near. Near is: at most two letters wrong, missing, added or swapped
/// (one in names of up to three letters); the initials of the words (learning_rate, lr); or a shared word
/// (num_epochs, epochs). For dotted names the last part decides; the part before it breaks ties.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

/// "; did you mean 'x'?" for the nearest candidate, or "".
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace vitrail::recipes
