#include "vitrail/core/parallel.h"

#include <omp.h>
#include <unistd.h>

#include <cstdlib>

namespace vitrail {

int num_threads() { return omp_in_parallel() ? 1 : omp_get_max_threads(); }
void set_num_threads(int n) { omp_set_num_threads(std::max(n, 1)); }

void spin_briefly(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  setenv("GOMP_SPINCOUNT", "2000", 1);
  execv("/proc/self/exe", argv);  // if this fails, the program goes on unchanged
}

}  // namespace vitrail
