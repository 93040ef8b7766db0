// A driver through which HDF5 writes. HDF5 does not survive a failing write: closing such a file leaves the library in
// a state in which it crashes. So this driver keeps the first error to itself, and the Writer reports it.
#pragma once

#include <hdf5.h>

namespace vitrail::hdf5::detail {

/// Makes the access list use the driver. *error becomes the errno of the first call that fails, and must outlive the
/// file.
herr_t use_write_driver(hid_t access, int* error);

}  // namespace vitrail::hdf5::detail
