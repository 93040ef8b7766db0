#include "tools/commands/skip_option.h"

namespace vitrail::tools {

void SkipOption::add_to(const Command& command) {
  command
      .option("--on-error", on_error,
              "an image that is missing or broken: fail ends the command; skip leaves it out and prints its name")
      .choices({"fail", "skip"});
}

data::BadFiles SkipOption::bad_files() const {
  return data::BadFiles(skips() ? data::OnError::skip : data::OnError::fail, 1,
                        "--on-error skip leaves out broken images");
}

}  // namespace vitrail::tools
