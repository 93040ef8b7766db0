#include "tests/support/golden.h"

#include "tests/support/reference.h"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <string>

namespace vitrail::test {

nlohmann::json golden() { return nlohmann::json::parse(std::ifstream(reference_path("vision_golden.json").value())); }

void fill_golden(nn::ModuleBase& model, const nlohmann::json& order) {
  int t = 0;
  for (const auto& name : order) {
    ++t;
    const auto text = name.get<std::string>();
    nn::Parameter& p = model.parameter(text);
    const bool gain = (text.find("norm") != std::string::npos && text.ends_with(".weight")) || text.ends_with(".gamma");
    const bool length = text.ends_with(".weight_g");
    std::vector<double> values(size_t(p.value().numel()));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = length ? 1 : (gain ? 1 : 0) + 0.1 * std::sin(0.37 * double(i) + 1.3 * t);
    p.update([&](Tensor& v) { v.copy_(tensor(values, p.shape())); });
  }
  CHECK(model.parameters().size() == order.size());
}

}  // namespace vitrail::test
