// open_ranks: joins the processes that mpirun or srun started.
#pragma once

#include "vitrail/core/comm/comm.h"

#include <memory>

namespace vitrail {

/// The ranks of this process, if a launcher started several: the variables OMPI_COMM_WORLD_SIZE, PMI_SIZE or
/// SLURM_NTASKS (with SLURM_STEP_ID) say so. Otherwise null, and no MPI library is opened. Throws ConfigError if there
/// are several and the plugin libvitrail_mpi.so is neither beside the program nor in ../lib/vitrail: each process would
/// train by itself, in the same folder.
std::shared_ptr<Comm> open_ranks();

}  // namespace vitrail
